/** A member in the queue, with what decides whether they can win. Amounts in cents. */
export interface QueueMember {
  userId: string;
  email: string;
  fullName: string;
  queuePosition: number;
  tenureStartDate: Date;
  lastPaymentDate: Date;
  totalPayments: number;
  lifetimeTotalCents: number;
  subscriptionStatus: string;
  isEligible: boolean;
  meetsTimeRequirement: boolean;
  hasReceivedPayout: boolean;
  kycVerified: boolean;
  tenureNumber: number;
}

/** The document's ValidationResult, with the time requirement of section 6. */
export interface Validation {
  isValid: boolean;
  kycVerified: boolean;
  hasActiveSubscription: boolean;
  meetsTimeRequirement: boolean;
  errors: string[];
}
