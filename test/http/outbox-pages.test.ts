import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outboxPages } from '../../src/http/outbox-pages.ts';
import { createMailer, type Mailer } from '../../src/notifications/mailer.ts';
import { mail } from '../support/test-mail.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outbox-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});
const outbox = (): Mailer => createMailer({ provider: 'outbox', outboxDirectory: folder, requireTls: false });

describe('outbox pages', () => {
  const base = async (work: (url: string) => Promise<void>): Promise<void> => {
    const server = express()
      .use(outboxPages(folder))
      .use((_request, response) => void response.status(404).send('nothing here'))
      .listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    try {
      await work(`http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };
  const page = async (url: string) => {
    const response = await fetch(url);
    const policy = response.headers.get('content-security-policy') ?? '';
    return { status: response.status, text: await response.text(), policy };
  };

  it('lists the newest first, escaped, and shows a message with its links and headers', () =>
    base(async (url) => {
      const mailer = outbox();
      await mailer.send(mail({ messageId: 'n-1@x.example', subject: 'First <script>alert(1)</script>' }));
      const later = new Date('2026-03-11T12:00:00Z');
      await mailer.send(mail({ messageId: 'n-2@x.example', subject: 'Second', date: later }));
      const list = await page(`${url}/dev/outbox`);
      expect(list.text.indexOf('Second')).toBeGreaterThan(0);
      expect(list.text.indexOf('Second')).toBeLessThan(list.text.indexOf('First &lt;script&gt;'));
      expect(list.text).not.toContain('<script');
      expect(list.policy).toContain("default-src 'none'");
      expect(list.policy).not.toContain('unsafe');
      const path = /href="(\/dev\/outbox\/2026-03-10[^"]+)"/.exec(list.text)?.[1] ?? '';
      const message = await page(url + path);
      expect(message.text).not.toContain('<script');
      expect(message.text).toContain('href="https://members.example.com/payout?token=abc&amp;x=1"');
      expect(message.text).toContain('Message-ID: &lt;n-1@x.example&gt;');
      expect(message.text).toContain(`src="${path}/html"`);
      const content = await page(`${url + path}/html`);
      expect(content.text).toBe(mail().html);
      expect(content.policy).toMatch(/^sandbox (?!.*allow-(scripts|same-origin))/);
      expect(content.policy).toContain("default-src 'none'");
      const raw = await page(`${url + path}/raw`);
      expect(raw.text).toContain('Message-ID: <n-1@x.example>');
    }));

  it('finds nothing outside the folder, nor what is not a message', () =>
    base(async (url) => {
      await writeFile(join(folder, 'secret.json'), JSON.stringify({ html: 'secret' }));
      const names = [
        'secret',
        '..%2Fsecret',
        '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
        '2026-03-10T12-00-00-000Z-0000000000000000',
        '2026-03-10T12-00-00-000Z-0000000000000000%0a',
      ];
      for (const name of names) {
        for (const end of ['', '/html', '/raw']) {
          const answer = await page(`${url}/dev/outbox/${name}${end}`);
          expect([name + end, answer.status, answer.text]).toEqual([name + end, 404, 'nothing here']);
        }
      }
    }));

  it('says so when there is no message, or no folder yet', () =>
    base(async (url) => {
      expect((await page(`${url}/dev/outbox`)).text).toContain('No message has been written yet');
    }));
});
