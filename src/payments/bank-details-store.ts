import { and, desc, eq, getTableColumns, isNotNull } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { bankDetails, payoutManagement } from '../db/schema/index.ts';

export type BankDetailsRow = typeof bankDetails.$inferSelect;

export async function findDetails(
  reader: Reader,
  payoutId: string,
  version: number,
): Promise<BankDetailsRow | undefined> {
  const [row] = await reader
    .select()
    .from(bankDetails)
    .where(and(eq(bankDetails.payoutId, payoutId), eq(bankDetails.version, version)));
  return row;
}

export async function lastVersion(reader: Reader, payoutId: string): Promise<number> {
  const [row] = await reader
    .select({ version: bankDetails.version })
    .from(bankDetails)
    .where(eq(bankDetails.payoutId, payoutId))
    .orderBy(desc(bankDetails.version))
    .limit(1);
  return row?.version ?? 0;
}

/** What the member gave last, for whichever payout, and since when it is a change there. */
export async function findLastGiven(
  reader: Reader,
  userId: string,
): Promise<(BankDetailsRow & { changedAt: Date | null }) | undefined> {
  const [row] = await reader
    .select({ ...getTableColumns(bankDetails), changedAt: payoutManagement.bankDetailsChangedAt })
    .from(bankDetails)
    .innerJoin(payoutManagement, eq(payoutManagement.payoutId, bankDetails.payoutId))
    .where(eq(payoutManagement.userId, userId))
    .orderBy(desc(bankDetails.createdAt), desc(bankDetails.version))
    .limit(1);
  return row;
}

export async function insertDetails(tx: Tx, row: typeof bankDetails.$inferInsert): Promise<void> {
  await tx.insert(bankDetails).values(row);
}

/** Has a payment to these numbers failed because of the account, for any payout of this member? */
export async function wasRefused(reader: Reader, userId: string, fingerprint: string): Promise<boolean> {
  const rows = await reader
    .select({ id: bankDetails.id })
    .from(bankDetails)
    .innerJoin(payoutManagement, eq(payoutManagement.payoutId, bankDetails.payoutId))
    .where(
      and(
        eq(payoutManagement.userId, userId),
        eq(bankDetails.fingerprint, fingerprint),
        isNotNull(bankDetails.refusedAt),
      ),
    )
    .limit(1);
  return rows.length > 0;
}

export async function refuseDetails(tx: Tx, payoutId: string, version: number, at: Date): Promise<void> {
  await tx
    .update(bankDetails)
    .set({ refusedAt: at })
    .where(and(eq(bankDetails.payoutId, payoutId), eq(bankDetails.version, version)));
}
