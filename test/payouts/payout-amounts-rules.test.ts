import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  payoutAmounts,
  processingAmounts,
  withholdingRecord,
  withoutWithholding,
} from '../../src/payouts/payout-amounts-rules.ts';
import { payoutWith } from '../support/payout-cases.ts';

it('always add up to the gross', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 999_999_999_999 }),
      fc.integer({ min: 0, max: 100_000 }),
      fc.integer({ min: 0, max: 10_000 }),
      (gross, fee, rate) => {
        const amounts = payoutAmounts(gross, fee, rate);
        expect(amounts.netCents + amounts.retentionFeeCents + amounts.withheldCents).toBe(gross);
        expect(amounts).toMatchObject({ grossCents: gross, retentionFeeCents: fee });
      },
    ),
  );
});

it('are those of the document, with and without a W-9', () => {
  const paid = payoutAmounts(10_000_000, 30_000, 0);
  expect(processingAmounts(paid)).toEqual({
    gross_amount: 100_000,
    retention_fee: 300,
    tax_withholding: 0,
    net_amount: 99_700,
    breakdown: [
      { description: 'Gross Payout', amount: 100_000 },
      { description: 'Retention Fee (Next Year)', amount: -300 },
      { description: 'Net Payout', amount: 99_700 },
    ],
  });
  const withheld = payoutAmounts(10_000_000, 30_000, 2400);
  expect(processingAmounts(withheld)).toEqual({
    gross_amount: 100_000,
    retention_fee: 300,
    tax_withholding: 24_000,
    net_amount: 75_700,
    breakdown: [
      { description: 'Gross Payout', amount: 100_000 },
      { description: 'Retention Fee (Next Year)', amount: -300 },
      { description: 'Backup Withholding', amount: -24_000 },
      { description: 'Net Payout', amount: 75_700 },
    ],
  });
  expect(withholdingRecord(withheld, 2400, 'No W-9')).toEqual({
    withholding_rate: 0.24,
    withheld_amount: 24_000,
    net_payout_amount: 76_000,
    reason: 'No W-9',
  });
});

it('go back to gross less fee when nothing is withheld any more, and keep what else is recorded', () => {
  const payout = payoutWith({
    withheldCents: 2_400_000,
    netCents: 7_570_000,
    processing: { trackingNumber: 'T-1', net_amount: 75_700 },
  });
  expect(withoutWithholding(payout)).toEqual({
    withheldCents: 0,
    netCents: 9_970_000,
    taxWithholding: null,
    processing: { trackingNumber: 'T-1', ...processingAmounts(payoutAmounts(10_000_000, 30_000, 0)) },
  });
});
