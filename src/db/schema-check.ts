import { getTableColumns, getTableName } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type postgres from 'postgres';
import {
  adminUsers,
  kycVerification,
  sessions,
  userAddresses,
  userPayments,
  users,
  userSubscriptions,
} from './schema/index.ts';

/** Tables of the main app that we read. */
const SHARED = [users, sessions, adminUsers, userSubscriptions, userPayments, userAddresses, kycVerification];

/** Types that serve as well as ours. */
const SAME: Record<string, readonly string[]> = {
  text: ['text', 'character varying', 'character', 'citext', 'USER-DEFINED'],
  'timestamp with time zone': ['timestamp with time zone'],
  serial: ['integer', 'smallint', 'bigint'],
};

/** Columns that nothing here reads, and ids by which rows are told apart, whatever they are. */
const UNREAD = new Set([
  'users.name',
  'users.email_verified',
  'users.image',
  'users.updated_at',
  'sessions.ip_address',
  'sessions.user_agent',
  'sessions.updated_at',
  'user_payments.id',
]);
const OF_ANY_TYPE = new Set([
  'sessions.id',
  'user_subscriptions.id',
  'user_addresses.id',
  'kyc_verification.id',
]);

/** What is missing or of another type in the tables that we share, in words. Empty when all is well. */
export async function schemaFaults(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ table_name: string; column_name: string; data_type: string }[]>`
    SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'`;
  const types = new Map(rows.map((row) => [`${row.table_name}.${row.column_name}`, row.data_type]));
  return SHARED.flatMap((table) => {
    const columns = Object.values<PgColumn>(getTableColumns(table));
    return columns.flatMap((column) => {
      const name = `${getTableName(table)}.${column.name}`;
      const found = types.get(name);
      if (UNREAD.has(name)) return [];
      if (found === undefined) return [`${name} is missing`];
      if (OF_ANY_TYPE.has(name)) return [];
      const wanted = column.getSQLType().replace(/\(.*\)/, '');
      return (SAME[wanted] ?? [wanted]).includes(found) ? [] : [`${name} is ${found}, not ${wanted}`];
    });
  });
}
