import postgres from 'postgres';
import type { EmbeddedServer } from './embedded-server.ts';
import { databaseFault } from './errors.ts';

const DATABASE = 'payouts';
const UNFINISHED = 'payouts_unfinished';
const LOCK = 7_203_001;
const OBJECT_IN_USE = '55006';

/**
 * Makes the service's database on the embedded server where it is missing, and returns the owner's URL. It gets its
 * name when `fill` is done with it: one that was interrupted is thrown away and made anew, and so is one in which there
 * are no people, as a script leaves it that came before the first start. Without `fill` it stays empty.
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

/** False where there are people in it, or somebody is at work with it. */
async function dropEmpty(sql: postgres.Sql, server: EmbeddedServer): Promise<boolean> {
  const inside = postgres(server.url(DATABASE), { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    const [table] = await inside`SELECT 1 WHERE to_regclass('public.users') IS NOT NULL`;
    if (table && (await inside`SELECT 1 FROM public.users LIMIT 1`).length > 0) return false;
  } finally {
    await inside.end();
  }
  try {
    await sql.unsafe(`DROP DATABASE ${DATABASE}`);
    return true;
  } catch (error) {
    if (databaseFault(error)?.code === OBJECT_IN_USE) return false;
    throw error;
  }
}
