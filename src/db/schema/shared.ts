/**
 * Tables owned by the main app. We create them only where they are missing, and write to them only where the
 * specification says so (sign-in outside production, the local subscription adapter, demo data).
 */
import { sql } from 'drizzle-orm';
import { boolean, check, index, numeric, pgTable, serial, text, uuid } from 'drizzle-orm/pg-core';
import { instant } from './columns.ts';
import type { StaffRole } from '../../kernel/actor.ts';

export const users = pgTable('users', {
  id: uuid('id').primaryKey().defaultRandom(),
  email: text('email').notNull().unique(),
  emailVerified: boolean('email_verified').notNull().default(false),
  name: text('name').notNull().default(''),
  image: text('image'),
  firstName: text('first_name'),
  middleName: text('middle_name'),
  lastName: text('last_name'),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    token: text('token').notNull().unique(),
    expiresAt: instant('expires_at').notNull(),
    ipAddress: text('ip_address'),
    userAgent: text('user_agent'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [index('sessions_user_id_idx').on(table.userId)],
);

export const accounts = pgTable(
  'accounts',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    accountId: text('account_id').notNull(),
    providerId: text('provider_id').notNull(),
    accessToken: text('access_token'),
    refreshToken: text('refresh_token'),
    idToken: text('id_token'),
    accessTokenExpiresAt: instant('access_token_expires_at'),
    refreshTokenExpiresAt: instant('refresh_token_expires_at'),
    scope: text('scope'),
    password: text('password'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [index('accounts_user_id_idx').on(table.userId)],
);

export const verifications = pgTable('verifications', {
  id: uuid('id').primaryKey().defaultRandom(),
  identifier: text('identifier').notNull(),
  value: text('value').notNull(),
  expiresAt: instant('expires_at').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
  updatedAt: instant('updated_at').notNull().defaultNow(),
});

export const adminUsers = pgTable(
  'admin_users',
  {
    id: serial('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .unique()
      .references(() => users.id),
    role: text('role').$type<StaffRole>().notNull(),
    isActive: boolean('is_active').notNull().default(true),
  },
  (table) => [check('admin_users_role_known', sql`${table.role} IN ('admin', 'finance_manager', 'viewer')`)],
);

export const userSubscriptions = pgTable(
  'user_subscriptions',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    status: text('status').notNull(),
    providerSubscriptionId: text('provider_subscription_id'),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [index('user_subscriptions_user_id_idx').on(table.userId)],
);

export const userPayments = pgTable(
  'user_payments',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    amount: numeric('amount', { precision: 12, scale: 2 }).notNull(),
    currency: text('currency').notNull().default('USD'),
    status: text('status').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
  },
  (table) => [index('user_payments_user_id_created_at_idx').on(table.userId, table.createdAt)],
);

export const userAddresses = pgTable(
  'user_addresses',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    line1: text('line1').notNull(),
    line2: text('line2'),
    city: text('city').notNull(),
    state: text('state').notNull(),
    postalCode: text('postal_code').notNull(),
    country: text('country').notNull().default('US'),
    isPrimary: boolean('is_primary')
      .notNull()
      .default(sql`false`),
  },
  (table) => [index('user_addresses_user_id_idx').on(table.userId)],
);

export const kycVerification = pgTable(
  'kyc_verification',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id),
    status: text('status').notNull(),
    legalName: text('legal_name'),
    verifiedAt: instant('verified_at'),
  },
  (table) => [index('kyc_verification_user_id_idx').on(table.userId)],
);
