import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../support/caller.ts';
import {
  ACCOUNT_NUMBER,
  expectOk,
  ROUTING_NUMBER,
  startCast,
  Stories,
  TIN,
  type Cast,
  type Story,
} from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const submit = ({ member }: Story, body: unknown) =>
  member.post(`/api/members/${member.userId}/bank-info`, body);
const versionsOf = ({ payoutId }: Story) =>
  cast.service.sql`SELECT * FROM bank_details WHERE payout_id = ${payoutId} ORDER BY version`;
const noticesOf = ({ member }: Story) => cast.service.sql`SELECT data, payout_id FROM notifications
  WHERE user_id = ${member.userId} AND template = 'bank-details-changed'`;

describe('details that are not valid', () => {
  let story: Story;
  beforeAll(async () => {
    story = await stories.approved();
  });

  it.each<[string, Record<string, unknown>]>([
    ['routingNumber', { routingNumber: '021000022' }], // checksum
    ['routingNumber', { routingNumber: '500000005' }], // a prefix that no bank has; its checksum is right
    ['routingNumber', { routingNumber: '02100002' }],
    ['routingNumber', { routingNumber: 21000021 }],
    ['routingNumber', { routingNumber: undefined }],
    ['accountNumber', { accountNumber: '123' }],
    ['accountNumber', { accountNumber: '123456789012345678' }],
    ['accountNumber', { accountNumber: '1234-5678' }],
    ['accountNumber', { accountNumber: '１２３４５' }],
    ['accountNumber', { accountNumber: 123456 }],
    ['accountType', { accountType: 'current' }],
    ['accountHolderName', { accountHolderName: '   ' }],
    ['accountHolderName', { accountHolderName: 'a\nb' }],
    ['accountHolderName', { accountHolderName: 'x'.repeat(201) }],
    ['iban', { iban: 'GB33BUKB20201555555555' }],
  ])('are refused for %s: %j', async (field, change) => {
    const answer = await submit(story, { ...stories.bankInfo(story.name), ...change });
    expect(refusal(answer)).toEqual([400, 'VALIDATION_ERROR']);
    expect(answer.body.error.details.issues.map(({ path }: { path: string }) => path)).toEqual([
      `body.${field}`,
    ]);
    expect(JSON.stringify(answer.body)).not.toContain(ACCOUNT_NUMBER);
    expect(await versionsOf(story)).toHaveLength(0);
    expect((await read(story)).status).toBe('pending_bank_info');
  });

  it.each(['1234', '12345678901234567'])('are those of an account number such as %s not', async (number) => {
    const other = await stories.approved();
    expect((await submit(other, stories.bankInfo(other.name, number))).status).toBe(200);
  });
});

