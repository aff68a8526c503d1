/** Where services are ended: a PostgreSQL of its own, the service compiled, and how to start one more. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { CrashDatabase } from './crash-database.ts';
import { buildService, endAllServices, ServiceProcess, type Arm } from './service-processes.ts';

export interface Stage {
  database: CrashDatabase;
  /** The owner's, for arranging and looking. */
  sql: postgres.Sql;
  start: (arm?: Arm) => Promise<ServiceProcess>;
  /** Ends every service, and takes all away. */
  clear: () => Promise<void>;
}

/** The settings of a service on that database: secrets that nobody keeps, and no limits. */
export const settingsFor = (databaseUrl: string, folder: string): Record<string, string> => ({
  PATH: process.env['PATH'] ?? '',
  NODE_ENV: 'test',
  DATABASE_URL: databaseUrl,
  DATA_DIR: folder,
  HOST: '127.0.0.1',
  PORT: '0',
  LOG_LEVEL: 'error',
  JWT_SECRET: randomBytes(32).toString('hex'),
  BETTER_AUTH_SECRET: randomBytes(32).toString('hex'),
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  BUSINESS_LAUNCH_DATE: '2024-01-01',
  STEP_UP_MINUTES: '0',
  ...Object.fromEntries(
    ['MEMBER', 'STAFF', 'APPROVALS', 'ADDRESS', 'SIGN_IN'].map((who) => [`RATE_LIMIT_${who}`, '0']),
  ),
});

/** The services get `settingsFor` it, and what `env` adds. `connections` are those of `sql`. */
export async function setStage(env: Record<string, string>, connections: number): Promise<Stage> {
  const database = await CrashDatabase.start();
  const build = await buildService(database.folder);
  const all = { ...settingsFor(database.url, database.folder), ...env };
  const sql = postgres(database.url, { max: connections, onnotice: () => {} });
  const clear = async () => {
    endAllServices();
    await sql.end({ timeout: 1 });
    await database.discard();
  };
  let cleared: Promise<void> | undefined;
  return {
    database,
    sql,
    start: (arm) => ServiceProcess.start(build, all, arm),
    // Whoever presses Ctrl-C ends the lanes too, whose end clears as well.
    clear: () => (cleared ??= clear()),
  };
}
