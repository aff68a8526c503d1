import { and, asc, desc, eq, gte, lt, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import {
  auditChains,
  auditVerifications,
  payoutManagement,
  taxForms,
  userAuditLogs,
} from '../db/schema/index.ts';
import type { ChainLink } from './chain-walk.ts';
import { FORM_ID_PATTERN, PAYOUT_ID_PATTERN } from '../kernel/ids.ts';
import { cursorInstant, decodeCursor, invalidCursor } from '../kernel/paging.ts';

export type AuditRow = typeof userAuditLogs.$inferSelect;
export type VerificationRow = typeof auditVerifications.$inferSelect;

export interface AuditFilter {
  entityType?: string | undefined;
  entityId?: string | undefined;
  action?: string | undefined;
  adminId?: number | undefined;
  userId?: string | undefined;
  /** Inclusive. */
  from?: Date | undefined;
  /** Exclusive. */
  to?: Date | undefined;
  limit: number;
  cursor?: string | undefined;
}

/** Newest first; one row more than the limit, so that the caller sees whether there is a next page. */
export async function listEntries(reader: Reader, filter: AuditFilter): Promise<AuditRow[]> {
  const { entityType, entityId, action, adminId, userId, from, to, cursor } = filter;
  const conditions: (SQL | undefined)[] = [
    entityType === undefined ? undefined : eq(userAuditLogs.entityType, entityType),
    entityId === undefined ? undefined : eq(userAuditLogs.entityId, entityId),
    action === undefined ? undefined : eq(userAuditLogs.action, action),
    adminId === undefined ? undefined : eq(userAuditLogs.adminId, adminId),
    userId === undefined ? undefined : eq(userAuditLogs.userId, userId),
    from && gte(userAuditLogs.createdAt, from),
    to && lt(userAuditLogs.createdAt, to),
    cursor === undefined ? undefined : isBefore(cursor),
  ];
  return reader
    .select()
    .from(userAuditLogs)
    .where(and(...conditions))
    .orderBy(desc(userAuditLogs.createdAt), desc(userAuditLogs.sequence))
    .limit(filter.limit + 1);
}

/** By time first: so a page of some month years ago is found by its index, where by number it would be walked to. */
export const placeOf = ({ createdAt, sequence }: AuditRow) => [createdAt.toISOString(), sequence] as const;

function isBefore(cursor: string): SQL {
  const [time, sequence] = decodeCursor(cursor, 2);
  if (!Number.isSafeInteger(sequence)) throw invalidCursor();
  return sql`(${userAuditLogs.createdAt}, ${userAuditLogs.sequence}) < (${cursorInstant(time).toISOString()}::timestamptz, ${sequence}::bigint)`;
}

/** Where the walk over all chains stands. */
export type ChainPlace = Pick<AuditRow, 'entityType' | 'entityId' | 'chainIndex'>;

/**
 * The entries after `after` in the order of chains, each with the head of its chain. A page is one statement and so one
 * consistent picture. Times come as text: of a time with microseconds, which we never write, something must be left to
 * see. Heads are looked up row by row: a join might walk all of them from the start for every page.
 */
export async function readChainLinks(
  reader: Reader,
  after: ChainPlace | undefined,
  limit: number,
): Promise<ChainLink[]> {
  const rest = after
    ? sql`WHERE (entity_type, entity_id, chain_index) > (${after.entityType}, ${after.entityId}, ${after.chainIndex})`
    : sql``;
  const rows = await reader.execute<Omit<ChainLink, 'sequence'> & { sequence: string }>(sql`
    SELECT l.id, l.sequence, l.entity_type AS "entityType", l.entity_id AS "entityId",
           l.chain_index AS "chainIndex", l.previous_hash AS "previousHash", l.hash,
           to_char(l.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') AS "createdAt",
           l.actor, l.user_id AS "userId", l.admin_id AS "adminId", l.action, l.success,
           l.error_message AS "errorMessage", l.old_values AS "oldValues", l.new_values AS "newValues", l.metadata,
           l.ip_address AS "ipAddress", l.user_agent AS "userAgent", l.request_id AS "requestId",
           head.length AS "headLength", head.hash AS "headHash"
      FROM (SELECT * FROM user_audit_logs ${rest} ORDER BY entity_type, entity_id, chain_index LIMIT ${limit}) l
      LEFT JOIN LATERAL (SELECT h.length, h.hash FROM audit_chains h
                          WHERE h.entity_type = l.entity_type AND h.entity_id = l.entity_id LIMIT 1) head ON true
     ORDER BY l.entity_type, l.entity_id, l.chain_index`);
  return rows.map((row) => ({
    ...row,
    sequence: Number(row.sequence),
    createdAt: `${row.createdAt.replace(/000$/, '')}Z`,
  }));
}

/** The heads of chains none of whose entries is left, the first hundred thousand. */
export async function findEmptyChains(
  reader: Reader,
): Promise<{ entityType: string; entityId: string; length: number; hash: string }[]> {
  const { entityType, entityId, length, hash } = auditChains;
  return reader
    .select({ entityType, entityId, length, hash })
    .from(auditChains)
    .where(
      sql`NOT EXISTS (SELECT 1 FROM ${userAuditLogs} WHERE ${userAuditLogs.entityType} = ${entityType} AND ${userAuditLogs.entityId} = ${entityId})`,
    )
    .orderBy(asc(entityType), asc(entityId))
    .limit(100_000);
}

export async function insertVerification(tx: Tx, row: typeof auditVerifications.$inferInsert): Promise<void> {
  await tx.insert(auditVerifications).values(row);
}

export async function findLastVerification(reader: Reader): Promise<VerificationRow | undefined> {
  const [row] = await reader.select().from(auditVerifications).orderBy(desc(auditVerifications.id)).limit(1);
  return row;
}

/** Is there such a payout or form? The id comes from an address as it was sent, and may be anything. */
export async function subjectExists(
  reader: Reader,
  entityType: 'payout' | 'tax_form',
  entityId: string,
): Promise<boolean> {
  if (!(entityType === 'payout' ? PAYOUT_ID_PATTERN : FORM_ID_PATTERN).test(entityId)) return false;
  const [table, column] =
    entityType === 'payout' ? [payoutManagement, payoutManagement.payoutId] : [taxForms, taxForms.formId];
  const rows = await reader.select({ id: column }).from(table).where(eq(column, entityId));
  return rows.length > 0;
}
