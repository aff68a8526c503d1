import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCast, Stories, type Cast } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

describe('a payout from eligibility to completion', () => {
  it('pays 99,700.00 with an approved W-9', async () => {
    const { payoutId, member } = await stories.completed();
    const { body } = await cast.viewer.get(`/api/payouts/${payoutId}`);
    expect(body).toMatchObject({
      status: 'completed',
      amount: 100000,
      retentionFee: 300,
      netAmount: 99700,
      taxWithholding: null,
    });
    expect(body.processing).toMatchObject({
      gross_amount: 100000,
      net_amount: 99700,
      tax_withholding: 0,
      membership_removed: false,
    });
    expect(body.membershipRemovalDate).toBe('2027-11-20T00:00:00.000Z');
    const receipt = await member.pdf(`/api/payouts/${payoutId}/receipt`);
    expect(receipt.status).toBe(200);
    expect(receipt.content.subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('withholds 24% and pays 75,700.00 without one', async () => {
    const { payoutId } = await stories.withBank();
    const refused = await cast.finance.post(`/api/payouts/${payoutId}/generate-instructions`);
    expect([refused.status, refused.body.error.code]).toEqual([422, 'W9_MISSING']);
    const made = await cast.finance.post(`/api/payouts/${payoutId}/generate-instructions`, {
      applyBackupWithholding: true,
      reason: 'No W-9.',
    });
    expect(made.status).toBe(200);
    expect(made.body).toMatchObject({ amount: 75700, bankDetails: { accountNumber: '****6789' } });
    const { body } = await cast.viewer.get(`/api/payouts/${payoutId}`);
    expect(body.taxWithholding).toMatchObject({
      withholdingRate: 0.24,
      withheldAmount: 24000,
      netPayoutAmount: 76000,
    });
    expect(body).toMatchObject({ netAmount: 75700, processing: { net_amount: 75700 } });
  });
});
