import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  date,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { instant, money } from './columns.ts';
import { PAYOUT_STATUSES, type PayoutStatus } from '../../kernel/payout-lifecycle.ts';
import { adminUsers, users } from './shared.ts';

const oneOf = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(', '));

export const PAYMENT_METHODS = ['ach', 'check'] as const;
export type PaymentMethod = (typeof PAYMENT_METHODS)[number];

/** Snapshot of what was true when the winner was chosen (design document, Data Models). Dollars, ISO 8601 instants. */
export interface EligibilitySnapshot {
  totalRevenue: number;
  companyAgeMonths: number;
  queuePosition: number;
  tenureStartDate: string;
  totalPayments: number;
  lifetimeTotal: number;
  selectionCriteria: string;
  timestamp: string;
  subscriptionStatus: string;
  potentialWinners: number;
  awardedPayouts: number;
  fundingTranche: number;
  rewardPerWinner: number;
  overrideReason?: string;
  passedOverCount: number;
  passedOver: { userId: string; queuePosition: number; valid: boolean; reasons: string[] }[];
}

export interface ApprovalEntry {
  adminId: number;
  decision: 'approved' | 'rejected';
  reason?: string;
  timestamp: string;
  round: number;
}

export interface MaskedBankDetails {
  accountHolderName: string;
  routingNumber: string;
  accountNumber: string;
  accountType: 'checking' | 'savings';
  encrypted: true;
}

export interface TaxWithholding {
  withholding_rate: number;
  withheld_amount: number;
  net_payout_amount: number;
  reason: string;
}

/** Payment processing details, with the design document's names, which are of both kinds. */
export interface Processing {
  gross_amount?: number;
  retention_fee?: number;
  tax_withholding?: number;
  net_amount?: number;
  breakdown?: { description: string; amount: number }[];
  sentDate?: string;
  expectedArrivalDate?: string;
  completedDate?: string;
  trackingNumber?: string;
  confirmationNumber?: string;
  notes?: string;
  membership_removal_scheduled?: string;
  removal_reason?: string;
  membership_removed?: boolean;
  removal_suspended?: boolean;
}

export interface InternalNote {
  adminId: number;
  note: string;
  timestamp: string;
}

export interface TrailEntry {
  action: string;
  actor: string;
  timestamp: string;
  details: Record<string, unknown>;
}

