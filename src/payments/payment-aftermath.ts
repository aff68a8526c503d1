import type { Tx } from '../db/client.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import type { MembershipManager } from '../membership/membership-manager.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { NotificationService, SentDates } from '../notifications/notification-service.ts';
import type { AttemptRow, Payout } from '../payouts/payout.ts';
import type { TaxComplianceService } from '../tax/tax-compliance.ts';

/** What follows from a payment outside the payout's own record: messages, alerts, membership, 1099. */
export class PaymentAftermath {
  readonly #clock: Clock;
  readonly #membership: MembershipManager;
  readonly #tax: TaxComplianceService;
  readonly #notifications: NotificationService;

  constructor(
    clock: Clock,
    membership: MembershipManager,
    tax: TaxComplianceService,
    notifications: NotificationService,
  ) {
    this.#clock = clock;
    this.#membership = membership;
    this.#tax = tax;
    this.#notifications = notifications;
  }

  async sent(tx: Tx, payout: Payout, attempt: AttemptRow, dates: SentDates): Promise<void> {
    await this.#tax.noteSent(tx, {
      payoutId: payout.payoutId,
      userId: payout.userId,
      attempt: attempt.number,
      sentDate: dates.sentDate,
      withheldCents: payout.withheldCents,
    });
    await this.#notifications.sendPaymentNotice(tx, payout, dates);
  }

  /** Returns the day on which the membership ends. */
  scheduleRemoval(tx: Tx, payout: Payout, completedDate: IsoDate): Promise<IsoDate> {
    return this.#membership.scheduleMembershipRemoval(tx, payout.userId, payout.payoutId, completedDate);
  }

  async completed(tx: Tx, payout: Payout, completedDate: IsoDate): Promise<void> {
    await alertStaff(
      tx,
      {
        severity: 'info',
        category: 'payment_completed',
        title: `Payout ${payout.payoutId} completed`,
        message: `${formatUsd(payout.netCents)} arrived on ${completedDate}.`,
        details: { payoutId: payout.payoutId },
        subject: payout.payoutId,
        at: this.#clock.now(),
      },
      { to: { roles: ['admin', 'finance_manager'] }, payoutId: payout.payoutId },
    );
    await this.#notifications.sendPaymentConfirmation(tx, payout, completedDate);
  }

  /** `account`: it failed because of the account, for which the member is asked for another. */
  async failed(tx: Tx, payout: Payout, attempt: AttemptRow, account: boolean): Promise<void> {
    if (attempt.status === 'completed') await this.#membership.suspendRemoval(tx, payout.payoutId);
    if (attempt.sentDate) {
      await this.#tax.noteReturned(tx, {
        payoutId: payout.payoutId,
        userId: payout.userId,
        attempt: attempt.number,
        sentDate: attempt.sentDate,
      });
    }
    // Of a payment that never left, the member only hears when they have to do something.
    if (attempt.sentDate === null && !account) return;
    await this.#notifications.sendPaymentFailure(tx, payout, account ? 'account' : 'other');
  }
}
