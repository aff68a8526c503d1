/** A PostgreSQL of a script's own, with a migrated database to clone, gone when the work is done. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { discardEmbeddedServer, startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { makeTestFolder } from '../test/support/cluster.ts';
import { createDatabase } from '../test/support/databases.ts';

const TEMPLATE = 'payout_template';

export async function withThrowawayServer(
  work: (cluster: { url: string; templateDatabase: string; folder: string }) => Promise<void>,
): Promise<void> {
  const folder = await makeTestFolder();
  const dataDirectory = join(folder, 'postgres');
  const password = randomBytes(16).toString('hex');
  const server = await startEmbeddedServer({ dataDirectory, password, durable: false, maxConnections: 100 });
  try {
    const url = server.url('postgres');
    await createDatabase(url, TEMPLATE);
    await migrateUp(server.url(TEMPLATE));
    await work({ url, templateDatabase: TEMPLATE, folder });
  } finally {
    await server.stop();
    if (await discardEmbeddedServer(dataDirectory)) await rm(folder, { recursive: true, force: true });
  }
}
