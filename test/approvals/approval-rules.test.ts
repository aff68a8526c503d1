import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { approvalsNeeded, approvedHash } from '../../src/approvals/approval-rules.ts';
import type { Payout } from '../../src/payouts/payout.ts';
import { payoutWith } from '../support/payout-cases.ts';

it.each([
  [1, 1],
  [9_999_999, 1],
  [10_000_000, 2],
  [10_000_001, 2],
])('a gross of %i cents needs %i approvals', (gross, needed) => {
  expect(approvalsNeeded(gross)).toBe(needed);
});

it('what is approved is payout, payee, gross, currency and snapshot, in dollars and sorted', () => {
  const json =
    '["PO-2026-AAAAAAAA","00000000-0000-4000-8000-00000000aaaa",100000,"USD",{"checkedAt":"2026-11-20T12:00:00.000Z"}]';
  expect(approvedHash(payoutWith())).toBe(createHash('sha256').update(json).digest('hex'));
});

it.each<[string, Partial<Payout>, boolean]>([
  ['the payee', { userId: '00000000-0000-4000-8000-00000000bbbb' }, true],
  ['the payout', { payoutId: 'PO-2026-BBBBBBBB' }, true],
  ['the gross', { grossCents: 10_000_001 }, true],
  ['the currency', { currency: 'EUR' }, true],
  ['the snapshot', { eligibilityCheck: { checkedAt: 'later' } as unknown as Payout['eligibilityCheck'] }, true],
  ['the version', { version: 2 }, false],
])('another %s: is it another hash?', (_what, change, differs) => {
  expect(approvedHash(payoutWith(change)) !== approvedHash(payoutWith())).toBe(differs);
}); // prettier-ignore
