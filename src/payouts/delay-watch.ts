import { and, eq } from 'drizzle-orm';
import { closeAlert, openSubjects, raiseAlert } from '../alerts/raise-alert.ts';
import type { Database, Tx } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import { addDays, isoDateOf } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { enqueueForStaff } from '../notifications/outbox.ts';
import { payoutFromRow } from './payout.ts';

type Row = typeof payoutManagement.$inferSelect;

const APPROVAL_DAYS = 3;
const PAYMENT_DAYS = 5;

/** Warns once of each approval that waits too long and each payment that does not arrive (design document, Alerts). */
export class DelayWatch {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Returns how many new warnings it gave. Closes those whose payout has moved on. */
  async check(): Promise<{ overdueApprovals: number; delayedPayments: number }> {
    const now = this.#clock.now();
    const overdue = (await this.#in('pending_approval')).filter(
      (row) => waitingSince(row) < addDays(now, -APPROVAL_DAYS),
    );
    const sentBefore = isoDateOf(addDays(now, -PAYMENT_DAYS));
    const delayed = (await this.#in('payment_sent')).filter((row) => sentDateOf(row) < sentBefore);
    const result = { overdueApprovals: 0, delayedPayments: 0 };
    for (const row of overdue) if (await this.#warnOfApproval(row, now)) result.overdueApprovals += 1;
    for (const row of delayed) if (await this.#warnOfPayment(row, now)) result.delayedPayments += 1;
    await this.#closeOthers('approval_overdue', overdue, now);
    await this.#closeOthers('payment_delayed', delayed, now);
    return result;
  }

  #in(status: 'pending_approval' | 'payment_sent'): Promise<Row[]> {
    return this.#database.reader.select().from(payoutManagement).where(eq(payoutManagement.status, status));
  }

  /** Whoever moved a payout has closed its warning; this finds what was moved in another way. */
  async #closeOthers(category: 'approval_overdue' | 'payment_delayed', rows: Row[], at: Date): Promise<void> {
    const still = new Set(rows.map(({ payoutId }) => payoutId));
    const open = await openSubjects(this.#database.reader, category);
    for (const payoutId of open.filter((subject) => !still.has(subject)))
      await this.#database.transaction((tx) => closeAlert(tx, category, payoutId, at));
  }

  /** Runs `work` if the payout still is as it was read, and keeps it so until the end of the transaction. */
  #unlessMoved({ payoutId, version }: Row, work: (tx: Tx) => Promise<boolean>): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      const same = and(eq(payoutManagement.payoutId, payoutId), eq(payoutManagement.version, version));
      const [row] = await tx
        .select({ id: payoutManagement.id })
        .from(payoutManagement)
        .where(same)
        .for('share');
      return row === undefined ? false : work(tx);
    });
  }

  #warnOfApproval(row: Row, at: Date): Promise<boolean> {
    const payout = payoutFromRow(row);
    const { payoutId } = payout;
    const since = waitingSince(row).toISOString();
    return this.#unlessMoved(row, async (tx) => {
      const isNew = await raiseAlert(tx, {
        severity: 'warning',
        category: 'approval_overdue',
        title: `Payout ${payoutId} waits for approval`,
        message: `Payout ${payoutId} has waited for approval since ${since}.`,
        details: { payoutId },
        subject: payoutId,
        at,
      });
      const recipients = {
        roles: ['admin', 'finance_manager'] as const,
        exceptAdminIds: [payout.initiatedBy, ...payout.approvalWorkflow.map(({ adminId }) => adminId)],
        exceptUserIds: [payout.userId],
      };
      const data = { grossAmount: formatUsd(payout.grossCents), waitingSince: since };
      if (isNew) await enqueueForStaff(tx, recipients, { template: 'approval-reminder', payoutId, data, at });
      return isNew;
    });
  }

  #warnOfPayment(row: Row, at: Date): Promise<boolean> {
    const payout = payoutFromRow(row);
    const { payoutId, processing } = payout;
    const sentDate = sentDateOf(row);
    return this.#unlessMoved(row, async (tx) => {
      const isNew = await raiseAlert(tx, {
        severity: 'warning',
        category: 'payment_delayed',
        title: `Payout ${payoutId} has not arrived`,
        message: `Payout ${payoutId} was sent on ${sentDate} and is not confirmed.`,
        details: { payoutId },
        subject: payoutId,
        at,
      });
      const data = {
        netAmount: formatUsd(payout.netCents),
        sentDate,
        expectedArrivalDate: processing.expectedArrivalDate ?? 'unknown',
      };
      const recipients = { roles: ['admin', 'finance_manager'] as const };
      if (isNew) await enqueueForStaff(tx, recipients, { template: 'payment-delayed', payoutId, data, at });
      return isNew;
    });
  }
}

/** When the current round of approvals began. */
function waitingSince({ approvalRound, auditTrail, createdAt }: Row): Date {
  const resumed = auditTrail.findLast(({ action }) => action === 'resumed');
  return approvalRound > 1 && resumed ? new Date(resumed.timestamp) : createdAt;
}

/** A payment that has no date, which never is, would be late at once. */
const sentDateOf = ({ processing }: Row): string => processing?.sentDate ?? '';
