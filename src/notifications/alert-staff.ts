import { raiseAlert, type Alert } from '../alerts/raise-alert.ts';
import type { Tx } from '../db/client.ts';
import { enqueueForStaff, type MailData, type StaffRecipients } from './outbox.ts';
import type { TemplateName } from './mail-templates.ts';

/** Whom an alert is mailed to, the payout that it is about, and a message of its own where it has one. */
interface AlertMail<N extends TemplateName> {
  to?: StaffRecipients;
  payoutId?: string;
  message?: { template: N; data: MailData<N> };
}

/** Raises an alert and writes to those whom it concerns, admins unless said, both once per occurrence. Returns whether it is new. */
export async function alertStaff<N extends TemplateName>(
  tx: Tx,
  alert: Alert,
  { to = { roles: ['admin'] }, payoutId, message }: AlertMail<N> = {},
): Promise<boolean> {
  if (!(await raiseAlert(tx, alert))) return false;
  const about = { ...(payoutId === undefined ? {} : { payoutId }), at: alert.at };
  if (message) await enqueueForStaff(tx, to, { ...about, ...message });
  else {
    await enqueueForStaff(tx, to, {
      ...about,
      template: alert.severity === 'critical' ? 'critical-failure' : 'staff-notice',
      data: { title: alert.title, occurredAt: alert.at.toISOString(), details: alert.message },
    });
  }
  return true;
}
