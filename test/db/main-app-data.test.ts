/** What the main app's tables may hold where they are its own, and ours would refuse it. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { addDays } from '../../src/kernel/calendar.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { schemaFaults } from '../../src/db/schema-check.ts';
import { readPdf } from '../documents/read-pdf.ts';
import type { Answer, Caller } from '../support/caller.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import type { TestService } from '../support/test-service.ts';

let cast: Cast;
let stories: Stories;
const open = async (): Promise<void> => {
  cast = await startCast({ funded: 30 });
  stories = new Stories(cast);
};
const close = () => cast.service.stop();

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const candidates = async () =>
  expectOk(await cast.viewer.get('/api/payouts/eligible-members?limit=200')).body.data as {
    userId: string;
    totalPayments: number;
    lifetimeTotal: number;
    tenureStartDate: string;
    email: string;
  }[];
const expectExact = async () =>
  expect(expectOk(await cast.admin.post('/api/jobs/queue-check/run')).body).toMatchObject({
    status: 'succeeded',
    result: { isExact: true },
  });

describe('a person with several rows in admin_users', () => {
  let twice: Caller;
  let first: number;
  let second: number;
  beforeAll(async () => {
    await open();
    const { sql } = cast.service;
    await sql`ALTER TABLE admin_users DROP CONSTRAINT admin_users_user_id_unique`;
    twice = await cast.service.newStaff('admin', 'twice');
    first = twice.adminId ?? 0;
    const [row] = await sql<{ id: number }[]>`
      INSERT INTO admin_users (user_id, role) VALUES (${twice.userId}, 'finance_manager') RETURNING id`;
    second = row?.id ?? 0;
  });
  afterAll(close);

  const activate = (id: number) =>
    cast.service.sql`UPDATE admin_users SET is_active = (id = ${id}) WHERE user_id = ${twice.userId}`;

  it('decides once, whichever of them is active', async () => {
    const story = await stories.initiated();
    expect(expectOk(await twice.post(at(story, 'approve'))).body.status).toBe('pending_approval');
    await activate(second);
    expect(refusal(await twice.post(at(story, 'approve')))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    await activate(first);
    expect(refusal(await twice.post(at(story, 'approve')))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    expect((await read(story)).approvalWorkflow).toMatchObject([{ adminId: first }]);
  });

  it('neither approves what they initiated nor sends what they generated', async () => {
    const member = await cast.service.newMember();
    const initiated = await twice.post('/api/payouts/initiate', {
      userIds: [member.userId],
      overrideReason: 'A test.',
    });
    const payoutId = expectOk(initiated).body.data[0].payoutId as string;
    const ready = await stories.payable();
    expectOk(await twice.post(at(ready, 'generate-instructions')));
    await activate(second);
    const approved = await twice.post(`/api/payouts/${payoutId}/approve`);
    expect(refusal(approved)).toEqual([403, 'SEPARATION_OF_DUTIES']);
    const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
    expect(refusal(await twice.post(at(ready, 'mark-sent'), dates))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    await activate(first);
  });

  it('does not decide as the other one by plain SQL either', async () => {
    const story = await stories.initiated();
    await cast.service.sql`UPDATE admin_users SET is_active = true WHERE user_id = ${twice.userId}`;
    const decision = cast.service.sql`
      INSERT INTO payout_approvals (payout_id, round, admin_id, decision, decided_at, approved_hash)
      VALUES (${story.payoutId}, 1, ${second}, 'approved', now(), 'x')`;
    await expect(decision).rejects.toMatchObject({ constraint_name: 'staff_only' });
  });

  it('is the same person whose number has changed since, as by a row that came ahead', async () => {
    const { sql } = cast.service;
    const person = await cast.service.newStaff('admin', 'renumbered');
    const story = await stories.initiated();
    expectOk(await person.post(at(story, 'approve')));
    const made = await person.post('/api/payouts/initiate', {
      userIds: [(await cast.service.newMember()).userId],
      overrideReason: 'A test.',
    });
    const own = { payoutId: expectOk(made).body.data[0].payoutId as string };
    const ready = await stories.payable();
    expectOk(await person.post(at(ready, 'generate-instructions')));
    await sql`INSERT INTO admin_users (id, user_id, role, is_active) VALUES (-7, ${person.userId}, 'viewer', false)`;
    const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
    for (const answer of [
      await person.post(at(story, 'approve')),
      await person.post(`/api/payouts/${own.payoutId}/approve`),
      await person.post(at(ready, 'mark-sent'), dates),
    ])
      expect(refusal(answer)).toEqual([403, 'SEPARATION_OF_DUTIES']);
    const decide = (payoutId: string) => sql`
      INSERT INTO payout_approvals (payout_id, round, admin_id, decision, decided_at, approved_hash)
      VALUES (${payoutId}, 1, -7, 'approved', now(), 'x')`;
    await expect(decide(story.payoutId)).rejects.toMatchObject({
      constraint_name: 'payout_approvals_one_decision_per_person',
    });
    await expect(decide(own.payoutId)).rejects.toMatchObject({ constraint_name: 'initiator_never_approves' });
    const send = sql`UPDATE payment_attempts SET status = 'sent', sent_by = -7, sent_at = now()
      WHERE payout_id = ${ready.payoutId}`;
    await expect(send).rejects.toMatchObject({ constraint_name: 'payment_attempts_generator_never_sends' });
    // Held, the payout waits for a new round, and asks all but its initiator.
    const asked = () => sql`SELECT 1 FROM notifications
      WHERE payout_id = ${own.payoutId} AND user_id = ${person.userId} AND template = 'approval-wanted'`;
    expectOk(await cast.admin2.post(`/api/payouts/${own.payoutId}/hold`, { reason: 'To look.' }));
    expectOk(await cast.admin2.post(`/api/payouts/${own.payoutId}/resume`, { note: 'It is well.' }));
    expect(await asked()).toHaveLength(0);
  });

  it('does not generate again after a failure that they recorded under another number', async () => {
    const person = await cast.service.newStaff('admin', 'recorder');
    const story = await stories.ready();
    expectOk(await person.post(at(story, 'fail'), { reason: 'The portal was down.' }));
    await cast.service.sql`INSERT INTO admin_users (id, user_id, role, is_active)
      VALUES (-8, ${person.userId}, 'viewer', false)`;
    const answer = await person.post(at(story, 'generate-instructions'));
    expect(refusal(answer)).toEqual([403, 'SEPARATION_OF_DUTIES']);
  });

  it('hears of each thing once', async () => {
    const story = await stories.initiated();
    const mails = await cast.service.sql`SELECT 1 FROM notifications
      WHERE payout_id = ${story.payoutId} AND template = 'approval-wanted' AND user_id = ${twice.userId}`;
    expect(mails).toHaveLength(1);
  });

  it('may what the first active one says, wherever the rows lie', async () => {
    const { sql } = cast.service;
    const looker = await cast.service.newStaff('viewer', 'looker');
    await sql`INSERT INTO admin_users (user_id, role) VALUES (${looker.userId}, 'admin')`;
    for (let time = 0; time < 3; time += 1) {
      expect((await looker.post('/api/payouts/check-eligibility')).status).toBe(403);
      await sql`UPDATE admin_users SET role = role WHERE user_id = ${looker.userId} AND role = 'viewer'`;
    }
    await sql`UPDATE admin_users SET is_active = false WHERE user_id = ${looker.userId} AND role = 'viewer'`;
    expect((await looker.post('/api/payouts/check-eligibility')).status).toBe(200);
  });

  it('with a role that nobody knows is a member like others', async () => {
    const { sql } = cast.service;
    await sql`ALTER TABLE admin_users DROP CONSTRAINT admin_users_role_known`;
    const stranger = await cast.service.newMember();
    await sql`INSERT INTO admin_users (user_id, role) VALUES (${stranger.userId}, 'superadmin')`;
    const { payoutId } = await stories.completed();
    for (const path of [`/api/payouts/${payoutId}`, `/api/payouts/${payoutId}/receipt`])
      expect([path, (await stranger.get(path)).status]).toEqual([path, 404]);
    expect((await stranger.get('/api/payouts')).status).toBe(403);
  });
});

describe('payments without a date that can be told, or of an amount that is none', () => {
  beforeAll(async () => {
    await open();
    await cast.service.sql`ALTER TABLE user_payments ALTER COLUMN created_at DROP NOT NULL`;
  });
  afterAll(close);

  const pay = (userId: string, amount: string, createdAt: string | null) =>
    cast.service.sql`INSERT INTO user_payments (user_id, amount, status, created_at)
      VALUES (${userId}, ${amount}::numeric, 'succeeded', ${createdAt}::text::timestamptz)`;

  it.each<[string, string, string | null]>([
    ['no date', '5.00', null],
    ['a date at the end of time', '5.00', 'infinity'],
    ['a date before all time', '5.00', '-infinity'],
    ['a date before Christ', '5.00', '0001-03-01 BC'],
    ['a year of six digits', '5.00', '294000-03-01'],
    ['an amount that is not a number', 'NaN', '2026-01-01'],
  ])('%s count for no tenure, and harm nobody', async (_, amount, date) => {
    const [whole, only] = [await cast.service.newMember(), await cast.service.newMember({ payments: 0 })];
    const { totalRevenue } = expectOk(await cast.viewer.get('/api/payouts/eligibility')).body;
    for (const { userId } of [whole, only]) await pay(userId, amount, date);
    const found = await candidates();
    expect(found.find(({ userId }) => userId === whole.userId)).toMatchObject({
      totalPayments: 12,
      lifetimeTotal: 1200,
    });
    expect(found.find(({ userId }) => userId === only.userId)).toBeUndefined();
    const after = expectOk(await cast.viewer.get('/api/payouts/eligibility')).body.totalRevenue;
    expect(after).toBe(totalRevenue + (amount === 'NaN' ? 0 : 10));
    await expectExact();
    const made = await cast.admin.post('/api/payouts/initiate', {
      userIds: [whole.userId],
      overrideReason: 'A test.',
    });
    expect(made.status).toBe(201);
  });

  it('in the first century are as old as they are', async () => {
    const { userId } = await cast.service.newMember();
    await pay(userId, '5.00', '0001-03-01');
    const found = (await candidates()).find((candidate) => candidate.userId === userId);
    expect(found).toMatchObject({ tenureStartDate: '0001-03-01T00:00:00.000Z', totalPayments: 13 });
    await expectExact();
  });
});

describe('a payee', () => {
  beforeAll(async () => {
    await open();
    const { sql } = cast.service;
    for (const column of ['line1', 'city', 'state', 'postal_code', 'country'])
      await sql`ALTER TABLE user_addresses ALTER COLUMN ${sql(column)} DROP NOT NULL`;
    await sql`ALTER TABLE users ALTER COLUMN email DROP NOT NULL`;
  });
  afterAll(close);

  const byCheck = { paymentMethod: 'check', applyBackupWithholding: true, reason: 'No W-9.' };
  const rename = ({ member }: Story, names: { kyc: string | null; first: string | null; name: string }) =>
    cast.service.sql.begin(async (tx) => {
      const { userId } = member;
      await tx`UPDATE kyc_verification SET legal_name = ${names.kyc} WHERE user_id = ${userId}`;
      await tx`UPDATE users SET first_name = ${names.first}, last_name = ${names.first}, name = ${names.name}
                WHERE id = ${userId}`;
    });

  it.each<[string, string | null, string | null]>([
    ['an empty name', '', ''],
    ['blanks for a name', '   ', ' '],
    ['no name at all', null, null],
    ['a name of marks alone', ' — ', null],
  ])('with %s is held, and no check is made out to nobody', async (_, kyc, first) => {
    const story = await stories.approved();
    await rename(story, { kyc, first, name: ' ' });
    const answer = await cast.finance.post(at(story, 'generate-instructions'), byCheck);
    expect(refusal(answer)).toEqual([422, 'NAME_MISMATCH']);
    expect((await read(story)).status).toBe('requires_manual_review');
    // A note accepts names that differ, and not that there is none.
    expectOk(await cast.admin.post(at(story, 'resume'), { note: 'It is well.' }));
    const again = await cast.finance.post(at(story, 'generate-instructions'), byCheck);
    expect(refusal(again)).toEqual([422, 'NAME_MISMATCH']);
  });

  it('who has but one name is paid under it', async () => {
    const story = await stories.approved();
    await rename(story, { kyc: null, first: '', name: ' Mary Moss ' });
    const { body } = expectOk(await cast.finance.post(at(story, 'generate-instructions'), byCheck));
    expect(body.recipient.fullName).toBe('Mary Moss');
  });

  it.each([
    [{ line1: '' }],
    [{ city: ' ' }],
    [{ state: null }],
    [{ postal_code: null }],
    [{ line1: null, city: null }],
  ])('with an address like %j has none', async (part) => {
    const story = await stories.approved();
    const { sql } = cast.service;
    await sql`UPDATE user_addresses SET ${sql(part as object)} WHERE user_id = ${story.member.userId}`;
    const answer = await cast.finance.post(at(story, 'generate-instructions'), byCheck);
    expect(refusal(answer)).toEqual([422, 'ADDRESS_MISSING']);
    expect((await read(story)).status).not.toBe('ready_for_payment');
  });

  it('of no country lives in this one', async () => {
    const story = await stories.approved();
    await cast.service.sql`UPDATE user_addresses SET country = NULL WHERE user_id = ${story.member.userId}`;
    const { body } = expectOk(await cast.finance.post(at(story, 'generate-instructions'), byCheck));
    expect(body.mailingAddress).toMatchObject({ country: 'US' });
    const { text } = readPdf((await cast.finance.pdf(at(story, 'instructions'))).content);
    expect(text).not.toMatch(/undefined|null/);
  });

  it('without an e-mail address stands in the list, and their 1099 is drafted', async () => {
    const story = await stories.sent();
    await cast.service.sql`UPDATE users SET email = NULL WHERE id = ${story.member.userId}`;
    const other = await cast.service.newMember();
    await cast.service.sql`UPDATE users SET email = NULL WHERE id = ${other.userId}`;
    expect((await candidates()).find(({ userId }) => userId === other.userId)).toMatchObject({ email: '' });
    expectOk(await cast.viewer.get('/api/reports/tax-forms/2026'));
  });
});

describe('a session', () => {
  beforeAll(async () => {
    await open();
    await cast.service.sql`ALTER TABLE sessions ALTER COLUMN created_at DROP NOT NULL`;
  });
  afterAll(close);

  it.each([[null], ['infinity'], ['-infinity'], ['2999-01-01']])(
    'that began at %s is too old for staff',
    async (began) => {
      const staff = await cast.service.newStaff('viewer', 'timeless');
      expect((await staff.get('/api/payouts')).status).toBe(200);
      await cast.service
        .sql`UPDATE sessions SET created_at = ${began}::text::timestamptz WHERE user_id = ${staff.userId}`;
      expect((await staff.get('/api/payouts')).status).toBe(401);
    },
  );
});

describe('tables of the main app’s own making', () => {
  const clusterUrl = inject('clusterUrl');
  const name = `payout_main_app_${process.pid}_${randomBytes(4).toString('hex')}`;
  const url = databaseUrl(clusterUrl, name);
  beforeAll(async () => {
    await createDatabase(clusterUrl, name);
    const { default: postgres } = await import('postgres');
    const sql = postgres(url, { max: 1, onnotice: () => {} });
    await sql.unsafe(`
      CREATE TABLE users (id uuid PRIMARY KEY, email varchar(320), name text, first_name varchar, middle_name varchar,
        last_name varchar, created_at timestamptz(3) NOT NULL DEFAULT now());
      CREATE TABLE sessions (id text PRIMARY KEY DEFAULT 'session-' || gen_random_uuid(), user_id uuid NOT NULL, token text NOT NULL,
        expires_at timestamptz(3) NOT NULL, created_at timestamptz(3) DEFAULT now());
      CREATE TABLE admin_users (id bigserial PRIMARY KEY, user_id uuid NOT NULL, role varchar(20), is_active boolean DEFAULT true);
      CREATE TABLE user_subscriptions (id text PRIMARY KEY DEFAULT 'sub_' || gen_random_uuid(), user_id uuid NOT NULL, status varchar(20),
        provider_subscription_id varchar, created_at timestamptz DEFAULT now());
      CREATE TABLE user_payments (id bigserial PRIMARY KEY, user_id uuid NOT NULL, amount numeric, currency char(3) DEFAULT 'USD',
        status varchar(20), created_at timestamptz DEFAULT now(), in_tenure boolean);
      CREATE TABLE user_addresses (id serial PRIMARY KEY, user_id uuid NOT NULL, line1 text, line2 text, city text, state text,
        postal_code text, country text, is_primary boolean DEFAULT false);
      CREATE TABLE kyc_verification (id bigserial PRIMARY KEY, user_id uuid NOT NULL, status varchar(20), legal_name text,
        verified_at timestamptz)`);
    await sql.end();
    await migrateUp(url);
    cast = await startCast({ beside: { databaseUrl: url } as TestService });
    stories = new Stories(cast);
  });
  afterAll(async () => {
    await cast.service.stop();
    await dropDatabase(clusterUrl, name);
  });

  it('have ids of other kinds, and all that is read', async () => {
    expect(await schemaFaults(cast.service.sql)).toEqual([]);
  });

  it('serve a payout from the queue to its receipt', async () => {
    const story = await stories.completed();
    expect(await read(story)).toMatchObject({ status: 'completed', netAmount: 99_700 });
    const [row] = await cast.service.sql`SELECT subscription_id FROM active_member_queue_view
      WHERE user_id = ${story.member.userId}`;
    expect(row?.['subscription_id']).toMatch(/^sub_/);
    await expectExact();
  });

  it('with an amount without end, or one that no column of ours holds, count for nothing', async () => {
    const { userId } = await cast.service.newMember();
    for (const amount of ['Infinity', '-Infinity', '20000000000000000', 'NaN'])
      await cast.service.sql`INSERT INTO user_payments (user_id, amount, status)
        VALUES (${userId}, ${amount}::numeric, 'succeeded')`;
    const found = (await candidates()).find((candidate) => candidate.userId === userId);
    expect(found).toMatchObject({ totalPayments: 12, lifetimeTotal: 1200 });
    await expectExact();
  });

  it('with a number of staff beyond those that we can record make nobody staff, and harm nobody', async () => {
    const stranger = await cast.service.newMember();
    await cast.service
      .sql`INSERT INTO admin_users (id, user_id, role) VALUES (3000000000, ${stranger.userId}, 'admin')`;
    const answers = await Promise.all([stranger.get('/api/payouts'), cast.viewer.get('/api/payouts')]);
    expect(answers.map(({ status }) => status)).toEqual([403, 200]);
    expect((await stories.initiated()).payoutId).toMatch(/^PO-/);
  });

  it('with fractions of a cent are counted in whole ones, without drift', async () => {
    const { userId } = await cast.service.newMember();
    for (let paid = 0; paid < 15; paid += 1)
      await cast.service.sql`INSERT INTO user_payments (user_id, amount, status, created_at)
        VALUES (${userId}, 0.005, 'succeeded', ${addDays(cast.service.time.now(), -paid)})`;
    const found = (await candidates()).find((candidate) => candidate.userId === userId);
    expect(found).toMatchObject({ totalPayments: 27, lifetimeTotal: 1200.15 });
    await expectExact();
  });
});
