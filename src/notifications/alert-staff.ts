import { raiseAlert, type Alert } from '../alerts/raise-alert.ts';
import type { Tx } from '../db/client.ts';
import type { StaffRole } from '../kernel/actor.ts';
import { enqueueForStaff } from './outbox.ts';

/** Raises an alert and writes to those whom it concerns, both once per occurrence. Returns whether it is new. */
export async function alertStaff(
  tx: Tx,
  alert: Alert,
  recipients: { roles: readonly StaffRole[]; payoutId?: string } = { roles: ['admin'] },
): Promise<boolean> {
  const isNew = await raiseAlert(tx, alert);
  if (!isNew) return false;
  const { roles, payoutId } = recipients;
  await enqueueForStaff(
    tx,
    { roles },
    {
      template: alert.severity === 'critical' ? 'critical-failure' : 'staff-notice',
      ...(payoutId === undefined ? {} : { payoutId }),
      data: { title: alert.title, occurredAt: alert.at.toISOString(), details: alert.message },
      at: alert.at,
    },
  );
  return true;
}
