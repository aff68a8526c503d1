import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast } from '../support/stories.ts';

type Row = Record<string, any>;

let cast: Cast;
let stories: Stories;
const MEMBERS = 7;
let members: Caller[];
let payoutIds: string[];

beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  const { service, admin, admin2, finance } = cast;
  members = [];
  for (let count = 0; count < MEMBERS; count += 1) members.push(await service.newMember());
  // All at one moment, so that the order hangs on the ids; then two later ones.
  const initiate = async (of: Caller[]) =>
    expectOk(await admin.post('/api/payouts/initiate', { userIds: of.map(({ userId }) => userId) })).body
      .data;
  const first = await initiate(members.slice(0, 5));
  service.time.advanceDays(1);
  const second = await initiate(members.slice(5));
  payoutIds = [...first, ...second].map((payout: Row) => payout.payoutId);
  for (const payoutId of payoutIds) {
    for (const approver of [admin2, finance])
      expectOk(await approver.post(`/api/payouts/${payoutId}/approve`));
  }
  for (const [index, member] of members.entries()) {
    const w9 = stories.w9(`Ada Albright ${'bcdefgh'[index]}`);
    expectOk(await member.post(`/api/members/${member.userId}/tax-info`, w9));
  }
  // Alerts of which three at a time come at the same moment, as those of one job's run do.
  await service.sql`
    INSERT INTO admin_alerts (severity, category, title, message, details, occurrence_key, created_at, acknowledged_at, acknowledged_by)
    SELECT CASE WHEN n % 2 = 0 THEN 'info' ELSE 'warning' END, 'paging_' || n % 3, 'Alert', 'An alert.', '{}', 'paging-' || n,
           timestamptz '2026-11-20 12:00:00.123Z' + n / 3 * interval '1 millisecond',
           CASE WHEN n % 4 = 0 THEN now() END, CASE WHEN n % 4 = 0 THEN ${admin.adminId}::integer END
      FROM generate_series(1, 9) n`;
});
afterAll(() => cast.service.stop());

async function list(path: string, query: Record<string, string | number>): Promise<Row> {
  const parameters = new URLSearchParams(
    Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])),
  );
  return expectOk(await cast.viewer.get(`${path}?${parameters.toString()}`)).body;
}

/** Follows the cursors to the end. `between` happens after each page. */
async function pagesOf(
  path: string,
  query: Record<string, string | number>,
  between: () => Promise<unknown> = async () => {},
): Promise<Row[][]> {
  const pages: Row[][] = [];
  let cursor: string | null = null;
  do {
    const page: Row = await list(path, { ...query, ...(cursor === null ? {} : { cursor }) });
    expect(page['data'].length).toBeLessThanOrEqual(Number(query['limit'] ?? 50));
    pages.push(page['data']);
    cursor = page['nextCursor'];
    expect(pages.length).toBeLessThan(100);
    await between();
  } while (cursor !== null);
  return pages;
}

const LISTS: [path: string, query: Record<string, string>, id: string, least: number][] = [
  ['/api/payouts', {}, 'payoutId', MEMBERS],
  ['/api/payouts/eligible-members', {}, 'userId', 0],
  ['/api/tax-forms', {}, 'formId', MEMBERS],
  ['/api/notifications', {}, 'id', MEMBERS],
  ['/api/admin-alerts', {}, 'id', 9],
  ['/api/reports/audit-log', { to: '2026-11-22' }, 'id', 3 * MEMBERS],
];

