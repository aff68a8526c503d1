/** What each role may see, field by field, as it is told: written out by hand from sections 2 and 11. */

const AMOUNTS = 'breakdown[]{amount description} completedDate expectedArrivalDate gross_amount membership_removal_scheduled membership_removed net_amount removal_reason retention_fee sentDate tax_withholding'; // prettier-ignore
const BANK = 'accountHolderName accountNumber accountType encrypted routingNumber';
const SNAPSHOT = 'awardedPayouts companyAgeMonths fundingTranche lifetimeTotal overrideReason passedOver[]{queuePosition reasons[] userId valid} passedOverCount potentialWinners queuePosition rewardPerWinner selectionCriteria subscriptionStatus tenureStartDate timestamp totalPayments totalRevenue'; // prettier-ignore

/** A member sees of a payout neither who decided what, nor the staff's notes, nor what the choice rested on. */
const MEMBERS_PAYOUT = `allowedActions[]{action allowed reason} amount bankDetails{${BANK}} createdAt currency id membershipRemovalDate netAmount paymentMethod payoutId processing{${AMOUNTS}} queuePosition receiptUrl retentionFee scheduledDate status taxWithholding updatedAt userId version`; // prettier-ignore
const STAFFS_PAYOUT = `${MEMBERS_PAYOUT} approvalWorkflow[]{adminId decision reason round timestamp} eligibilityCheck{${SNAPSHOT}} heldFrom holdReason initiatedBy internalNotes[]{adminId note timestamp} requiredApprovals`; // prettier-ignore
const TRAIL = 'auditTrail[]{action actor details timestamp}';
const without = (fields: string, name: string) => fields.replace(` ${name} `, ' ');
const LATEST = 'nextSteps[]{action message}';
const MEMBERSHIP = 'canReactivate hasReceivedPayout isActive payoutDate scheduledRemovalDate userId';
const list = (fields: string) => `data[]{${fields}} nextCursor`;
const W9 = 'address{city line1 postalCode state} certification{ipAddress notSubjectToBackupWithholding signedAt signedDate signedName textVersion} legalName taxClassification tinType'; // prettier-ignore
const TAX_FORM = 'corrects createdAt formId formType incomeDetails needsCorrection reason reviewedAt reviewedBy status taxYear tinMasked updatedAt userId'; // prettier-ignore

export const MEMBER_SEES: Record<string, string> = {
  '/api/payouts/:id': MEMBERS_PAYOUT,
  '/api/members/:userId/payout': `${without(MEMBERS_PAYOUT, 'id')} ${LATEST}`,
  '/api/members/:userId/membership': MEMBERSHIP,
};

export const STAFF_SEES: Record<string, string> = {
  '/api/payouts': list(STAFFS_PAYOUT),
  '/api/payouts/:id': `${STAFFS_PAYOUT} ${TRAIL}`,
  '/api/members/:userId/payout': `${without(STAFFS_PAYOUT, 'id')} ${LATEST}`,
  '/api/members/:userId/membership': MEMBERSHIP,
  '/api/payouts/eligibility': 'availableSlots awardedPayouts companyAgeMonths eligibleMemberCount isEligible nextCheckDate potentialWinners totalRevenue', // prettier-ignore
  '/api/payouts/eligible-members': `availableSlots ${list('email fullName lastPaymentDate lifetimeTotal queuePosition subscriptionStatus tenureStartDate totalPayments userId validation{errors[] hasActiveSubscription isValid kycVerified meetsTimeRequirement}')}`, // prettier-ignore
  '/api/tax-forms': list(`${TAX_FORM} w9{${W9} nameCheck{accountHolderName kycName matches w9Name}}`),
  '/api/reports/payouts': 'data[]{count grossAmount netAmount period retentionFee status withheldAmount} from groupBy to totals{count grossAmount netAmount retentionFee withheldAmount}', // prettier-ignore
  '/api/reports/tax-forms/2026': `${list('box3OtherIncome box4FederalTaxWithheld formId incomeDetails{box_3_other_income federal_tax_withheld} needsCorrection payoutIds[] recipientName status tinMasked userId')} issuing taxYear totals{box3OtherIncome box4FederalTaxWithheld forms}`, // prettier-ignore
  '/api/reports/withholding/2026': 'days[] form945{line1 line2BackupWithholding line3 line7MTotal line7[]{liability line month}} periods[]{month payments period withheldAmount} taxYear totalWithheld', // prettier-ignore
  '/api/reports/audit-log': list('action actor adminId chainIndex createdAt entityId entityType errorMessage hash id ipAddress metadata newValues oldValues requestId success userAgent userId'), // prettier-ignore
  '/api/reports/audit-log/verification':
    'chains checkpoint coveredEntries entries firstFault valid verifiedAt',
  '/api/notifications': list('attempts createdAt id lastError nextAttemptAt payoutId sentAt status template userId'), // prettier-ignore
  '/api/admin-alerts': list('acknowledgedAt acknowledgedBy category closedAt createdAt details id message severity title'), // prettier-ignore
  '/api/jobs': list('lastRun name nextRun schedule summary'),
};

/** Where a role sees less than the other staff: the names beside a W-9 are for whoever reviews it. */
export const VIEWER_SEES: Record<string, string> = {
  ...STAFF_SEES,
  '/api/tax-forms': list(`${TAX_FORM} w9{${W9}}`),
};

/** Their fields are the entry's own. */
const OPEN_ENDED = new Set(['details', 'metadata', 'newValues', 'oldValues']);

type Shape = Map<string, Shape>;

function addTo(shape: Shape, value: object): Shape {
  for (const [name, item] of Object.entries(value) as [string, unknown][]) {
    const key = Array.isArray(item) ? `${name}[]` : name;
    const inner = shape.get(key) ?? new Map<string, Shape>();
    shape.set(key, inner);
    for (const part of Array.isArray(item) ? (item as unknown[]) : [item])
      if (part !== null && typeof part === 'object' && !OPEN_ENDED.has(name)) addTo(inner, part);
  }
  return shape;
}

const written = (shape: Shape): string =>
  [...shape]
    .map(([name, inner]) => (inner.size === 0 ? name : `${name}{${written(inner)}}`))
    .toSorted()
    .join(' ');

/** The fields of all these answers together, in the words of the tables above. */
export const fieldsOf = (answers: readonly object[]): string =>
  sorted(written(answers.reduce(addTo, new Map<string, Shape>())));

/** The same fields in one order. */
export function sorted(fields: string): string {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const letter of `${fields} `) {
    depth += letter === '{' ? 1 : letter === '}' ? -1 : 0;
    if (letter === ' ' && depth === 0) {
      const open = part.indexOf('{');
      parts.push(open < 0 ? part : `${part.slice(0, open)}{${sorted(part.slice(open + 1, -1))}}`);
      part = '';
    } else part += letter;
  }
  return parts.toSorted().join(' ');
}
