import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  judgeEligibility,
  nextCheckAfter,
  type EligibilityFigures,
  type EligibilityTerms,
} from '../../src/eligibility/eligibility-rules.ts';
import type { Answer, Caller } from '../support/caller.ts';
import { expectOk } from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const DAY_MS = 86_400_000;
const LAUNCH = new Date('2024-01-01T00:00:00Z');
const MONTH_MS = 30 * DAY_MS;

const cents = fc.integer({ min: 0, max: 2_000_000_000 });
/** Payouts that are live, each initiated under a reward of its own. */
const awards = fc.array(fc.integer({ min: 1, max: 20_000_000 }), { maxLength: 20 });
const figures: fc.Arbitrary<EligibilityFigures> = fc.record({ revenueCents: cents, awards }).map((given) => ({
  revenueCents: given.revenueCents,
  awardedPayouts: given.awards.length,
  awardedCents: given.awards.reduce((sum, award) => sum + award, 0),
}));
const terms: fc.Arbitrary<EligibilityTerms> = fc
  .record({ threshold: cents, reward: fc.integer({ min: 1, max: 20_000_000 }) })
  .map(({ threshold, reward }) => ({
    launchDate: LAUNCH,
    payoutThresholdCents: threshold,
    rewardPerWinnerCents: reward,
  }));
const ageMs = fc.integer({ min: 0, max: 5 * 365 * DAY_MS });
const at = (age: number) => new Date(LAUNCH.getTime() + age);

describe('the rules of eligibility', () => {
  it('want revenue, age and a payout that is funded and not awarded, all three', () => {
    fc.assert(
      fc.property(figures, terms, ageMs, (given, under, age) => {
        const verdict = judgeEligibility(given, under, at(age));
        const enough = given.revenueCents >= under.payoutThresholdCents;
        const old = age >= 12 * MONTH_MS;
        const left = given.revenueCents - given.awardedCents >= under.rewardPerWinnerCents;
        expect(verdict.isEligible).toBe(enough && old && left);
        expect(verdict.companyQualifies).toBe(enough && old);
      }),
      { numRuns: 1000 },
    );
  });

  it('never fund more than revenue, and leave less than one reward over', () => {
    fc.assert(
      fc.property(figures, terms, (given, under) => {
        const { availableSlots, potentialWinners } = judgeEligibility(given, under, at(0));
        const reward = under.rewardPerWinnerCents;
        expect(availableSlots).toBeGreaterThanOrEqual(0);
        if (availableSlots > 0)
          expect(given.awardedCents + availableSlots * reward).toBeLessThanOrEqual(given.revenueCents);
        expect(given.awardedCents + (availableSlots + 1) * reward).toBeGreaterThan(given.revenueCents);
        expect(potentialWinners * reward).toBeLessThanOrEqual(given.revenueCents);
        expect((potentialWinners + 1) * reward).toBeGreaterThan(given.revenueCents);
      }),
      { numRuns: 1000 },
    );
  });

  it('give, under one reward, max(0, potential - awarded) slots', () => {
    fc.assert(
      fc.property(cents, fc.integer({ min: 0, max: 300 }), terms, (revenueCents, awardedPayouts, under) => {
        const awardedCents = awardedPayouts * under.rewardPerWinnerCents;
        const verdict = judgeEligibility({ revenueCents, awardedPayouts, awardedCents }, under, at(0));
        expect(verdict.availableSlots).toBe(Math.max(0, verdict.potentialWinners - awardedPayouts));
      }),
    );
  });

  it('are not met less by a dollar or a day more', () => {
    fc.assert(
      fc.property(figures, terms, ageMs, cents, ageMs, (given, under, age, more, longer) => {
        const now = judgeEligibility(given, under, at(age));
        const later = judgeEligibility(
          { ...given, revenueCents: given.revenueCents + more },
          under,
          at(age + longer),
        );
        expect(later.availableSlots).toBeGreaterThanOrEqual(now.availableSlots);
        if (now.isEligible) expect(later.isEligible).toBe(true);
      }),
    );
  });

  it('give a reason exactly when they are not met', () => {
    fc.assert(
      fc.property(figures, terms, ageMs, (given, under, age) => {
        const { isEligible, reason } = judgeEligibility(given, under, at(age));
        expect(reason === undefined).toBe(isEligible);
        expect(reason?.includes('Revenue is below') ?? false).toBe(
          given.revenueCents < under.payoutThresholdCents,
        );
        expect(reason?.includes('months old') ?? false).toBe(age < 12 * MONTH_MS);
      }),
    );
  });

  it('count months of 30 days', () => {
    fc.assert(
      fc.property(ageMs, (age) => {
        const { companyAgeMonths } = judgeEligibility(
          { revenueCents: 0, awardedPayouts: 0, awardedCents: 0 },
          { launchDate: LAUNCH, payoutThresholdCents: 1, rewardPerWinnerCents: 1 },
          at(age),
        );
        expect(companyAgeMonths * MONTH_MS).toBeLessThanOrEqual(age);
        expect((companyAgeMonths + 1) * MONTH_MS).toBeGreaterThan(age);
      }),
    );
  });

  it('set the next check to the first 02:00 UTC after now', () => {
    fc.assert(
      fc.property(fc.date({ min: LAUNCH, max: new Date('2060-01-01'), noInvalidDate: true }), (now) => {
        const next = nextCheckAfter(now);
        expect(next.toISOString().slice(11)).toBe('02:00:00.000Z');
        const wait = next.getTime() - now.getTime();
        expect(wait).toBeGreaterThan(0);
        expect(wait).toBeLessThanOrEqual(DAY_MS);
      }),
    );
  });
});

