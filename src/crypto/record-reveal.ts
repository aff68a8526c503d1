import { randomUUID } from 'node:crypto';
import { and, count, eq, gt, inArray, min, sql } from 'drizzle-orm';
import { recordAudit } from '../audit/record-audit.ts';
import type { Tx } from '../db/client.ts';
import { userAuditLogs } from '../db/schema/index.ts';
import type { StaffActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';
import { alertStaff } from '../notifications/alert-staff.ts';

const ACTIONS = ['bank_info_revealed', 'tin_revealed'] as const;
const MOST_AN_HOUR = 5;
const HOUR_MS = 3_600_000;
/** First key of the locks on a person's reveals; the second is their number. */
const REVEALS_LOCK = 7_203_006;

export interface Reveal {
  actor: StaffActor;
  at: Date;
  action: (typeof ACTIONS)[number];
  entityType: 'payout' | 'tax_form';
  entityId: string;
  reason: string;
  /** What was shown: 'account number', 'TIN'. */
  what: string;
}

/**
 * Records that a full number is shown, and tells the admins, before it is shown. Both kinds of numbers count together, by
 * the audit log, whichever instance is asked. Throws RATE_LIMITED after five in an hour.
 */
export async function recordReveal(tx: Tx, reveal: Reveal): Promise<void> {
  const { actor, at, action, entityType, entityId, reason, what } = reveal;
  await assertNotTooMany(tx, actor, at);
  await recordAudit(tx, { actor, at, entityType, entityId, action, newValues: { reason } });
  await alertStaff(tx, {
    severity: 'warning',
    category: 'secret_revealed',
    title: `A full ${what} was shown`,
    message: `Staff ${actor.adminId} was shown the ${what} of ${entityId}. The alert and the audit log have the reason.`,
    details: { [entityType === 'payout' ? 'payoutId' : 'formId']: entityId, adminId: actor.adminId, reason },
    // Every one is told, also a second one of the same moment.
    subject: `${entityId}:${randomUUID()}`,
    at,
  });
}

async function assertNotTooMany(tx: Tx, actor: StaffActor, at: Date): Promise<void> {
  // Held until the commit: of several requests at once each counts those before it.
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${REVEALS_LOCK}::integer, ${actor.adminId}::integer)`);
  const [seen] = await tx
    .select({ count: count(), oldest: min(userAuditLogs.createdAt) })
    .from(userAuditLogs)
    .where(
      and(
        eq(userAuditLogs.userId, actor.userId),
        inArray(userAuditLogs.action, [...ACTIONS]),
        eq(userAuditLogs.success, true),
        gt(userAuditLogs.createdAt, new Date(at.getTime() - HOUR_MS)),
      ),
    );
  if (!seen || seen.count < MOST_AN_HOUR) return;
  const freeAt = (seen.oldest ?? at).getTime() + HOUR_MS;
  const retryAfterSeconds = Math.max(1, Math.ceil((freeAt - at.getTime()) / 1000));
  throw new DomainError(
    'RATE_LIMITED',
    `You were shown ${MOST_AN_HOUR} full numbers within an hour. Wait, or ask another finance_manager.`,
    { retryAfterSeconds },
  );
}
