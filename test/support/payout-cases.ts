/** Payouts and what decides about them, in memory: for the tests of rules, which need no database. */
import type { ApprovalRow, AttemptRow, Payout, PayoutCase } from '../../src/payouts/payout.ts';
import type { PayeeFacts } from '../../src/payouts/payout-requirements.ts';

export const PAYEE_ID = '00000000-0000-4000-8000-00000000aaaa';

const AT = new Date('2026-11-20T12:00:00Z');

/** Of $100,000, approved, by ACH, initiated by the staff's number 1. */
export function payoutWith(changes: Partial<Payout> = {}): Payout {
  return {
    id: '00000000-0000-4000-8000-000000000001',
    payoutId: 'PO-2026-AAAAAAAA',
    userId: PAYEE_ID,
    queuePosition: 1,
    grossCents: 10_000_000,
    retentionFeeCents: 30_000,
    withheldCents: 0,
    netCents: 9_970_000,
    currency: 'USD',
    status: 'approved',
    membershipRemovalDate: null,
    eligibilityCheck: { checkedAt: AT.toISOString() } as unknown as Payout['eligibilityCheck'],
    approvalWorkflow: [],
    scheduledDate: null,
    paymentMethod: 'ach',
    bankDetails: null,
    taxWithholding: null,
    processing: {},
    receiptUrl: null,
    internalNotes: [],
    auditTrail: [],
    createdAt: AT,
    updatedAt: AT,
    version: 1,
    initiatedBy: 1,
    fundingTranche: 1,
    tenureNumber: 0,
    requiredApprovals: 2,
    approvalRound: 1,
    approvedAt: AT,
    heldFrom: null,
    holdReason: null,
    bankDetailsVersion: null,
    bankDetailsChangedAt: null,
    acceptedNames: null,
    ...changes,
  };
}

export const caseOf = (changes: Partial<Payout> = {}, beside: Partial<PayoutCase> = {}): PayoutCase => ({
  payout: payoutWith(changes),
  approvals: [],
  liveAttempt: undefined,
  lastFailure: undefined,
  failures: 0,
  lastAttemptNumber: 0,
  ...beside,
});

export const decisionOf = (adminId: number): ApprovalRow => ({ adminId }) as ApprovalRow;

export const attemptWith = (changes: Partial<AttemptRow>): AttemptRow => changes as AttemptRow;

/** Verified, with an address and an approved W-9. */
export function payeeWith(changes: Partial<PayeeFacts> = {}): PayeeFacts {
  return {
    kycVerified: true,
    legalName: 'Grace Hopper',
    address: {
      line1: '1 Main Street',
      line2: null,
      city: 'Springfield',
      state: 'IL',
      postalCode: '62701',
      country: 'US',
    },
    w9: w9Of('Grace Hopper'),
    ...changes,
  };
}

export const w9Of = (legalName: string, notSubjectToBackupWithholding = true): PayeeFacts['w9'] =>
  ({
    formId: 'W9-2026-AAAAAAAA',
    data: { legalName, certification: { notSubjectToBackupWithholding } },
  }) as PayeeFacts['w9'];
