import { createHash, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import nodemailer from 'nodemailer';
import { bareMessageId, MailRefused, messageOptions, type Mail, type Mailer } from './mail-message.ts';

/** What lies beside each `.eml` as `.json`, so that the pages that show it need no MIME parser. */
interface OutboxEntry {
  messageId: string;
  date: string;
  from: string;
  to: { name: string; address: string };
  subject: string;
  html: string;
  text: string;
  /** Each header of the `.eml`, unfolded, in its order. */
  headers: string[];
}

/**
 * Writes messages into a folder instead of sending them. A message sent again overwrites its file: here at least once
 * is exactly once.
 */
export class OutboxMailer implements Mailer {
  readonly kind = 'outbox';
  readonly #directory: string;
  readonly #transport = nodemailer.createTransport({
    streamTransport: true,
    buffer: true,
    newline: 'windows',
  });

  constructor(directory: string) {
    this.#directory = directory;
  }

  async send(mail: Mail): Promise<void> {
    const options = messageOptions(mail);
    try {
      const { message } = await this.#transport.sendMail(options);
      const eml = message as Buffer; // for `buffer: true`
      await mkdir(this.#directory, { recursive: true });
      const name = await this.#nameOf(mail);
      await this.#write(`${name}.eml`, eml);
      await this.#write(`${name}.json`, JSON.stringify(entryOf(mail, eml), null, 2));
    } catch (error) {
      if (error instanceof MailRefused) throw error;
      throw new MailRefused('The message could not be written to the outbox folder', false, error);
    }
  }

  async isUp(): Promise<boolean> {
    try {
      await mkdir(this.#directory, { recursive: true });
      await access(this.#directory, constants.W_OK);
      return true;
    } catch {
      return false;
    }
  }

  close(): void {
    this.#transport.close();
  }

  /** Time first, so that names sort; the id's hash last, by which a second attempt finds the file of the first. */
  async #nameOf(mail: Mail): Promise<string> {
    const hash = createHash('sha256').update(bareMessageId(mail.messageId)).digest('hex').slice(0, 16);
    const known = (await readdir(this.#directory)).find((file) => file.endsWith(`-${hash}.eml`));
    return known?.slice(0, -'.eml'.length) ?? `${mail.date.toISOString().replace(/[:.]/g, '-')}-${hash}`;
  }

  /** Readers see the whole file or none. */
  async #write(name: string, content: Buffer | string): Promise<void> {
    const temporary = join(this.#directory, `.${name}.${randomUUID()}.tmp`);
    try {
      await writeFile(temporary, content, { mode: 0o600 });
      await rename(temporary, join(this.#directory, name));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

function entryOf(mail: Mail, eml: Buffer): OutboxEntry {
  const head = eml.subarray(0, eml.indexOf('\r\n\r\n')).toString('utf8');
  return {
    messageId: mail.messageId,
    date: mail.date.toISOString(),
    from: mail.from,
    to: { name: mail.to.name ?? '', address: mail.to.address },
    subject: mail.subject,
    html: mail.html,
    text: mail.text,
    headers: head.replace(/\r\n[ \t]+/g, ' ').split('\r\n'),
  };
}