describe.each(LISTS)('%s', (path, query, id, least) => {
  beforeAll(async () => {
    if (path.endsWith('eligible-members'))
      for (let count = 0; count < 5; count += 1) await cast.service.newMember();
  });

  it('gives every row once and in order, whatever the size of the page', async () => {
    const whole = (await list(path, { ...query, limit: 200 }))['data'];
    expect(whole.length).toBeGreaterThanOrEqual(Math.max(least, 5));
    expect(whole.length).toBeLessThan(200);
    const ids = whole.map((row: Row) => row[id]);
    expect(new Set(ids).size).toBe(ids.length);
    for (const limit of [1, 2, 3, whole.length - 1, whole.length, whole.length + 1]) {
      const pages = await pagesOf(path, { ...query, limit });
      expect(
        pages.flat().map((row) => row[id]),
        `pages of ${limit}`,
      ).toEqual(ids);
      // No empty page at the end: the service looks one row ahead.
      expect(pages).toHaveLength(Math.ceil(whole.length / limit));
    }
  });

  it('has no next page at the end', async () => {
    expect((await list(path, { ...query, limit: 200 }))['nextCursor']).toBeNull();
    expect((await list(path, { ...query, limit: 1 }))['nextCursor']).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it('gives 50 rows unless told otherwise', async () => {
    expect((await list(path, query))['data']).toEqual((await list(path, { ...query, limit: 50 }))['data']);
  });
});

describe('paging', () => {
  it('is newest first, and the queue in its own order', async () => {
    for (const path of [
      '/api/payouts',
      '/api/tax-forms',
      '/api/notifications',
      '/api/admin-alerts',
      '/api/reports/audit-log',
    ]) {
      const times = (await list(path, { limit: 200 }))['data'].map((row: Row) => row['createdAt']);
      expect(times, path).toEqual(times.toSorted().toReversed());
    }
    const positions = (await list('/api/payouts/eligible-members', {}))['data'].map(
      (row: Row) => row['queuePosition'],
    );
    expect(positions).toEqual(positions.toSorted((a: number, b: number) => a - b));
    expect(new Set(positions).size).toBe(positions.length);
  });

  it('shows no row twice while new ones come in', async () => {
    const before = (await list('/api/payouts', { limit: 200 }))['data'].map((row: Row) => row['payoutId']);
    const pages = await pagesOf('/api/payouts', { limit: 3 }, () => stories.initiated());
    expect(pages.flat().map((row) => row['payoutId'])).toEqual(before);
  });

  it('of the audit log holds while every page is itself followed by new entries', async () => {
    const query = { entityType: 'payout', entityId: payoutIds[0] ?? '' };
    const before = (await list('/api/reports/audit-log', { ...query, limit: 200 }))['data'];
    const pages = await pagesOf('/api/reports/audit-log', { ...query, limit: 1 }, () =>
      cast.admin.post(`/api/payouts/${payoutIds[0]}/notes`, { note: 'Meanwhile.' }),
    );
    expect(pages.flat()).toEqual(before);
    expect(before.length).toBeGreaterThan(1);
  });

  it('keeps to the filter', async () => {
    const all = (await list('/api/payouts', { limit: 200, status: 'pending_bank_info' }))['data'];
    const pages = await pagesOf('/api/payouts', { limit: 2, status: 'pending_bank_info' });
    expect(pages.flat()).toEqual(all);
    expect(all).toHaveLength(MEMBERS);
  });
});

describe('the filters', () => {
  const idsOf = async (path: string, query: Record<string, string | number>, id: string): Promise<string[]> =>
    (await list(path, { ...query, limit: 200 }))['data'].map((row: Row) => row[id]);

  /** Both what passes and what does not must exist, or the filter has shown nothing. */
  async function expectFilter(
    path: string,
    query: Record<string, string>,
    passes: (row: Row) => boolean,
    id = 'id',
  ) {
    const everything: Row[] = (await list(path, { limit: 200 }))['data'];
    const wanted = everything.filter(passes);
    expect(wanted.length, `${path} ${JSON.stringify(query)} has something`).toBeGreaterThan(0);
    expect(wanted.length, `${path} ${JSON.stringify(query)} leaves something out`).toBeLessThan(
      everything.length,
    );
    expect(await idsOf(path, query, id)).toEqual(wanted.map((row) => row[id]));
  }

  it('of payouts: status, userId, from and to', async () => {
    const path = '/api/payouts';
    await stories.initiated();
    const by = (query: Record<string, string>, passes: (row: Row) => boolean) =>
      expectFilter(path, query, passes, 'payoutId');
    await by({ status: 'pending_approval' }, (row) => row['status'] === 'pending_approval');
    const userId = members[2]?.userId ?? '';
    await by({ userId }, (row) => row['userId'] === userId);
    await by({ userId: userId.toUpperCase() }, (row) => row['userId'] === userId);
    await by({ from: '2026-11-21' }, (row) => row['createdAt'] >= '2026-11-21');
    // A day given as the end is in it; an instant is not.
    await by({ to: '2026-11-20' }, (row) => row['createdAt'] < '2026-11-21');
    await by({ from: '2026-11-21T12:00:00Z' }, (row) => row['createdAt'] >= '2026-11-21T12:00:00.000Z');
    expect(await idsOf(path, { to: '2026-11-20T12:00:00Z' }, 'payoutId')).toEqual([]);
    expect(await idsOf(path, { to: '2026-11-20T12:00:00.001Z' }, 'payoutId')).toHaveLength(5);
    expect(
      await idsOf(path, { from: '2026-11-20T14:00:00+02:00', to: '2026-11-20' }, 'payoutId'),
    ).toHaveLength(5);
    expect(await idsOf(path, { from: '2026-11-22' }, 'payoutId')).toEqual([]);
    expect(await idsOf(path, { status: 'completed' }, 'payoutId')).toEqual([]);
    expect(await idsOf(path, { userId, status: 'rejected' }, 'payoutId')).toEqual([]);
  });

  it('of tax forms: status, userId and year', async () => {
    const path = '/api/tax-forms';
    const [formId] = await idsOf(path, {}, 'formId');
    expectOk(await cast.finance.post(`/api/tax-forms/${formId}/approve`));
    const by = (query: Record<string, string>, passes: (row: Row) => boolean) =>
      expectFilter(path, query, passes, 'formId');
    await by({ status: 'submitted' }, (row) => row['status'] === 'submitted');
    await by({ status: 'approved' }, (row) => row['status'] === 'approved');
    const userId = members[3]?.userId ?? '';
    await by({ userId }, (row) => row['userId'] === userId);
    expect(await idsOf(path, { year: '2026' }, 'formId')).toHaveLength(MEMBERS);
    expect(await idsOf(path, { year: '2025' }, 'formId')).toEqual([]);
  });

  it('of notifications: status and payoutId', async () => {
    const path = '/api/notifications';
    await cast.service.services.mailDelivery.deliverDue();
    const { payoutId } = await stories.initiated();
    const first = payoutIds[0] ?? '';
    await expectFilter(path, { payoutId: first }, (row) => row['payoutId'] === first);
    await expectFilter(path, { status: 'queued' }, (row) => row['status'] === 'queued');
    await expectFilter(path, { status: 'sent' }, (row) => row['status'] === 'sent');
    await expectFilter(path, { payoutId, status: 'queued' }, (row) => row['payoutId'] === payoutId);
    expect(await idsOf(path, { payoutId, status: 'sent' }, 'id')).toEqual([]);
  });

  it('of alerts: severity, category and open', async () => {
    const path = '/api/admin-alerts';
    await expectFilter(path, { severity: 'warning' }, (row) => row['severity'] === 'warning');
    await expectFilter(path, { category: 'paging_1' }, (row) => row['category'] === 'paging_1');
    const open = (row: Row) => row['acknowledgedAt'] === null && row['closedAt'] === null;
    await expectFilter(path, { open: 'true' }, open);
    await expectFilter(path, { open: 'false' }, (row) => !open(row));
    await expectFilter(
      path,
      { open: 'true', severity: 'warning' },
      (row) => open(row) && row['severity'] === 'warning',
    );
  });

  it('of the audit log: entity, action, actor and time', async () => {
    const path = '/api/reports/audit-log';
    const everything: Row[] = (await list(path, { limit: 200, to: '2026-11-22' }))['data'];
    expect(everything.length).toBeLessThan(200);
    const first = payoutIds[0] ?? '';
    const action = everything.at(-1)?.['action'];
    await expectFilter(path, { entityType: 'tax_form' }, (row) => row['entityType'] === 'tax_form');
    await expectFilter(path, { entityId: first }, (row) => row['entityId'] === first);
    await expectFilter(path, { action }, (row) => row['action'] === action);
    await expectFilter(
      path,
      { adminId: String(cast.admin2.adminId) },
      (row) => row['adminId'] === cast.admin2.adminId,
    );
    const userId = members[1]?.userId ?? '';
    await expectFilter(path, { userId }, (row) => row['userId'] === userId);
    await expectFilter(path, { from: '2026-11-21' }, (row) => row['createdAt'] >= '2026-11-21');
    await expectFilter(path, { to: '2026-11-20' }, (row) => row['createdAt'] < '2026-11-21');
  });
});

describe('a list', () => {
  it('of payouts leaves out the audit trail, which the single payout has', async () => {
    const { data } = (await list('/api/payouts', { limit: 200 })) as { data: Row[] };
    for (const payout of data) {
      expect(payout).not.toHaveProperty('auditTrail');
      expect(payout).toHaveProperty('internalNotes');
      expect(payout).toHaveProperty('allowedActions');
    }
    const single = expectOk(await cast.viewer.get(`/api/payouts/${payoutIds[0]}`)).body;
    expect(single.auditTrail.length).toBeGreaterThan(0);
    const { auditTrail: _trail, ...rest } = single;
    expect(data.find(({ payoutId }) => payoutId === payoutIds[0])).toEqual(rest);
  });

  it('of candidates says how many can be chosen', async () => {
    const before = (await list('/api/payouts/eligible-members', {}))['availableSlots'];
    await stories.initiated();
    expect((await list('/api/payouts/eligible-members', { limit: 1 }))['availableSlots']).toBe(before - 1);
  });

  it('that is empty has no next page', async () => {
    expect(await list('/api/payouts', { status: 'completed' })).toEqual({ data: [], nextCursor: null });
  });

  it('of jobs is whole, and comes in pages where they are asked for', async () => {
    const { data, nextCursor } = expectOk(await cast.viewer.get('/api/jobs')).body;
    expect(nextCursor).toBeNull();
    expect(data.length).toBeGreaterThan(1);
    const names: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Row = await list('/api/jobs', { limit: 3, ...(cursor === null ? {} : { cursor }) });
      expect(page['data'].length).toBeLessThanOrEqual(3);
      names.push(...page['data'].map(({ name }: Row) => name));
      cursor = page['nextCursor'];
    } while (cursor !== null);
    expect(names).toEqual(data.map(({ name }: Row) => name));
    const nobody = Buffer.from('["no-such-job"]').toString('base64url');
    expect((await cast.viewer.get(`/api/jobs?cursor=${nobody}`)).status).toBe(400);
  });
});
