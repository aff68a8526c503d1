import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database, Tx } from '../db/client.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import type { Cents } from '../kernel/money.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import { requeueMail } from './mail-queue.ts';
import {
  changeNotification,
  listNotifications,
  lockNotification,
  type NotificationFilter,
  type NotificationRow,
} from './notification-store.ts';
import { enqueueFor, enqueueForStaff, mayDecideOn } from './outbox.ts';
import { recordDelivery } from './record-delivery.ts';

/** What messages say of a payout. */
export interface PayoutInMail {
  payoutId: string;
  userId: string;
  paymentMethod: 'ach' | 'check';
  grossCents: Cents;
  retentionFeeCents: Cents;
  withheldCents: Cents;
  netCents: Cents;
  /** The adminId of whoever initiated it. */
  initiatedBy: number;
}

export interface SentDates {
  sentDate: IsoDate;
  expectedArrivalDate: IsoDate;
  trackingNumber?: string | undefined;
}

export interface NotificationView {
  id: string;
  template: string;
  userId: string;
  payoutId: string | null;
  status: NotificationRow['status'];
  attempts: number;
  lastError: string | null;
  nextAttemptAt: string;
  createdAt: string;
  sentAt: string | null;
}

/**
 * The messages of a payout's life (design document, Notification Service), queued in the transaction that causes them, and
 * what staff see of all messages. MailDelivery sends them.
 */
export class NotificationService {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** To the member, once the payout is approved and never before. */
  sendWinnerNotification(tx: Tx, payout: PayoutInMail): Promise<void> {
    const { userId, payoutId } = payout;
    const data = {
      grossAmount: formatUsd(payout.grossCents),
      retentionFee: formatUsd(payout.retentionFeeCents),
    };
    return enqueueFor(tx, userId, { template: 'winner', payoutId, data, at: this.#clock.now() });
  }

  /** Asks where to pay to: for bank details, or the address of a check. */
  sendBankInfoRequest(tx: Tx, { userId, payoutId, paymentMethod }: PayoutInMail): Promise<void> {
    const template = paymentMethod === 'ach' ? 'bank-info-wanted' : 'address-wanted';
    return enqueueFor(tx, userId, { template, payoutId, data: {}, at: this.#clock.now() });
  }

  sendTaxInfoRequest(tx: Tx, { userId, payoutId }: PayoutInMail): Promise<void> {
    return enqueueFor(tx, userId, {
      template: 'tax-info-wanted',
      payoutId,
      data: {},
      at: this.#clock.now(),
    });
  }

  /** To all who may decide. `askedBy`: who wants it, in words. */
  sendApprovalRequest(tx: Tx, payout: PayoutInMail, askedBy: string): Promise<void> {
    return enqueueForStaff(tx, mayDecideOn(payout), {
      template: 'approval-wanted',
      payoutId: payout.payoutId,
      data: { grossAmount: formatUsd(payout.grossCents), initiatedBy: askedBy },
      at: this.#clock.now(),
    });
  }

  sendPaymentNotice(tx: Tx, payout: PayoutInMail, dates: SentDates): Promise<void> {
    return enqueueFor(tx, payout.userId, {
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

  sendPaymentConfirmation(tx: Tx, payout: PayoutInMail, completedDate: IsoDate): Promise<void> {
    return enqueueFor(tx, payout.userId, {
      template: 'payment-confirmed',
      payoutId: payout.payoutId,
      data: {
        grossAmount: formatUsd(payout.grossCents),
        retentionFee: formatUsd(payout.retentionFeeCents),
        ...(payout.withheldCents > 0 ? { withheldAmount: formatUsd(payout.withheldCents) } : {}),
        netAmount: formatUsd(payout.netCents),
        completedDate,
      },
      at: this.#clock.now(),
    });
  }

  /** `fault`: whether the member has to give us another account. */
  sendPaymentFailure(tx: Tx, payout: PayoutInMail, fault: 'account' | 'other'): Promise<void> {
    return enqueueFor(tx, payout.userId, {
      template: 'payment-failed',
      payoutId: payout.payoutId,
      data: { netAmount: formatUsd(payout.netCents), ...FAILURE_WORDS[fault] },
      at: this.#clock.now(),
    });
  }

  async list(
    filter: Omit<NotificationFilter, 'limit'> & { limit?: number | undefined },
  ): Promise<Page<NotificationView>> {
    const limit = filter.limit ?? DEFAULT_PAGE;
    const rows = await listNotifications(this.#database.reader, { ...filter, limit });
    return pageOf(rows, limit, (row) => [row.createdAt.toISOString(), row.id], viewOf);
  }

  /** Queues a message again. Throws NOT_FOUND, or NOT_RESENDABLE while it is on its way. */
  async resend(actor: CallerActor, id: string): Promise<NotificationView> {
    return this.#database.transaction(async (tx) => {
      const notification = await lockNotification(tx, id);
      if (!notification) throw notFound('notification', id);
      if (notification.status !== 'failed' && notification.status !== 'sent') {
        throw new DomainError(
          'NOT_RESENDABLE',
          'The message is still on its way. Wait until it is sent or given up.',
        );
      }
      const at = this.#clock.now();
      const row = await changeNotification(tx, id, {
        status: 'queued',
        attempts: 0,
        lastError: null,
        sentAt: null,
        nextAttemptAt: at,
        // One that arrived before would be taken for a copy of itself under the same id.
        ...(notification.status === 'sent' ? { messageId: `${id}.${at.getTime()}@payout-service` } : {}),
      });
      await requeueMail(tx, id);
      await closeAlert(tx, 'dead_letter', id, at);
      await recordDelivery(tx, notification, { action: 'requeued', at, actor });
      return viewOf(row);
    });
  }
}

const FAILURE_WORDS = {
  account: {
    reason: 'Your bank did not accept the payment to the account that you gave us.',
    nextStep: 'Please give us the details of another account.',
  },
  other: {
    reason: 'The payment did not go through.',
    nextStep: 'We are looking into it and will pay you again. You need not do anything.',
  },
};

const viewOf = (row: NotificationRow): NotificationView => ({
  id: row.id,
  template: row.template,
  userId: row.userId,
  payoutId: row.payoutId,
  status: row.status,
  attempts: row.attempts,
  lastError: row.lastError,
  nextAttemptAt: row.nextAttemptAt.toISOString(),
  createdAt: row.createdAt.toISOString(),
  sentAt: row.sentAt?.toISOString() ?? null,
});
