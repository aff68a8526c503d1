/** Which database a script works on: DATABASE_MIGRATION_URL, DATABASE_URL, or the embedded one, started for it. */
import { join } from 'node:path';
import { config as readDotenv } from 'dotenv';
import { loadConfig, type Config } from '../src/config.ts';
import { prepareEmbedded } from '../src/db/embedded-databases.ts';
import { startEmbeddedServer } from '../src/db/embedded-server.ts';

export async function withOwnerUrl(
  work: (url: string, config: Config) => Promise<void>,
  fill: (url: string, config: Config) => Promise<void> = async () => {},
): Promise<void> {
  try {
    readDotenv({ quiet: true });
    const config = loadConfig(process.env);
    const given = config.database.migrationUrl;
    if (given !== undefined) return await work(given, config);
    const server = await startEmbeddedServer({
      dataDirectory: join(config.dataDirectory, 'postgres'),
      password: config.database.embeddedPassword ?? '',
      note: (line) => process.stderr.write(`${line}\n`),
    });
    try {
      await work(await prepareEmbedded(server, (url) => fill(url, config)), config);
    } finally {
      await server.stop();
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
