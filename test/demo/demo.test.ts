import { mkdtemp, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { seedDemo } from '../../src/demo/seed.ts';
import { addDays, addMonths, isoDateOf } from '../../src/kernel/calendar.ts';
import { PAYOUT_STATUSES } from '../../src/kernel/payout-lifecycle.ts';
import { startService, type RunningService } from '../../src/start-service.ts';
import { Caller } from '../support/caller.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { expectOk } from '../support/stories.ts';
import { startTestService } from '../support/test-service.ts';

const clusterUrl = inject('clusterUrl');
const name = `payout_demo_${process.pid}_${randomBytes(4).toString('hex')}`;
const url = databaseUrl(clusterUrl, name);
let dataDirectory: string;
let sql: postgres.Sql;
let service: RunningService;
let env: Record<string, string>;

beforeAll(async () => {
  dataDirectory = await mkdtemp(join(tmpdir(), 'payout-demo-test-'));
  env = {
    NODE_ENV: 'test',
    DATABASE_URL: url,
    DATA_DIR: dataDirectory,
    PORT: '0',
    JOBS: 'false',
    LOG_LEVEL: 'error',
  };
  await createDatabase(clusterUrl, name);
  await seedDemo(loadConfig(env), url);
  sql = postgres(url, { max: 2, onnotice: () => {} });
  service = await startService({ ...env });
});
afterAll(async () => {
  await service?.stop();
  await sql?.end();
  await dropDatabase(clusterUrl, name);
  await rm(dataDirectory, { recursive: true, force: true });
});

async function signIn(email: string, password = 'demo-password-1234'): Promise<Caller> {
  const answer = await fetch(`${service.url}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  });
  const body = (await answer.json()) as { user?: { id: string } };
  const token = answer.headers.get('set-auth-token');
  if (!token || !body.user) throw new Error(`${email} could not sign in: ${answer.status}`);
  return new Caller(service.url, { token, email, userId: body.user.id });
}

const list = async (who: Caller, path: string) => expectOk(await who.get(path)).body.data;

describe('the demo accounts', () => {
  it('of staff sign in with the one password and have their roles', async () => {
    const roles = await sql<{ email: string; role: string }[]>`
      SELECT u.email, a.role FROM admin_users a JOIN users u ON u.id = a.user_id WHERE a.is_active ORDER BY a.id`;
    expect(roles.map(({ email, role }) => `${email} ${role}`)).toEqual([
      'admin@example.com admin',
      'admin2@example.com admin',
      'finance@example.com finance_manager',
      'finance2@example.com finance_manager',
      'viewer@example.com viewer',
    ]);
    for (const { email } of roles) {
      const caller = await signIn(email);
      expect([email, (await caller.get('/api/payouts?limit=1')).status]).toEqual([email, 200]);
    }
    await expect(signIn('admin@example.com', 'another-password')).rejects.toThrow('401');
  });

  it('are printed at the start, with the address and what to try', () => {
    const { greeting } = service;
    expect(greeting).toContain(service.url);
    expect(greeting).toContain(`${service.url}/docs`);
    for (const text of [
      'demo-password-1234',
      'finance2@example.com',
      'member0001@example.com',
      'npm run demo',
    ]) {
      expect(greeting).toContain(text);
    }
  });

  it('are 200 members with 1 to 36 monthly payments, in a mix of states', async () => {
    const members = await sql<{ email: string; payments: number; kyc: string; subscription: string }[]>`
      SELECT u.email, k.status AS kyc, s.status AS subscription,
             (SELECT count(*)::integer FROM user_payments p WHERE p.user_id = u.id AND p.status = 'succeeded') AS payments
        FROM users u JOIN kyc_verification k ON k.user_id = u.id JOIN user_subscriptions s ON s.user_id = u.id
       ORDER BY u.email`;
    expect(members).toHaveLength(200);
    expect(members[0]?.email).toBe('member0001@example.com');
    expect(members.at(-1)?.email).toBe('member0200@example.com');
    const payments = members.map((member) => member.payments);
    expect([Math.min(...payments), Math.max(...payments)]).toEqual([1, 36]);
    expect(new Set(payments).size).toBe(36);
    const kinds = (key: 'kyc' | 'subscription') => [...new Set(members.map((member) => member[key]))].sort();
    expect(kinds('kyc')).toEqual(['pending', 'rejected', 'verified']);
    expect(kinds('subscription')).toEqual(['active', 'canceled', 'trialing']);
    expect((await signIn('member0200@example.com')).userId).not.toBe('');
  });
});

describe('the demo data', () => {
  it('have five selectable members at the head of the queue, and slots for them', async () => {
    const viewer = await signIn('viewer@example.com');
    const { body } = await viewer.get('/api/payouts/eligible-members?limit=200');
    const first = body.data.slice(0, 5);
    expect(first.map(({ email }: { email: string }) => email)).toEqual([
      'member0001@example.com',
      'member0002@example.com',
      'member0003@example.com',
      'member0004@example.com',
      'member0005@example.com',
    ]);
    for (const candidate of first) {
      expect(candidate.validation).toMatchObject({ isValid: true, errors: [] });
    }
    expect(body.availableSlots).toBeGreaterThanOrEqual(3);
    const emails = body.data.map(({ email }: { email: string }) => email);
    expect(emails).toEqual([...emails].sort());
    const invalid = body.data.filter(
      ({ validation }: { validation: { isValid: boolean } }) => !validation.isValid,
    );
    expect(invalid.length).toBeGreaterThan(0);
  });

  it('have a payout in every one of the 11 states', async () => {
    const viewer = await signIn('viewer@example.com');
    const payouts = await list(viewer, '/api/payouts?limit=200');
    expect(PAYOUT_STATUSES).toHaveLength(11);
    expect(new Set(payouts.map(({ status }: { status: string }) => status))).toEqual(
      new Set(PAYOUT_STATUSES),
    );
  });

  it('have one approval overdue, one W-9 to review and one undelivered mail', async () => {
    const admin = await signIn('admin@example.com');
    const overdue = await list(admin, '/api/admin-alerts?category=approval_overdue&open=true');
    expect(overdue).toHaveLength(1);
    const payout = expectOk(await admin.get(`/api/payouts/${overdue[0].details.payoutId}`)).body;
    expect(payout.status).toBe('pending_approval');
    expect(await list(admin, '/api/tax-forms?status=submitted')).toHaveLength(1);
    const failed = await list(admin, '/api/notifications?status=failed');
    expect(failed).toHaveLength(1);
    expect(failed[0].lastError).toBe('552 The mailbox is full.');
    expect(await list(admin, '/api/notifications?status=queued')).toEqual([]);
    expect(await list(admin, '/api/admin-alerts?category=dead_letter&open=true')).toHaveLength(1);
    const resent = await admin.post(`/api/notifications/${failed[0].id}/resend`);
    expect(resent.status).toBe(200);
  });

  it('add up in every amount', async () => {
    const payouts = await sql<Record<string, string>[]>`SELECT * FROM payout_management`;
    expect(payouts.length).toBeGreaterThanOrEqual(11);
    const cents = (text: string | undefined) => Math.round(Number(text) * 100);
    for (const row of payouts) {
      const parts = cents(row['net_amount']) + cents(row['retention_fee']) + cents(row['withheld_amount']);
      expect(parts).toBe(cents(row['amount']));
    }
    const strayAttempts = await sql`
      SELECT 1 FROM payment_attempts a JOIN payout_management p USING (payout_id)
       WHERE a.status IN ('ready', 'sent', 'completed') AND a.net_amount <> p.net_amount`;
    expect(strayAttempts).toHaveLength(0);
  });

  it('have statuses that agree with approvals, attempts, removals and trails', async () => {
    const inconsistent = await sql`
      SELECT p.payout_id, p.status FROM payout_management p
       WHERE (p.status IN ('ready_for_payment', 'payment_sent', 'completed'))
             <> EXISTS (SELECT 1 FROM payment_attempts a WHERE a.payout_id = p.payout_id
                         AND a.status = CASE p.status WHEN 'ready_for_payment' THEN 'ready'
                                                      WHEN 'payment_sent' THEN 'sent' ELSE 'completed' END)
          OR (p.approved_at IS NOT NULL)
             <> ((SELECT count(*) FROM payout_approvals d
                   WHERE d.payout_id = p.payout_id AND d.decision = 'approved') >= p.required_approvals)
          OR (p.status = 'completed')
             <> EXISTS (SELECT 1 FROM membership_removals r WHERE r.payout_id = p.payout_id AND r.status = 'scheduled')
          OR jsonb_array_length(p.approval_workflow)
             <> (SELECT count(*) FROM payout_approvals d WHERE d.payout_id = p.payout_id)
          OR p.created_at > p.updated_at OR p.updated_at > now() + interval '1 minute'`;
    expect([...inconsistent]).toEqual([]);
  });

  it('have an audit log that is whole', async () => {
    const result = await service.services.audit.verify();
    expect(result).toMatchObject({ valid: true, firstFault: null });
    expect(result.entries).toBeGreaterThan(50);
  });

  it('wrote their mail into the outbox folder of the data directory', async () => {
    const sent = await sql<{ count: number }[]>`
      SELECT count(*)::integer AS count FROM notifications WHERE status = 'sent'`;
    const page = await fetch(`${service.url}/dev/outbox`);
    expect(page.status).toBe(200);
    expect(sent[0]?.count).toBeGreaterThan(20);
    expect(await page.text()).toContain('member0013@example.com');
  });

  it('let an admin initiate the first of them without passing anybody over', async () => {
    const admin = await signIn('admin@example.com');
    const [first] = await list(admin, '/api/payouts/eligible-members?limit=1');
    const answer = await admin.post('/api/payouts/initiate', { userIds: [first.userId] });
    expect(answer.status).toBe(201);
    expectOk(
      await admin.post(`/api/payouts/${answer.body.data[0].payoutId}/cancel`, { reason: 'A test only.' }),
    );
  });

  it.each([
    ['of half a payout to a winner', { REWARD_PER_WINNER: '50000' }],
    [
      'that fund nothing yet, of a company that is too young',
      {
        REWARD_PER_WINNER: '200000',
        PAYOUT_THRESHOLD: '5000000',
        BUSINESS_LAUNCH_DATE: isoDateOf(addDays(new Date(), -100)),
      },
    ],
  ])('are the same under terms %s', async (_, terms) => {
    const other = `${name}_terms`;
    const otherUrl = databaseUrl(clusterUrl, other);
    await createDatabase(clusterUrl, other);
    const reader = postgres(otherUrl, { max: 1, onnotice: () => {} });
    try {
      await seedDemo(loadConfig({ ...env, ...terms }), otherUrl);
      const payouts = await reader`SELECT DISTINCT status, amount::integer AS amount FROM payout_management`;
      expect(payouts.map(({ status }) => status).toSorted()).toEqual([...PAYOUT_STATUSES].toSorted());
      expect(new Set(payouts.map(({ amount }) => amount))).toEqual(new Set([100_000]));
    } finally {
      await reader.end();
      await dropDatabase(clusterUrl, other);
    }
  });

  it('are not put in twice, nor where there are people', async () => {
    const before = await sql`SELECT count(*) AS count FROM users`;
    await expect(seedDemo(loadConfig(env), url)).rejects.toThrow('has people in it already');
    expect([...(await sql`SELECT count(*) AS count FROM users`)]).toEqual([...before]);
  });
});

describe('the demo clock', () => {
  it('is moved by an admin only, forward only', async () => {
    const [admin, finance, member] = await Promise.all(
      ['admin@example.com', 'finance@example.com', 'member0013@example.com'].map((email) => signIn(email)),
    );
    for (const who of [finance, member]) {
      expect((await who?.post('/api/demo/clock', { advance: 'P1D' }))?.status).toBe(403);
    }
    for (const advance of ['-P1D', 'tomorrow', '', 'P60Y', 12, null]) {
      const answer = await admin!.post('/api/demo/clock', { advance });
      expect([advance, answer.status]).toEqual([advance, 400]);
    }
    const rows = await sql`SELECT 1 FROM service_state WHERE name = 'demo_clock_offset_ms' AND value <> '0'`;
    expect(rows).toHaveLength(0);
  });

  it('moves the service’s time, and what fell due has run before the answer', async () => {
    const admin = await signIn('admin@example.com');
    const [completed] = await list(admin, '/api/payouts?status=completed');
    const removalDay = completed.membershipRemovalDate.slice(0, 10);
    const before = new Date();
    const answer = await admin.post('/api/demo/clock', { advance: 'P12M' });
    expect(answer.status).toBe(200);
    expect(isoDateOf(new Date(answer.body.now))).toBe(addMonths(isoDateOf(before), 12));
    expect(removalDay <= answer.body.now.slice(0, 10)).toBe(true);
    const payout = expectOk(await admin.get(`/api/payouts/${completed.payoutId}`)).body;
    expect(payout.processing.membership_removed).toBe(true);
    const membership = expectOk(await admin.get(`/api/members/${completed.userId}/membership`)).body;
    expect(membership).toMatchObject({ isActive: false, canReactivate: true });
    const jobs = await list(admin, '/api/jobs');
    for (const job of jobs) {
      expect([job.name, job.lastRun?.status, job.lastRun?.trigger]).toEqual([
        job.name,
        'succeeded',
        'schedule',
      ]);
    }
    const mails = await sql`
      SELECT status FROM notifications WHERE template = 'membership-removed' AND user_id = ${completed.userId}`;
    expect([...mails]).toEqual([{ status: 'sent' }]);
    expect((await admin.get('/health')).body.timestamp.slice(0, 7)).toBe(answer.body.now.slice(0, 7));
    const [entry] = await sql`SELECT actor, action FROM user_audit_logs WHERE entity_type = 'clock'`;
    expect(entry).toMatchObject({ action: 'advanced' });
  });

  it('adds each move to the one before, and signed-in people stay so', async () => {
    const admin = await signIn('admin@example.com');
    const first = expectOk(await admin.post('/api/demo/clock', { advance: 'PT1H' })).body.now;
    const second = expectOk(await admin.post('/api/demo/clock', { advance: 'PT36H' })).body.now;
    const hours = (Date.parse(second) - Date.parse(first)) / 3_600_000;
    expect(hours).toBeGreaterThanOrEqual(36);
    expect(hours).toBeLessThan(36.02);
    expect((await admin.get('/api/payouts?limit=1')).status).toBe(200);
  });

  it('is taken over by the next start, and by other instances at once', async () => {
    const again = await startService({ ...env });
    const daysAhead = async () => {
      const { timestamp } = (await (await fetch(`${again.url}/health`)).json()) as { timestamp: string };
      return Math.floor((Date.parse(timestamp) - Date.now()) / 86_400_000);
    };
    try {
      const before = await daysAhead();
      expect(before).toBeGreaterThan(360);
      const admin = await signIn('admin@example.com');
      expectOk(await admin.post('/api/demo/clock', { advance: 'P10D' }));
      expect(await daysAhead()).toBe(before + 10);
    } finally {
      await again.stop();
    }
  });

  it('is not there without demo data', async () => {
    const plain = await startTestService();
    try {
      const admin = await plain.newStaff('admin');
      const answer = await admin.post('/api/demo/clock', { advance: 'P1D' });
      expect([answer.status, answer.body.error.code]).toEqual([404, 'NOT_FOUND']);
      const document = (await admin.get('/openapi.json')).body;
      expect(Object.keys(document.paths)).not.toContain('/api/demo/clock');
    } finally {
      await plain.stop();
    }
  });
});
