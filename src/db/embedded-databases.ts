import { getTableName, is } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import type { EmbeddedServer } from './embedded-server.ts';
import { databaseFault } from './errors.ts';
import * as schema from './schema/index.ts';

const DATABASE = 'payouts';
const UNFINISHED = 'payouts_unfinished';
const LOCK = 7_203_001;
const OBJECT_IN_USE = '55006';
const OURS = new Set<string>(
  Object.values(schema).flatMap((part) => (is(part, PgTable) ? [getTableName(part)] : [])),
);

/**
 * Makes the service's database on the embedded server where it is missing, and returns the owner's URL. It gets its
 * name when `fill` is done with it: one that was interrupted is thrown away and made anew, and so is one in which there
 * is nothing but what the migrations made, as a script leaves it that came before the first start. Without `fill` it
 * stays empty.
 */
export async function prepareEmbedded(
  server: EmbeddedServer,
  fill?: (url: string) => Promise<void>,
): Promise<string> {
  const sql = postgres(server.url('postgres'), { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    // Of two instances that start at once, one fills and the other waits.
    await sql`SELECT pg_advisory_lock(${LOCK})`;
    const found = await sql`SELECT 1 FROM pg_database WHERE datname = ${DATABASE}`;
    if (found.length > 0 && !(fill && (await dropEmpty(sql, server)))) return server.url(DATABASE);
    await sql.unsafe(`DROP DATABASE IF EXISTS ${UNFINISHED} WITH (FORCE)`);
    await sql.unsafe(`CREATE DATABASE ${UNFINISHED}`);
    await fill?.(server.url(UNFINISHED));
    await sql.unsafe(`ALTER DATABASE ${UNFINISHED} RENAME TO ${DATABASE}`);
    return server.url(DATABASE);
  } finally {
    await sql.end();
  }
}

/** False where there is anything in it but what the migrations made, or somebody is at work with it. */
async function dropEmpty(sql: postgres.Sql, server: EmbeddedServer): Promise<boolean> {
  if (!(await isEmpty(server.url(DATABASE)))) return false;
  try {
    await sql.unsafe(`DROP DATABASE ${DATABASE}`);
    return true;
  } catch (error) {
    if (databaseFault(error)?.code === OBJECT_IN_USE) return false;
    throw error;
  }
}

/** Neither people nor payments nor payouts, nor a table that is not ours. */
async function isEmpty(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    const tables = await sql<
      { name: string }[]
    >`SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`;
    const names = tables.map(({ name }) => name);
    if (names.some((name) => !OURS.has(name))) return false;
    for (const name of ['users', 'user_payments', 'payout_management', 'user_audit_logs'])
      if (names.includes(name) && (await sql`SELECT 1 FROM ${sql(`public.${name}`)} LIMIT 1`).length > 0)
        return false;
    return true;
  } finally {
    await sql.end();
  }
}
