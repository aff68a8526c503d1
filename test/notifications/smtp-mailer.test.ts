import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createMailer } from '../../src/notifications/mailer.ts';
import { SmtpMailer, smtpServerFromUrl } from '../../src/notifications/smtp-mailer.ts';
import { ScriptedSmtpServer } from '../support/smtp-server.ts';
import { mail, refusal } from '../support/test-mail.ts';

describe('SMTP', () => {
  let server: ScriptedSmtpServer;
  beforeAll(async () => {
    server = await ScriptedSmtpServer.start();
  });
  afterAll(() => server.stop());
  beforeEach(() => server.reset());

  const to = (options: Partial<ConstructorParameters<typeof SmtpMailer>[0]> = {}) =>
    new SmtpMailer({
      host: '127.0.0.1',
      port: server.port,
      implicitTls: false,
      requireTls: false,
      ...options,
    });
  const auth = { user: 'user', pass: 'secret' };

  it('delivers to the one recipient, with the message id it was given', async () => {
    const mailer = createMailer({
      provider: 'smtp',
      smtpUrl: `smtp://127.0.0.1:${server.port}`,
      outboxDirectory: 'unused',
      requireTls: false,
    });
    await mailer.send(mail());
    expect(mailer.kind).toBe('smtp');
    expect(server.commands.filter((line) => /^(MAIL|RCPT)/.test(line))).toEqual([
      'MAIL FROM:<payouts@example.com>',
      'RCPT TO:<maria@example.com>',
    ]);
    expect(server.messages).toHaveLength(1);
    expect(server.messages[0]).toContain('Message-ID: <n-1@payouts.example.com>');
  });

  it.each([
    ['RCPT', '550 5.1.1 No such user', true],
    ['RCPT', '451 4.7.1 Try again later', false],
    ['message', '554 5.6.0 Content refused', true],
    ['message', '451 4.3.0 Local error', false],
    ['DATA', '554 5.5.1 No', true],
    ['MAIL', '552 5.3.4 Too large', true],
    // About us, not about the message:
    ['greeting', '554 5.7.1 Your address is blocked', false],
    ['RCPT', '530 5.7.0 Sign in first', false],
    ['MAIL', '550 5.7.1 Sender not allowed', false],
    ['RCPT', '503 Bad sequence of commands', false],
    ['message', '550 The from address does not match a verified Sender Identity', false],
    ['MAIL', '403 You are not authorized to send from that email address', false],
    ['message', '451 Authentication failed: Maximum credits exceeded', false],
    ['RCPT', '550 Temporarily blocked due to repeated bad requests', false],
  ] as const)('%s answered with %s: permanent %s', async (stage, reply, permanent) => {
    server.script = { replies: { [stage]: reply } };
    const refused = await refusal(to().send(mail()));
    expect(refused.message).toContain(reply);
    expect(refused.permanent).toBe(permanent);
  });

  it('retries where its own password is refused, and sends nothing', async () => {
    server.script = {
      extensions: ['AUTH PLAIN'],
      replies: { AUTH: '535 5.7.8 Bad credentials' },
    };
    const refused = await refusal(to({ auth }).send(mail()));
    expect(refused.permanent).toBe(false);
    expect(refused.message).not.toContain(auth.pass);
    expect(server.commands.some((line) => line.startsWith('MAIL'))).toBe(false);
  });

  it('sends nothing unsigned-in to a server that offers no sign-in', async () => {
    server.script = { replies: { AUTH: '502 5.5.1 Not implemented' } };
    expect((await refusal(to({ auth }).send(mail()))).permanent).toBe(false);
    expect(server.commands.some((line) => line.startsWith('MAIL'))).toBe(false);
  });

  it('sends nothing without TLS where TLS is required', async () => {
    server.script = { extensions: ['AUTH PLAIN'] };
    const refused = await refusal(to({ auth, requireTls: true }).send(mail()));
    expect(refused.permanent).toBe(false);
    expect(server.commands.some((line) => /^(AUTH|MAIL)/.test(line))).toBe(false);
    const inProduction = createMailer({
      provider: 'smtp',
      smtpUrl: `smtp://127.0.0.1:${server.port}`,
      outboxDirectory: 'unused',
      requireTls: true,
    });
    expect((await refusal(inProduction.send(mail()))).permanent).toBe(false);
    // A server that promises TLS and then does not speak it.
    server.script = { extensions: ['STARTTLS'] };
    const timeouts = { connectMs: 200, idleMs: 200 };
    expect((await refusal(to({ requireTls: true, timeouts }).send(mail()))).permanent).toBe(false);
    expect(server.commands.filter((line) => /^(AUTH|MAIL)/.test(line))).toEqual([]);
    expect(server.messages).toEqual([]);
  });

  it.each(['STARTTLS', 'greeting', 'EHLO', 'RCPT', 'message'] as const)(
    'retries after the connection broke at %s',
    async (stage) => {
      server.script = { dieAt: stage, extensions: ['STARTTLS'] };
      if (stage !== 'STARTTLS') server.script.extensions = [];
      expect((await refusal(to().send(mail()))).permanent).toBe(false);
    },
  );

  it.each(['greeting', 'message'] as const)('gives up waiting for a server silent at %s', async (stage) => {
    server.script = { silentAt: stage };
    const timeouts = { connectMs: 200, idleMs: 200 };
    expect((await refusal(to({ timeouts }).send(mail()))).permanent).toBe(false);
  });

  it('bounds the whole of a sending, and breaks off when closed', async () => {
    server.script = { silentAt: 'message' };
    expect((await refusal(to({ timeouts: { wholeMs: 200 } }).send(mail()))).permanent).toBe(false);
    const mailer = to();
    const sending = refusal(mailer.send(mail()));
    await expect.poll(() => server.messages.length).toBe(2);
    mailer.close();
    expect((await sending).permanent).toBe(false);
    expect((await refusal(mailer.send(mail()))).message).toContain('closed');
  });

  it('refuses hostile addresses before it connects', async () => {
    expect(
      (await refusal(to().send(mail({ to: { address: 'a@example.com,b@example.com' } })))).permanent,
    ).toBe(true);
    expect(server.commands).toEqual([]);
  });

  it('says whether the server can be used, within its bound', async () => {
    expect(await to().isUp()).toBe(true);
    server.script = { silentAt: 'greeting' };
    expect(await to({ timeouts: { probeMs: 200 } }).isUp()).toBe(false);
    server.script = {
      extensions: ['AUTH PLAIN'],
      replies: { AUTH: '535 5.7.8 Bad credentials' },
    };
    expect(await to({ auth }).isUp()).toBe(false);
    const down = await ScriptedSmtpServer.start();
    const port = down.port;
    await down.stop();
    expect(await to({ port }).isUp()).toBe(false);
  });
});

it('reads the address of the server, and refuses options that could turn TLS off', () => {
  expect(smtpServerFromUrl('smtp://user%40x:p%3Aw@mail.example.com')).toEqual({
    host: 'mail.example.com',
    port: 587,
    implicitTls: false,
    auth: { user: 'user@x', pass: 'p:w' },
  });
  expect(smtpServerFromUrl('smtps://[::1]/')).toEqual({
    host: '::1',
    port: 465,
    implicitTls: true,
  });
  for (const url of [
    'smtp://mail.example.com?ignoreTLS=true',
    'smtp://mail.example.com/x',
    'https://x',
    'mail',
    'smtp://',
  ]) {
    expect(() => smtpServerFromUrl(url)).toThrow(/^SMTP_URL/);
  }
  expect(() => smtpServerFromUrl('smtp://u:100%@mail.example.com')).toThrow('%25');
});
