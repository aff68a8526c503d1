import { raiseAlert } from '../alerts/raise-alert.ts';
import type { Tx } from '../db/client.ts';
import { alertStaff } from './alert-staff.ts';
import { takeDeadMail } from './mail-queue.ts';
import {
  changeNotification,
  findRecipient,
  lockNotification,
  type NotificationRow,
} from './notification-store.ts';
import { recordDelivery } from './record-delivery.ts';

const DIED = 'The service stopped during the last attempt.';

/** Tells the admins of one message that was given up. Returns false when there is none. */
export async function tellOfDeadMail(tx: Tx, at: Date): Promise<boolean> {
  const id = await takeDeadMail(tx);
  if (id === undefined) return false;
  const found = await lockNotification(tx, id);
  if (found?.status === 'failed') await tell(tx, found, at);
  // The queue gave up by itself: the last worker died, and nobody could say so.
  if (found?.status === 'sending') {
    const failed = await changeNotification(tx, id, { status: 'failed', lastError: DIED, nextAttemptAt: at });
    await recordDelivery(tx, failed, { action: 'interrupted', at, error: DIED });
    await tell(tx, failed, at);
  }
  return true;
}

async function tell(tx: Tx, notification: NotificationRow, at: Date): Promise<void> {
  const { id, payoutId, template, attempts, userId } = notification;
  const reason = notification.lastError ?? 'unknown';
  const alert = {
    severity: 'warning',
    category: 'dead_letter',
    title: 'A message could not be delivered',
    message: `The message "${template}" was given up after ${attempts} attempts: ${reason}`,
    details: { notificationId: id, payoutId },
    subject: id,
    at,
  } as const;
  // A message about undelivered messages that cannot be delivered would go on for ever.
  if (template === 'dead-letter') {
    await raiseAlert(tx, alert);
    return;
  }
  const recipient = (await findRecipient(tx, userId))?.address ?? userId;
  const data = { messageName: template, recipient, attempts: String(attempts), reason };
  await alertStaff(tx, alert, {
    ...(payoutId === null ? {} : { payoutId }),
    message: { template: 'dead-letter', data },
  });
}
