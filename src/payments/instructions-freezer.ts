import type { Tx } from '../db/client.ts';
import type { PaymentMethod } from '../db/schema/index.ts';
import type { StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { decimalFromCents, dollars } from '../kernel/money.ts';
import { insertAttempt } from '../payouts/record-attempt.ts';
import { payoutAmounts, processingAmounts, withholdingRecord } from '../payouts/payout-amounts-rules.ts';
import { readPayeeFacts, type PayeeAddress, type PayeeFacts } from '../payouts/payout-requirements.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { Payout, PayoutCase } from '../payouts/payout.ts';
import type { TaxComplianceService } from '../tax/tax-compliance.ts';
import type { BankDetailsService } from './bank-details-service.ts';
import { instructionsHash, type Withholding } from './instructions-rules.ts';
import { isRefused } from './refused-account.ts';

export interface Settled {
  paymentMethod: PaymentMethod;
  callbackVerification?: string | undefined;
  withholding: Withholding | undefined;
}

/** Freezes what is paid, to whom and how, as a numbered attempt; and tells later whether it still holds. */
export class InstructionsFreezer {
  readonly #clock: Clock;
  readonly #payouts: Payouts;
  readonly #bankDetails: BankDetailsService;
  readonly #tax: TaxComplianceService;

  constructor(clock: Clock, payouts: Payouts, bankDetails: BankDetailsService, tax: TaxComplianceService) {
    this.#clock = clock;
    this.#payouts = payouts;
    this.#bankDetails = bankDetails;
    this.#tax = tax;
  }

  async freeze(
    tx: Tx,
    actor: StaffActor,
    subject: PayoutCase,
    payee: PayeeFacts,
    settled: Settled,
  ): Promise<void> {
    const { payout } = subject;
    const { paymentMethod, withholding } = settled;
    const rate = withholding ? this.#tax.withholdingBasisPoints() : 0;
    const amounts = payoutAmounts(payout.grossCents, payout.retentionFeeCents, rate);
    const number = subject.lastAttemptNumber + 1;
    const hash = await this.#hash(tx, { ...payout, ...amounts, paymentMethod }, number, payee);
    const ach = paymentMethod === 'ach';
    await insertAttempt(tx, {
      payoutId: payout.payoutId,
      number,
      paymentMethod,
      netAmount: decimalFromCents(amounts.netCents),
      withheldAmount: decimalFromCents(amounts.withheldCents),
      instructionsHash: hash,
      payeeName: payee.legalName,
      mailingAddress: !ach && payee.address ? withoutNulls(payee.address) : null,
      bankDetailsVersion: ach ? payout.bankDetailsVersion : null,
      bankFingerprint: ach ? await this.#fingerprint(tx, payout) : null,
      w9FormId: payee.w9?.formId ?? null,
      withholdingReason: withholding ? reasonAndRemark(withholding) : null,
      callbackVerification: settled.callbackVerification ?? null,
      generatedBy: actor.adminId,
      generatedAt: this.#clock.now(),
    });
    const patch = {
      status: 'ready_for_payment' as const,
      paymentMethod,
      withheldCents: amounts.withheldCents,
      netCents: amounts.netCents,
      taxWithholding: withholding ? withholdingRecord(amounts, rate, withholding.reason) : null,
      processing: { ...payout.processing, ...processingAmounts(amounts) },
    };
    const details = {
      attempt: number,
      paymentMethod,
      netAmount: dollars(amounts.netCents),
      withheldAmount: dollars(amounts.withheldCents),
      instructionsHash: hash,
      ...(withholding ? { reason: reasonAndRemark(withholding) } : {}),
    };
    await this.#payouts.change(tx, payout, patch, {
      actor,
      action: 'instructions_generated',
      entityType: 'payment',
      details,
    });
  }

  /** Is everything that the live instructions froze still as it was? */
  async stillHolds(tx: Tx, { payout, liveAttempt }: PayoutCase): Promise<boolean> {
    if (!liveAttempt) return false;
    if (liveAttempt.paymentMethod === 'ach' && (await isRefused(tx, payout))) return false;
    const payee = await readPayeeFacts(tx, payout.userId);
    return (await this.#hash(tx, payout, liveAttempt.number, payee)) === liveAttempt.instructionsHash;
  }

  async #hash(tx: Tx, payout: Payout, attempt: number, payee: PayeeFacts): Promise<string> {
    return instructionsHash({
      payoutId: payout.payoutId,
      attempt,
      paymentMethod: payout.paymentMethod,
      grossCents: payout.grossCents,
      retentionFeeCents: payout.retentionFeeCents,
      withheldCents: payout.withheldCents,
      netCents: payout.netCents,
      payee,
      bankDetailsVersion: payout.bankDetailsVersion,
      bankFingerprint: await this.#fingerprint(tx, payout),
      accountHolderName: payout.bankDetails?.accountHolderName,
    });
  }

  #fingerprint(tx: Tx, payout: Payout): Promise<string | undefined> {
    return this.#bankDetails.fingerprintOf(tx, payout.payoutId, payout.bankDetailsVersion);
  }
}

const reasonAndRemark = ({ reason, remark }: Withholding): string =>
  remark === undefined ? reason : `${reason}: ${remark}`;

const withoutNulls = (address: PayeeAddress): Record<string, string> =>
  Object.fromEntries(
    Object.entries(address).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
  );
