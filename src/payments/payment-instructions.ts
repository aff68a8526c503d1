import type { PaymentMethod } from '../db/schema/index.ts';
import { dollars } from '../kernel/money.ts';
import { breakdownOf, type PayoutAmounts } from '../payouts/payout-amounts-rules.ts';
import type { PayeeAddress } from '../payouts/payout-requirements.ts';
import type { AttemptRow, Payout, PayoutCase } from '../payouts/payout.ts';

/** The document's PaymentInstructions: dollars, masked numbers. */
export interface PaymentInstructions {
  payoutId: string;
  attempt: number;
  paymentMethod: PaymentMethod;
  amount: number;
  currency: string;
  recipient: { userId: string; fullName: string };
  bankDetails: Payout['bankDetails'];
  mailingAddress: PayeeAddress | null;
  calculation: PayoutCalculation;
  instructionsHash: string;
  instructionsPdfUrl: string;
  status: Payout['status'];
  version: number;
}

/** The document's PayoutCalculation, in dollars. */
export interface PayoutCalculation {
  grossAmount: number;
  retentionFee: number;
  taxWithholding: number;
  netAmount: number;
  breakdown: { description: string; amount: number }[];
}

export const calculationOf = (amounts: PayoutAmounts): PayoutCalculation => ({
  grossAmount: dollars(amounts.grossCents),
  retentionFee: dollars(amounts.retentionFeeCents),
  taxWithholding: dollars(amounts.withheldCents),
  netAmount: dollars(amounts.netCents),
  breakdown: breakdownOf(amounts),
});

export function instructionsOf(subject: PayoutCase): PaymentInstructions {
  const { payout } = subject;
  const attempt = liveAttemptOf(subject);
  const { paymentMethod } = attempt;
  return {
    payoutId: payout.payoutId,
    attempt: attempt.number,
    paymentMethod,
    amount: dollars(payout.netCents),
    currency: payout.currency,
    recipient: { userId: payout.userId, fullName: attempt.payeeName },
    bankDetails: paymentMethod === 'ach' ? payout.bankDetails : null,
    mailingAddress: attempt.mailingAddress as PayeeAddress | null,
    calculation: calculationOf(payout),
    instructionsHash: attempt.instructionsHash,
    instructionsPdfUrl: `/api/payouts/${payout.payoutId}/instructions`,
    status: payout.status,
    version: payout.version,
  };
}

/** The attempt that is ready, sent or completed: a payout in those statuses always has one. */
export function liveAttemptOf({ payout, liveAttempt }: PayoutCase): AttemptRow {
  if (!liveAttempt) throw new Error(`Payout ${payout.payoutId} is ${payout.status} without a live attempt.`);
  return liveAttempt;
}
