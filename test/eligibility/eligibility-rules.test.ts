/** Section 5 of the specification. */
import { describe, expect, it } from 'vitest';
import { judgeEligibility, nextCheckAfter } from '../../src/eligibility/eligibility-rules.ts';

const DAY_MS = 86_400_000;
const now = new Date('2026-11-20T12:00:00Z');
const terms = {
  launchDate: new Date(now.getTime() - 360 * DAY_MS),
  payoutThresholdCents: 10_000_000,
  rewardPerWinnerCents: 10_000_000,
};
const judge = (revenueCents: number, awardedPayouts = 0, awardedCents = awardedPayouts * 10_000_000, at = now) =>
  judgeEligibility({ revenueCents, awardedPayouts, awardedCents }, terms, at); // prettier-ignore

describe('payouts can be issued', () => {
  it('at the very threshold, at twelve months of 30 days, with one payout funded', () => {
    expect(judge(10_000_000)).toEqual({
      isEligible: true,
      companyQualifies: true,
      companyAgeMonths: 12,
      potentialWinners: 1,
      availableSlots: 1,
    });
  });

  it('not a cent below the threshold', () => {
    expect(judge(9_999_999)).toEqual({
      isEligible: false,
      companyQualifies: false,
      companyAgeMonths: 12,
      potentialWinners: 0,
      availableSlots: 0,
      reason: 'Revenue is below the payout threshold. Every payout that revenue funds has been awarded.',
    });
  });

  it('not a moment before twelve months', () => {
    expect(judge(35_000_000, 0, 0, new Date(now.getTime() - 1))).toEqual({
      isEligible: false,
      companyQualifies: false,
      companyAgeMonths: 11,
      potentialWinners: 3,
      availableSlots: 3,
      reason: 'The company is 11 months old, less than 12.',
    });
  });

  it('not when all that revenue funds is awarded', () => {
    expect(judge(39_999_999, 3)).toEqual({
      isEligible: false,
      companyQualifies: true,
      companyAgeMonths: 12,
      potentialWinners: 3,
      availableSlots: 0,
      reason: 'Every payout that revenue funds has been awarded.',
    });
  });

  it('from what live payouts leave of the revenue, and never fewer than none', () => {
    // After a reward of $50,000, two of them.
    expect(judge(35_000_000, 2, 10_000_000).availableSlots).toBe(2);
    expect(judge(10_000_000, 3).availableSlots).toBe(0);
  });
});

it.each([
  ['2026-11-20T01:59:59.999Z', '2026-11-20T02:00:00.000Z'],
  ['2026-11-20T02:00:00.000Z', '2026-11-21T02:00:00.000Z'],
  ['2026-12-31T12:34:56.789Z', '2027-01-01T02:00:00.000Z'],
])('the check after %s is at %s', (from, next) => {
  const at = new Date(from);
  expect(nextCheckAfter(at).toISOString()).toBe(next);
  expect(at.toISOString()).toBe(from);
});
