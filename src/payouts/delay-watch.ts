import { and, eq } from 'drizzle-orm';
import { closeAlert, openSubjects, type AlertCategory } from '../alerts/raise-alert.ts';
import type { Database, Tx } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import { addDays, isoDateOf } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import { mayDecideOn } from '../notifications/outbox.ts';
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
    // Before the payouts: one that is created from here on is in neither list.
    const announced = await openSubjects(this.#database.reader, 'payout_created');
    const pending = await this.#in('pending_approval');
    const overdue = pending.filter((row) => waitingSince(row) < addDays(now, -APPROVAL_DAYS));
    const sentBefore = isoDateOf(addDays(now, -PAYMENT_DAYS));
    const delayed = (await this.#in('payment_sent')).filter((row) => sentDateOf(row) < sentBefore);
    const result = { overdueApprovals: 0, delayedPayments: 0 };
    for (const row of overdue) if (await this.#warnOfApproval(row, now)) result.overdueApprovals += 1;
    for (const row of delayed) if (await this.#warnOfPayment(row, now)) result.delayedPayments += 1;
    const { reader } = this.#database;
    await this.#closeOthers('payout_created', announced, pending, now);
    await this.#closeOthers('approval_overdue', await openSubjects(reader, 'approval_overdue'), overdue, now);
    await this.#closeOthers('payment_delayed', await openSubjects(reader, 'payment_delayed'), delayed, now);
    return result;
  }

  #in(status: 'pending_approval' | 'payment_sent'): Promise<Row[]> {
    return this.#database.reader.select().from(payoutManagement).where(eq(payoutManagement.status, status));
  }

  /** Whoever moved a payout has closed its warning; this finds what was moved in another way. */
  async #closeOthers(category: AlertCategory, open: string[], rows: Row[], at: Date): Promise<void> {
    const still = new Set(rows.map(({ payoutId }) => payoutId));
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
    const alert = {
      severity: 'warning',
      category: 'approval_overdue',
      title: `Payout ${payoutId} waits for approval`,
      message: `Payout ${payoutId} has waited for approval since ${since}.`,
      details: { payoutId },
      subject: payoutId,
      at,
    } as const;
    const decided = payout.approvalWorkflow.map(({ adminId }) => adminId);
    const data = { grossAmount: formatUsd(payout.grossCents), waitingSince: since };
    const message = { template: 'approval-reminder', data } as const;
    return this.#unlessMoved(row, (tx) =>
      alertStaff(tx, alert, { to: mayDecideOn(payout, decided), payoutId, message }),
    );
  }

  #warnOfPayment(row: Row, at: Date): Promise<boolean> {
    const payout = payoutFromRow(row);
    const { payoutId, processing } = payout;
    const sentDate = sentDateOf(row);
    const alert = {
      severity: 'warning',
      category: 'payment_delayed',
      title: `Payout ${payoutId} has not arrived`,
      message: `Payout ${payoutId} was sent on ${sentDate} and is not confirmed.`,
      details: { payoutId },
      subject: payoutId,
      at,
    } as const;
    const data = {
      netAmount: formatUsd(payout.netCents),
      sentDate,
      expectedArrivalDate: processing.expectedArrivalDate ?? 'unknown',
    };
    const message = { template: 'payment-delayed', data } as const;
    const to = { roles: ['admin', 'finance_manager'] } as const;
    return this.#unlessMoved(row, (tx) => alertStaff(tx, alert, { to, payoutId, message }));
  }
}

/** When the current round of approvals began. */
function waitingSince({ approvalRound, auditTrail, createdAt }: Row): Date {
  const resumed = auditTrail.findLast(({ action }) => action === 'resumed');
  return approvalRound > 1 && resumed ? new Date(resumed.timestamp) : createdAt;
}

/** A payment that has no date, which never is, would be late at once. */
const sentDateOf = ({ processing }: Row): string => processing?.sentDate ?? '';
