import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller, type Answer } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import { startTestService } from '../support/test-service.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

interface Entry {
  id: string;
  actor: string;
  userId: string | null;
  adminId: number | null;
  entityType: string;
  entityId: string;
  action: string;
  oldValues: Record<string, unknown> | null;
  newValues: Record<string, unknown> | null;
  success: boolean;
  errorMessage: string | null;
  metadata: Record<string, unknown>;
  ipAddress: string | null;
  userAgent: string | null;
  requestId: string | null;
  createdAt: string;
  chainIndex: number;
  hash: string;
}

const log = async (query = ''): Promise<Entry[]> =>
  expectOk(await cast.viewer.get(`/api/reports/audit-log?limit=200${query}`)).body.data;

/** The entries under a request id, oldest first. */
const entriesOf = (requestId: string) => cast.service.sql<Record<string, unknown>[]>`
  SELECT * FROM user_audit_logs WHERE request_id = ${requestId} ORDER BY sequence`;

const countEntries = async (): Promise<number> =>
  (await cast.service.sql<{ n: number }[]>`SELECT count(*)::int AS n FROM user_audit_logs`)[0]?.n ?? 0;

let requests = 0;
/** A request that can be told from all others. */
async function as(
  who: Caller,
  path: string,
  body: unknown = {},
): Promise<{ answer: Answer; requestId: string }> {
  requests += 1;
  const requestId = `audit-test-${requests}`;
  const answer = await who.post(path, body, { 'x-request-id': requestId, 'user-agent': 'Audit Test/1.0' });
  return { answer, requestId };
}

