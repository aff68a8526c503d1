/** The only fields whose values may stand in an audit entry. Whatever else is given is recorded as hidden. */
const ALLOWED = new Set([
  'accountType', 'accountNumber', 'routingNumber', 'acknowledgedAt', 'action', 'amount', 'attempt', 'attempts',
  'awardedPayouts', 'availableSlots', 'awarded', 'approvals', 'bankDetailsVersion', 'code', 'companyAgeMonths',
  'completedDate', 'confirmationNumber', 'copy', 'count', 'currency', 'decision', 'dueDate', 'eligibleMemberCount',
  'expectedArrivalDate', 'finishedAt', 'formId', 'formType', 'fundingTranche', 'grossAmount', 'heldFrom',
  'initiatedBy', 'instructionsHash', 'isEligible', 'job', 'membershipRemovalDate', 'method', 'netAmount', 'note',
  'number', 'offsetMs', 'overrideReason', 'path', 'paymentDate', 'paymentMethod', 'payoutId', 'potentialWinners',
  'queuePosition', 'reason', 'receiptUrl', 'requestId', 'retentionFee', 'returnCode', 'round', 'sentDate', 'severity',
  'status', 'stopPaymentReference', 'submitted', 'taxClassification', 'taxYear', 'template', 'tinType', 'totalRevenue',
  'trackingNumber', 'trigger', 'userId', 'version', 'withheldAmount', 'withholdingRate', 'now', 'category', 'to',
]); // prettier-ignore

const MASKED = new Set(['accountNumber', 'routingNumber']);

export type AuditValues = Record<string, unknown>;

/**
 * Keeps what the list allows; a number that must be masked stays only if it already is (`****6789`). What comes out is
 * plain JSON: a Date would be hashed as an object and stored as text, and the chain would look tampered with.
 */
export function redact(values: AuditValues): AuditValues {
  const kept = Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, visible(name, value) ? value : '[hidden]']),
  );
  return JSON.parse(JSON.stringify(kept)) as AuditValues;
}

function visible(name: string, value: unknown): boolean {
  if (!ALLOWED.has(name)) return false;
  return !MASKED.has(name) || (typeof value === 'string' && /^\*{4}\d{0,4}$/.test(value));
}
