import nodemailer, { type NodemailerError, type SMTPTransportOptions } from 'nodemailer';
import { MailRefused, messageOptions, type Mail, type Mailer } from './mail-message.ts';

export interface SmtpServer {
  host: string;
  port: number;
  /** TLS from the first byte (port 465); otherwise STARTTLS where offered. */
  implicitTls: boolean;
  auth?: { user: string; pass: string };
}

interface SmtpMailerOptions extends SmtpServer {
  kind?: 'smtp' | 'sendgrid';
  /** Send nothing over a connection that did not become TLS. */
  requireTls: boolean;
  headers?: Record<string, string>;
  timeouts?: Partial<typeof TIMEOUTS>;
}

const TIMEOUTS = { connectMs: 10_000, idleMs: 30_000, wholeMs: 120_000, probeMs: 3_000 };

/** `smtp://user:password@host:587` or `smtps://host:465`. Options after `?` are refused: they could turn TLS off. */
export function smtpServerFromUrl(text: string): SmtpServer {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['smtp:', 'smtps:'].includes(url.protocol) || url.hostname === '') {
    throw new Error('SMTP_URL must look like smtp://user:password@host:587');
  }
  if (url.search !== '' || !['', '/'].includes(url.pathname) || url.hash !== '') {
    throw new Error('SMTP_URL takes no path and no options after the port');
  }
  const implicitTls = url.protocol === 'smtps:';
  const credential = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      throw new Error('SMTP_URL: write a % in the user or password as %25');
    }
  };
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (implicitTls ? 465 : 587) : Number(url.port),
    implicitTls,
    ...(url.username === ''
      ? {}
      : { auth: { user: credential(url.username), pass: credential(url.password) } }),
  };
}

/** Sends over SMTP, a connection for each message: a broken one then costs no other message. */
export class SmtpMailer implements Mailer {
  readonly kind: 'smtp' | 'sendgrid';
  readonly #options: SmtpMailerOptions;
  readonly #timeouts: typeof TIMEOUTS;
  readonly #transport: ReturnType<typeof transportTo>;
  readonly #closing = new AbortController();

  constructor(options: SmtpMailerOptions) {
    this.kind = options.kind ?? 'smtp';
    this.#options = options;
    this.#timeouts = { ...TIMEOUTS, ...options.timeouts };
    this.#transport = transportTo(options, this.#timeouts);
  }

  async send(mail: Mail): Promise<void> {
    const message = messageOptions(mail);
    if (this.#closing.signal.aborted) throw new MailRefused('The mailer has been closed', false);
    try {
      await this.#transport.sendMail({
        ...message,
        headers: { ...(message.headers as Record<string, string>), ...this.#options.headers },
        // A server that sends a byte now and then never trips the idle timeout.
        signal: AbortSignal.any([AbortSignal.timeout(this.#timeouts.wholeMs), this.#closing.signal]),
      });
    } catch (error) {
      throw refusalFrom(error as NodemailerError);
    }
  }

  /** Connects, signs in and leaves again. Ask seldom: a provider counts these as sign-ins. */
  async isUp(): Promise<boolean> {
    const { probeMs } = this.#timeouts;
    const probe = transportTo(this.#options, { connectMs: probeMs, idleMs: probeMs });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), probeMs);
    });
    const answer = probe.verify().then(
      () => true,
      () => false,
    );
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
      probe.close();
    }
  }

  /** Breaks off what is being sent; it counts as refused for now, and is tried again. */
  close(): void {
    this.#closing.abort();
    this.#transport.close();
  }
}

function transportTo(
  server: SmtpMailerOptions,
  { connectMs, idleMs }: { connectMs: number; idleMs: number },
) {
  const options: SMTPTransportOptions = {
    host: server.host,
    port: server.port,
    secure: server.implicitTls,
    requireTLS: server.requireTls && !server.implicitTls,
    tls: { minVersion: 'TLSv1.2' },
    auth: server.auth,
    // Without this a server that offers no sign-in would be given the message unsigned-in.
    forceAuth: server.auth !== undefined,
    connectionTimeout: connectMs,
    greetingTimeout: connectMs,
    dnsTimeout: connectMs,
    socketTimeout: idleMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  return nodemailer.createTransport(options);
}

// 530, 534, 535, 538 (RFC 4954) are about signing in; these texts of SendGrid's are about the account or the moment,
// whatever their code (Twilio's table of SMTP errors: 403 for a sender that is not verified, 451 for spent credits).
const SIGN_IN_REPLIES = [530, 534, 535, 538];
const ACCOUNT_FAULT =
  /sender identity|unauthenticated sender|not authorized to send|maximum credits|credits exceeded|temporarily|try again later/i;

/**
 * Permanent is only what the server said for good about this recipient or this message. A 5xx to the greeting,
 * STARTTLS, the sign-in or the sender (552, too large, aside) is about us: mending it lets the message through.
 */
function refusalFrom(error: NodemailerError): MailRefused {
  const { command, responseCode, response } = error;
  const aboutMessage = command === 'RCPT TO' || command === 'DATA' || responseCode === 552;
  const aboutUs =
    (responseCode !== undefined && SIGN_IN_REPLIES.includes(responseCode)) ||
    ACCOUNT_FAULT.test(response ?? '');
  const permanent = error.permanent === true && aboutMessage && !aboutUs;
  const reason = `${command ?? 'send'}: ${response ?? error.message}`
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .slice(0, 300);
  return new MailRefused(reason, permanent, error);
}
