import type { QueueMember } from '../queue/queue-member.ts';
import type { Validation } from './candidate.ts';

/** Can this member be chosen now? Every reason against it is named (specification, section 6). */
export function validateMember(member: QueueMember): Validation {
  const errors = [
    ...(member.hasReceivedPayout ? ['The member already has a payout in this tenure.'] : []),
    ...(member.isEligible ? [] : [`The subscription is ${member.subscriptionStatus}; it must be active.`]),
    ...(member.kycVerified ? [] : ['The identity check (KYC) is not verified.']),
    ...(member.meetsTimeRequirement
      ? []
      : [`The member has ${member.totalPayments} payments in this tenure; 12 are needed.`]),
  ];
  return {
    isValid: errors.length === 0,
    kycVerified: member.kycVerified,
    hasActiveSubscription: ['active', 'trialing'].includes(member.subscriptionStatus),
    meetsTimeRequirement: member.meetsTimeRequirement,
    errors,
  };
}

export const NOT_IN_QUEUE: Validation = {
  isValid: false,
  kycVerified: false,
  hasActiveSubscription: false,
  meetsTimeRequirement: false,
  errors: ['The member is not in the queue: no active subscription, or no payment.'],
};

/** The members further up who could have been chosen and were not. */
export function passedOver(chosen: readonly QueueMember[], ahead: readonly QueueMember[]): QueueMember[] {
  const last = Math.max(0, ...chosen.map(({ queuePosition }) => queuePosition));
  const ids = new Set(chosen.map(({ userId }) => userId));
  return ahead.filter((member) => member.queuePosition < last && !ids.has(member.userId));
}
