import { count, notInArray, sum } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { eligibilityChecks, payoutManagement } from '../db/schema/index.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import { RELEASED_STATUSES } from '../kernel/payout-lifecycle.ts';
import type { EligibilityFigures } from './eligibility-rules.ts';

export async function readAwarded(tx: Tx): Promise<Omit<EligibilityFigures, 'revenueCents'>> {
  const [awarded] = await tx
    .select({ payouts: count(), gross: sum(payoutManagement.amount) })
    .from(payoutManagement)
    .where(notInArray(payoutManagement.status, [...RELEASED_STATUSES]));
  return { awardedPayouts: awarded?.payouts ?? 0, awardedCents: centsFromDecimal(awarded?.gross ?? '0') };
}

export async function insertCheck(
  tx: Tx,
  checkedAt: Date,
  checkedBy: string,
  result: Record<string, unknown>,
): Promise<void> {
  await tx.insert(eligibilityChecks).values({ checkedAt, checkedBy, result });
}
