import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMailer, type Mailer } from '../../src/notifications/mailer.ts';
import { mail, refusal } from '../support/test-mail.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'outbox-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});
const outbox = (directory = folder): Mailer =>
  createMailer({ provider: 'outbox', outboxDirectory: directory, requireTls: false });

describe('outbox', () => {
  it('writes a whole message with a sidecar, readable by its owner only', async () => {
    await outbox().send(mail());
    const files = (await readdir(folder)).sort();
    expect(files).toHaveLength(2);
    expect(files[0]).toMatch(/^2026-03-10T12-00-00-000Z-[0-9a-f]{16}\.eml$/);
    expect(files[1]).toBe(files[0]?.replace('.eml', '.json'));
    const eml = await readFile(join(folder, files[0] ?? ''), 'utf8');
    expect(eml).toContain('Message-ID: <n-1@payouts.example.com>\r\n');
    expect(eml).toContain('Date: Tue, 10 Mar 2026 12:00:00 +0000\r\n');
    expect(eml).toContain('To: Maria Gonzalez <maria@example.com>\r\n');
    expect(eml).toContain('Auto-Submitted: auto-generated\r\n');
    expect(eml).toContain('Content-Type: multipart/alternative;');
    for (const file of files) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    const sidecar = JSON.parse(await readFile(join(folder, files[1] ?? ''), 'utf8')) as {
      headers: string[];
      text: string;
    };
    expect(sidecar.text).toBe(mail().text);
    expect(sidecar.headers).toContain('Subject: Your payment is on its way');
  });

  it('keeps one file for one message id, even at another time', async () => {
    const mailer = outbox();
    await mailer.send(mail());
    await mailer.send(mail({ subject: 'Again', date: new Date('2026-03-10T12:05:00Z') }));
    await mailer.send(mail({ messageId: 'n-2@payouts.example.com' }));
    const messages = (await readdir(folder)).filter((file) => file.endsWith('.eml'));
    expect(messages).toHaveLength(2);
    const texts = await Promise.all(messages.map((file) => readFile(join(folder, file), 'utf8')));
    expect(texts.filter((text) => text.includes('Subject: Again'))).toHaveLength(1);
  });

  it('is up while the folder can be written, and refuses for now when it cannot', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    expect(await outbox(join(folder, 'new')).isUp()).toBe(true);
    expect(await outbox(file).isUp()).toBe(false);
    expect((await refusal(outbox(file).send(mail()))).permanent).toBe(false);
  });
});

const hostileAddresses = [
  'a@example.com,b@example.com',
  'a@example.com, b@example.com',
  'a@example.com\r\nBcc: b@example.com',
  'a@example.com\n',
  'a@example.com\0',
  'A <a@example.com>',
  '"a b"@example.com',
  'a@b@example.com',
  'a;b@example.com',
  'a(b)@example.com',
  'a b@example.com',
  'a..b@example.com',
  '.a@example.com',
  'a@[127.0.0.1]',
  'a@localhost',
  'a@-example.com',
  'a@example..com',
  'jörg@example.com',
  'a@exämple.com',
  `${'a'.repeat(65)}@example.com`,
  `a@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(63)}.com`,
  '<a@example.com>',
  'group: a@example.com;',
  '',
];

describe('hostile input', () => {
  it.each(hostileAddresses)('refuses the address %j for good, and writes nothing', async (address) => {
    expect((await refusal(outbox().send(mail({ to: { address } })))).permanent).toBe(true);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(["o'brien+tag@mail.example.co.uk", 'a.b-c_d@xn--exmple-cua.com', `${'a'.repeat(64)}@example.com`])(
    'takes the address %s',
    async (address) => {
      await outbox().send(mail({ to: { address } }));
      expect(await readdir(folder)).toHaveLength(2);
    },
  );

  it('refuses a broken sender for now, and a broken message id for good', async () => {
    expect((await refusal(outbox().send(mail({ from: 'a@example.com, b@example.com' })))).permanent).toBe(
      false,
    );
    const messageId = '<a@example.com>\r\nBcc: b@example.com';
    expect((await refusal(outbox().send(mail({ messageId })))).permanent).toBe(true);
  });

  it('lets no name or subject add a header or a recipient', async () => {
    await outbox().send(
      mail({
        to: {
          name: 'Eve" <eve@example.com>, "x\r\nBcc: eve@example.com\r\n\r\n<b>\u202E',
          address: 'maria@example.com',
        },
        subject: 'Hello\r\nBcc: eve@example.com\u2028X: y',
      }),
    );
    const [eml = ''] = (await readdir(folder)).filter((file) => file.endsWith('.eml'));
    const text = await readFile(join(folder, eml), 'utf8');
    const headers = text.slice(0, text.indexOf('\r\n\r\n')).replace(/\r\n[ \t]+/g, ' ');
    const names = headers.split('\r\n').map((line) => line.split(':')[0] ?? '');
    expect(names.sort()).toEqual(
      [
        'Auto-Submitted',
        'Content-Type',
        'Date',
        'From',
        'MIME-Version',
        'Message-ID',
        'Subject',
        'To',
      ].sort(),
    );
    expect(headers).toContain('Subject: Hello Bcc: eve@example.com X: y');
    const to = headers.split('\r\n').find((line) => line.startsWith('To: ')) ?? '';
    // The one address that stands outside the quoted name.
    expect(to.replace(/"(?:\\.|[^"\\])*"/, '')).toBe('To:  <maria@example.com>');
    expect(to).not.toContain('\u202E');
  });
});

describe('settings', () => {
  const options = { outboxDirectory: 'unused', requireTls: true };

  it('asks for what the provider needs', () => {
    expect(() => createMailer({ ...options, provider: 'smtp' })).toThrow('SMTP_URL');
    expect(() => createMailer({ ...options, provider: 'sendgrid' })).toThrow('SENDGRID_API_KEY');
    expect(createMailer({ ...options, provider: 'sendgrid', sendgridApiKey: 'SG.x' }).kind).toBe('sendgrid');
  });
});
