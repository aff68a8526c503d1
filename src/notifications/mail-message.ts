/** What a mailer takes and answers, and the checks that come before anything leaves. */
import type { SendMailOptions } from 'nodemailer';
import { plainValue, SERVICE_NAME } from './mail-templates.ts';

export interface Mail {
  /** The same at every attempt, so that a message that arrives twice is seen to be one. */
  messageId: string;
  to: { name?: string; address: string };
  /** A plain address; the service's name is put before it. */
  from: string;
  subject: string;
  html: string;
  text: string;
  date: Date;
}

export interface Mailer {
  readonly kind: 'outbox' | 'smtp' | 'sendgrid';
  /** Resolves when the next station has taken the message over; rejects with `MailRefused`. */
  send(mail: Mail): Promise<void>;
  /** Whether mail could be sent now; answers within 3 seconds. */
  isUp(): Promise<boolean>;
  close(): void;
}

/** The message was not taken. `permanent`: it never will be; otherwise it is worth trying again. */
export class MailRefused extends Error {
  readonly permanent: boolean;

  constructor(message: string, permanent: boolean, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'MailRefused';
    this.permanent = permanent;
  }
}

const ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const ADDRESS = new RegExp(`^(?=.{3,254}$)(?=[^@]{1,64}@)${ATEXT}(?:\\.${ATEXT})*@(?:${LABEL}\\.)+${LABEL}$`);
const MESSAGE_ID = /^[A-Za-z0-9._+=-]{1,128}@[A-Za-z0-9.-]{1,128}$/;

/**
 * Whether this is one plain address (dot-atom at a domain, RFC 5321 lengths) in ASCII. Quoted local parts, address
 * literals, names, lists and anything with a comma, space or line break are not.
 */
const isPlainAddress = (address: string): boolean => ADDRESS.test(address);

/** The bare message id, without angle brackets. */
export function bareMessageId(messageId: string): string {
  const bare = messageId.replace(/^<(.*)>$/, '$1');
  if (!MESSAGE_ID.test(bare)) throw new MailRefused('The message id is malformed', true);
  return bare;
}

/** The message as Nodemailer takes it. Throws `MailRefused` before anything is sent. */
export function messageOptions(mail: Mail): SendMailOptions {
  if (!isPlainAddress(mail.to.address))
    throw new MailRefused('The recipient is not one plain e-mail address', true);
  // The sender comes from the settings: mending them lets the same message through.
  if (!isPlainAddress(mail.from)) throw new MailRefused('The sender is not one plain e-mail address', false);
  // Objects, not strings: Nodemailer would read a string as a list of addresses.
  return {
    messageId: `<${bareMessageId(mail.messageId)}>`,
    date: mail.date,
    from: { name: SERVICE_NAME, address: mail.from },
    to: { name: plainValue(mail.to.name ?? ''), address: mail.to.address },
    envelope: { from: mail.from, to: [mail.to.address] },
    subject: plainValue(mail.subject),
    html: mail.html,
    text: mail.text,
    // So that no absence notice answers (RFC 3834).
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
