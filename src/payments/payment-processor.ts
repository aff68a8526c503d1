import type { CallerActor, StaffActor } from '../kernel/actor.ts';
import { isoDateOf, startOfDay, type IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import type { Cents } from '../kernel/money.ts';
import type { Tx } from '../db/client.ts';
import { changeAttempt } from '../payouts/record-attempt.ts';
import { payoutAmounts, withoutWithholding } from '../payouts/payout-amounts-rules.ts';
import type { PayoutProgress } from '../payouts/payout-progress.ts';
import { readPayeeFacts } from '../payouts/payout-requirements.ts';
import type { PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { AttemptRow, Payout, PayoutCase } from '../payouts/payout.ts';
import { REMOVAL_REASON } from '../membership/membership-rules.ts';
import { concernsAccount } from './bank-details-rules.ts';
import { refuseDetails } from './bank-details-store.ts';
import { assertProven, FAILURES_BEFORE_REVIEW, type FailureReport } from './failure-rules.ts';
import type { InstructionsFreezer } from './instructions-freezer.ts';
import {
  assertNothingMissing,
  decideWithholding,
  payeeDoubt,
  type InstructionsRequest,
} from './instructions-rules.ts';
import {
  calculationOf,
  instructionsOf,
  liveAttemptOf,
  type PaymentInstructions,
  type PayoutCalculation,
} from './payment-instructions.ts';
import type { PaymentAftermath } from './payment-aftermath.ts';
import { isRefused, refuseElsewhere } from './refused-account.ts';

export interface PaymentSentDetails {
  sentDate: IsoDate;
  expectedArrivalDate: IsoDate;
  trackingNumber?: string | undefined;
  notes?: string | undefined;
}

export interface CompletionDetails {
  completedDate: IsoDate;
  confirmationNumber?: string | undefined;
}

interface Terms {
  cooloffHours: number;
  retentionFeeCents: Cents;
}

/** Follows a payment from its instructions to its end. */
export class PaymentProcessor {
  readonly #clock: Clock;
  readonly #terms: Terms;
  readonly #payouts: Payouts;
  readonly #progress: PayoutProgress;
  readonly #freezer: InstructionsFreezer;
  readonly #aftermath: PaymentAftermath;

  constructor(deps: {
    clock: Clock;
    terms: Terms;
    payouts: Payouts;
    progress: PayoutProgress;
    freezer: InstructionsFreezer;
    aftermath: PaymentAftermath;
  }) {
    this.#clock = deps.clock;
    this.#terms = deps.terms;
    this.#payouts = deps.payouts;
    this.#progress = deps.progress;
    this.#freezer = deps.freezer;
    this.#aftermath = deps.aftermath;
  }

  /** What a gross comes to without withholding. */
  calculateNetPayout(grossCents: Cents): PayoutCalculation {
    return calculationOf(payoutAmounts(grossCents, this.#terms.retentionFeeCents, 0));
  }

  /**
   * Makes numbered instructions and freezes amounts and payee under a hash. Throws BANK_INFO_MISSING, ADDRESS_MISSING,
   * W9_MISSING, WITHHOLDING_NOT_DUE or COOLOFF_ACTIVE and changes nothing; KYC_NOT_VERIFIED or NAME_MISMATCH after
   * moving the payout to manual review; BANK_INFO_MISSING after taking out an account to which another payout failed.
   */
  async generatePaymentInstructions(
    actor: CallerActor,
    payoutId: string,
    request: InstructionsRequest,
  ): Promise<PaymentInstructions> {
    return this.#payouts.actFor(actor, payoutId, 'generate-instructions', async (tx, subject) => {
      const { payout } = subject;
      const paymentMethod = request.paymentMethod ?? payout.paymentMethod;
      const payee = await readPayeeFacts(tx, payout.userId);
      const terms = { now: this.#clock.now(), cooloffHours: this.#terms.cooloffHours };
      if (paymentMethod === 'ach' && (await isRefused(tx, payout))) {
        await this.#progress.takeAccount(tx, subject, actor);
        return new DomainError(
          'BANK_INFO_MISSING',
          'A payment to the account of this payout has failed. The member was asked for another one.',
        );
      }
      assertNothingMissing(payout, payee, request, paymentMethod, terms);
      const doubt = payeeDoubt(payout, payee, paymentMethod);
      if (doubt) {
        await this.#progress.hold(tx, subject, actor, doubt.holdReason);
        return doubt.error;
      }
      const withholding = decideWithholding(payee, request);
      const { callbackVerification } = request;
      await this.#freezer.freeze(tx, staff(actor), subject, payee, {
        paymentMethod,
        callbackVerification,
        withholding,
      });
      return instructionsOf(await this.#payouts.lock(tx, payoutId));
    });
  }

  /**
   * Records that the money has left, if the instructions still hold. Throws INSTRUCTIONS_STALE after making them void,
   * or VALIDATION_ERROR for dates out of their bounds.
   */
  markPaymentSent(actor: CallerActor, payoutId: string, details: PaymentSentDetails): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'mark-sent', async (tx, subject) => {
      const attempt = liveAttemptOf(subject);
      const { sentDate, expectedArrivalDate, trackingNumber, notes } = details;
      assertDay('sentDate', sentDate, { from: isoDateOf(attempt.generatedAt), to: this.#today() });
      assertDay('expectedArrivalDate', expectedArrivalDate, { from: sentDate });
      if (!(await this.#freezer.stillHolds(tx, subject))) {
        await this.#progress.voidInstructions(tx, subject, actor, 'what they were made from has changed');
        return new DomainError(
          'INSTRUCTIONS_STALE',
          'The payee, address, bank details or W-9 changed after the instructions were made. They are void: do not pay by them.',
        );
      }
      await changeAttempt(tx, attempt, {
        status: 'sent',
        sentBy: staff(actor).adminId,
        sentAt: this.#clock.now(),
        sentDate,
        expectedArrivalDate,
        trackingNumber: trackingNumber ?? null,
      });
      const given = {
        sentDate,
        expectedArrivalDate,
        ...(trackingNumber ? { trackingNumber } : {}),
        ...(notes ? { notes } : {}),
      };
      const { completedDate: _old, confirmationNumber: _none, ...processing } = subject.payout.processing;
      const sent = await this.#payouts.change(
        tx,
        subject.payout,
        {
          status: 'payment_sent',
          scheduledDate: expectedArrivalDate,
          processing: { ...processing, ...given },
        },
        {
          actor,
          action: 'sent',
          entityType: 'payment',
          details: {
            attempt: attempt.number,
            sentDate,
            expectedArrivalDate,
            ...(trackingNumber ? { trackingNumber } : {}),
          },
        },
      );
      await this.#aftermath.sent(tx, sent, attempt, details);
    });
  }

  /** The payment has arrived: the receipt exists from now on, and the membership's end is set. */
  confirmPaymentComplete(
    actor: CallerActor,
    payoutId: string,
    details: CompletionDetails,
  ): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'confirm', async (tx, subject) => {
      const attempt = liveAttemptOf(subject);
      const { completedDate, confirmationNumber } = details;
      assertDay('completedDate', completedDate, {
        from: attempt.sentDate ?? completedDate,
        to: this.#today(),
      });
      await changeAttempt(tx, attempt, {
        status: 'completed',
        completedBy: staff(actor).adminId,
        completedDate,
        confirmationNumber: confirmationNumber ?? null,
      });
      const removalDate = await this.#aftermath.scheduleRemoval(tx, subject.payout, completedDate);
      const { removal_suspended: _before, ...processing } = subject.payout.processing;
      const completed = await this.#payouts.change(
        tx,
        subject.payout,
        {
          status: 'completed',
          membershipRemovalDate: removalDate,
          receiptUrl: `/api/payouts/${payoutId}/receipt`,
          processing: {
            ...processing,
            completedDate,
            ...(confirmationNumber ? { confirmationNumber } : {}),
            membership_removal_scheduled: startOfDay(removalDate).toISOString(),
            removal_reason: REMOVAL_REASON,
            membership_removed: false,
          },
        },
        {
          actor,
          action: 'completed',
          entityType: 'payment',
          details: {
            attempt: attempt.number,
            completedDate,
            membershipRemovalDate: removalDate,
            ...(confirmationNumber ? { confirmationNumber } : {}),
          },
        },
      );
      await this.#aftermath.completed(tx, completed, completedDate);
    });
  }

  /** Records a failure or a return. Throws FAILURE_NOT_PROVEN where money that was sent is not shown to be back. */
  handlePaymentFailure(actor: CallerActor, payoutId: string, report: FailureReport): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'fail', async (tx, subject) => {
      const attempt = liveAttemptOf(subject);
      assertProven(attempt, report);
      await changeAttempt(tx, attempt, {
        status: 'failed',
        failedBy: staff(actor).adminId,
        failedAt: this.#clock.now(),
        failureReason: report.reason,
        returnCode: report.returnCode ?? null,
        stopPaymentReference: report.stopPaymentReference ?? null,
      });
      const account = await this.#concernsAccount(tx, subject.payout, attempt, report.returnCode);
      await this.#aftermath.failed(tx, subject.payout, attempt, account);
      const failed = await this.#payouts.change(tx, subject.payout, this.#afterFailure(subject, attempt), {
        actor,
        action: 'failed',
        entityType: 'payment',
        details: { attempt: attempt.number, ...withoutMissing(report) },
      });
      await this.#settleFailure(tx, actor, failed, attempt, account);
    });
  }

  #afterFailure({ payout }: PayoutCase, attempt: AttemptRow) {
    const base = withoutWithholding(payout);
    const { membership_removal_scheduled: _scheduled, ...processing } = base.processing ?? {};
    const returned = attempt.status === 'completed';
    return {
      ...base,
      status: 'payment_failed' as const,
      receiptUrl: null,
      scheduledDate: null,
      membershipRemovalDate: null,
      processing: returned ? { ...processing, removal_suspended: true } : processing,
    };
  }

  /** By its return code, or because a payment to the same account has failed so for another payout of the member. */
  async #concernsAccount(
    tx: Tx,
    payout: Payout,
    { paymentMethod }: AttemptRow,
    returnCode: string | undefined,
  ): Promise<boolean> {
    return paymentMethod === 'ach' && (concernsAccount(returnCode) || (await isRefused(tx, payout)));
  }

  /** An account that does not work is not used again; after the third failure a person has to look. */
  async #settleFailure(
    tx: Tx,
    actor: CallerActor,
    payout: Payout,
    attempt: AttemptRow,
    account: boolean,
  ): Promise<void> {
    let settled = payout;
    const subject = await this.#payouts.lock(tx, payout.payoutId);
    const review = subject.failures >= FAILURES_BEFORE_REVIEW;
    if (account && attempt.bankDetailsVersion !== null) {
      await refuseDetails(tx, payout.payoutId, attempt.bankDetailsVersion, this.#clock.now());
      const patch = { bankDetails: null, bankDetailsVersion: null, status: 'pending_bank_info' as const };
      settled = await this.#payouts.change(tx, payout, patch, { actor, action: 'bank_details_refused' });
      const refusal = { userId: payout.userId, attempt, actor, at: this.#clock.now() };
      await refuseElsewhere(tx, { payouts: this.#payouts, progress: this.#progress }, refusal);
    }
    // A check has failed, and meanwhile the account that stands beside it.
    if (!account && (await isRefused(tx, settled)))
      settled = await this.#progress.takeAccount(tx, { ...subject, payout: settled }, actor);
    if (review)
      await this.#progress.hold(
        tx,
        { ...subject, payout: settled },
        actor,
        `THIRD_FAILURE: ${subject.failures} payments have failed.`,
      );
  }

  #today(): IsoDate {
    return isoDateOf(this.#clock.now());
  }
}

function staff(actor: CallerActor): StaffActor {
  if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff handle payments.');
  return actor;
}

/** Throws VALIDATION_ERROR for a day out of its bounds. */
function assertDay(field: string, day: IsoDate, bounds: { from?: IsoDate; to?: IsoDate }): void {
  const early = bounds.from !== undefined && day < bounds.from;
  const late = bounds.to !== undefined && day > bounds.to;
  if (!early && !late) return;
  const message = early ? `must not be before ${bounds.from}` : `must not be after ${bounds.to}`;
  throw new DomainError('VALIDATION_ERROR', `${field} ${message}.`, {
    issues: [{ path: `body.${field}`, message }],
  });
}

const withoutMissing = (report: FailureReport): Record<string, string> =>
  Object.fromEntries(
    Object.entries(report).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
