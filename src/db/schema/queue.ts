/**
 * The queue as it was last folded. Written by functions of the database alone (drizzle/0007_queue_rollup.sql); see
 * docs/queue.md.
 */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  date,
  index,
  integer,
  numeric,
  pgTable,
  text,
  uuid,
} from 'drizzle-orm/pg-core';
import { instant } from './columns.ts';

/** Dollars and cents of many payments. */
const sum = (name: string) => numeric(name, { precision: 18, scale: 2 });

/** Whom the next fold looks at; a row without a member means everybody. */
export const queueTouched = pgTable('queue_touched', { userId: uuid('user_id') });

/** Everybody of whom there is a succeeded payment or a live payout. */
export const queueMembers = pgTable(
  'queue_members',
  {
    userId: uuid('user_id').primaryKey(),
    isKnown: boolean('is_known').notNull(),
    /** Of the current tenure, as are total, start and last payment. */
    payments: integer('payments').notNull(),
    lifetimeTotal: sum('lifetime_total').notNull(),
    /** US dollars of all tenures. */
    revenue: sum('revenue').notNull(),
    tenureStart: instant('tenure_start'),
    lastPayment: instant('last_payment'),
    tenureNumber: integer('tenure_number').notNull(),
    subscriptionId: text('subscription_id'),
    subscriptionStatus: text('subscription_status'),
    providerSubscriptionId: text('provider_subscription_id'),
    /** In the current tenure; the two below are of all. */
    hasPayout: boolean('has_payout').notNull(),
    livePayouts: integer('live_payouts').notNull(),
    liveGross: sum('live_gross').notNull(),
    /** By the newest identity check. */
    kycVerified: boolean('kyc_verified').notNull().default(false),
    inQueue: boolean('in_queue')
      .notNull()
      .generatedAlwaysAs(sql`is_known AND payments > 0 AND subscription_status IS NOT NULL`),
    isCandidate: boolean('is_candidate')
      .notNull()
      .generatedAlwaysAs(
        sql`is_known AND payments > 0 AND coalesce(subscription_status = 'active', false) AND NOT has_payout`,
      ),
  },
  (table) => [
    index('queue_members_order')
      .on(table.tenureStart, table.userId)
      .where(sql`in_queue`),
    index('queue_members_candidates')
      .on(table.tenureStart, table.userId)
      .where(sql`is_candidate`),
  ],
);

/** Tenures by the day (UTC) of their start. */
export const queueDays = pgTable('queue_days', {
  day: date('day').primaryKey(),
  members: bigint('members', { mode: 'number' }).notNull(),
  candidates: bigint('candidates', { mode: 'number' }).notNull(),
});

export const queueTotals = pgTable(
  'queue_totals',
  {
    one: boolean('one').primaryKey().default(true),
    revenue: sum('revenue').notNull().default('0'),
    members: bigint('members', { mode: 'number' }).notNull().default(0),
    candidates: bigint('candidates', { mode: 'number' }).notNull().default(0),
    livePayouts: bigint('live_payouts', { mode: 'number' }).notNull().default(0),
    liveGross: sum('live_gross').notNull().default('0'),
    /** The first candidate, and how many stand ahead, so that the first page need not count them. */
    firstStart: instant('first_start'),
    firstUser: uuid('first_user'),
    ahead: bigint('ahead', { mode: 'number' }).notNull().default(0),
  },
  () => [check('queue_totals_one_row', sql`one`)],
);
