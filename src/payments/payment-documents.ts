import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import type { DocumentRenderer } from '../documents/document-renderer.ts';
import type { MailingAddress } from '../documents/payment-instructions-document.ts';
import { actorLabel, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import { refusalOf } from '../payouts/payout-actions-rules.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { AttemptRow, Payout } from '../payouts/payout.ts';
import type { BankDetailsService } from './bank-details-service.ts';

/** Makes the PDFs of a payment. They are streamed and never stored: the instructions hold the full account number. */
export class PaymentDocuments {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #payouts: Payouts;
  readonly #bankDetails: BankDetailsService;
  readonly #renderer: DocumentRenderer;

  constructor(deps: {
    database: Database;
    clock: Clock;
    payouts: Payouts;
    bankDetails: BankDetailsService;
    renderer: DocumentRenderer;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#payouts = deps.payouts;
    this.#bankDetails = deps.bankDetails;
    this.#renderer = deps.renderer;
  }

  /** For admin and finance; every download is audited before the file leaves. Throws NOT_FOUND, SEPARATION_OF_DUTIES. */
  async instructions(actor: CallerActor, payoutId: string): Promise<Buffer> {
    const { payout, attempt } = await this.#database.transaction(async (tx) => {
      const subject = await this.#payouts.find(actor, payoutId, tx);
      const refusal = refusalOf('instructions', actor, subject);
      if (refusal?.code === 'INVALID_STATE' || (!refusal && !subject.liveAttempt)) {
        throw new DomainError('NOT_FOUND', 'There are no payment instructions in force for this payout.');
      }
      if (refusal) throw new DomainError(refusal.code, refusal.message);
      const attempt = subject.liveAttempt as AttemptRow;
      await recordAudit(tx, {
        actor,
        at: this.#clock.now(),
        entityType: 'payment',
        entityId: payoutId,
        action: 'instructions_downloaded',
        newValues: { attempt: attempt.number, instructionsHash: attempt.instructionsHash },
      });
      return { payout: subject.payout, attempt };
    });
    const input = {
      payoutId,
      attempt: attempt.number,
      instructionsHash: attempt.instructionsHash,
      generatedAt: attempt.generatedAt,
      generatedBy: `staff:${attempt.generatedBy}`,
      paymentMethod: attempt.paymentMethod,
      payeeName: attempt.payeeName,
      amounts: amountsOf(payout, attempt),
      ...(await this.#destination(payout, attempt)),
      ...(attempt.callbackVerification === null
        ? {}
        : { callbackVerification: attempt.callbackVerification }),
      downloadedBy: actorLabel(actor),
      downloadedAt: this.#clock.now(),
      ...(attempt.status === 'sent' ? { memo: `SENT ON ${attempt.sentDate ?? ''}. DO NOT PAY AGAIN.` } : {}),
    };
    return this.#renderer.render({ kind: 'instructions', input });
  }

  async #destination(payout: Payout, attempt: AttemptRow) {
    if (attempt.paymentMethod === 'check')
      return { address: attempt.mailingAddress as unknown as MailingAddress };
    const numbers = await this.#bankDetails.numbersOf(
      this.#database.reader,
      payout.payoutId,
      attempt.bankDetailsVersion,
    );
    const { accountHolderName, routingNumber, accountNumber, accountType } = numbers;
    return { bank: { accountHolderName, routingNumber, accountNumber, accountType } };
  }

  /** For staff and the payee, once the payment is completed; gone when it comes back. Throws NOT_FOUND. */
  async receipt(actor: CallerActor, payoutId: string): Promise<Buffer> {
    const { payout, liveAttempt } = await this.#payouts.find(actor, payoutId);
    const { processing } = payout;
    if (
      payout.status !== 'completed' ||
      !liveAttempt ||
      !payout.membershipRemovalDate ||
      !processing.completedDate
    ) {
      throw new DomainError('NOT_FOUND', 'The receipt exists once the payment is completed.');
    }
    const input = {
      payoutId,
      payeeName: liveAttempt.payeeName,
      paymentMethod: liveAttempt.paymentMethod,
      ...(payout.bankDetails && liveAttempt.paymentMethod === 'ach'
        ? { accountLast4: payout.bankDetails.accountNumber.slice(-4) }
        : {}),
      ...(liveAttempt.mailingAddress
        ? { mailingAddress: liveAttempt.mailingAddress as unknown as MailingAddress }
        : {}),
      amounts: amountsOf(payout, liveAttempt),
      sentDate: liveAttempt.sentDate ?? processing.completedDate,
      completedDate: processing.completedDate,
      ...(liveAttempt.expectedArrivalDate ? { expectedArrivalDate: liveAttempt.expectedArrivalDate } : {}),
      ...(liveAttempt.trackingNumber ? { trackingNumber: liveAttempt.trackingNumber } : {}),
      ...(liveAttempt.confirmationNumber ? { confirmationNumber: liveAttempt.confirmationNumber } : {}),
      membershipRemovalDate: payout.membershipRemovalDate,
      issuedAt: payout.updatedAt,
    };
    return this.#renderer.render({ kind: 'receipt', input });
  }
}

/** As the attempt froze them. The payout was read by itself, and what it withholds can be another attempt's by now. */
const amountsOf = ({ grossCents, retentionFeeCents }: Payout, attempt: AttemptRow) => ({
  grossCents,
  retentionFeeCents,
  withheldCents: centsFromDecimal(attempt.withheldAmount),
  netCents: centsFromDecimal(attempt.netAmount),
  ...(attempt.withholdingReason === null ? {} : { withholdingReason: attempt.withholdingReason }),
});