export const payoutManagement = pgTable(
  'payout_management',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id').notNull().unique(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    queuePosition: integer('queue_position').notNull(),
    amount: money('amount').notNull(),
    currency: text('currency').notNull().default('USD'),
    status: text('status').$type<PayoutStatus>().notNull(),
    retentionFee: money('retention_fee').notNull(),
    withheldAmount: money('withheld_amount').notNull().default('0'),
    netAmount: money('net_amount').notNull(),
    membershipRemovalDate: date('membership_removal_date', { mode: 'string' }),
    eligibilityCheck: jsonb('eligibility_check').$type<EligibilitySnapshot>().notNull(),
    approvalWorkflow: jsonb('approval_workflow').$type<ApprovalEntry[]>().notNull().default([]),
    scheduledDate: date('scheduled_date', { mode: 'string' }),
    paymentMethod: text('payment_method').$type<PaymentMethod>().notNull().default('ach'),
    bankDetails: jsonb('bank_details').$type<MaskedBankDetails>(),
    taxWithholding: jsonb('tax_withholding').$type<TaxWithholding>(),
    processing: jsonb('processing').$type<Processing>().notNull().default({}),
    receiptUrl: text('receipt_url'),
    internalNotes: jsonb('internal_notes').$type<InternalNote[]>().notNull().default([]),
    auditTrail: jsonb('audit_trail').$type<TrailEntry[]>().notNull().default([]),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    // What the document does not name.
    version: integer('version').notNull().default(1),
    initiatedBy: integer('initiated_by')
      .notNull()
      .references(() => adminUsers.id),
    fundingTranche: integer('funding_tranche').notNull(),
    /** How often the member had been removed before: with the user it names the tenure that won. */
    tenureNumber: integer('tenure_number').notNull(),
    requiredApprovals: integer('required_approvals').notNull(),
    approvalRound: integer('approval_round').notNull().default(1),
    approvedAt: instant('approved_at'),
    heldFrom: text('held_from').$type<PayoutStatus>(),
    holdReason: text('hold_reason'),
    /** The version of `bank_details` in force. */
    bankDetailsVersion: integer('bank_details_version'),
    bankDetailsChangedAt: instant('bank_details_changed_at'),
    /** The pair of names that a reviewer accepted when resuming. */
    acceptedNames: text('accepted_names'),
  },
  (table) => [
    check('payout_management_status_known', sql`${table.status} IN (${oneOf(PAYOUT_STATUSES)})`),
    check('payout_management_method_known', sql`${table.paymentMethod} IN (${oneOf(PAYMENT_METHODS)})`),
    check('payout_management_payout_id_form', sql`${table.payoutId} ~ '^PO-[0-9]{4}-[0-9A-HJKMNP-TV-Z]{8}$'`),
    check('payout_management_currency_usd', sql`${table.currency} = 'USD'`),
    check(
      'payout_management_amounts_add_up',
      sql`${table.amount} = ${table.netAmount} + ${table.retentionFee} + ${table.withheldAmount}`,
    ),
    check(
      'payout_management_amounts_positive',
      sql`${table.amount} > 0 AND ${table.netAmount} > 0 AND ${table.retentionFee} >= 0 AND ${table.withheldAmount} >= 0`,
    ),
    check('payout_management_tranche_positive', sql`${table.fundingTranche} > 0`),
    check(
      'payout_management_held_from_set',
      sql`(${table.status} = 'requires_manual_review') = (${table.heldFrom} IS NOT NULL)`,
    ),
    uniqueIndex('payout_management_one_payout_per_tranche')
      .on(table.fundingTranche)
      .where(sql`status NOT IN ('rejected', 'cancelled')`),
    index('payout_management_released_tranche_idx')
      .on(table.fundingTranche)
      .where(sql`status IN ('rejected', 'cancelled')`),
    uniqueIndex('payout_management_one_win_per_tenure')
      .on(table.userId, table.tenureNumber)
      .where(sql`status NOT IN ('rejected', 'cancelled')`),
    index('payout_management_user_id_idx').on(table.userId),
    index('payout_management_initiated_by_idx').on(table.initiatedBy),
    index('payout_management_created_at_idx').on(table.createdAt, table.payoutId),
    index('payout_management_status_idx').on(table.status, table.createdAt),
  ],
);

/** The legal moves, as data for the trigger that refuses all others. */
export const payoutMoves = pgTable(
  'payout_moves',
  { fromStatus: text('from_status').notNull(), toStatus: text('to_status').notNull() },
  (table) => [primaryKey({ columns: [table.fromStatus, table.toStatus] })],
);

/** Immutable decisions (specification, section 7). The database refuses what four eyes forbid. */
export const payoutApprovals = pgTable(
  'payout_approvals',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id')
      .notNull()
      .references(() => payoutManagement.payoutId),
    round: integer('round').notNull(),
    adminId: integer('admin_id')
      .notNull()
      .references(() => adminUsers.id),
    decision: text('decision').$type<'approved' | 'rejected'>().notNull(),
    reason: text('reason'),
    decidedAt: instant('decided_at').notNull(),
    /** SHA-256 of payout, payee, gross, currency and snapshot as the approver saw them. */
    approvedHash: text('approved_hash').notNull(),
  },
  (table) => [
    check('payout_approvals_decision_known', sql`${table.decision} IN ('approved', 'rejected')`),
    check(
      'payout_approvals_rejection_has_reason',
      sql`${table.decision} = 'approved' OR length(coalesce(${table.reason}, '')) > 0`,
    ),
    uniqueIndex('payout_approvals_one_decision_per_person').on(table.payoutId, table.round, table.adminId),
    index('payout_approvals_admin_id_idx').on(table.adminId),
  ],
);

/** Each recorded eligibility check. */
export const eligibilityChecks = pgTable(
  'eligibility_checks',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    checkedAt: instant('checked_at').notNull(),
    checkedBy: text('checked_by').notNull(),
    result: jsonb('result').$type<Record<string, unknown>>().notNull(),
  },
  (table) => [index('eligibility_checks_checked_at_idx').on(table.checkedAt)],
);
