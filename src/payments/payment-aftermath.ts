import { closeAlert } from '../alerts/raise-alert.ts';
import type { Tx } from '../db/client.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import type { MembershipManager } from '../membership/membership-manager.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import { enqueueFor } from '../notifications/outbox.ts';
import type { AttemptRow, Payout } from '../payouts/payout.ts';
import type { TaxComplianceService } from '../tax/tax-compliance.ts';
import { concernsAccount } from './bank-details-rules.ts';

/** What follows from a payment outside the payout's own record: messages, alerts, membership, 1099. */
export class PaymentAftermath {
  readonly #clock: Clock;
  readonly #membership: MembershipManager;
  readonly #tax: TaxComplianceService;

  constructor(clock: Clock, membership: MembershipManager, tax: TaxComplianceService) {
    this.#clock = clock;
    this.#membership = membership;
    this.#tax = tax;
  }

  async sent(
    tx: Tx,
    payout: Payout,
    attempt: AttemptRow,
    dates: { sentDate: IsoDate; expectedArrivalDate: IsoDate; trackingNumber?: string | undefined },
  ): Promise<void> {
    await this.#tax.noteSent(tx, {
      payoutId: payout.payoutId,
      userId: payout.userId,
      attempt: attempt.number,
      sentDate: dates.sentDate,
      withheldCents: payout.withheldCents,
    });
    await enqueueFor(tx, payout.userId, {
      template: 'payment-sent',
      payoutId: payout.payoutId,
      data: {
        netAmount: formatUsd(payout.netCents),
        paymentMethod: payout.paymentMethod === 'ach' ? 'ACH transfer' : 'check',
        sentDate: dates.sentDate,
        expectedArrivalDate: dates.expectedArrivalDate,
        ...(dates.trackingNumber === undefined ? {} : { trackingNumber: dates.trackingNumber }),
      },
      at: this.#clock.now(),
    });
  }

  /** Returns the day on which the membership ends. */
  scheduleRemoval(tx: Tx, payout: Payout, completedDate: IsoDate): Promise<IsoDate> {
    return this.#membership.scheduleMembershipRemoval(tx, payout.userId, payout.payoutId, completedDate);
  }

  async completed(tx: Tx, payout: Payout, completedDate: IsoDate): Promise<void> {
    const at = this.#clock.now();
    await closeAlert(tx, 'payment_delayed', payout.payoutId, at);
    await alertStaff(
      tx,
      {
        severity: 'info',
        category: 'payment_completed',
        title: `Payout ${payout.payoutId} completed`,
        message: `${formatUsd(payout.netCents)} arrived on ${completedDate}.`,
        details: { payoutId: payout.payoutId },
        subject: payout.payoutId,
        at,
      },
      { roles: ['admin', 'finance_manager'], payoutId: payout.payoutId },
    );
    await enqueueFor(tx, payout.userId, {
      template: 'payment-confirmed',
      payoutId: payout.payoutId,
      data: {
        grossAmount: formatUsd(payout.grossCents),
        retentionFee: formatUsd(payout.retentionFeeCents),
        ...(payout.withheldCents > 0 ? { withheldAmount: formatUsd(payout.withheldCents) } : {}),
        netAmount: formatUsd(payout.netCents),
        completedDate,
      },
      at,
    });
  }

  async failed(tx: Tx, payout: Payout, attempt: AttemptRow, returnCode: string | undefined): Promise<void> {
    const at = this.#clock.now();
    await closeAlert(tx, 'payment_delayed', payout.payoutId, at);
    await closeAlert(tx, 'payment_completed', payout.payoutId, at);
    if (attempt.status === 'completed') await this.#membership.suspendRemoval(tx, payout.payoutId);
    if (attempt.sentDate) {
      await this.#tax.noteReturned(tx, {
        payoutId: payout.payoutId,
        userId: payout.userId,
        attempt: attempt.number,
        sentDate: attempt.sentDate,
      });
    }
    const account = attempt.paymentMethod === 'ach' && concernsAccount(returnCode);
    // Of a payment that never left, the member only hears when they have to do something.
    if (attempt.sentDate === null && !account) return;
    await enqueueFor(tx, payout.userId, {
      template: 'payment-failed',
      payoutId: payout.payoutId,
      data: {
        netAmount: formatUsd(payout.netCents),
        reason: account
          ? 'Your bank did not accept the payment to the account that you gave us.'
          : 'The payment did not go through.',
        nextStep: account
          ? 'Please give us the details of another account.'
          : 'We are looking into it and will pay you again. You need not do anything.',
      },
      at,
    });
  }
}
