import { and, asc, desc, eq, gte, lt, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import {
  auditChains,
  auditVerifications,
  payoutManagement,
  taxForms,
  userAuditLogs,
} from '../db/schema/index.ts';
import { FORM_ID_PATTERN, PAYOUT_ID_PATTERN } from '../kernel/ids.ts';
import { decodeCursor, invalidCursor } from '../kernel/paging.ts';

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
    cursor === undefined ? undefined : lt(userAuditLogs.sequence, sequenceIn(cursor)),
  ];
  return reader
    .select()
    .from(userAuditLogs)
    .where(and(...conditions))
    .orderBy(desc(userAuditLogs.sequence))
    .limit(filter.limit + 1);
}

function sequenceIn(cursor: string): number {
  const [sequence] = decodeCursor(cursor, 1);
  if (typeof sequence === 'number' && Number.isSafeInteger(sequence)) return sequence;
  throw invalidCursor();
}

/** Where the walk over all chains stands. */
export type ChainPlace = Pick<AuditRow, 'entityType' | 'entityId' | 'chainIndex'>;

/** An entry, and the head of its chain as it was at the same moment; both null where the chain has no head. */
export interface ChainLink {
  entry: AuditRow;
  headLength: number | null;
  headHash: string | null;
}

/** The entries after `after` in the order of chains. Each page is one statement and so one consistent picture. */
export async function readChainLinks(
  reader: Reader,
  after: ChainPlace | undefined,
  limit: number,
): Promise<ChainLink[]> {
  const { entityType, entityId, chainIndex } = userAuditLogs;
  return reader
    .select({ entry: userAuditLogs, headLength: headOf<number>('length'), headHash: headOf<string>('hash') })
    .from(userAuditLogs)
    .where(
      after &&
        sql`(${entityType}, ${entityId}, ${chainIndex}) > (${after.entityType}, ${after.entityId}, ${after.chainIndex})`,
    )
    .orderBy(asc(entityType), asc(entityId), asc(chainIndex))
    .limit(limit);
}

/** Looked up row by row: a join might walk all heads from the start for every page. */
const headOf = <T>(column: 'length' | 'hash') => sql<T | null>`(
  SELECT head.${sql.identifier(column)} FROM audit_chains head
   WHERE head.entity_type = user_audit_logs.entity_type AND head.entity_id = user_audit_logs.entity_id)`;

/** The first head of a chain all of whose entries are gone. */
export async function findEmptyChain(
  reader: Reader,
): Promise<{ entityType: string; entityId: string } | undefined> {
  const { entityType, entityId } = auditChains;
  const [row] = await reader
    .select({ entityType, entityId })
    .from(auditChains)
    .where(
      sql`NOT EXISTS (SELECT 1 FROM ${userAuditLogs} WHERE ${userAuditLogs.entityType} = ${entityType} AND ${userAuditLogs.entityId} = ${entityId})`,
    )
    .orderBy(asc(entityType), asc(entityId))
    .limit(1);
  return row;
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