describe('details given', () => {
  it('come back masked, to the member and to staff', async () => {
    const story = await stories.approved();
    const { body } = expectOk(await submit(story, stories.bankInfo(story.name)));
    const bankDetails = {
      accountHolderName: story.name,
      routingNumber: '****0021',
      accountNumber: '****6789',
      accountType: 'checking',
      encrypted: true,
    };
    expect(body).toEqual({ payoutId: story.payoutId, status: 'pending_tax_info', bankDetails });
    const seen = [
      await cast.admin.get(`/api/payouts/${story.payoutId}`),
      await story.member.get(`/api/payouts/${story.payoutId}`),
      await story.member.get(`/api/members/${story.member.userId}/payout`),
    ];
    for (const answer of seen) expect(expectOk(answer).body.bankDetails).toEqual(bankDetails);
  });

  it('are nowhere in the database, the logs, the mails or any answer as they were written', async () => {
    const secrets = ['987650001234', ROUTING_NUMBER, TIN, TIN.replaceAll('-', '')];
    const story = await stories.approved();
    const answers = [await submit(story, stories.bankInfo(story.name, secrets[0]))];
    await stories.giveW9(story);
    answers.push(
      await cast.finance.post(at(story, 'generate-instructions')),
      await submit(story, stories.bankInfo(story.name, `${secrets[0]}9`)),
      await cast.admin.get(`/api/reports/audit-log?entityId=${story.payoutId}`),
      await cast.admin.get('/api/payouts'),
      await cast.admin.get('/api/notifications'),
      await cast.admin.get('/api/admin-alerts'),
    );
    for (const answer of answers) expectOk(answer);
    await cast.service.services.mailDelivery.deliverDue();
    expect(cast.service.mailer.sent.length).toBeGreaterThan(0);

    const { sql } = cast.service;
    const tables = await sql<{ name: string }[]>`
      SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`;
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['public.bank_details', 'public.user_audit_logs', 'public.notifications']),
    );
    const dump: Record<string, string> = {
      logs: cast.service.logLines.join('\n'),
      mails: JSON.stringify(cast.service.mailer.sent),
      answers: JSON.stringify(answers.map(({ body }) => body)),
    };
    for (const { name } of tables) {
      const rows = await sql.unsafe<{ line: string }[]>(`SELECT t::text AS line FROM ${name} t`);
      dump[name] = rows.map(({ line }) => line).join('\n');
    }
    // It would be found if it were there: what may be kept is.
    expect(dump['public.bank_details']).toContain(story.name);
    expect(dump['public.bank_details']).toContain('1234');
    for (const [place, text] of Object.entries(dump)) {
      for (const secret of secrets) expect([place, text.includes(secret)]).toEqual([place, false]);
      // Nor hidden by an encoding that anybody undoes.
      for (const encoding of ['base64', 'hex'] as const) {
        const encoded = Buffer.from(secrets[0] ?? '').toString(encoding);
        expect([place, text.includes(encoded)]).toEqual([place, false]);
      }
    }
  });

  it('are encrypted with a fresh key for each record', async () => {
    const [one, two] = [await stories.withBank(), await stories.withBank()];
    const envelopes = [...(await versionsOf(one)), ...(await versionsOf(two))].map(
      (row) => row['envelope'] as string,
    );
    expect(new Set(envelopes).size).toBe(2);
  });

  it('are opened only for finance, with a reason, and in the audit log', async () => {
    const story = await stories.withBank();
    expect(refusal(await cast.admin.post(at(story, 'bank-info/reveal'), { reason: 'Me.' }))).toEqual([
      403,
      'FORBIDDEN',
    ]);
    expect(refusal(await cast.finance.post(at(story, 'bank-info/reveal')))).toEqual([
      400,
      'VALIDATION_ERROR',
    ]);
    const { body } = expectOk(
      await cast.finance.post(at(story, 'bank-info/reveal'), { reason: 'The bank asks for it.' }),
    );
    expect(body).toEqual({
      payoutId: story.payoutId,
      routingNumber: ROUTING_NUMBER,
      accountNumber: ACCOUNT_NUMBER,
    });
    const rows = await cast.service.sql`SELECT admin_id, new_values FROM user_audit_logs
      WHERE entity_id = ${story.payoutId} AND action = 'bank_info_revealed'`;
    expect(rows).toMatchObject([
      { admin_id: cast.finance.adminId, new_values: { reason: 'The bank asks for it.' } },
    ]);
  });

  it('that somebody moved to another payout in the database do not open', async () => {
    const [one, two] = [await stories.withBank(), await stories.withBank()];
    // The owner alone can do it, and only with the guard off.
    await cast.service.sql`ALTER TABLE bank_details DISABLE TRIGGER bank_details_guard`;
    await cast.service.sql`UPDATE bank_details SET envelope =
      (SELECT envelope FROM bank_details WHERE payout_id = ${one.payoutId}) WHERE payout_id = ${two.payoutId}`;
    await cast.service.sql`ALTER TABLE bank_details ENABLE TRIGGER bank_details_guard`;
    const answer = await cast.finance.post(at(two, 'bank-info/reveal'), { reason: 'A test.' });
    expect(refusal(answer)).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(answer.body)).not.toContain(ACCOUNT_NUMBER);
  });
});

