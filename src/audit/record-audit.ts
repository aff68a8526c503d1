import { randomUUID } from 'node:crypto';
import { and, eq, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
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
  const { entityType, entityId, actor } = record;
  const [head] = await tx
    .insert(auditChains)
    .values({ entityType, entityId, length: 0, hash: CHAIN_START })
    .onConflictDoUpdate({
      target: [auditChains.entityType, auditChains.entityId],
      set: { length: sql`${auditChains.length}` },
    })
    .returning();
  if (!head) throw new Error('The head of the audit chain could not be locked.');
  const context = currentContext();
  const entry = {
    id: randomUUID(),
    entityType,
    entityId,
    chainIndex: head.length + 1,
    previousHash: head.hash,
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
  const hash = hashEntry({ ...entry, createdAt: record.at.toISOString() });
  await tx.insert(userAuditLogs).values({ ...entry, createdAt: record.at, hash });
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