describe('an entry', () => {
  it('is written for every operation of a payout’s life, with who, what, old, new and from where', async () => {
    const story = await stories.initiated();
    const { payoutId, member } = story;
    const path = `/api/payouts/${payoutId}`;
    const mine = `/api/members/${member.userId}`;
    const seen = (await log(`&entityId=${payoutId}`)).map(({ id }) => id);
    const step = async (who: Caller, address: string, body: unknown = {}) => {
      const { answer, requestId } = await as(who, address, body);
      expectOk(answer);
      const rows = await entriesOf(requestId);
      for (const row of rows) {
        expect(row).toMatchObject({
          ip_address: '127.0.0.1',
          user_agent: 'Audit Test/1.0',
          request_id: requestId,
          success: true,
          error_message: null,
          created_at: cast.service.time.now(),
        });
      }
      return { answer, rows };
    };
    const summary = (rows: readonly Record<string, unknown>[]) =>
      rows.map((row) => `${String(row['actor'])} ${String(row['entity_type'])} ${String(row['action'])}`);
    const by = (who: Caller) => `staff:${who.adminId}`;
    const byMember = `member:${member.userId}`;

    const first = await step(cast.admin2, `${path}/approve`, { reason: 'All is well.' });
    expect(summary(first.rows)).toEqual([`${by(cast.admin2)} approval approved`]);
    expect(first.rows[0]).toMatchObject({
      admin_id: cast.admin2.adminId,
      user_id: cast.admin2.userId,
      entity_id: payoutId,
      old_values: { status: 'pending_approval', version: 1 },
      new_values: {
        status: 'pending_approval',
        version: 2,
        decision: 'approved',
        reason: 'All is well.',
        round: 1,
        approvals: '1 of 2',
      },
      metadata: { role: 'admin' },
    });
    const second = await step(cast.finance, `${path}/approve`);
    expect(summary(second.rows)).toEqual([
      `${by(cast.finance)} approval approved`,
      'system:payout-progress payout advanced',
    ]);
    expect(second.rows[1]).toMatchObject({
      old_values: { status: 'approved' },
      new_values: { status: 'pending_bank_info' },
    });
    const bank = await step(member, `${mine}/bank-info`, stories.bankInfo(story.name));
    expect(summary(bank.rows)).toEqual([
      `${byMember} payout bank_info_submitted`,
      'system:payout-progress payout advanced',
    ]);
    expect(bank.rows[0]).toMatchObject({
      user_id: member.userId,
      admin_id: null,
      new_values: { accountNumber: '****6789', routingNumber: '****0021', accountHolderName: '[hidden]' },
    });
    const tax = await step(member, `${mine}/tax-info`, stories.w9(story.name));
    expect(summary(tax.rows)).toEqual([`${byMember} tax_form created`]);
    expect(tax.rows[0]?.['entity_id']).toBe(tax.answer.body.formId);
    const review = await step(cast.finance, `/api/tax-forms/${tax.answer.body.formId}/approve`);
    expect(summary(review.rows).sort()).toEqual([
      `${by(cast.finance)} tax_form approved`,
      'system:payout-progress payout advanced',
    ]);
    const note = await step(cast.finance, `${path}/notes`, { note: 'Called the member.' });
    expect(summary(note.rows)).toEqual([`${by(cast.finance)} payout noted`]);
    const made = await step(cast.finance, `${path}/generate-instructions`);
    expect(made.rows[0]).toMatchObject({
      entity_type: 'payment',
      entity_id: payoutId,
      new_values: { status: 'ready_for_payment' },
    });
    await cast.finance.pdf(`${path}/instructions`);
    const sent = await step(cast.finance2, `${path}/mark-sent`, {
      sentDate: stories.today,
      expectedArrivalDate: stories.today,
      trackingNumber: 'T-1',
    });
    expect(summary(sent.rows)).toEqual([`${by(cast.finance2)} payment sent`]);
    expect(sent.rows[0]?.['new_values']).toMatchObject({ trackingNumber: 'T-1', sentDate: stories.today });
    const done = await step(cast.finance, `${path}/confirm`, { completedDate: stories.today });
    expect(summary(done.rows)).toEqual([`${by(cast.finance)} payment completed`]);
    await step(cast.finance2, `/api/payouts/${payoutId}/bank-info/reveal`, { reason: 'The bank asked.' });
    const failed = await step(cast.finance, `${path}/fail`, { reason: 'Returned.', returnCode: 'R01' });
    expect(failed.rows[0]).toMatchObject({
      entity_type: 'payment',
      action: 'failed',
      old_values: { status: 'completed' },
      new_values: { status: 'payment_failed', returnCode: 'R01', reason: 'Returned.' },
    });
    await step(cast.finance, `${path}/hold`, { reason: 'A doubt.' });
    await step(cast.admin2, `${path}/resume`, { note: 'No doubt.' });
    await step(cast.admin, `${path}/cancel`, { reason: 'It is over.' });

    const entries = (await log(`&entityId=${payoutId}`)).filter(({ id }) => !seen.includes(id)).reverse();
    const actions = entries.map(({ action }) => action);
    for (const action of [
      'instructions_downloaded',
      'bank_info_revealed',
      'failed',
      'held',
      'resumed',
      'cancelled',
    ]) {
      expect(actions).toContain(action);
    }
    // Each chain counts its own entries.
    for (const entityType of ['payout', 'approval', 'payment']) {
      const chain = entries
        .filter((entry) => entry.entityType === entityType)
        .map(({ chainIndex }) => chainIndex);
      expect(chain).toEqual([...chain].sort((a, b) => a - b));
      expect(new Set(chain).size).toBe(chain.length);
    }
  });

  it('is written for what is not about one payout', async () => {
    const { rows } = await (async () => {
      const { answer, requestId } = await as(cast.admin, '/api/payouts/check-eligibility');
      expectOk(answer);
      return { rows: await entriesOf(requestId) };
    })();
    expect(rows).toEqual([
      expect.objectContaining({
        entity_type: 'eligibility',
        entity_id: stories.today,
        action: 'checked',
        new_values: expect.objectContaining({ isEligible: true }),
      }),
    ]);
    const [alert] = expectOk(await cast.viewer.get('/api/admin-alerts?open=true')).body.data;
    const { requestId } = await as(cast.admin, `/api/admin-alerts/${alert.id}/acknowledge`);
    expect(await entriesOf(requestId)).toEqual([
      expect.objectContaining({ entity_type: 'alert', entity_id: alert.id, action: 'acknowledged' }),
    ]);
  });

  it('never holds a full number', async () => {
    await stories.ready();
    const text = String((await cast.finance.get('/api/reports/audit-log?format=csv')).body);
    expect(text).toContain('bank_info_submitted');
    expect(text).not.toMatch(/000123456789|123-45-6789|021000021/);
  });
});

