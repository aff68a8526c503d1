import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core';
import { bytea, instant } from './columns.ts';
import { adminUsers, users } from './shared.ts';

/** Who did what, on what, from where. Rows are only ever added (specification, section 12). */
export const userAuditLogs = pgTable(
  'user_audit_logs',
  {
    id: uuid('id').primaryKey(),
    sequence: bigint('sequence', { mode: 'number' }).generatedAlwaysAsIdentity().notNull(),
    userId: uuid('user_id'),
    adminId: integer('admin_id'),
    actor: text('actor').notNull(),
    entityType: text('entity_type').notNull(),
    entityId: text('entity_id').notNull(),
    action: text('action').notNull(),
    oldValues: jsonb('old_values').$type<Record<string, unknown>>(),
    newValues: jsonb('new_values').$type<Record<string, unknown>>(),
    success: boolean('success').notNull(),
    errorMessage: text('error_message'),
    metadata: jsonb('metadata').$type<Record<string, unknown>>().notNull(),
    ipAddress: text('ip_address'),
    userAgent: text('user_agent'),
    requestId: text('request_id'),
    createdAt: instant('created_at').notNull(),
    chainIndex: integer('chain_index').notNull(),
    previousHash: text('previous_hash').notNull(),
    hash: text('hash').notNull(),
  },
  (table) => [
    uniqueIndex('user_audit_logs_sequence').on(table.sequence),
    uniqueIndex('user_audit_logs_chain').on(table.entityType, table.entityId, table.chainIndex),
    index('user_audit_logs_user_id_idx').on(table.userId, table.sequence),
    index('user_audit_logs_admin_id_idx').on(table.adminId, table.sequence),
    index('user_audit_logs_action_idx').on(table.action, table.sequence),
    index('user_audit_logs_created_at_idx').on(table.createdAt),
  ],
);

/** The head of each entity's chain of audit entries. */
export const auditChains = pgTable(
  'audit_chains',
  {
    entityType: text('entity_type').notNull(),
    entityId: text('entity_id').notNull(),
    length: integer('length').notNull(),
    hash: text('hash').notNull(),
  },
  (table) => [primaryKey({ columns: [table.entityType, table.entityId] })],
);

export const auditVerifications = pgTable('audit_verifications', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  verifiedAt: instant('verified_at').notNull(),
  valid: boolean('valid').notNull(),
  entries: bigint('entries', { mode: 'number' }).notNull(),
  chains: bigint('chains', { mode: 'number' }).notNull(),
  firstFault: jsonb('first_fault').$type<Record<string, unknown>>(),
});

export const ALERT_SEVERITIES = ['info', 'warning', 'critical'] as const;
export type AlertSeverity = (typeof ALERT_SEVERITIES)[number];

export const adminAlerts = pgTable(
  'admin_alerts',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    severity: text('severity').$type<AlertSeverity>().notNull(),
    category: text('category').notNull(),
    title: text('title').notNull(),
    message: text('message').notNull(),
    details: jsonb('details').$type<Record<string, unknown>>().notNull().default({}),
    /** What it is about: an open alert with the same key is not raised again. */
    occurrenceKey: text('occurrence_key').notNull(),
    createdAt: instant('created_at').notNull(),
    acknowledgedBy: integer('acknowledged_by').references(() => adminUsers.id),
    acknowledgedAt: instant('acknowledged_at'),
    closedAt: instant('closed_at'),
  },
  (table) => [
    check('admin_alerts_severity_known', sql`${table.severity} IN ('info', 'warning', 'critical')`),
    uniqueIndex('admin_alerts_one_open')
      .on(table.occurrenceKey)
      .where(sql`closed_at IS NULL`),
    index('admin_alerts_created_at_idx').on(table.createdAt),
    index('admin_alerts_acknowledged_by_idx').on(table.acknowledgedBy),
  ],
);

export const NOTIFICATION_STATUSES = ['queued', 'sending', 'sent', 'failed'] as const;
export type NotificationStatus = (typeof NOTIFICATION_STATUSES)[number];

/** The outbox: written in the transaction that causes the message, delivered from here. */
export const notifications = pgTable(
  'notifications',
  {
    id: uuid('id').primaryKey(),
    template: text('template').notNull(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    payoutId: text('payout_id'),
    /** What the template needs beyond payee and payout. Never an account number or a TIN. */
    data: jsonb('data').$type<Record<string, unknown>>().notNull().default({}),
    status: text('status').$type<NotificationStatus>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    nextAttemptAt: instant('next_attempt_at').notNull(),
    leaseUntil: instant('lease_until'),
    lastError: text('last_error'),
    messageId: text('message_id').notNull(),
    createdAt: instant('created_at').notNull(),
    sentAt: instant('sent_at'),
  },
  (table) => [
    check('notifications_status_known', sql`${table.status} IN ('queued', 'sending', 'sent', 'failed')`),
    index('notifications_due_idx')
      .on(table.nextAttemptAt)
      .where(sql`status IN ('queued', 'sending')`),
    index('notifications_created_at_idx').on(table.createdAt, table.id),
    index('notifications_payout_id_idx').on(table.payoutId),
    index('notifications_user_id_idx').on(table.userId),
  ],
);

/** One row for each slot of a job: inserting it is what makes the run this instance's. */
export const jobRuns = pgTable(
  'job_runs',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    job: text('job').notNull(),
    slot: instant('slot').notNull(),
    trigger: text('trigger').$type<'schedule' | 'manual'>().notNull(),
    startedAt: instant('started_at').notNull(),
    finishedAt: instant('finished_at'),
    status: text('status').$type<'running' | 'succeeded' | 'failed'>().notNull(),
    result: jsonb('result').$type<Record<string, unknown>>(),
    error: text('error'),
  },
  (table) => [
    check('job_runs_status_known', sql`${table.status} IN ('running', 'succeeded', 'failed')`),
    uniqueIndex('job_runs_slot')
      .on(table.job, table.slot)
      .where(sql`trigger = 'schedule'`),
    uniqueIndex('job_runs_one_running')
      .on(table.job)
      .where(sql`status = 'running'`),
    index('job_runs_job_idx').on(table.job, table.startedAt),
  ],
);

/** Answers given under an Idempotency-Key, written in the transaction whose effect they report. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    caller: text('caller').notNull(),
    route: text('route').notNull(),
    key: text('key').notNull(),
    /** HMAC of the request, so that the body itself is not kept. */
    requestHmac: text('request_hmac').notNull(),
    status: integer('status'),
    body: bytea('body'),
    permanent: boolean('permanent').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.caller, table.route, table.key] }),
    index('idempotency_keys_created_at_idx').on(table.createdAt),
  ],
);

/** Facts about this database that all instances share: that it holds demo data, and how far its clock is moved. */
export const serviceState = pgTable('service_state', {
  name: text('name').primaryKey(),
  value: jsonb('value').$type<unknown>().notNull(),
});
