/** Every fault a caller can be told about. `http/error-catalogue.ts` gives each its status and its page in the docs. */
export const ERROR_CODES = [
  'VALIDATION_ERROR',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'SEPARATION_OF_DUTIES',
  'STEP_UP_REQUIRED',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'INVALID_STATE',
  'STALE_VERSION',
  'INSTRUCTIONS_STALE',
  'IDEMPOTENCY_IN_PROGRESS',
  'ALREADY_RUNNING',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'NOT_ELIGIBLE',
  'NO_FUNDED_SLOT',
  'INVALID_WINNER',
  'QUEUE_ORDER_OVERRIDE_REQUIRED',
  'KYC_NOT_VERIFIED',
  'NAME_MISMATCH',
  'W9_MISSING',
  'WITHHOLDING_NOT_DUE',
  'BANK_INFO_MISSING',
  'BANK_DETAILS_REFUSED',
  'ADDRESS_MISSING',
  'COOLOFF_ACTIVE',
  'FAILURE_NOT_PROVEN',
  'YEAR_NOT_ENDED',
  'TAX_YEAR_UNKNOWN',
  'MEMBERSHIP_NOT_REMOVED',
  'NO_NEW_PAYMENT',
  'IDEMPOTENCY_KEY_REUSED',
  'LINK_INVALID',
  'NOT_RESENDABLE',
  'RATE_LIMITED',
  'INTERNAL',
  'UNAVAILABLE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/**
 * A fault named in the words of the domain. It knows no HTTP.
 * `message` is read by people: it says what is wrong and what to do. `details` never holds a secret.
 */
export class DomainError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;
  /** The refusal itself changed something, which stays: a payout that went to manual review. */
  keepsEffects = false;

  constructor(code: ErrorCode, message: string, details?: Record<string, unknown>, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DomainError';
    this.code = code;
    this.details = details;
  }
}

export const notFound = (what: string, id: string): DomainError =>
  new DomainError('NOT_FOUND', `There is no ${what} ${id} that you may see.`);
