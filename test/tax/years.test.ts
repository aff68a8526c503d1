/** Sources: IRC 6041(a) and 3406, Form 1099-MISC and Form 945 with their instructions; specification, section 9. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shareOf } from '../../src/kernel/money.ts';
import {
  insertPayouts,
  insertPeople,
  markReturned,
  removePayouts,
  type MadePayout,
} from '../support/paid-years.ts';
import { expectOk, startCast, type Cast } from '../support/stories.ts';

let cast: Cast;
let people: string[];
beforeAll(async () => {
  cast = await startCast();
  cast.service.time.setTo('2028-02-01T12:00:00Z');
  people = await insertPeople(cast.service.sql, 1000);
});
afterAll(() => cast.service.stop());

/** All pages as one. */
async function report(year: number) {
  const path = `/api/reports/tax-forms/${year}?limit=200`;
  const { body } = expectOk(await cast.viewer.get(path));
  for (let { nextCursor } = body; nextCursor !== null;) {
    const page = expectOk(await cast.viewer.get(`${path}&cursor=${nextCursor}`)).body;
    expect(page.totals).toEqual(body.totals);
    body.data.push(...page.data);
    ({ nextCursor } = page);
  }
  return body;
}
const withholding = async (year: number) =>
  expectOk(await cast.viewer.get(`/api/reports/withholding/${year}`)).body;
const issue = async (year: number) =>
  expectOk(await cast.finance.post(`/api/reports/tax-forms/${year}`)).body;
const cents = (amount: number) => Math.round(amount * 100);

/** Written from the rule alone: by person, what left in the year and is not back, where the year wants a form of it. */
async function bySql(year: number, threshold: number) {
  const rows = await cast.service.sql<{ user_id: string; box3: string; box4: string }[]>`
    SELECT u.id AS user_id, (100 * sum(m.amount))::bigint AS box3, (100 * sum(t.withheld_amount))::bigint AS box4
      FROM users u, payout_management m, payment_attempts t
     WHERE m.user_id = u.id AND t.payout_id = m.payout_id
       AND t.sent_at IS NOT NULL AND t.failed_at IS NULL AND date_part('year', t.sent_date) = ${year}
     GROUP BY u.id HAVING sum(m.amount) >= ${threshold} OR max(t.withheld_amount) > 0`;
  return new Map(rows.map((row) => [row.user_id, [Number(row.box3), Number(row.box4)]]));
}

const boxes = (lines: { userId: string; box3OtherIncome: number; box4FederalTaxWithheld: number }[]) =>
  new Map(
    lines.map((line) => [line.userId, [cents(line.box3OtherIncome), cents(line.box4FederalTaxWithheld)]]),
  );

const days = fc.constantFrom('2025-12-31', '2026-01-01', '2026-06-15', '2026-12-31', '2027-01-01');
const attempt = fc.record({ sentDate: days, withheld: fc.boolean() });

/** Up to two attempts come back before one that stays or comes back too; amounts around the thresholds, with odd cents. */
const payout = fc
  .record({
    person: fc.nat({ max: 5 }),
    grossCents: fc.oneof(
      fc.integer({ min: 55_000, max: 65_000 }),
      fc.integer({ min: 190_000, max: 210_000 }),
      fc.integer({ min: 9_999_900, max: 10_000_100 }),
    ),
    attempts: fc.array(attempt, { minLength: 1, maxLength: 3 }),
    end: fc.constantFrom('sent', 'completed', 'failed'),
  })
  .map(({ person, grossCents, attempts, end }): Omit<MadePayout, 'userId'> & { person: number } => ({
    person,
    grossCents,
    attempts: attempts.map(({ sentDate, withheld }, index) => ({
      sentDate,
      withheldCents: withheld ? shareOf(grossCents, 2400) : 0,
      status: index === attempts.length - 1 ? (end as 'sent') : 'failed',
    })),
  }));

describe('the 1099s of generated years', () => {
  it('have the sums that plain SQL finds, as drafts and issued, and box 4 is what Form 945 says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(payout, { minLength: 1, maxLength: 25 }), async (payouts) => {
        await insertPayouts(
          cast.service.sql,
          payouts.map(({ person, ...made }) => ({ ...made, userId: people[person] ?? '' })),
        );
        try {
          for (const [year, threshold] of [
            [2025, 600],
            [2026, 2000],
          ] as const) {
            const expected = await bySql(year, threshold);
            const drafts = await report(year);
            expect(boxes(drafts.data)).toEqual(expected);
            const issued = await issue(year);
            expect(boxes(issued.data)).toEqual(expected);
            expect(issued.data.every((line: { status: string }) => line.status === 'issued')).toBe(true);
            const sums = [...expected.values()].reduce(
              (sum, [a = 0, b = 0]) => [sum[0]! + a, sum[1]! + b],
              [0, 0],
            );
            expect([
              cents(issued.totals.box3OtherIncome),
              cents(issued.totals.box4FederalTaxWithheld),
            ]).toEqual(sums);
            const form945 = await withholding(year);
            expect(cents(form945.form945.line2BackupWithholding)).toBe(sums[1]);
            expect(cents(form945.form945.line7MTotal)).toBe(sums[1]);
          }
        } finally {
          await removePayouts(cast.service.sql);
        }
      }),
      { numRuns: 8 },
    );
  });
});

