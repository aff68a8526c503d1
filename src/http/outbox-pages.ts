/** Pages to read the outbox folder in, for development only: whoever reaches them reads every message. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Router, type NextFunction, type Request, type Response } from 'express';

/** What lies beside each `.eml` as `.json`, so that reading the outbox needs no MIME parser. */
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

const MAX_LISTED = 200;
/** What OutboxMailer calls its files; nothing else is ever looked for on the disk. */
const FILE_NAME = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{3}Z-[0-9a-f]{16}$/;

const STYLE = `
:root { color-scheme: light dark; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.5rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 1rem 0.4rem 0; border-bottom: 1px solid #8884; overflow-wrap: anywhere; }
.when { white-space: nowrap; font-variant-numeric: tabular-nums; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884; border-radius: 6px; padding: 0.8rem 1rem; margin: 0; }
iframe { width: 100%; height: 60rem; border: 1px solid #8884; border-radius: 6px; }
li { overflow-wrap: anywhere; }
`;
const styleHash = createHash('sha256').update(STYLE).digest('base64');
const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${styleHash}'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
// The message runs no script and loads nothing; its links open outside the frame.
const SANDBOX = 'allow-popups allow-popups-to-escape-sandbox';
const MESSAGE_POLICY = `sandbox ${SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'`;

/** Text that is HTML already. */
class Html {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const sourceOf = (value: string | Html | Html[]): string => {
  if (value instanceof Html) return value.source;
  if (Array.isArray(value)) return value.map(sourceOf).join('');
  return value.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
};
/** Escapes every value that is not HTML itself. */
const html = (strings: TemplateStringsArray, ...values: (string | Html | Html[])[]): Html =>
  new Html(strings.reduce((text, part, index) => text + sourceOf(values[index - 1] ?? '') + part));

function sendPage(response: Response, title: string, body: Html): void {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${new Html(`<style>${STYLE}</style>`)}
      </head>
      <body>
        ${body}
      </body>
    </html>`;
  response.set(securityHeaders(PAGE_POLICY)).type('html').send(page.source);
}

const securityHeaders = (policy: string) => ({
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'SAMEORIGIN',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
});

const when = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
const recipient = ({ to }: OutboxEntry): string =>
  to.name === '' ? to.address : `${to.name} <${to.address}>`;
const linksIn = (text: string): string[] => [...new Set(text.match(/https?:\/\/\S+/g) ?? [])];

async function ifThere<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Mount at the root, outside production. An unknown message is passed on, to the service's own 404. */
export function outboxPages(outboxDirectory: string): Router {
  const folder = resolve(outboxDirectory);
  const router = Router();

  const entry = async (name: string): Promise<OutboxEntry | undefined> => {
    const text = await ifThere(readFile(join(folder, `${name}.json`), 'utf8'));
    return text === undefined ? undefined : (JSON.parse(text) as OutboxEntry);
  };

  /** Answers for a message that is there; every other name goes on to the next handler. */
  const forMessage =
    (answer: (response: Response, message: OutboxEntry, name: string) => Promise<void> | void) =>
    async (request: Request, response: Response, next: NextFunction): Promise<void> => {
      const name = String(request.params['name']);
      const message = FILE_NAME.test(name) ? await entry(name) : undefined;
      if (message) await answer(response, message, name);
      else next();
    };

  router.get('/dev/outbox', async (_request, response) => {
    const files = (await ifThere(readdir(folder))) ?? [];
    const names = files.flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
    const newest = names
      .filter((name) => FILE_NAME.test(name))
      .sort()
      .reverse()
      .slice(0, MAX_LISTED);
    const rows: Html[] = [];
    for (const name of newest) {
      const message = await entry(name);
      if (!message) continue;
      rows.push(
        html`<tr>
          <td class="when">${when(message.date)}</td>
          <td><bdi>${recipient(message)}</bdi></td>
          <td><a href="/dev/outbox/${name}">${message.subject}</a></td>
        </tr>`,
      );
    }
    const list = html`<table>
      <thead>
        <tr>
          <th scope="col">Date</th>
          <th scope="col">To</th>
          <th scope="col">Subject</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`;
    const shown = rows.length === MAX_LISTED ? `the newest ${MAX_LISTED}` : 'all';
    const body =
      rows.length === 0
        ? html`<p>No message has been written yet. Messages that the service sends appear here.</p>`
        : html`<p>Messages in ${folder}, newest first (${shown}).</p>
            ${list}`;
    sendPage(
      response,
      'Outbox',
      html`<h1>Outbox</h1>
        ${body}`,
    );
  });

  router.get(
    '/dev/outbox/:name',
    forMessage((response, message, name) => {
      const links = linksIn(message.text).map(
        (link) => html`<li><a href="${link}" target="_blank" rel="noopener noreferrer">${link}</a></li>`,
      );
      sendPage(
        response,
        message.subject,
        html`<p><a href="/dev/outbox">Outbox</a></p>
          <h1>${message.subject}</h1>
          <p>
            To <bdi>${recipient(message)}</bdi>, ${when(message.date)}.
            <a href="/dev/outbox/${name}/raw">Raw message</a>
          </p>
          <h2>HTML</h2>
          <iframe src="/dev/outbox/${name}/html" sandbox="${SANDBOX}" title="The message as HTML"></iframe>
          <h2>Links</h2>
          ${
            links.length === 0
              ? html`<p>None.</p>`
              : html`<ul>
                  ${links}
                </ul>`
          }
          <h2>Text</h2>
          <pre>${message.text}</pre>
          <h2>Headers</h2>
          <pre>${message.headers.join('\n')}</pre>`,
      );
    }),
  );

  router.get(
    '/dev/outbox/:name/html',
    forMessage((response, message) => {
      response.set(securityHeaders(MESSAGE_POLICY)).type('html').send(message.html);
    }),
  );

  router.get(
    '/dev/outbox/:name/raw',
    forMessage(async (response, _message, name) => {
      const eml = await readFile(join(folder, `${name}.eml`));
      response.set(securityHeaders("default-src 'none'")).type('text/plain; charset=utf-8').send(eml);
    }),
  );

  return router;
}
