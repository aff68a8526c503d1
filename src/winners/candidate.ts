/** The document's ValidationResult, with the time requirement of section 6. */
export interface Validation {
  isValid: boolean;
  kycVerified: boolean;
  hasActiveSubscription: boolean;
  meetsTimeRequirement: boolean;
  errors: string[];
}