describe('refusals', () => {
  let story: Story;
  let stranger: Caller;
  beforeAll(async () => {
    story = await stories.initiated();
    stranger = await cast.service.newMember();
  });

  it.each<[string, () => Promise<{ answer: Answer; requestId: string }>, number, string, string]>([
    [
      'for want of a role',
      () => as(cast.viewer, `/api/payouts/${story.payoutId}/approve`),
      403,
      'FORBIDDEN',
      'payout',
    ],
    [
      'of separation of duties',
      () => as(cast.admin, `/api/payouts/${story.payoutId}/approve`),
      403,
      'SEPARATION_OF_DUTIES',
      'payout',
    ],
    [
      'of a state',
      () => as(cast.finance, `/api/payouts/${story.payoutId}/resume`, { note: 'x' }),
      409,
      'INVALID_STATE',
      'payout',
    ],
    [
      'of a business rule',
      () => as(cast.admin, '/api/payouts/initiate', { userIds: [story.member.userId], overrideReason: 'x' }),
      422,
      'INVALID_WINNER',
      'request',
    ],
    [
      'of what does not exist',
      () => as(cast.finance, '/api/payouts/PO-2026-ZZZZZZZZ/approve'),
      404,
      'NOT_FOUND',
      'request',
    ],
    [
      'of what is not valid',
      () => as(cast.finance, `/api/payouts/${story.payoutId}/reject`),
      400,
      'VALIDATION_ERROR',
      'payout',
    ],
    [
      'of somebody else’s data',
      () => as(stranger, `/api/members/${story.member.userId}/bank-info`, stories.bankInfo('A B')),
      403,
      'FORBIDDEN',
      'request',
    ],
  ])('%s are kept', async (_why, attempt, status, code, entityType) => {
    const { answer, requestId } = await attempt();
    expect([answer.status, answer.body.error.code]).toEqual([status, code]);
    const rows = await entriesOf(requestId);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      entity_type: entityType,
      entity_id: entityType === 'payout' ? story.payoutId : requestId,
      success: false,
      ip_address: '127.0.0.1',
      user_agent: 'Audit Test/1.0',
    });
    expect(rows[0]?.['metadata']).toMatchObject({ code });
    expect(String(rows[0]?.['error_message']).length).toBeGreaterThan(10);
    expect(rows[0]?.['user_id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each<[string, () => string, () => Caller, string, string]>([
    ['at what is for staff', () => '/api/payouts', () => stranger, 'FORBIDDEN', 'request'],
    ['at another’s payout, which is as if not there', () => `/api/payouts/${story.payoutId}`, () => stranger, 'NOT_FOUND', 'payout'],
    ['at another’s data', () => `/api/members/${story.member.userId}/payout`, () => stranger, 'FORBIDDEN', 'request'],
    ['at what does not exist', () => '/api/tax-forms/W9-2026-ZZZZZZZZ/pdf', () => stranger, 'NOT_FOUND', 'request'],
    ['of staff, at what does not exist', () => '/api/payouts/PO-2026-ZZZZZZZZ', () => cast.viewer, 'NOT_FOUND', 'request'],
    ['with a query that is not valid', () => '/api/payouts?limit=0', () => cast.viewer, 'VALIDATION_ERROR', 'request'],
    ['at a receipt before it is there', () => `/api/payouts/${story.payoutId}/receipt`, () => cast.viewer, 'NOT_FOUND', 'payout'],
  ])('to look %s are kept, too', async (_what, path, caller, code, entityType) => {
    const requestId = `audit-test-look-${randomUUID()}`;
    const { body } = await caller().get(path(), { 'x-request-id': requestId });
    expect(body.error.code).toBe(code);
    expect(await entriesOf(requestId)).toEqual([
      expect.objectContaining({
        success: false,
        user_id: caller().userId,
        entity_type: entityType,
        entity_id: entityType === 'payout' ? story.payoutId : requestId,
        metadata: expect.objectContaining({ code }),
      }),
    ]);
  }); // prettier-ignore

  it('are not what somebody is told who has no payout yet', async () => {
    const headers = { 'x-request-id': 'audit-test-none' };
    const { status } = await stranger.get(`/api/members/${stranger.userId}/payout`, headers);
    expect(status).toBe(404);
    expect(await entriesOf('audit-test-none')).toEqual([]);
  });

  it('for asking too often are kept once in a window, so that nobody fills the log', async () => {
    const env = { RATE_LIMIT_MEMBER: '2', RATE_LIMIT_ADDRESS: '20' };
    const limited = await startTestService({ env, beside: cast.service });
    try {
      const eager = await cast.service.newMember();
      const at = new Caller(limited.url, { token: eager.token });
      const before = await countEntries();
      const statuses: number[] = [];
      for (let sent = 0; sent < 8; sent += 1) statuses.push((await at.get('/api/payouts')).status);
      expect(statuses).toEqual([403, 403, 429, 429, 429, 429, 429, 429]);
      expect(await countEntries()).toBe(before + 3);
      // Strangers write nothing at all, whatever they bring.
      for (const token of [undefined, 'nobody.AAAA', `${eager.token}x`, 'a.b.c'])
        for (let sent = 0; sent < 4; sent += 1)
          await new Caller(limited.url, token === undefined ? {} : { token }).post('/api/payouts/initiate');
      expect(await countEntries()).toBe(before + 3);
    } finally {
      await limited.stop();
    }
  });

  it('change nothing but the log', async () => {
    const { version, status } = expectOk(await cast.viewer.get(`/api/payouts/${story.payoutId}`)).body;
    expect([version, status]).toEqual([1, 'pending_approval']);
  });

  it('of unknown callers are not kept', async () => {
    const before = await countEntries();
    const { answer, requestId } = await as(cast.service.stranger, `/api/payouts/${story.payoutId}/approve`);
    expect(answer.status).toBe(401);
    expect(await entriesOf(requestId)).toHaveLength(0);
    expect(await countEntries()).toBe(before);
    expect(cast.service.logLines.some((line) => line.includes(requestId))).toBe(true);
  });

  it('with hostile names and paths are stored as text', async () => {
    const { answer, requestId } = await as(
      cast.admin,
      `/api/jobs/${encodeURIComponent("\u{0}'; DROP TABLE x")}/run`,
    );
    expect([400, 404]).toContain(answer.status);
    expect(await entriesOf(requestId)).toHaveLength(1);
  });
});

