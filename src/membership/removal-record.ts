/** What is written of a removal: each of these in one transaction, with its entry in the audit log. */
import { closeAlert } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Tx } from '../db/client.ts';
import { systemActor, type CallerActor, type SystemActor } from '../kernel/actor.ts';
import { isoDateOf } from '../kernel/calendar.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import { enqueueFor } from '../notifications/outbox.ts';
import type { Payouts } from '../payouts/payouts.ts';
import {
  lockOpenRemoval,
  markAttemptFailed,
  markNoticed,
  markRemoved,
  upsertRemoval,
  type RemovalRow,
} from './membership-store.ts';

const SELF = systemActor('membership-manager');
const FAILURES_BEFORE_ALERT = 3;

/** Writes to the member, once. False where somebody has. */
export async function recordNotice(tx: Tx, removal: RemovalRow, at: Date): Promise<boolean> {
  if (!(await markNoticed(tx, removal.id, at))) return false;
  await enqueueFor(tx, removal.userId, {
    template: 'removal-notice',
    payoutId: removal.payoutId,
    data: { removalDate: removal.dueDate },
    at,
  });
  await auditRemoval(tx, removal, 'removal_noticed', at);
  return true;
}

/**
 * The membership has ended, at `endedAt`. That is recorded whatever became of the removal meanwhile: where the payout
 * came back in between, admins are told, as the member was not to lose the membership; where it has even been paid
 * again, its new date stays. False where it was recorded before.
 */
export async function recordRemoval(
  tx: Tx,
  payouts: Payouts,
  removal: RemovalRow,
  endedAt: Date,
  at: Date,
): Promise<boolean> {
  // The payout first, as whoever records a return does: two that wait for each other would both have to start again.
  const { payout } = await payouts.lock(tx, removal.payoutId);
  const open = await lockOpenRemoval(tx, removal.id);
  if (!open) return false;
  await markRemoved(tx, removal.id, endedAt);
  const isPaidAgain = open.status === 'scheduled' && open.dueDate > isoDateOf(at);
  if (isPaidAgain) {
    const { payoutId, userId, dueDate } = open;
    await upsertRemoval(tx, { payoutId, userId, dueDate, createdAt: at });
  }
  const processing = { ...payout.processing, membership_removed: !isPaidAgain };
  await payouts.change(tx, payout, { processing }, { actor: SELF, action: 'membership_removed' });
  await auditRemoval(tx, open, 'removed', at, { values: { status: open.status } });
  await closeAlert(tx, 'removal_failing', removal.payoutId, at);
  await enqueueFor(tx, removal.userId, {
    template: 'membership-removed',
    payoutId: removal.payoutId,
    data: { removedDate: isoDateOf(endedAt) },
    at,
  });
  if (open.status === 'suspended' || isPaidAgain) await tellOfLateReturn(tx, removal, at);
  return true;
}

async function tellOfLateReturn(tx: Tx, removal: RemovalRow, at: Date): Promise<void> {
  await alertStaff(tx, {
    severity: 'critical',
    category: 'removal_after_return',
    title: 'A membership ended while its payout came back',
    message: `The membership for payout ${removal.payoutId} was being ended when its payout came back. It has ended. Have the subscription service take the member back, or tell the member.`,
    details: { payoutId: removal.payoutId, userId: removal.userId },
    subject: removal.id,
    at,
  });
}

/** It stays due. `isUnclear`: the membership may have ended all the same. */
export async function recordFailure(
  tx: Tx,
  removal: RemovalRow,
  failure: { reason: string; isUnclear: boolean },
  at: Date,
): Promise<void> {
  const { reason, isUnclear } = failure;
  const isDue = await markAttemptFailed(tx, removal.id, reason.slice(0, 300), isUnclear);
  await auditRemoval(tx, removal, 'removal_failed', at, { success: false });
  if (!isDue || removal.attempts < FAILURES_BEFORE_ALERT) return;
  await alertStaff(tx, {
    severity: 'warning',
    category: 'removal_failing',
    title: 'A membership cannot be ended',
    message: `The membership for payout ${removal.payoutId} could not be ended ${removal.attempts} times. It stays due.`,
    details: { payoutId: removal.payoutId },
    subject: removal.payoutId,
    at,
  });
}

export async function auditRemoval(
  tx: Tx,
  removal: RemovalRow,
  action: string,
  at: Date,
  more: {
    success?: boolean;
    actor?: CallerActor | SystemActor;
    values?: Record<string, unknown>;
  } = {},
): Promise<void> {
  await recordAudit(tx, {
    actor: more.actor ?? SELF,
    at,
    entityType: 'membership',
    entityId: removal.userId,
    action,
    success: more.success ?? true,
    newValues: {
      payoutId: removal.payoutId,
      dueDate: removal.dueDate,
      attempts: removal.attempts,
      ...more.values,
    },
  });
}
