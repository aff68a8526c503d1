import { sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';

/** Taken by every initiation until it commits: one at a time looks at what is funded and takes it. */
const INITIATION_LOCK = 7_203_003;

export async function lockInitiation(tx: Tx): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${INITIATION_LOCK})`);
}

/**
 * The lowest numbers that no live payout holds, `count` of them: such as were given back, and then those above all that
 * are held. Looks along two indexes, however many payouts there are.
 */
export async function freeTranches(tx: Tx, count: number): Promise<number[]> {
  const rows = await tx.execute<{ tranche: number }>(sql`
    WITH top AS MATERIALIZED (
      SELECT coalesce(max(funding_tranche), 0) AS held FROM payout_management WHERE status NOT IN ('rejected', 'cancelled')
    )
    (SELECT DISTINCT r.funding_tranche AS tranche FROM payout_management r
      WHERE r.status IN ('rejected', 'cancelled') AND r.funding_tranche < (SELECT held FROM top)
        AND NOT EXISTS (SELECT FROM payout_management l
                         WHERE l.funding_tranche = r.funding_tranche AND l.status NOT IN ('rejected', 'cancelled'))
      ORDER BY 1 LIMIT ${count})
    UNION ALL
    SELECT held + step FROM top, generate_series(1, ${count}::integer) step
    ORDER BY tranche LIMIT ${count}`);
  return rows.map(({ tranche }) => tranche);
}

export async function insertPayout(tx: Tx, row: typeof payoutManagement.$inferInsert): Promise<void> {
  await tx.insert(payoutManagement).values(row);
}
