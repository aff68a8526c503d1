import { recordAudit } from '../audit/record-audit.ts';
import type { Tx } from '../db/client.ts';
import { actorLabel, systemActor, type Actor } from '../kernel/actor.ts';
import { appendToTrail, type NotificationRow } from './notification-store.ts';

const DELIVERY = systemActor('notification-service');

/** `interrupted`: the worker died during the attempt, so that nobody knows whether the message arrived. */
type DeliveryAction = 'sent' | 'failed' | 'interrupted' | 'requeued';

/** Each attempt has one entry in the audit log and one in its payout's own trail. `error` where it did not succeed. */
export async function recordDelivery(
  tx: Tx,
  notification: Pick<NotificationRow, 'id' | 'template' | 'attempts' | 'payoutId'>,
  entry: { action: DeliveryAction; at: Date; actor?: Actor; error?: string },
): Promise<void> {
  const { action, at, actor = DELIVERY, error } = entry;
  const details = { template: notification.template, attempt: notification.attempts };
  await recordAudit(tx, {
    actor,
    at,
    entityType: 'notification',
    entityId: notification.id,
    action,
    success: error === undefined,
    ...(error === undefined ? {} : { errorMessage: error }),
    newValues: { ...details, ...(notification.payoutId ? { payoutId: notification.payoutId } : {}) },
  });
  if (notification.payoutId === null) return;
  await appendToTrail(tx, notification.payoutId, {
    action: `message_${action}`,
    actor: actorLabel(actor),
    timestamp: at.toISOString(),
    details,
  });
}
