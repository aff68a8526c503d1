import type { Cents } from '../kernel/money.ts';

/** A member in the queue, with what decides whether they can win. Amounts in cents. */
export interface QueueMember {
  userId: string;
  email: string;
  fullName: string;
  queuePosition: number;
  tenureStartDate: Date;
  lastPaymentDate: Date;
  totalPayments: number;
  lifetimeTotalCents: Cents;
  subscriptionStatus: string;
  isEligible: boolean;
  meetsTimeRequirement: boolean;
  hasReceivedPayout: boolean;
  kycVerified: boolean;
  tenureNumber: number;
  /** Where the member stands, to go on from. */
  place: QueuePlace;
}

/** A place in the queue that outlives changes ahead of it, as a position does not. */
export interface QueuePlace {
  /** ISO 8601 to the microsecond. */
  tenureStart: string;
  userId: string;
}

/** Sums over all members. */
export interface QueueTotals {
  /** Succeeded payments in US dollars. */
  revenueCents: Cents;
  /** Members with an active subscription and no payout in their tenure. */
  candidates: number;
  /** Payouts that are not rejected or cancelled, and their gross. */
  livePayouts: number;
  liveGrossCents: Cents;
}
