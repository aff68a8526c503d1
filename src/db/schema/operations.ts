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
import { bytea, instant, xid8 } from './columns.ts';
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
    index('user_audit_logs_user_id_time_idx').on(table.userId, table.createdAt, table.sequence),
    index('user_audit_logs_admin_id_time_idx').on(table.adminId, table.createdAt, table.sequence),
    index('user_audit_logs_action_time_idx').on(table.action, table.createdAt, table.sequence),
    index('user_audit_logs_time_idx').on(table.createdAt, table.sequence),
    index('user_audit_logs_entity_id_time_idx').on(table.entityId, table.createdAt, table.sequence),
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
    /** The transaction that moved the head last; a trigger keeps it. */
    movedIn: xid8('moved_in')
      .notNull()
      .default(sql`pg_current_xact_id()`),
  },
  (table) => [
    primaryKey({ columns: [table.entityType, table.entityId] }),
    index('audit_chains_moved_in_idx').on(table.movedIn),
  ],
);

/** What was signed and written outside of this database, and from which transaction on heads have moved since. */
export const auditCheckpoints = pgTable('audit_checkpoints', {
  number: integer('number').primaryKey(),
  madeAt: instant('made_at').notNull(),
  digest: text('digest').notNull(),
  horizon: xid8('horizon').notNull(),
});

/** Where a chain begins after its oldest entries were removed: the last one removed, signed. */
export const auditAnchors = pgTable(
  'audit_anchors',
  {
    entityType: text('entity_type').notNull(),
    entityId: text('entity_id').notNull(),
    length: integer('length').notNull(),
    hash: text('hash').notNull(),
    exportDigest: text('export_digest').notNull(),
    signedAt: instant('signed_at').notNull(),
    keyId: text('key_id').notNull(),
    signature: text('signature').notNull(),
  },
  (table) => [primaryKey({ columns: [table.entityType, table.entityId, table.length] })],
);

/** When a session was last used here. */
export const sessionActivity = pgTable('session_activity', {
  sessionId: uuid('session_id').primaryKey(),
  lastSeenAt: instant('last_seen_at').notNull(),
});

export const auditVerifications = pgTable('audit_verifications', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  verifiedAt: instant('verified_at').notNull(),
  valid: boolean('valid').notNull(),
  entries: bigint('entries', { mode: 'number' }).notNull(),
  chains: bigint('chains', { mode: 'number' }).notNull(),
  /** The newest checkpoint that it was held against, and how many entries that one and those before it cover. */
  checkpoint: integer('checkpoint'),
  coveredEntries: bigint('covered_entries', { mode: 'number' }),
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

/** Every message and what became of it, written in the transaction that causes it. The queue (drizzle/0004) delivers it. */
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
    /** Whoever runs it now: another one that takes it over changes this, and the first can no longer end it. */
    claim: uuid('claim').notNull().defaultRandom(),
    /** On the database's clock, never on an instance's or the demo's. */
    leaseUntil: instant('lease_until').notNull().defaultNow(),
    attempts: integer('attempts').notNull().default(1),
    progress: jsonb('progress').$type<Record<string, unknown>>(),
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

/** Since when a job has been on its schedule: it has missed nothing from before. */
export const jobSchedules = pgTable('job_schedules', {
  job: text('job').primaryKey(),
  since: instant('since').notNull(),
});

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
