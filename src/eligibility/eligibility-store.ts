import { and, count, eq, notInArray, sql, sum } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { eligibilityChecks, payoutManagement, userPayments } from '../db/schema/index.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import { RELEASED_STATUSES } from '../kernel/payout-lifecycle.ts';
import type { EligibilityFigures } from './eligibility-rules.ts';

/** Succeeded payments in dollars, less nothing: a refunded payment has another status (specification, section 5). */
export async function readRevenueCents(reader: Reader): Promise<number> {
  const [row] = await reader
    .select({ total: sum(userPayments.amount) })
    .from(userPayments)
    .where(and(eq(userPayments.status, 'succeeded'), sql`upper(${userPayments.currency}) = 'USD'`));
  return centsFromDecimal(row?.total ?? '0');
}

export async function readFigures(reader: Reader): Promise<EligibilityFigures> {
  const [revenueCents, [awarded]] = await Promise.all([
    readRevenueCents(reader),
    reader
      .select({ payouts: count(), gross: sum(payoutManagement.amount) })
      .from(payoutManagement)
      .where(notInArray(payoutManagement.status, [...RELEASED_STATUSES])),
  ]);
  return {
    revenueCents,
    awardedPayouts: awarded?.payouts ?? 0,
    awardedCents: centsFromDecimal(awarded?.gross ?? '0'),
  };
}

export async function insertCheck(
  tx: Tx,
  checkedAt: Date,
  checkedBy: string,
  result: Record<string, unknown>,
): Promise<void> {
  await tx.insert(eligibilityChecks).values({ checkedAt, checkedBy, result });
}
