import { and, eq, isNull, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { withholdingLiabilities } from '../db/schema/index.ts';
import { centsFromDecimal, decimalFromCents, type Cents } from '../kernel/money.ts';

export interface Liability {
  payoutId: string;
  attempt: number;
  liabilityDate: string;
  amountCents: Cents;
  at: Date;
}

/** What was withheld from a payment is owed from the day on which the payment was sent. */
export async function insertLiability(tx: Tx, { amountCents, at, ...liability }: Liability): Promise<void> {
  await tx
    .insert(withholdingLiabilities)
    .values({ ...liability, amount: decimalFromCents(amountCents), createdAt: at });
}

/** Takes the liability of a payment back, if there is one. */
export async function reverseLiability(
  tx: Tx,
  payoutId: string,
  attempt: number,
  reason: string,
  at: Date,
): Promise<void> {
  await tx
    .update(withholdingLiabilities)
    .set({ reversedAt: at, reversalReason: reason })
    .where(
      and(
        eq(withholdingLiabilities.payoutId, payoutId),
        eq(withholdingLiabilities.attempt, attempt),
        isNull(withholdingLiabilities.reversedAt),
      ),
    );
}

export interface LiabilityDay {
  date: string;
  payments: number;
  withheldCents: Cents;
}

/** What is owed for a year, by the day on which it came to be owed. */
export async function readLiabilities(reader: Reader, year: number): Promise<LiabilityDay[]> {
  const rows = await reader.execute<{ date: string; payments: number; withheld: string }>(sql`
    SELECT l.liability_date::text AS date, count(*)::integer AS payments, sum(l.amount) AS withheld
      FROM withholding_liabilities l
     WHERE l.reversed_at IS NULL
       AND l.liability_date >= make_date(${year}, 1, 1) AND l.liability_date < make_date(${year + 1}, 1, 1)
     GROUP BY l.liability_date ORDER BY l.liability_date`);
  return rows.map(({ date, payments, withheld }) => ({
    date,
    payments,
    withheldCents: centsFromDecimal(withheld),
  }));
}
