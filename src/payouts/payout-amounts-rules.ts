import type { Processing, TaxWithholding } from '../db/schema/index.ts';
import { dollars, shareOf, type Cents } from '../kernel/money.ts';
import type { PayoutPatch } from './payout-store.ts';
import type { Payout } from './payout.ts';

/** The parts of a payout: `gross = retentionFee + withheld + net`, always. */
export interface PayoutAmounts {
  grossCents: Cents;
  retentionFeeCents: Cents;
  withheldCents: Cents;
  netCents: Cents;
}

/** Backup withholding is of the gross (IRC section 3406), rounded half up to the cent. */
export function payoutAmounts(
  grossCents: Cents,
  retentionFeeCents: Cents,
  withholdingBasisPoints: number,
): PayoutAmounts {
  const withheldCents = shareOf(grossCents, withholdingBasisPoints);
  return {
    grossCents,
    retentionFeeCents,
    withheldCents,
    netCents: grossCents - retentionFeeCents - withheldCents,
  };
}

/** The lines of the breakdown in the document's words, in dollars; deductions are negative. */
export function breakdownOf(amounts: PayoutAmounts): { description: string; amount: number }[] {
  return [
    { description: 'Gross Payout', amount: dollars(amounts.grossCents) },
    { description: 'Retention Fee (Next Year)', amount: -dollars(amounts.retentionFeeCents) },
    ...(amounts.withheldCents > 0
      ? [{ description: 'Backup Withholding', amount: -dollars(amounts.withheldCents) }]
      : []),
    { description: 'Net Payout', amount: dollars(amounts.netCents) },
  ];
}

/** The amounts as the `processing` column keeps them. */
export const processingAmounts = (amounts: PayoutAmounts): Processing => ({
  gross_amount: dollars(amounts.grossCents),
  retention_fee: dollars(amounts.retentionFeeCents),
  tax_withholding: dollars(amounts.withheldCents),
  net_amount: dollars(amounts.netCents),
  breakdown: breakdownOf(amounts),
});

/** The `tax_withholding` column: `net_payout_amount` is gross - withheld, as the document has it. */
export const withholdingRecord = (
  amounts: PayoutAmounts,
  basisPoints: number,
  reason: string,
): TaxWithholding => ({
  withholding_rate: basisPoints / 10_000,
  withheld_amount: dollars(amounts.withheldCents),
  net_payout_amount: dollars(amounts.grossCents - amounts.withheldCents),
  reason,
});

/** Amounts before any withholding: what is withheld is decided when instructions are made. */
export function withoutWithholding(payout: Payout): PayoutPatch {
  const amounts = payoutAmounts(payout.grossCents, payout.retentionFeeCents, 0);
  return {
    withheldCents: amounts.withheldCents,
    netCents: amounts.netCents,
    taxWithholding: null,
    processing: { ...payout.processing, ...processingAmounts(amounts) },
  };
}