describe('over HTTP', () => {
  let service: TestService;
  let admin: Caller;
  let other: Caller;
  let viewer: Caller;
  let members: Caller[];
  beforeAll(async () => {
    service = await startTestService();
    [admin, other, viewer] = await Promise.all([
      service.newStaff('admin'),
      service.newStaff('admin', 'other'),
      service.newStaff('viewer'),
    ]);
    members = [await service.newMember(), await service.newMember({ kyc: 'pending' })];
    await service.newMember({ subscription: 'trialing' });
  });
  afterAll(() => service.stop());

  const read = async () => expectOk(await viewer.get('/api/payouts/eligibility')).body;
  const check = () => admin.post('/api/payouts/check-eligibility');
  const alerts = (
    category: string,
  ) => service.sql`SELECT severity, message, details, closed_at FROM admin_alerts
    WHERE category = ${category} ORDER BY created_at, id`;
  const openAlerts = async (category: string) =>
    (await alerts(category)).filter((alert) => alert['closed_at'] === null).length;
  const mails = async () =>
    (
      await service.sql<{ user_id: string }[]>`SELECT user_id FROM notifications
        WHERE template = 'payouts-available'`
    ).map((row) => row.user_id);
  const refund = (amount: number) =>
    service.sql`UPDATE user_payments SET status = 'refunded' WHERE amount = ${amount}`;

  it('nothing is eligible while revenue is too low, and looking records nothing', async () => {
    expect(await read()).toEqual({
      isEligible: false,
      totalRevenue: 3600,
      companyAgeMonths: 35,
      potentialWinners: 0,
      eligibleMemberCount: 2,
      awardedPayouts: 0,
      availableSlots: 0,
      nextCheckDate: '2026-11-21T02:00:00.000Z',
      reason: expect.stringContaining('Revenue is below the payout threshold.'),
    });
    expect(await service.sql`SELECT 1 FROM eligibility_checks`).toHaveLength(0);
  });

  it('a check that finds nothing is recorded, without an alert or a mail', async () => {
    expect(expectOk(await check()).body).toEqual(await read());
    const rows = await service.sql`SELECT checked_by, result FROM eligibility_checks`;
    expect(rows).toMatchObject([{ checked_by: `staff:${admin.adminId}`, result: { isEligible: false } }]);
    const audited = await service.sql`SELECT admin_id, new_values FROM user_audit_logs
      WHERE entity_type = 'eligibility' AND action = 'checked'`;
    expect(audited).toMatchObject([{ admin_id: admin.adminId, new_values: { totalRevenue: 3600 } }]);
    expect(await alerts('payout_eligible')).toHaveLength(0);
    expect(await mails()).toEqual([]);
  });

  it('a check that finds payouts raises one alert and writes to each admin once', async () => {
    await service.fund(3);
    expect(expectOk(await check()).body).toMatchObject({
      isEligible: true,
      totalRevenue: 303600,
      potentialWinners: 3,
      availableSlots: 3,
    });
    expect((await read()).reason).toBeUndefined();
    expect(await alerts('payout_eligible')).toMatchObject([
      { severity: 'info', closed_at: null, details: { availableSlots: 3 } },
    ]);
    expect((await mails()).sort()).toEqual([admin.userId, other.userId].sort());
    expectOk(await check());
    expectOk(await check());
    expect(await alerts('payout_eligible')).toHaveLength(1);
    expect(await mails()).toHaveLength(2);
  });

  it('many checks at once raise no second alert', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, check));
    expect(answers.map(({ status }) => status)).toEqual(Array<number>(8).fill(200));
    expect(await openAlerts('payout_eligible')).toBe(1);
    expect(await mails()).toHaveLength(2);
  });

  it('an alert that was acknowledged stays one', async () => {
    const { data } = expectOk(await admin.get('/api/admin-alerts?category=payout_eligible')).body;
    expectOk(await admin.post(`/api/admin-alerts/${data[0].id}/acknowledge`));
    expectOk(await check());
    expect(await alerts('payout_eligible')).toHaveLength(1);
    expect(await mails()).toHaveLength(2);
  });

  it('awarding takes a slot, and no slot left is no eligibility', async () => {
    await service.newMember();
    const { data } = expectOk(
      await admin.post('/api/payouts/initiate', { userIds: [members[0]!.userId] }),
    ).body;
    expect(await read()).toMatchObject({
      isEligible: true,
      awardedPayouts: 1,
      availableSlots: 2,
      eligibleMemberCount: 2,
    });
    expectOk(await admin.post(`/api/payouts/${data[0].payoutId}/cancel`, { reason: 'A test.' }));
    expect(await read()).toMatchObject({ awardedPayouts: 0, availableSlots: 3, eligibleMemberCount: 3 });
  });

  it('one more funded payout is news: another alert takes the place of the first, and admins are written to', async () => {
    const before = (await mails()).length;
    await service.fund(1);
    expect(expectOk(await check()).body).toMatchObject({ availableSlots: 4 });
    // Of the same moment, so in no order.
    const told = (await alerts('payout_eligible')).map((alert) => alert['details'].availableSlots as number);
    expect(told.toSorted()).toEqual([3, 4]);
    expect(await openAlerts('payout_eligible')).toBe(1);
    expect(await mails()).toHaveLength(before + 2);
    await refund(100_000);
    expect(expectOk(await check()).body).toMatchObject({ availableSlots: 3 });
    expect(await alerts('payout_eligible')).toHaveLength(2);
    expect(await mails()).toHaveLength(before + 2);
  });

  it('a refund closes the alert; new revenue raises another, and mails again', async () => {
    await refund(300_000);
    expect(expectOk(await check()).body).toMatchObject({ isEligible: false, availableSlots: 0 });
    expect(await openAlerts('payout_eligible')).toBe(0);
    await service.fund(1);
    expect(expectOk(await check()).body).toMatchObject({ isEligible: true, availableSlots: 1 });
    expect(await alerts('payout_eligible')).toHaveLength(3);
    expect(await openAlerts('payout_eligible')).toBe(1);
    expect(await mails()).toHaveLength(6);
  });

  it('a refund of what was awarded warns of the shortfall once, until revenue is back', async () => {
    expectOk(await admin.post('/api/payouts/initiate', { userIds: [members[0]!.userId] }));
    expectOk(await check());
    expect(await openAlerts('revenue_shortfall')).toBe(0);
    await refund(100_000);
    expect(expectOk(await check()).body).toMatchObject({
      isEligible: false,
      awardedPayouts: 1,
      potentialWinners: 0,
      availableSlots: 0,
    });
    expectOk(await check());
    expect(await alerts('revenue_shortfall')).toMatchObject([
      { severity: 'warning', message: expect.stringContaining('$100,000.00') },
    ]);
    const another = await admin.post('/api/payouts/initiate', { userIds: [members[1]!.userId] });
    expect([another.status, another.body.error.code]).toEqual([422, 'NOT_ELIGIBLE']);
    expect(expectOk(await viewer.get('/api/payouts?status=pending_approval')).body.data).toMatchObject([
      { userId: members[0]!.userId },
    ]);
    await service.fund(1);
    expectOk(await check());
    expect(await openAlerts('revenue_shortfall')).toBe(0);
  });

  it('a larger reward than before is no shortfall, a smaller one hides none', async () => {
    const withReward = async (reward: string) => {
      const beside = await startTestService({ beside: service, env: { REWARD_PER_WINNER: reward } });
      try {
        const actor = { kind: 'system', name: 'test' } as const;
        return await beside.services.eligibility.recordCheck(actor);
      } finally {
        await beside.stop();
      }
    };
    // One payout of $100,000 is awarded of a little more than $100,000.
    expect(await withReward('200000')).toMatchObject({ potentialWinners: 0, awardedPayouts: 1 });
    expect(await openAlerts('revenue_shortfall')).toBe(0);
    await service.sql`UPDATE user_payments SET amount = 90000 WHERE amount = 100000 AND status = 'succeeded'`;
    expect(await withReward('10000')).toMatchObject({ potentialWinners: 9, availableSlots: 0 });
    expect(await openAlerts('revenue_shortfall')).toBe(1);
  });

  it('the company’s age counts by the service’s clock', async () => {
    service.time.setTo('2024-12-25T23:59:59.999Z');
    expect(await read()).toMatchObject({ companyAgeMonths: 11, isEligible: false });
    expect((await read()).reason).toContain('11 months old');
    service.time.setTo('2024-12-26T00:00:00.000Z');
    expect(await read()).toMatchObject({ companyAgeMonths: 12 });
  });

  it.each<[string, () => Promise<Answer>]>([
    ['a viewer checking', () => viewer.post('/api/payouts/check-eligibility')],
    ['a member checking', () => members[1]!.post('/api/payouts/check-eligibility')],
    ['a member reading', () => members[1]!.get('/api/payouts/eligibility')],
  ])('%s is refused', async (_who, call) => {
    const { status, body } = await call();
    expect([status, body.error.code]).toEqual([403, 'FORBIDDEN']);
  });
});