describe('a year of 1,000 payouts', () => {
  /** Every fifth without a W-9; every tenth came back before the year ended; odd cents here and there. */
  const made = (): (MadePayout & { index: number })[] =>
    people.map((userId, index) => {
      const grossCents = 10_000_000 + (index % 7) * 1_337;
      return {
        index,
        userId,
        grossCents,
        attempts: [
          {
            sentDate: `2026-${String((index % 12) + 1).padStart(2, '0')}-${String((index % 28) + 1).padStart(2, '0')}`,
            withheldCents: index % 5 === 0 ? shareOf(grossCents, 2400) : 0,
            status: index % 10 === 9 ? 'failed' : index % 2 === 0 ? 'completed' : 'sent',
          },
        ],
      };
    });
  const sum = (list: MadePayout[], part: (one: MadePayout) => number) =>
    list.reduce((total, one) => total + part(one), 0);
  const gross = (one: MadePayout) => one.grossCents;
  const withheld = (one: MadePayout) => one.attempts[0]?.withheldCents ?? 0;

  async function expectBoth(standing: MadePayout[]) {
    const forms = await report(2026);
    const live = forms.data.filter((line: { box3OtherIncome: number }) => line.box3OtherIncome > 0);
    expect(live).toHaveLength(standing.length);
    expect(cents(forms.totals.box3OtherIncome)).toBe(sum(standing, gross));
    expect(cents(forms.totals.box4FederalTaxWithheld)).toBe(sum(standing, withheld));
    const form945 = await withholding(2026);
    expect(cents(form945.totalWithheld)).toBe(sum(standing, withheld));
    for (const { month, withheldAmount } of form945.periods) {
      const ofMonth = standing.filter((one) => Number(one.attempts[0]?.sentDate.slice(5, 7)) === month);
      expect([month, cents(withheldAmount)]).toEqual([month, sum(ofMonth, withheld)]);
    }
    const byDay = form945.days.reduce(
      (total: number, day: { withheldAmount: number }) => total + cents(day.withheldAmount),
      0,
    );
    expect(byDay).toBe(sum(standing, withheld));
    return forms;
  }

  it('comes out right to the cent in both reports: paid, withheld, returned and corrected', async () => {
    const { sql, services } = cast.service;
    const all = made();
    const ids = await insertPayouts(sql, all);
    const standing = all.filter(({ index }) => index % 10 !== 9);
    expect(standing).toHaveLength(900);
    const { body: issued } = await cast.finance.post('/api/reports/tax-forms/2026');
    expect(issued.issuing).toEqual({ status: 'done', payees: 900, issued: 900 });
    await expectBoth(standing);

    // In January 20 more come back, half of them of those from whom tax was withheld.
    const back = standing.filter(({ index }) => index % 50 === 0);
    expect(back.filter((one) => withheld(one) > 0).length).toBeGreaterThan(0);
    await markReturned(sql, back.map(({ index }) => ids[index] ?? '')); // prettier-ignore
    await cast.service.database.transaction(async (tx) => {
      for (const { index, userId, attempts } of back)
        await services.taxRoom.compliance.noteReturned(tx, {
          payoutId: ids[index] ?? '',
          userId,
          attempt: 1,
          sentDate: attempts[0]?.sentDate ?? '',
        });
    });
    const marked = (await report(2026)).data.filter(
      (line: { needsCorrection: string | null }) => line.needsCorrection,
    );
    expect(marked).toHaveLength(back.length);
    for (const { formId } of marked)
      expectOk(await cast.finance.post(`/api/tax-forms/${formId}/correct`, { reason: 'It came back.' }));
    const left = standing.filter(({ index }) => index % 50 !== 0);
    const forms = await expectBoth(left);
    expect(forms.data.filter((line: { needsCorrection: string | null }) => line.needsCorrection)).toEqual([]);
    // Again: nobody gets a second copy.
    const again = await issue(2026);
    expect(again.issuing).toEqual({ status: 'done', payees: 0, issued: 0 });
    const [count] =
      await sql`SELECT count(*)::integer AS live FROM tax_forms WHERE form_type = '1099-MISC' AND status = 'issued'`;
    expect(count?.['live']).toBe(900);
  });
});
