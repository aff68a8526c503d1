import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drizzle } from 'drizzle-orm/postgres-js';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { migrate } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';

const FOLDER = fileURLToPath(new URL('../../drizzle', import.meta.url));
const CONFIG = {
  migrationsFolder: FOLDER,
  migrationsSchema: 'payout_service',
  migrationsTable: 'migrations',
};
/** Held while migrating, so that of several instances one migrates and the others wait. */
const LOCK = 7_203_002;
const OLDEST_SERVER = 150_000;
const ENCODINGS = ['UTF8', 'SQL_ASCII'];

interface Journal {
  entries: { tag: string; when: number }[];
}

const journal = (): Journal =>
  JSON.parse(readFileSync(join(FOLDER, 'meta/_journal.json'), 'utf8')) as Journal;

async function exclusively<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: 5,
    fetch_types: false,
    onnotice: () => {},
    connection: {
      application_name: 'payout-service migrations',
      search_path: 'public',
      DateStyle: 'ISO, MDY',
    },
  });
  try {
    const [server] = await sql<{ version: string; encoding: string }[]>`
      SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding`;
    if (Number(server?.version) < OLDEST_SERVER) {
      throw new Error(
        `The PostgreSQL server is older than 15 (${server?.version}). Use PostgreSQL 15 or newer.`,
      );
    }
    if (!ENCODINGS.includes(server?.encoding ?? ''))
      throw new Error(
        `The database is encoded in ${server?.encoding}, which cannot hold every name. Make one with ENCODING 'UTF8'.`,
      );
    await sql`SELECT pg_advisory_lock(${LOCK})`;
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Brings the database up to date; everything pending in one transaction, so that a failure leaves nothing. */
export async function migrateUp(url: string): Promise<void> {
  await exclusively(url, (sql) => migrate(drizzle(sql), CONFIG));
}

/**
 * Takes back the newest `steps` migrations, each in one transaction. Returns their names, newest first. With the first
 * one goes the record of them, so that nothing of ours is left.
 */
export async function migrateDown(url: string, steps: number): Promise<string[]> {
  return exclusively(url, async (sql) => {
    const undone: string[] = [];
    for (let step = 0; step < steps; step += 1) {
      const [last, before] = await newestMigrations(sql);
      if (!last) break;
      const entry = journal().entries.find(({ when }) => when === Number(last.created_at));
      if (!entry)
        throw new Error('The newest migration in the database is not in this version of the service.');
      const way = readFileSync(join(FOLDER, `${entry.tag}.down.sql`), 'utf8');
      await sql.begin(async (tx) => {
        for (const statement of way.split('--> statement-breakpoint')) await tx.unsafe(statement);
        await tx`DELETE FROM payout_service.migrations WHERE created_at = ${last.created_at}`;
        if (before) return;
        await tx`DROP TABLE payout_service.migrations`;
        await tx`DROP SCHEMA payout_service`;
      });
      undone.push(entry.tag);
    }
    return undone;
  });
}

/** The newest migration in the database and the one before it. */
async function newestMigrations(sql: postgres.Sql): Promise<{ created_at: string }[]> {
  const [record] = await sql`SELECT 1 WHERE to_regclass('payout_service.migrations') IS NOT NULL`;
  if (!record) return [];
  return sql<{ created_at: string }[]>`
    SELECT created_at FROM payout_service.migrations ORDER BY created_at DESC LIMIT 2`;
}

/** True when every migration of this version has been applied. Needs the right to read `payout_service.migrations`. */
export async function isMigrated(sql: postgres.Sql): Promise<boolean> {
  const [applied] = await newestMigrations(sql);
  const newest = Math.max(...readMigrationFiles(CONFIG).map(({ folderMillis }) => folderMillis));
  return Number(applied?.created_at ?? 0) >= newest;
}
