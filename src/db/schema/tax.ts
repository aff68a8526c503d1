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
import type { StaffRole } from '../../kernel/actor.ts';
import { bytea, instant, money } from './columns.ts';
import { payoutManagement } from './payouts.ts';
import { adminUsers, users } from './shared.ts';

export interface PostalAddress {
  line1: string;
  line2?: string | undefined;
  city: string;
  state: string;
  postalCode: string;
}

/** A W-9 as submitted, less the TIN, which is in the envelope. */
export interface W9Data {
  legalName: string;
  businessName?: string | undefined;
  taxClassification: string;
  llcClassification?: string | undefined;
  exemptPayeeCode?: string | undefined;
  fatcaExemptionCode?: string | undefined;
  address: PostalAddress;
  tinType: 'ssn' | 'ein' | 'itin';
  certification: {
    signedName: string;
    signedDate: string;
    notSubjectToBackupWithholding: boolean;
    ipAddress?: string | undefined;
    /** When it reached us, ISO 8601. */
    signedAt?: string | undefined;
    textVersion: string;
  };
}

/** Box amounts of a 1099-MISC in dollars, with the design document's names, and whom it is about. */
export interface IncomeDetails {
  box_3_other_income: number;
  federal_tax_withheld: number;
  payoutIds: string[];
  recipient: { name: string; addressLines: string[] };
}

export const TAX_FORM_STATUSES = [
  'submitted',
  'approved',
  'rejected',
  'superseded',
  'issued',
  'corrected',
  'void',
] as const;
export type TaxFormStatus = (typeof TAX_FORM_STATUSES)[number];

export const taxForms = pgTable(
  'tax_forms',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    formId: text('form_id').notNull().unique(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    formType: text('form_type').$type<'W-9' | '1099-MISC'>().notNull(),
    taxYear: integer('tax_year').notNull(),
    status: text('status').$type<TaxFormStatus>().notNull(),
    w9: jsonb('w9').$type<W9Data>(),
    incomeDetails: jsonb('income_details').$type<IncomeDetails>(),
    otherIncome: money('other_income'),
    federalTaxWithheld: money('federal_tax_withheld'),
    tinLast4: text('tin_last4'),
    envelope: text('envelope'),
    keyId: text('key_id'),
    needsCorrection: text('needs_correction'),
    /** The form that this one corrects. */
    corrects: text('corrects'),
    /** Of a 1099: the W-9 from which its name and TIN are. */
    w9FormId: text('w9_form_id'),
    reason: text('reason'),
    reviewedBy: integer('reviewed_by').references(() => adminUsers.id),
    reviewedAt: instant('reviewed_at'),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
  },
  (table) => [
    check('tax_forms_type_known', sql`${table.formType} IN ('W-9', '1099-MISC')`),
    check(
      'tax_forms_status_known',
      sql`(${table.formType} = 'W-9' AND ${table.status} IN ('submitted', 'approved', 'rejected', 'superseded'))
       OR (${table.formType} = '1099-MISC' AND ${table.status} IN ('issued', 'corrected', 'void'))`,
    ),
    uniqueIndex('tax_forms_one_approved_w9')
      .on(table.userId)
      .where(sql`form_type = 'W-9' AND status = 'approved'`),
    uniqueIndex('tax_forms_one_w9_to_review')
      .on(table.userId)
      .where(sql`form_type = 'W-9' AND status = 'submitted'`),
    uniqueIndex('tax_forms_one_live_1099')
      .on(table.userId, table.taxYear)
      .where(sql`form_type = '1099-MISC' AND status = 'issued'`),
    index('tax_forms_user_id_idx').on(table.userId),
    index('tax_forms_year_idx').on(table.taxYear, table.formType, table.status),
    index('tax_forms_created_at_idx').on(table.createdAt, table.formId),
    index('tax_forms_reviewed_by_idx').on(table.reviewedBy),
    index('tax_forms_key_id_idx').on(table.keyId),
    index('tax_forms_w9_form_id_idx').on(table.w9FormId),
  ],
);

/** Every PDF of a 1099 that was ever given out. The recipient's copy shows the last four digits only. */
export const taxFormDocuments = pgTable(
  'tax_form_documents',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    formId: text('form_id')
      .notNull()
      .references(() => taxForms.formId),
    copy: text('copy').$type<'B' | 'C'>().notNull(),
    version: integer('version').notNull(),
    content: bytea('content').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    check('tax_form_documents_copy_known', sql`${table.copy} IN ('B', 'C')`),
    uniqueIndex('tax_form_documents_version').on(table.formId, table.copy, table.version),
  ],
);

/** Tax withheld from a payment that was sent, owed to the IRS until the payment comes back. */
export const withholdingLiabilities = pgTable(
  'withholding_liabilities',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id')
      .notNull()
      .references(() => payoutManagement.payoutId),
    attempt: integer('attempt').notNull(),
    liabilityDate: date('liability_date', { mode: 'string' }).notNull(),
    amount: money('amount').notNull(),
    createdAt: instant('created_at').notNull(),
    reversedAt: instant('reversed_at'),
    reversalReason: text('reversal_reason'),
  },
  (table) => [
    check('withholding_liabilities_amount_positive', sql`${table.amount} > 0`),
    uniqueIndex('withholding_liabilities_one_per_attempt').on(table.payoutId, table.attempt),
    index('withholding_liabilities_date_idx').on(table.liabilityDate),
  ],
);

/** Who asked for a year's forms: their entries name them, though a job made the forms. */
export interface IssuingActor {
  kind: 'staff';
  adminId: number;
  userId: string;
  email: string;
  role: StaffRole;
}

/** The issuing of a year's 1099s, done in steps by whoever comes along. */
export const taxIssueRuns = pgTable(
  'tax_issue_runs',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    taxYear: integer('tax_year').notNull(),
    status: text('status').$type<'running' | 'done'>().notNull(),
    actor: jsonb('actor').$type<IssuingActor>().notNull(),
    requestId: text('request_id'),
    /** Payees for whom a form was due when it began. */
    payees: integer('payees').notNull(),
    issued: integer('issued').notNull(),
    startedAt: instant('started_at').notNull(),
    finishedAt: instant('finished_at'),
  },
  (table) => [
    check('tax_issue_runs_status_known', sql`${table.status} IN ('running', 'done')`),
    uniqueIndex('tax_issue_runs_one_running')
      .on(table.taxYear)
      .where(sql`status = 'running'`),
  ],
);

/** Payees whose forms a run has still to make: each row goes in the transaction that makes the form. */
export const taxIssuePayees = pgTable(
  'tax_issue_payees',
  {
    runId: bigint('run_id', { mode: 'number' })
      .notNull()
      .references(() => taxIssueRuns.id),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
  },
  (table) => [
    primaryKey({ columns: [table.runId, table.userId] }),
    index('tax_issue_payees_user_id_idx').on(table.userId),
  ],
);

/** Keys of our own, each wrapped by the master key as a record's data key is. */
export const vaultKeys = pgTable('vault_keys', {
  name: text('name').primaryKey(),
  envelope: text('envelope').notNull(),
  keyId: text('key_id').notNull(),
  createdAt: instant('created_at').notNull(),
});
