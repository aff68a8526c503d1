import { asc, desc, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { auditAnchors, auditCheckpoints } from '../db/schema/index.ts';
import type { Head } from './checkpoint-rules.ts';

export type CheckpointRow = typeof auditCheckpoints.$inferSelect;
export type AnchorRow = typeof auditAnchors.$inferSelect;

/** Held while a checkpoint is made: one at a time over all instances. */
const CHECKPOINT_LOCK = 7_203_006;

export async function lockCheckpoints(tx: Tx): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${CHECKPOINT_LOCK})`);
}

export async function lastCheckpoint(reader: Reader): Promise<CheckpointRow | undefined> {
  const [row] = await reader.select().from(auditCheckpoints).orderBy(desc(auditCheckpoints.number)).limit(1);
  return row;
}

export const allCheckpoints = (reader: Reader): Promise<CheckpointRow[]> =>
  reader.select().from(auditCheckpoints).orderBy(asc(auditCheckpoints.number));

export async function insertCheckpoint(tx: Tx, row: CheckpointRow): Promise<void> {
  await tx.insert(auditCheckpoints).values(row);
}

export const allAnchors = (reader: Reader): Promise<AnchorRow[]> =>
  reader.select().from(auditAnchors).orderBy(asc(auditAnchors.length));

/**
 * The heads that moved in `since` or a later transaction, the size of the log at the same moment, and the transaction
 * from which on the next look must begin: every earlier one has ended. A database that was restored elsewhere counts its
 * transactions anew, and then all heads are taken.
 */
export async function movedHeads(
  tx: Tx,
  since: string,
): Promise<{ heads: Head[]; entries: number; chains: number; horizon: string }> {
  const [before] = await tx.execute<{ horizon: string }>(
    sql`SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon`,
  );
  const horizon = before?.horizon ?? '0';
  const from = BigInt(since) > BigInt(horizon) ? '0' : since;
  const [now] = await tx.execute<{ heads: Head[] | null; entries: string; chains: string }>(sql`
    SELECT (SELECT jsonb_agg(jsonb_build_array(entity_type, entity_id, length, hash)
                             ORDER BY entity_type COLLATE "C", entity_id COLLATE "C")
              FROM audit_chains WHERE moved_in >= ${from}::xid8) AS heads,
           (SELECT count(*) FROM user_audit_logs) AS entries,
           (SELECT count(*) FROM audit_chains) AS chains`);
  return {
    heads: now?.heads ?? [],
    entries: Number(now?.entries),
    chains: Number(now?.chains),
    horizon,
  };
}

/** Has a payment's chain moved that may not be in a checkpoint yet? */
export async function paymentMovedSince(reader: Reader, horizon: string): Promise<boolean> {
  const rows = await reader.execute(sql`
    SELECT 1 FROM audit_chains WHERE moved_in >= ${horizon}::xid8 AND entity_type = 'payment' LIMIT 1`);
  return rows.length > 0;
}
