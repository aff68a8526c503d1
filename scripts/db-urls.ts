/** Which database a script works on: DATABASE_MIGRATION_URL, DATABASE_URL, or the embedded one, started for it. */
import { join } from 'node:path';
import { config as readDotenv } from 'dotenv';
import postgres from 'postgres';
import { loadConfig, type Config } from '../src/config.ts';
import { prepareEmbedded } from '../src/db/embedded-databases.ts';
import { startEmbeddedServer } from '../src/db/embedded-server.ts';
import { reasonOf } from '../src/db/errors.ts';
import { isMigrated } from '../src/db/migrations.ts';

type Fill = (url: string, config: Config) => Promise<void>;

/** The owner's URL; close it when done, as the embedded server may run for this alone. */
export async function ownerDatabase(
  fill?: Fill,
): Promise<{ url: string; config: Config; close: () => Promise<void> }> {
  readDotenv({ quiet: true });
  const config = loadConfig(process.env);
  const given = config.database.migrationUrl;
  if (given !== undefined) return { url: given, config, close: async () => {} };
  const server = await startEmbeddedServer({
    dataDirectory: join(config.dataDirectory, 'postgres'),
    password: config.database.embeddedPassword ?? '',
    note: (line) => process.stderr.write(`${line}\n`),
  });
  const close = () => server.stop();
  try {
    const filling = fill && ((url: string) => fill(url, config));
    return { url: await prepareEmbedded(server, filling), config, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function withOwnerUrl(work: Fill, fill?: Fill): Promise<void> {
  try {
    const { url, config, close } = await ownerDatabase(fill);
    try {
      await work(url, config);
    } finally {
      await close();
    }
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exitCode = 1;
  }
}

/** The same for scripts that work on what the service has written: they say what to do where its tables are missing. */
export const withMigratedUrl = (work: Fill): Promise<void> =>
  withOwnerUrl(async (url, config) => {
    const sql = postgres(config.database.url ?? url, { max: 1, fetch_types: false, onnotice: () => {} });
    try {
      if (!(await isMigrated(sql)))
        throw new Error('The database lacks tables of this version: run npm run db:migrate first.');
    } finally {
      await sql.end();
    }
    await work(url, config);
  });
