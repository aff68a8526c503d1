import type { Mailer } from './mail-message.ts';
import { OutboxMailer } from './outbox-mailer.ts';
import { SmtpMailer, smtpServerFromUrl } from './smtp-mailer.ts';

export { MailRefused, type Mail, type Mailer } from './mail-message.ts';

export interface MailerOptions {
  provider: 'outbox' | 'smtp' | 'sendgrid';
  smtpUrl?: string;
  sendgridApiKey?: string;
  outboxDirectory: string;
  /** Send nothing over a connection that did not become TLS. */
  requireTls: boolean;
}

// Click and open tracking rewrite links to pass through SendGrid: a signed link is nobody else's to read.
const NO_TRACKING = JSON.stringify({
  filters: {
    clicktrack: { settings: { enable: 0 } },
    opentrack: { settings: { enable: 0 } },
  },
});

/** The mailer that the settings ask for. Throws where they do not suffice, so that the service does not start. */
export function createMailer(options: MailerOptions): Mailer {
  switch (options.provider) {
    case 'outbox':
      return new OutboxMailer(options.outboxDirectory);
    case 'smtp':
      if (!options.smtpUrl) throw new Error('SMTP_URL is missing');
      return new SmtpMailer({ ...smtpServerFromUrl(options.smtpUrl), requireTls: options.requireTls });
    case 'sendgrid':
      if (!options.sendgridApiKey) throw new Error('SENDGRID_API_KEY is missing');
      return new SmtpMailer({
        kind: 'sendgrid',
        host: 'smtp.sendgrid.net',
        port: 587,
        implicitTls: false,
        requireTls: true,
        auth: { user: 'apikey', pass: options.sendgridApiKey },
        headers: { 'X-SMTPAPI': NO_TRACKING },
      });
  }
}
