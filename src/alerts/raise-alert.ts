import { and, eq, isNull } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { adminAlerts, type AlertSeverity } from '../db/schema/index.ts';

/** The things that admins are told about (design document, Monitoring and Observability). */
export type AlertCategory =
  | 'payout_eligible'
  | 'payout_created'
  | 'payment_completed'
  | 'manual_review'
  | 'approval_overdue'
  | 'payment_delayed'
  | 'revenue_shortfall'
  | 'dead_letter'
  | 'secret_revealed'
  | 'removal_failing'
  | 'removal_after_return'
  | 'eligibility_check_failed'
  | 'job_failed'
  | 'audit_broken'
  | 'queue_drift'
  | 'database_lost'
  | 'clock_skew';

export interface Alert {
  severity: AlertSeverity;
  category: AlertCategory;
  title: string;
  message: string;
  details?: Record<string, unknown>;
  /** What it is about, such as a payout id: while an alert of that category and subject is open, it is not raised again. */
  subject: string;
  at: Date;
}

const keyOf = (category: AlertCategory, subject: string) => `${category}:${subject}`;

/** Raises an alert once per occurrence. Returns whether it is new. */
export async function raiseAlert(tx: Tx, alert: Alert): Promise<boolean> {
  const { subject, at, ...columns } = alert;
  const rows = await tx
    .insert(adminAlerts)
    .values({
      ...columns,
      details: alert.details ?? {},
      occurrenceKey: keyOf(alert.category, subject),
      createdAt: at,
    })
    .onConflictDoNothing()
    .returning({ id: adminAlerts.id });
  return rows.length > 0;
}

/** The subjects of the open alerts of a category. */
export async function openSubjects(reader: Reader, category: AlertCategory): Promise<string[]> {
  const rows = await reader
    .select({ key: adminAlerts.occurrenceKey })
    .from(adminAlerts)
    .where(and(eq(adminAlerts.category, category), isNull(adminAlerts.closedAt)));
  return rows.map(({ key }) => key.slice(keyOf(category, '').length));
}

/** Closes the open alert of that category and subject, its cause having gone. */
export async function closeAlert(tx: Tx, category: AlertCategory, subject: string, at: Date): Promise<void> {
  await tx
    .update(adminAlerts)
    .set({ closedAt: at })
    .where(and(eq(adminAlerts.occurrenceKey, keyOf(category, subject)), isNull(adminAlerts.closedAt)));
}
