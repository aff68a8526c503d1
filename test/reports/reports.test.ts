import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOk, startCast, Stories, type Cast } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;

beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  cast.service.time.setTo('2026-10-31T23:59:00Z');
  await stories.initiated();
  cast.service.time.setTo('2026-11-01T00:00:00Z');
  await stories.completed();
  const rejected = await stories.initiated();
  expectOk(await cast.finance.post(`/api/payouts/${rejected.payoutId}/reject`, { reason: 'No.' }));
  cast.service.time.setTo('2026-11-20T12:00:00Z');
  const withheld = await stories.withBank();
  const body = { applyBackupWithholding: true, reason: 'None came.' };
  expectOk(await cast.finance.post(`/api/payouts/${withheld.payoutId}/generate-instructions`, body));
  await stories.completed();
  cast.service.time.setTo('2027-01-01T00:00:00Z');
  await stories.completed();
});
afterAll(() => cast.service.stop());

interface Row {
  period: string | null;
  status: string;
  count: number;
  grossAmount: number;
  retentionFee: number;
  withheldAmount: number;
  netAmount: number;
}

const report = async (query = '') => expectOk(await cast.viewer.get(`/api/reports/payouts${query}`)).body;
const brief = (rows: Row[]) => rows.map(({ period, status, count }) => `${period} ${status} ${count}`);

describe('the report on payouts', () => {
  it.each([
    ['day', 10],
    ['month', 7],
    ['year', 4],
    ['status', 0],
  ])('by %s is what the payouts add up to', async (groupBy, length) => {
    const { data, totals } = await report(`?groupBy=${groupBy}`);
    const groups = new Map<string, Row>();
    // Counted another way: from the payouts themselves, in cents.
    const payouts = expectOk(await cast.viewer.get('/api/payouts?limit=200')).body.data;
    expect(payouts).toHaveLength(6);
    for (const payout of payouts) {
      const period = length === 0 ? null : payout.createdAt.slice(0, length);
      const key = `${period} ${payout.status}`;
      const row = groups.get(key) ?? {
        period,
        status: payout.status,
        count: 0,
        grossAmount: 0,
        retentionFee: 0,
        withheldAmount: 0,
        netAmount: 0,
      };
      row.count += 1;
      row.grossAmount += payout.amount;
      row.retentionFee += payout.retentionFee;
      row.withheldAmount += payout.taxWithholding?.withheldAmount ?? 0;
      row.netAmount += payout.netAmount;
      groups.set(key, row);
    }
    const byKey = (a: Row, b: Row) => (`${a.period} ${a.status}` < `${b.period} ${b.status}` ? -1 : 1);
    expect([...data].sort(byKey)).toEqual([...groups.values()].sort(byKey));
    const sum = (part: keyof Row) => data.reduce((total: number, row: Row) => total + Number(row[part]), 0);
    expect(totals).toEqual({
      count: 6,
      grossAmount: sum('grossAmount'),
      retentionFee: sum('retentionFee'),
      withheldAmount: 24000,
      netAmount: sum('netAmount'),
    });
  });

  it('agrees with the sums of the table', async () => {
    const { totals } = await report();
    const [sums] = await cast.service.sql`
      SELECT count(*)::integer AS count, sum(amount)::float AS "grossAmount", sum(retention_fee)::float AS "retentionFee",
             sum(withheld_amount)::float AS "withheldAmount", sum(net_amount)::float AS "netAmount"
        FROM payout_management`;
    expect(totals).toEqual(sums);
    expect(totals.grossAmount).toBe(totals.netAmount + totals.retentionFee + totals.withheldAmount);
  });

  it('is by month unless said, in the order of time and of a payout’s life', async () => {
    const body = await report();
    expect(body.groupBy).toBe('month');
    expect(brief(body.data)).toEqual([
      '2026-10 pending_approval 1',
      '2026-11 ready_for_payment 1',
      '2026-11 completed 2',
      '2026-11 rejected 1',
      '2027-01 completed 1',
    ]);
  });

  it('is of the payouts created from a day on and up to a day', async () => {
    const from = await report('?groupBy=year&from=2026-11-01');
    expect(brief(from.data)).toEqual([
      '2026 ready_for_payment 1',
      '2026 completed 2',
      '2026 rejected 1',
      '2027 completed 1',
    ]);
    expect(from).toMatchObject({ from: '2026-11-01T00:00:00.000Z', to: null });
    const instants = await report('?groupBy=day&from=2026-10-31T23:59:00Z&to=2026-11-01T00:00:00Z');
    expect(brief(instants.data)).toEqual(['2026-10-31 pending_approval 1']);
    const offset = await report('?groupBy=day&from=2026-11-20T14:00:00%2B02:00&to=2026-11-20T12:00:01Z');
    expect(offset.totals.count).toBe(2);
    const days = await report('?groupBy=status&from=2026-11-01&to=2026-11-20');
    expect(brief(days.data)).toEqual(['null ready_for_payment 1', 'null completed 2', 'null rejected 1']);
  });

  it('of no payouts is empty', async () => {
    expect(await report('?from=2030-01-01')).toEqual({
      from: '2030-01-01T00:00:00.000Z',
      to: null,
      groupBy: 'month',
      data: [],
      totals: { count: 0, grossAmount: 0, retentionFee: 0, withheldAmount: 0, netAmount: 0 },
    });
  });

  it('comes as CSV', async () => {
    const answer = await cast.viewer.get('/api/reports/payouts?format=csv&groupBy=month');
    expect(answer.headers.get('content-type')).toContain('text/csv');
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="payouts-by-month.csv"');
    // The mark before it is how spreadsheets know UTF-8.
    expect(String(answer.body).trimEnd().split('\r\n')).toEqual([
      '\uFEFFPeriod (UTC),Status,Payouts,Gross (USD),Retention fee (USD),Withheld (USD),Net (USD)',
      '2026-10,pending_approval,1,100000.00,300.00,0.00,99700.00',
      '2026-11,ready_for_payment,1,100000.00,300.00,24000.00,75700.00',
      '2026-11,completed,2,200000.00,600.00,0.00,199400.00',
      '2026-11,rejected,1,100000.00,300.00,0.00,99700.00',
      '2027-01,completed,1,100000.00,300.00,0.00,99700.00',
    ]);
  });

  it('is for staff of every role, and refuses what it does not know', async () => {
    for (const who of [cast.admin, cast.finance, cast.viewer]) {
      expect((await who.get('/api/reports/payouts')).status).toBe(200);
    }
    const member = await cast.service.newMember();
    expect((await member.get('/api/reports/payouts')).status).toBe(403);
    expect((await cast.service.stranger.get('/api/reports/payouts')).status).toBe(401);
    for (const query of ['groupBy=week', 'from=soon', 'from=2026-02-30', 'format=xml', 'limit=10']) {
      expect([query, (await cast.viewer.get(`/api/reports/payouts?${query}`)).status]).toEqual([query, 400]);
    }
  });

  it('is not broken by the farthest days', async () => {
    for (const query of ['from=0000-01-01', 'to=9999-12-31', 'from=0001-01-01&to=9999-12-31']) {
      expect([query, (await cast.viewer.get(`/api/reports/payouts?${query}`)).status]).not.toEqual([
        query,
        500,
      ]);
    }
  });
});
