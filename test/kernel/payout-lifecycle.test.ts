/** Section 3 of the specification, written out by hand. */
import { describe, expect, it } from 'vitest';
import {
  BANK_INFO_STATUSES,
  canMove,
  PAYOUT_STATUSES,
  RELEASED_STATUSES,
  statesBefore,
  type PayoutStatus,
} from '../../src/kernel/payout-lifecycle.ts';

const STATUSES = [
  'pending_approval', 'pending_bank_info', 'pending_tax_info', 'approved', 'ready_for_payment', 'payment_sent',
  'completed', 'payment_failed', 'rejected', 'cancelled', 'requires_manual_review',
] as const satisfies PayoutStatus[]; // prettier-ignore

/** Which statuses may come after which: a line for each row of the table that leads there. */
const LEGAL = new Set([
  'pending_approval > approved',
  'pending_approval > rejected',
  'approved > pending_bank_info',
  'approved > pending_tax_info',
  'pending_bank_info > pending_tax_info',
  'pending_bank_info > approved',
  'pending_tax_info > approved',
  ...['approved', 'pending_bank_info', 'pending_tax_info', 'payment_failed'].map((from) => `${from} > ready_for_payment`),
  ...['approved', 'pending_bank_info', 'pending_tax_info'].map((to) => `ready_for_payment > ${to}`),
  'ready_for_payment > payment_sent',
  'payment_sent > completed',
  'ready_for_payment > payment_failed',
  'payment_sent > payment_failed',
  'completed > payment_failed',
  'payment_failed > pending_bank_info',
  ...['pending_approval', 'approved', 'pending_bank_info', 'pending_tax_info', 'ready_for_payment', 'payment_failed'].flatMap(
    (from) => [`${from} > requires_manual_review`, `${from} > cancelled`],
  ),
  'requires_manual_review > cancelled',
  ...['pending_approval', 'approved', 'pending_bank_info', 'pending_tax_info', 'payment_failed'].map((to) => `requires_manual_review > ${to}`),
]); // prettier-ignore

describe('the life of a payout', () => {
  it('has eleven statuses', () => {
    expect(PAYOUT_STATUSES).toEqual(STATUSES);
  });

  it.each(STATUSES)('allows from %s what the specification allows, and nothing else', (from) => {
    for (const to of STATUSES) {
      expect(canMove(from, to), `${from} > ${to}`).toBe(LEGAL.has(`${from} > ${to}`));
      expect(statesBefore(to).includes(from)).toBe(LEGAL.has(`${from} > ${to}`));
    }
  });

  it('releases the revenue of a payout that is rejected or cancelled', () => {
    expect([...RELEASED_STATUSES].toSorted()).toEqual(['cancelled', 'rejected']);
  });

  it('takes bank details from the approval until the payment', () => {
    expect([...BANK_INFO_STATUSES].toSorted()).toEqual([
      'approved', 'payment_failed', 'pending_bank_info', 'pending_tax_info', 'ready_for_payment',
    ]); // prettier-ignore
  });
});
