import { and, eq, lt } from 'drizzle-orm';
import { raiseAlert } from '../alerts/raise-alert.ts';
import type { Database } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import { addDays, isoDateOf } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { enqueueForStaff } from '../notifications/outbox.ts';
import { payoutFromRow, type Payout } from './payout.ts';

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

  /** Returns how many new warnings it gave. */
  async check(): Promise<{ overdueApprovals: number; delayedPayments: number }> {
    const now = this.#clock.now();
    let [overdueApprovals, delayedPayments] = [0, 0];
    for (const payout of await this.#waiting(addDays(now, -APPROVAL_DAYS))) {
      if (await this.#warnOfApproval(payout, now)) overdueApprovals += 1;
    }
    const sentBefore = isoDateOf(addDays(now, -PAYMENT_DAYS));
    for (const payout of await this.#sent()) {
      const { sentDate } = payout.processing;
      if (sentDate !== undefined && sentDate < sentBefore && (await this.#warnOfPayment(payout, now)))
        delayedPayments += 1;
    }
    return { overdueApprovals, delayedPayments };
  }

  async #waiting(createdBefore: Date): Promise<Payout[]> {
    const { status, createdAt } = payoutManagement;
    const condition = and(eq(status, 'pending_approval'), lt(createdAt, createdBefore));
    return (await this.#database.reader.select().from(payoutManagement).where(condition)).map(payoutFromRow);
  }

  async #sent(): Promise<Payout[]> {
    const condition = eq(payoutManagement.status, 'payment_sent');
    return (await this.#database.reader.select().from(payoutManagement).where(condition)).map(payoutFromRow);
  }

  #warnOfApproval(payout: Payout, at: Date): Promise<boolean> {
    const { payoutId } = payout;
    const since = payout.createdAt.toISOString();
    return this.#database.transaction(async (tx) => {
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

  #warnOfPayment(payout: Payout, at: Date): Promise<boolean> {
    const { payoutId, processing } = payout;
    const sentDate = processing.sentDate ?? '';
    return this.#database.transaction(async (tx) => {
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
