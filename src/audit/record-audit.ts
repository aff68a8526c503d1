import { randomUUID } from 'node:crypto';
import { and, eq, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { insertMany } from '../db/insert-many.ts';
import { auditChains, userAuditLogs } from '../db/schema/index.ts';
import { actorLabel, adminIdOf, userIdOf, type Actor } from '../kernel/actor.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import { currentContext } from '../kernel/request-context.ts';
import { CHAIN_START, hashEntry } from './chain-rules.ts';
import { redact, type AuditValues } from './redaction-rules.ts';

export type AuditEntityType =
  | 'payout'
  | 'approval'
  | 'payment'
  | 'tax_form'
  | 'membership'
  | 'eligibility'
  | 'alert'
  | 'notification'
  | 'job'
  | 'audit'
  | 'clock'
  | 'report'
  | 'request';

export interface AuditRecord {
  actor: Actor;
  at: Date;
  entityType: AuditEntityType;
  entityId: string;
  action: string;
  oldValues?: AuditValues;
  newValues?: AuditValues;
  metadata?: AuditValues;
  success?: boolean;
  errorMessage?: string;
}

/**
 * Writes an audit entry in the transaction that it describes. Entries of one entity form a hash chain; the row of the
 * chain's head is locked until the commit, so that no two entries follow the same one.
 */
export async function recordAudit(tx: Tx, record: AuditRecord): Promise<void> {
  const { entityType, entityId } = record;
  const [head] = await tx
    .insert(auditChains)
    .values({ entityType, entityId, length: 0, hash: CHAIN_START })
    .onConflictDoUpdate({
      target: [auditChains.entityType, auditChains.entityId],
      set: { length: sql`${auditChains.length}` },
    })
    .returning();
  if (!head) throw new Error('The head of the audit chain could not be locked.');
  const { hash, ...entry } = entryFor(record, head.length + 1, head.hash);
  await tx.insert(userAuditLogs).values({ ...entry, hash });
  const moved = await tx
    .update(auditChains)
    .set({ length: entry.chainIndex, hash })
    .where(
      and(
        eq(auditChains.entityType, entityType),
        eq(auditChains.entityId, entityId),
        eq(auditChains.hash, head.hash),
      ),
    )
    .returning({ length: auditChains.length });
  if (moved.length !== 1) throw new Error('The audit chain moved under its lock.');
  crashPoint('audit-written');
}

/** Writes the first entries of many entities that are made in this very transaction, so that no chain exists of them. */
export async function recordFirstAudits(tx: Tx, records: readonly AuditRecord[]): Promise<void> {
  if (records.length === 0) return;
  const entries = records.map((record) => entryFor(record, 1, CHAIN_START));
  const heads = entries.map(({ entityType, entityId, hash }) => ({ entityType, entityId, length: 1, hash }));
  await insertMany(tx, auditChains, heads);
  await insertMany(tx, userAuditLogs, entries);
  crashPoint('audit-written');
}

/** The row of an entry, hashed onto the one before. */
function entryFor(record: AuditRecord, chainIndex: number, previousHash: string) {
  const { actor, at } = record;
  const context = currentContext();
  const entry = {
    id: randomUUID(),
    entityType: record.entityType,
    entityId: record.entityId,
    chainIndex,
    previousHash,
    actor: actorLabel(actor),
    userId: userIdOf(actor),
    adminId: adminIdOf(actor),
    action: record.action,
    success: record.success ?? true,
    errorMessage: record.errorMessage ?? null,
    oldValues: record.oldValues ? redact(record.oldValues) : null,
    newValues: record.newValues ? redact(record.newValues) : null,
    metadata: {
      ...(actor.kind === 'staff' ? { role: actor.role } : {}),
      ...(record.metadata ? redact(record.metadata) : {}),
    },
    ipAddress: context?.ipAddress ?? null,
    userAgent: context?.userAgent ?? null,
    requestId: context?.requestId ?? null,
  };
  return { ...entry, createdAt: at, hash: hashEntry({ ...entry, createdAt: at.toISOString() }) };
}