describe('details given again', () => {
  it('change nothing when they are the same', async () => {
    const story = await stories.withBank();
    const before = await read(story);
    const { body } = expectOk(await submit(story, stories.bankInfo(story.name)));
    expect(body).toMatchObject({ status: 'pending_tax_info', bankDetails: { accountNumber: '****6789' } });
    expect(await read(story)).toEqual(before);
    expect(await versionsOf(story)).toHaveLength(1);
    expect(await noticesOf(story)).toHaveLength(0);
  });

  it('leave instructions as they are when they are the same', async () => {
    const story = await stories.ready();
    expectOk(await submit(story, stories.bankInfo(story.name)));
    expect((await read(story)).status).toBe('ready_for_payment');
  });

  it.each<[string, (story: Story) => Record<string, string>]>([
    ['another account', ({ name }) => stories.bankInfo(name, '55667788')],
    ['another holder', () => stories.bankInfo('Somebody Else')],
    ['another type', ({ name }) => ({ ...stories.bankInfo(name), accountType: 'savings' })],
    ['another bank', ({ name }) => ({ ...stories.bankInfo(name), routingNumber: '011401533' })],
  ])('with %s are a new version, and the member is told', async (_what, changed) => {
    const story = await stories.withBank();
    const details = changed(story);
    expectOk(await submit(story, details));
    const versions = await versionsOf(story);
    expect(versions.map((row) => row['version'])).toEqual([1, 2]);
    expect(versions[1]).toMatchObject({
      account_holder_name: details['accountHolderName'],
      account_type: details['accountType'],
      account_last4: details['accountNumber']?.slice(-4),
    });
    expect(await noticesOf(story)).toMatchObject([
      { payout_id: story.payoutId, data: { accountLastFour: details['accountNumber']?.slice(-4) } },
    ]);
    const rows = await cast.service.sql`SELECT user_id, new_values FROM user_audit_logs
      WHERE entity_id = ${story.payoutId} AND action = 'bank_info_changed'`;
    expect(rows).toMatchObject([
      {
        user_id: story.member.userId,
        new_values: { accountNumber: `****${details['accountNumber']?.slice(-4)}` },
      },
    ]);
  });

  it('at the same moment are one version when they are the same', async () => {
    const story = await stories.approved();
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => submit(story, stories.bankInfo(story.name))),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(8).fill(200));
    expect(await versionsOf(story)).toHaveLength(1);
    expect(await noticesOf(story)).toHaveLength(0);
  });
});

describe('details at the wrong time', () => {
  it.each(['sent', 'completed'] as const)('are 409 when the payment is %s', async (stage) => {
    const story = await stories[stage]();
    const before = await read(story);
    expect(refusal(await submit(story, stories.bankInfo(story.name, '55667788')))).toEqual([
      409,
      'INVALID_STATE',
    ]);
    expect(await read(story)).toEqual(before);
    expect(await versionsOf(story)).toHaveLength(1);
  });

  it('are 409 while the payout is looked at, and once it is cancelled', async () => {
    const story = await stories.approved();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    expect(refusal(await submit(story, stories.bankInfo(story.name)))).toEqual([409, 'INVALID_STATE']);
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
    expect(refusal(await submit(story, stories.bankInfo(story.name)))).toEqual([409, 'INVALID_STATE']);
    expect(await versionsOf(story)).toHaveLength(0);
  });

  it('are 404 without a payout that the member sees', async () => {
    const member = await cast.service.newMember();
    const nobody: Story = { payoutId: '', member, name: 'Ada' };
    expect(refusal(await submit(nobody, stories.bankInfo('Ada')))).toEqual([404, 'NOT_FOUND']);
    const waiting = await stories.initiated();
    expect(refusal(await submit(waiting, stories.bankInfo(waiting.name)))).toEqual([404, 'NOT_FOUND']);
    expectOk(await cast.finance.post(at(waiting, 'reject'), { reason: 'No.' }));
    expect(refusal(await submit(waiting, stories.bankInfo(waiting.name)))).toEqual([404, 'NOT_FOUND']);
  });

  it('are 401 from a stranger', async () => {
    const story = await stories.approved();
    const answer = await cast.service.stranger.post(
      `/api/members/${story.member.userId}/bank-info`,
      stories.bankInfo(story.name),
    );
    expect(refusal(answer)).toEqual([401, 'UNAUTHENTICATED']);
  });
});
