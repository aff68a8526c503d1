import type { ErrorCode } from '../kernel/errors.ts';

interface CatalogueEntry {
  status: number;
  meaning: string;
  remedy: string;
}

/** Every error code with its HTTP status, what it means and what to do. The pages at /docs/errors are made from it. */
export const ERROR_CATALOGUE: Record<ErrorCode, CatalogueEntry> = {
  VALIDATION_ERROR: {
    status: 400,
    meaning: 'The request is not of the form that the route takes.',
    remedy: 'Mend the fields named in details.issues and send it again. Nothing was changed.',
  },
  UNAUTHENTICATED: {
    status: 401,
    meaning: 'The request carries no valid sign-in: none, an expired one, or one signed out.',
    remedy: 'Sign in and send the session cookie, or the signed token as Authorization: Bearer.',
  },
  FORBIDDEN: {
    status: 403,
    meaning: 'You are signed in, but your role does not allow this.',
    remedy: 'Ask somebody with one of the roles named in the message.',
  },
  SEPARATION_OF_DUTIES: {
    status: 403,
    meaning: 'Your role allows it, but you had a hand in this payout that bars you: money needs two people.',
    remedy: 'Have another member of staff do it. The message names the rule and who could act.',
  },
  STEP_UP_REQUIRED: {
    status: 403,
    meaning: 'Your sign-in is too old for an act that moves money or shows numbers.',
    remedy: 'Sign in again and repeat the request.',
  },
  NOT_FOUND: {
    status: 404,
    meaning: 'There is nothing at this address that you may see.',
    remedy: 'Check the id and the path.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: 'The path exists, but not with this method.',
    remedy: 'Use one of the methods in the Allow header.',
  },
  INVALID_STATE: {
    status: 409,
    meaning: 'The payout or form is not in a status from which this can be done.',
    remedy: 'Read it again: allowedActions says what can be done now.',
  },
  STALE_VERSION: {
    status: 409,
    meaning: 'It has changed since the version that you saw.',
    remedy: 'Read it again (details.currentVersion), look at what changed, and repeat with the new version.',
  },
  INSTRUCTIONS_STALE: {
    status: 409,
    meaning:
      'The payee, address, bank details or W-9 changed after the instructions were made. They are void.',
    remedy: 'Do not pay by them. Generate new instructions.',
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    meaning: 'A request with the same Idempotency-Key is still running.',
    remedy: 'Wait a moment and send it again with the same key.',
  },
  ALREADY_RUNNING: {
    status: 409,
    meaning: 'The job is running already.',
    remedy: 'Wait for it to end; GET /api/jobs shows it.',
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    meaning: 'The body is too large.',
    remedy: 'Send at most 64 KiB of JSON.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    meaning: 'The body is not JSON.',
    remedy: 'Send Content-Type: application/json in UTF-8.',
  },
  NOT_ELIGIBLE: {
    status: 422,
    meaning: 'The company does not meet the conditions for a payout: revenue or age.',
    remedy: 'See GET /api/payouts/eligibility for the reason.',
  },
  NO_FUNDED_SLOT: {
    status: 422,
    meaning: 'Revenue does not fund as many payouts as were asked for.',
    remedy: 'Choose at most as many winners as availableSlots.',
  },
  INVALID_WINNER: {
    status: 422,
    meaning: 'A chosen member cannot win now. Nothing was created for any of them.',
    remedy: 'See details.winners for each member and reason.',
  },
  QUEUE_ORDER_OVERRIDE_REQUIRED: {
    status: 422,
    meaning: 'A valid member further up in the queue would be passed over.',
    remedy: 'Choose the members in details.passedOver first, or say why not in overrideReason.',
  },
  KYC_NOT_VERIFIED: {
    status: 422,
    meaning: 'The identity of the payee is no longer verified. The payout went to manual review.',
    remedy: 'Have the identity verified, then resume the payout.',
  },
  NAME_MISMATCH: {
    status: 422,
    meaning: 'The names on identity check, W-9 and bank account differ. The payout went to manual review.',
    remedy: 'Compare them; resuming with a note accepts this pair of names.',
  },
  W9_MISSING: {
    status: 422,
    meaning: 'There is no approved W-9, so 24% would have to be withheld.',
    remedy: 'Wait for the W-9, or repeat with applyBackupWithholding: true and a reason.',
  },
  WITHHOLDING_NOT_DUE: {
    status: 422,
    meaning: 'There is an approved W-9: nothing may be withheld.',
    remedy: 'Leave applyBackupWithholding out.',
  },
  BANK_INFO_MISSING: {
    status: 422,
    meaning: 'The member has given no bank details.',
    remedy: 'Wait for them, or generate instructions for a check.',
  },
  BANK_DETAILS_REFUSED: {
    status: 422,
    meaning: 'A payment to these bank details has failed because of the account. They cannot be used again.',
    remedy: 'Give another account.',
  },
  ADDRESS_MISSING: {
    status: 422,
    meaning: 'The member has no primary address to send a check to.',
    remedy: 'Have the address completed in the main app, or pay by ACH.',
  },
  COOLOFF_ACTIVE: {
    status: 422,
    meaning: 'Bank details were changed a short time ago.',
    remedy: 'Wait until details.until, or call the member back and say so in callbackVerification.',
  },
  FAILURE_NOT_PROVEN: {
    status: 422,
    meaning: 'A payment that was sent fails only with evidence that the money is back.',
    remedy:
      'Give returnCode (ACH) or stopPaymentReference (check). A completed payment takes an ACH return code only.',
  },
  YEAR_NOT_ENDED: {
    status: 422,
    meaning: 'The tax year has not ended.',
    remedy: 'Read the drafts meanwhile with GET /api/reports/tax-forms/:year.',
  },
  TAX_YEAR_UNKNOWN: {
    status: 422,
    meaning: 'The thresholds and rates of this tax year are not in the table.',
    remedy: 'Add the year to the setting TAX_YEARS.',
  },
  MEMBERSHIP_NOT_REMOVED: {
    status: 422,
    meaning: 'The membership was never removed, or the member is active again already.',
    remedy: 'Nothing is to be done.',
  },
  NO_NEW_PAYMENT: {
    status: 422,
    meaning: 'There is no succeeded payment of that time after the removal.',
    remedy: 'Report the payment once it has succeeded, with its own date.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    meaning: 'The Idempotency-Key was used before with another body.',
    remedy: 'Use a new key for a new request.',
  },
  LINK_INVALID: {
    status: 422,
    meaning: 'The link is too old, meant for somebody else, or not one of ours.',
    remedy: 'Sign in as the person to whom it was sent, or ask for a new message.',
  },
  NOT_RESENDABLE: {
    status: 422,
    meaning: 'Only a message that has been sent or has failed can be sent again.',
    remedy: 'Wait: it is still on its way.',
  },
  RATE_LIMITED: {
    status: 429,
    meaning: 'Too many requests.',
    remedy: 'Wait as many seconds as Retry-After says.',
  },
  INTERNAL: {
    status: 500,
    meaning: 'Something failed that should not.',
    remedy: 'Report it with the requestId. A mutation can be repeated with the same Idempotency-Key.',
  },
  UNAVAILABLE: {
    status: 503,
    meaning: 'The database, or another service that is needed, cannot be reached now.',
    remedy: 'Try again shortly, a mutation with the same Idempotency-Key.',
  },
};