describe('the search', () => {
  it('filters by what, who and when, newest first, page by page', async () => {
    cast.service.time.setTo('2026-12-01T08:00:00Z');
    const story = await stories.approved();
    cast.service.time.setTo('2026-12-02T08:00:00Z');
    expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/notes`, { note: 'The next day.' }));
    const id = `&entityId=${story.payoutId}`;
    const all = await log(id);
    expect(all.length).toBeGreaterThan(3);
    expect(all[0]).toMatchObject({ action: 'noted', createdAt: '2026-12-02T08:00:00.000Z' });
    const actions = async (query: string) => (await log(`${id}${query}`)).map(({ action }) => action);
    expect(await actions('&entityType=approval')).toEqual(['approved', 'approved']);
    expect(await actions('&action=created')).toEqual(['created']);
    expect(await actions(`&adminId=${cast.admin2.adminId}`)).toEqual(['approved']);
    expect(await actions(`&userId=${cast.finance.userId}`)).toEqual(['noted', 'approved']);
    expect(await actions('&from=2026-12-02')).toEqual(['noted']);
    expect(await actions('&from=2026-12-02T08:00:00Z')).toEqual(['noted']);
    expect(await actions('&to=2026-12-01')).toEqual(all.slice(1).map(({ action }) => action));
    expect(await actions('&to=2026-12-02T08:00:00Z')).toEqual(all.slice(1).map(({ action }) => action));
    expect(await actions('&to=2026-11-30')).toEqual([]);
    expect(await actions('&action=lost')).toEqual([]);

    const pages: Entry[] = [];
    let cursor = '';
    do {
      const { body } = await cast.viewer.get(`/api/reports/audit-log?limit=2${id}${cursor}`);
      expect(body.data.length).toBeLessThanOrEqual(2);
      pages.push(...body.data);
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`;
    } while (cursor !== '');
    expect(pages).toEqual(all);

    // Written last, by an instance whose clock is behind.
    cast.service.time.setTo('2026-12-01T12:00:00Z');
    expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/notes`, { note: 'Written late.' }));
    cast.service.time.setTo('2026-12-02T08:00:00Z');
    const [newest, late, ...rest] = await log(id);
    expect([newest, ...rest]).toEqual(all);
    expect(late).toMatchObject({ action: 'noted', createdAt: '2026-12-01T12:00:00.000Z' });
    expect((await actions('&to=2026-12-02T00:00:00Z'))[0]).toBe('noted');
  });

  it('refuses what it does not know, and whoever is no staff', async () => {
    const cursorOf = (key: unknown[]) => Buffer.from(JSON.stringify(key)).toString('base64url');
    for (const query of [
      'colour=red',
      'adminId=one',
      'userId=1',
      'from=yesterday',
      'limit=0',
      `cursor=${cursorOf(['x'])}`,
      `cursor=${cursorOf(['yesterday', 1])}`,
      `cursor=${cursorOf(['2026-12-01T08:00:00Z', 0.5])}`,
    ]) {
      expect([query, (await cast.viewer.get(`/api/reports/audit-log?${query}`)).status]).toEqual([
        query,
        400,
      ]);
    }
    const cursor = cursorOf(['yesterday', 1]);
    const answer = await cast.viewer.get(`/api/reports/audit-log?format=csv&cursor=${cursor}`);
    expect([answer.status, answer.body.error.code]).toEqual([400, 'VALIDATION_ERROR']);
    const member = await cast.service.newMember();
    expect((await member.get('/api/reports/audit-log')).status).toBe(403);
    expect((await member.get('/api/reports/audit-log/verification')).status).toBe(403);
  });

  it('exports all that matches as CSV, safe for spreadsheets, and records the export', async () => {
    const story = await stories.initiated();
    for (const userAgent of ['=HYPERLINK("http://evil.example.com")', '+1', '@SUM(A1)']) {
      expectOk(
        await cast.finance.post(
          `/api/payouts/${story.payoutId}/notes`,
          { note: 'A note, with "quotes".' },
          { 'user-agent': userAgent },
        ),
      );
    }
    const answer = await cast.viewer.get(`/api/reports/audit-log?format=csv&entityId=${story.payoutId}`, {
      'x-request-id': 'audit-test-csv',
    });
    expect(answer.headers.get('content-type')).toContain('text/csv');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit-log.csv"');
    const lines = String(answer.body).trimEnd().split('\r\n');
    expect(lines[0]).toContain('Time (UTC),Actor,User,Staff number,Entity type,Entity,Action');
    expect(lines).toHaveLength(1 + (await log(`&entityId=${story.payoutId}`)).length);
    expect(answer.body).toContain(`,"'=HYPERLINK(""http://evil.example.com"")",`);
    expect(answer.body).toContain(",'+1,");
    expect(answer.body).not.toMatch(/(^|,)"?[=+@]/m);
    expect(await entriesOf('audit-test-csv')).toEqual([
      expect.objectContaining({ entity_type: 'audit', action: 'exported', admin_id: cast.viewer.adminId }),
    ]);
  });
});

describe('an export with a limit', () => {
  it('has no more rows than that, from the cursor on', async () => {
    const { payoutId } = await stories.approved();
    const asked = `/api/reports/audit-log?entityId=${payoutId}`;
    const { data, nextCursor } = expectOk(await cast.viewer.get(`${asked}&limit=2`)).body;
    const all = await log(`&entityId=${payoutId}`);
    const idsOf = async (query: string) => {
      const [, ...rows] = String(expectOk(await cast.viewer.get(`${asked}&format=csv${query}`)).body)
        .trimEnd()
        .split('\r\n');
      return rows.map((row) => all.findIndex(({ id }) => row.includes(id)));
    };
    expect(all.length).toBeGreaterThan(3);
    expect(data).toHaveLength(2);
    expect(await idsOf('&limit=2')).toEqual([0, 1]);
    expect(await idsOf(`&limit=1&cursor=${nextCursor}`)).toEqual([2]);
    expect(await idsOf(`&cursor=${nextCursor}`)).toEqual(all.map((_, index) => index).slice(2));
  });
});

describe('the rows', () => {
  it('cannot be changed, deleted or truncated by the service or, while the triggers stand, anybody', async () => {
    const role = postgres(cast.service.databaseUrl, {
      max: 1,
      onnotice: () => {},
      connection: { role: 'payout_service' },
    });
    try {
      for (const sql of [role, cast.service.sql]) {
        await expect(sql`UPDATE user_audit_logs SET actor = 'nobody'`).rejects.toThrow();
        await expect(sql`DELETE FROM user_audit_logs`).rejects.toThrow();
        await expect(sql`TRUNCATE user_audit_logs`).rejects.toThrow();
      }
      await expect(role`UPDATE user_audit_logs SET actor = 'nobody'`).rejects.toThrow('permission denied');
      await expect(cast.service.sql`TRUNCATE user_audit_logs`).rejects.toThrow('only added to');
    } finally {
      await role.end();
    }
    expect((await cast.service.sql`SELECT 1 FROM user_audit_logs WHERE actor = 'nobody'`).length).toBe(0);
  });
});

describe('the verification', () => {
  let payoutId: string;
  beforeAll(async () => {
    ({ payoutId } = await stories.completed());
  });

  const verify = async () => {
    const run = expectOk(await cast.admin.post('/api/jobs/audit-verification/run')).body;
    const result = expectOk(await cast.viewer.get('/api/reports/audit-log/verification')).body;
    expect(run.status).toBe(result.valid ? 'succeeded' : 'failed');
    return result;
  };
  const openAlerts = async () =>
    expectOk(await cast.viewer.get('/api/admin-alerts?category=audit_broken&open=true')).body.data;

  /** The entries about the payment: instructions, sent, completed. */
  const chain = () => cast.service.sql`entity_type = 'payment' AND entity_id = ${payoutId}`;

  /** Does something to the log that a superuser can do, looks, and undoes it. */
  async function tampered(work: (sql: postgres.TransactionSql) => Promise<unknown>) {
    const { sql } = cast.service;
    await sql`SELECT * INTO kept_logs FROM user_audit_logs WHERE ${chain()}`;
    await sql`SELECT * INTO kept_chains FROM audit_chains WHERE ${chain()}`;
    const asSuperuser = (work2: (tx: postgres.TransactionSql) => Promise<unknown>) =>
      sql.begin(async (tx) => {
        await tx`SET LOCAL session_replication_role = replica`;
        await work2(tx);
      });
    try {
      await asSuperuser(work);
      return await verify();
    } finally {
      await asSuperuser(putBack);
    }
  }
  const putBack = async (tx: postgres.TransactionSql) => {
    await tx`DELETE FROM user_audit_logs WHERE id IN (SELECT id FROM kept_logs) OR (${chain()})`;
    await tx`INSERT INTO user_audit_logs OVERRIDING SYSTEM VALUE SELECT * FROM kept_logs`;
    await tx`DELETE FROM audit_chains WHERE ${chain()}`;
    await tx`INSERT INTO audit_chains SELECT * FROM kept_chains`;
    await tx`DROP TABLE kept_logs, kept_chains`;
  };
  const payments = (index: number) => cast.service.sql`${chain()} AND chain_index = ${index}`;

  it('says so when all is whole, and counts', async () => {
    const none = await cast.viewer.get('/api/reports/audit-log/verification');
    expect(none.body).toEqual({
      verifiedAt: null,
      valid: null,
      entries: null,
      chains: null,
      checkpoint: null,
      coveredEntries: null,
      firstFault: null,
    });
    const [counts] = await cast.service.sql`
      SELECT count(*)::integer AS entries, count(DISTINCT (entity_type, entity_id))::integer AS chains FROM user_audit_logs`;
    expect(await verify()).toEqual({
      verifiedAt: cast.service.time.now().toISOString(),
      valid: true,
      ...counts,
      checkpoint: null,
      coveredEntries: null,
      firstFault: null,
    });
  });

  it.each<[string, (tx: postgres.TransactionSql) => Promise<unknown>, number, string]>([
    [
      'a changed entry',
      (tx) => tx`UPDATE user_audit_logs SET new_values = new_values || '{"attempt": 9}' WHERE ${payments(2)}`,
      2,
      'content',
    ],
    [
      'another actor',
      (tx) => tx`UPDATE user_audit_logs SET admin_id = 99 WHERE ${payments(1)}`,
      1,
      'content',
    ],
    [
      'another time',
      (tx) => tx`UPDATE user_audit_logs SET created_at = created_at + interval '1 ms' WHERE ${payments(3)}`,
      3,
      'content',
    ],
    [
      'a success made of a failure',
      (tx) => tx`UPDATE user_audit_logs SET success = false WHERE ${payments(1)}`,
      1,
      'content',
    ],
    [
      'a deleted entry in the middle',
      (tx) => tx`DELETE FROM user_audit_logs WHERE ${payments(2)}`,
      3,
      'number 2 was due',
    ],
    [
      'a deleted first entry',
      (tx) => tx`DELETE FROM user_audit_logs WHERE ${payments(1)}`,
      2,
      'number 1 was due',
    ],
    ['a deleted last entry', (tx) => tx`DELETE FROM user_audit_logs WHERE ${payments(3)}`, 3, 'missing'],
    ['a whole chain that is gone', (tx) => tx`DELETE FROM user_audit_logs WHERE ${chain()}`, 1, 'missing'],
    [
      'entries in another order',
      async (tx) => {
        await tx`UPDATE user_audit_logs SET chain_index = 77 WHERE ${payments(1)}`;
        await tx`UPDATE user_audit_logs SET chain_index = 1 WHERE ${payments(2)}`;
        await tx`UPDATE user_audit_logs SET chain_index = 2
          WHERE ${payments(77)}`;
      },
      1,
      'does not follow',
    ],
    [
      'an entry that was put in',
      (
        tx,
      ) => tx`INSERT INTO user_audit_logs (id, actor, entity_type, entity_id, action, success, metadata, created_at,
                   chain_index, previous_hash, hash)
        SELECT gen_random_uuid(), actor, entity_type, entity_id, 'approved', true, metadata, created_at, 4, hash, hash
          FROM user_audit_logs WHERE ${payments(3)}`,
      4,
      'content',
    ],
    ['a deleted head', (tx) => tx`DELETE FROM audit_chains WHERE ${chain()}`, 3, 'no head'],
    [
      'an entry moved to another chain',
      (tx) => tx`UPDATE user_audit_logs SET entity_id = 'PO-2026-00000000' WHERE ${payments(3)}`,
      4,
      '',
    ],
  ])('finds %s and names the place', async (what, work, chainIndex, fault) => {
    const result = await tampered(work);
    expect(result.valid).toBe(false);
    if (what === 'an entry moved to another chain') {
      // It stands in a chain that it does not begin.
      expect(result.firstFault).toMatchObject({
        entityType: 'payment',
        entityId: 'PO-2026-00000000',
        chainIndex: 3,
      });
      return;
    }
    expect(result.firstFault).toEqual({
      entityType: 'payment',
      entityId: payoutId,
      chainIndex,
      fault: expect.stringContaining(fault),
    });
    const [looked] = await cast.service.sql`
      SELECT success, error_message FROM user_audit_logs WHERE action = 'verified' ORDER BY sequence DESC LIMIT 1`;
    expect(looked).toEqual({ success: false, error_message: expect.stringContaining(`payment ${payoutId}`) });
    expect(await openAlerts()).toEqual([expect.objectContaining({ severity: 'critical' })]);
  });

  it('is whole again when it was put back, and records every look', async () => {
    expect((await verify()).valid).toBe(true);
    expect(await openAlerts()).toEqual([]);
    const { count } =
      (await cast.service.sql`SELECT count(*)::integer AS count FROM audit_verifications`)[0] ?? {};
    expect(count).toBe(14);
  });

  it('is not disturbed by what is written meanwhile', async () => {
    const story = await stories.initiated();
    const [results] = await Promise.all([
      Promise.all(Array.from({ length: 4 }, () => cast.service.services.audit.verify())),
      ...Array.from({ length: 20 }, (_, number) =>
        cast.finance.post(`/api/payouts/${story.payoutId}/notes`, { note: `Note ${number}` }),
      ),
    ]);
    expect(results.map(({ valid }) => valid)).toEqual([true, true, true, true]);
    expect((await verify()).valid).toBe(true);
  });
});
