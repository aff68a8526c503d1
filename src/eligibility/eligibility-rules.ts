import { thirtyDayMonthsBetween } from '../kernel/calendar.ts';
import type { Cents } from '../kernel/money.ts';

export interface EligibilityTerms {
  launchDate: Date;
  payoutThresholdCents: Cents;
  rewardPerWinnerCents: Cents;
}

/** What the decision rests on, read at one moment. */
export interface EligibilityFigures {
  revenueCents: Cents;
  /** Payouts that are not rejected or cancelled, and their gross. */
  awardedPayouts: number;
  awardedCents: Cents;
}

export interface EligibilityVerdict {
  isEligible: boolean;
  /** Revenue and age suffice, whether or not a payout is left to award. */
  companyQualifies: boolean;
  companyAgeMonths: number;
  potentialWinners: number;
  availableSlots: number;
  reason?: string;
}

const MIN_AGE_MONTHS = 12;
const CHECK_HOUR_UTC = 2;

/** The three conditions of section 5; the reason names every one that is not met. */
export function judgeEligibility(
  figures: EligibilityFigures,
  terms: EligibilityTerms,
  now: Date,
): EligibilityVerdict {
  const companyAgeMonths = thirtyDayMonthsBetween(terms.launchDate, now);
  const unspentCents = figures.revenueCents - figures.awardedCents;
  const availableSlots = Math.max(0, Math.floor(unspentCents / terms.rewardPerWinnerCents));
  const ofCompany = [
    ...(figures.revenueCents < terms.payoutThresholdCents ? ['Revenue is below the payout threshold.'] : []),
    ...(companyAgeMonths < MIN_AGE_MONTHS
      ? [`The company is ${companyAgeMonths} months old, less than ${MIN_AGE_MONTHS}.`]
      : []),
  ];
  const reasons = [
    ...ofCompany,
    ...(availableSlots < 1 ? ['Every payout that revenue funds has been awarded.'] : []),
  ];
  return {
    isEligible: reasons.length === 0,
    companyQualifies: ofCompany.length === 0,
    companyAgeMonths,
    potentialWinners: Math.floor(figures.revenueCents / terms.rewardPerWinnerCents),
    availableSlots,
    ...(reasons.length > 0 ? { reason: reasons.join(' ') } : {}),
  };
}

/** The next 02:00 UTC after this moment. */
export function nextCheckAfter(now: Date): Date {
  const next = new Date(now);
  next.setUTCHours(CHECK_HOUR_UTC, 0, 0, 0);
  if (next <= now) next.setUTCDate(next.getUTCDate() + 1);
  return next;
}
