import { sql } from 'drizzle-orm';
import { check, date, index, integer, jsonb, pgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { instant, money } from './columns.ts';
import { payoutManagement, type PaymentMethod } from './payouts.ts';
import { adminUsers, users } from './shared.ts';

export type AttemptStatus = 'ready' | 'sent' | 'completed' | 'failed' | 'voided';

/** One numbered attempt at paying. At most one is live. */
export const paymentAttempts = pgTable(
  'payment_attempts',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id')
      .notNull()
      .references(() => payoutManagement.payoutId),
    number: integer('number').notNull(),
    status: text('status').$type<AttemptStatus>().notNull(),
    paymentMethod: text('payment_method').$type<PaymentMethod>().notNull(),
    netAmount: money('net_amount').notNull(),
    withheldAmount: money('withheld_amount').notNull(),
    /** What was frozen: payee, amounts, method, address, versions of bank details and W-9. */
    instructionsHash: text('instructions_hash').notNull(),
    payeeName: text('payee_name').notNull(),
    mailingAddress: jsonb('mailing_address').$type<Record<string, string>>(),
    bankDetailsVersion: integer('bank_details_version'),
    bankFingerprint: text('bank_fingerprint'),
    w9FormId: text('w9_form_id'),
    withholdingReason: text('withholding_reason'),
    callbackVerification: text('callback_verification'),
    generatedBy: integer('generated_by')
      .notNull()
      .references(() => adminUsers.id),
    generatedAt: instant('generated_at').notNull(),
    /** Who recorded the failure before this attempt: they neither generate nor send it. */
    previousFailureBy: integer('previous_failure_by').references(() => adminUsers.id),
    sentBy: integer('sent_by').references(() => adminUsers.id),
    sentDate: date('sent_date', { mode: 'string' }),
    sentAt: instant('sent_at'),
    expectedArrivalDate: date('expected_arrival_date', { mode: 'string' }),
    trackingNumber: text('tracking_number'),
    completedBy: integer('completed_by').references(() => adminUsers.id),
    completedDate: date('completed_date', { mode: 'string' }),
    confirmationNumber: text('confirmation_number'),
    failedBy: integer('failed_by').references(() => adminUsers.id),
    failedAt: instant('failed_at'),
    failureReason: text('failure_reason'),
    returnCode: text('return_code'),
    stopPaymentReference: text('stop_payment_reference'),
    voidedAt: instant('voided_at'),
    voidReason: text('void_reason'),
  },
  (table) => [
    check(
      'payment_attempts_status_known',
      sql`${table.status} IN ('ready', 'sent', 'completed', 'failed', 'voided')`,
    ),
    check('payment_attempts_generator_never_sends', sql`${table.sentBy} <> ${table.generatedBy}`),
    check(
      'payment_attempts_failure_recorder_never_generates',
      sql`${table.previousFailureBy} <> ${table.generatedBy}`,
    ),
    check(
      'payment_attempts_failure_recorder_never_sends',
      sql`${table.previousFailureBy} <> ${table.sentBy}`,
    ),
    check(
      'payment_attempts_sent_failure_has_evidence',
      sql`${table.status} <> 'failed' OR ${table.sentAt} IS NULL OR ${table.returnCode} IS NOT NULL OR ${table.stopPaymentReference} IS NOT NULL`,
    ),
    uniqueIndex('payment_attempts_number').on(table.payoutId, table.number),
    uniqueIndex('payment_attempts_one_live')
      .on(table.payoutId)
      .where(sql`status IN ('ready', 'sent', 'completed')`),
    index('payment_attempts_generated_by_idx').on(table.generatedBy),
    index('payment_attempts_sent_by_idx').on(table.sentBy),
    index('payment_attempts_completed_by_idx').on(table.completedBy),
    index('payment_attempts_failed_by_idx').on(table.failedBy),
    index('payment_attempts_previous_failure_by_idx').on(table.previousFailureBy),
    index('payment_attempts_sent_date_idx').on(table.sentDate),
  ],
);

/** Versions of a payout's bank details. Numbers are envelopes of ciphertext; the last four digits serve for showing. */
export const bankDetails = pgTable(
  'bank_details',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id')
      .notNull()
      .references(() => payoutManagement.payoutId),
    version: integer('version').notNull(),
    accountHolderName: text('account_holder_name').notNull(),
    accountType: text('account_type').$type<'checking' | 'savings'>().notNull(),
    routingLast4: text('routing_last4').notNull(),
    accountLast4: text('account_last4').notNull(),
    /** Both numbers, encrypted as one record (crypto/envelope.ts). */
    envelope: text('envelope').notNull(),
    keyId: text('key_id').notNull(),
    /** Keyed hash of both numbers: tells same from different without the numbers. */
    fingerprint: text('fingerprint').notNull(),
    refusedAt: instant('refused_at'),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    check('bank_details_account_type_known', sql`${table.accountType} IN ('checking', 'savings')`),
    uniqueIndex('bank_details_version').on(table.payoutId, table.version),
    index('bank_details_key_id_idx').on(table.keyId),
  ],
);

/** Memberships to end 12 months after a payout, each exactly once. */
export const membershipRemovals = pgTable(
  'membership_removals',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    payoutId: text('payout_id')
      .notNull()
      .references(() => payoutManagement.payoutId),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    dueDate: date('due_date', { mode: 'string' }).notNull(),
    status: text('status').$type<'scheduled' | 'suspended' | 'removed'>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    lastError: text('last_error'),
    /** When the subscription service was last asked, while its answer is not recorded. */
    callStartedAt: instant('call_started_at'),
    /** When the notice of 30 days was written. */
    noticedAt: instant('noticed_at'),
    removedAt: instant('removed_at'),
    /** The payment with which the member came back. */
    returnedAt: instant('returned_at'),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    check('membership_removals_status_known', sql`${table.status} IN ('scheduled', 'suspended', 'removed')`),
    check(
      'membership_removals_removed_at_set',
      sql`(${table.status} = 'removed') = (${table.removedAt} IS NOT NULL)`,
    ),
    uniqueIndex('membership_removals_one_open_per_payout')
      .on(table.payoutId)
      .where(sql`status <> 'removed'`),
    index('membership_removals_payout_id_idx').on(table.payoutId),
    index('membership_removals_unclear_idx')
      .on(table.callStartedAt)
      .where(sql`call_started_at IS NOT NULL AND status <> 'removed'`),
    index('membership_removals_user_id_idx').on(table.userId, table.removedAt),
    index('membership_removals_due_idx').on(table.status, table.dueDate),
  ],
);
