/** Section 6 of the specification: who can be chosen, and who is passed over. */
import { describe, expect, it } from 'vitest';
import type { QueueMember } from '../../src/queue/queue-member.ts';
import { NOT_IN_QUEUE, passedOver, validateMember } from '../../src/winners/winner-rules.ts';

const member = (changes: Partial<QueueMember> = {}): QueueMember => ({
  userId: 'a',
  email: 'a@example.com',
  fullName: 'A',
  queuePosition: 1,
  tenureStartDate: new Date(0),
  lastPaymentDate: new Date(0),
  totalPayments: 12,
  lifetimeTotalCents: 30_000,
  subscriptionStatus: 'active',
  isEligible: true,
  meetsTimeRequirement: true,
  hasReceivedPayout: false,
  kycVerified: true,
  tenureNumber: 0,
  place: { tenureStart: '1970-01-01T00:00:00.000000Z', userId: 'a' },
  ...changes,
});

describe('a member', () => {
  it('who has all that it takes can be chosen', () => {
    expect(validateMember(member())).toEqual({
      isValid: true,
      kycVerified: true,
      hasActiveSubscription: true,
      meetsTimeRequirement: true,
      errors: [],
    });
  });

  it.each<[Partial<QueueMember>, object, string]>([
    [{ hasReceivedPayout: true }, {}, 'The member already has a payout in this tenure.'],
    [{ isEligible: false, subscriptionStatus: 'trialing' }, {}, 'The subscription is trialing; it must be active.'],
    [{ isEligible: false, subscriptionStatus: 'past_due' }, { hasActiveSubscription: false }, 'The subscription is past_due; it must be active.'],
    [{ kycVerified: false }, { kycVerified: false }, 'The identity check (KYC) is not verified.'],
    [{ meetsTimeRequirement: false, totalPayments: 11 }, { meetsTimeRequirement: false }, 'The member has 11 payments in this tenure; 12 are needed.'],
  ])('with %o cannot, and is told why', (change, flags, error) => {
    expect(validateMember(member(change))).toEqual({
      ...validateMember(member()),
      isValid: false,
      errors: [error],
      ...flags,
    });
  }); // prettier-ignore

  it('is told every reason at once', () => {
    const found = validateMember(
      member({ hasReceivedPayout: true, isEligible: false, kycVerified: false, meetsTimeRequirement: false }),
    );
    expect(found.errors).toHaveLength(4);
  });

  it('who is not in the queue can never be chosen', () => {
    expect(NOT_IN_QUEUE).toEqual({
      isValid: false,
      kycVerified: false,
      hasActiveSubscription: false,
      meetsTimeRequirement: false,
      errors: ['The member is not in the queue: no active subscription, or no payment.'],
    });
  });
});

describe('passed over', () => {
  const queue = [1, 2, 3, 4].map((queuePosition) => member({ userId: `u${queuePosition}`, queuePosition }));
  const at = (...positions: number[]) =>
    queue.filter(({ queuePosition }) => positions.includes(queuePosition));
  const ids = (members: readonly QueueMember[]) => members.map(({ userId }) => userId);

  it('are those before the last who is chosen, and not chosen themselves', () => {
    expect(ids(passedOver(at(3), queue))).toEqual(['u1', 'u2']);
    expect(ids(passedOver(at(1, 4), queue))).toEqual(['u2', 'u3']);
    expect(passedOver(at(1, 2), queue)).toEqual([]);
    expect(passedOver([], queue)).toEqual([]);
  });
});
