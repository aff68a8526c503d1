import { sql } from 'drizzle-orm';
import { check, index, integer, jsonb, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { bytea, instant, money } from './columns.ts';
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
