import postgres from 'postgres';
import type { EmbeddedServer } from './embedded-server.ts';

const DATABASE = 'payouts';
const UNFINISHED = 'payouts_unfinished';
const LOCK = 7_203_001;

/**
 * Makes the service's database on the embedded server where it is missing, and returns the owner's URL. It gets its
 * name when `fill` is done with it: one that was interrupted is thrown away and made anew.
 */
export async function prepareEmbedded(
  server: EmbeddedServer,
  fill: (url: string) => Promise<void>,
): Promise<string> {
  const sql = postgres(server.url('postgres'), { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    // Of two instances that start at once, one fills and the other waits.
    await sql`SELECT pg_advisory_lock(${LOCK})`;
    const found = await sql`SELECT 1 FROM pg_database WHERE datname = ${DATABASE}`;
    if (found.length > 0) return server.url(DATABASE);
    await sql.unsafe(`DROP DATABASE IF EXISTS ${UNFINISHED} WITH (FORCE)`);
    await sql.unsafe(`CREATE DATABASE ${UNFINISHED}`);
    await fill(server.url(UNFINISHED));
    await sql.unsafe(`ALTER DATABASE ${UNFINISHED} RENAME TO ${DATABASE}`);
    return server.url(DATABASE);
  } finally {
    await sql.end();
  }
}
