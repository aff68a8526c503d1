import { sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';

export type DueKind = 'bank_details' | 'w9';

/** How much of what may be deleted there is. The view decides; guards and deletion look at the same. */
export async function countDue(reader: Reader): Promise<Record<DueKind, number>> {
  const rows = await reader.execute<{ kind: DueKind; count: number }>(
    sql`SELECT kind, count(*)::integer AS count FROM retention_due GROUP BY kind`,
  );
  const counts = new Map(rows.map(({ kind, count }) => [kind, count]));
  return { bank_details: counts.get('bank_details') ?? 0, w9: counts.get('w9') ?? 0 };
}

/** Deletes some of what is due, and returns what it was. */
export async function deleteDue(tx: Tx, most: number): Promise<{ kind: DueKind; subject: string }[]> {
  const rows = await tx.execute<{ kind: DueKind; subject: string }>(
    sql`SELECT kind, subject FROM payout_retention_delete(${most}::integer)`,
  );
  return [...rows];
}

/** What is older than that and kept all the same. */
export async function countKept(reader: Reader): Promise<Record<string, number>> {
  const [row] = await reader.execute<Record<string, number>>(sql`
    SELECT (SELECT count(*)::integer FROM payout_management WHERE updated_at < payout_retention_before()) AS payouts,
           (SELECT count(*)::integer FROM tax_forms WHERE form_type = '1099-MISC'
             AND updated_at < payout_retention_before()) AS forms1099,
           (SELECT count(*)::integer FROM user_audit_logs WHERE created_at < payout_retention_before()) AS "auditEntries"`);
  return { ...row };
}
