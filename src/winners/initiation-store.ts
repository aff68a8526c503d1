import { notInArray, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';
import { RELEASED_STATUSES } from '../kernel/payout-lifecycle.ts';

/** Taken by every initiation until it commits: one at a time looks at what is funded and takes it. */
const INITIATION_LOCK = 7_203_003;

export async function lockInitiation(tx: Tx): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${INITIATION_LOCK})`);
}

export async function takenTranches(tx: Tx): Promise<number[]> {
  const rows = await tx
    .select({ tranche: payoutManagement.fundingTranche })
    .from(payoutManagement)
    .where(notInArray(payoutManagement.status, [...RELEASED_STATUSES]));
  return rows.map(({ tranche }) => tranche);
}

export async function insertPayout(tx: Tx, row: typeof payoutManagement.$inferInsert): Promise<void> {
  await tx.insert(payoutManagement).values(row);
}
