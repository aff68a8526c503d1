/**
 * `npm run queue:chaos [-- seconds [seed]]`: 16 writers at the tables behind the queue, hot members and folds all the
 * while, on a throw-away PostgreSQL of its own; ends with an error when anybody is out of step.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { discardEmbeddedServer, startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { runChaos } from '../test/queue/chaos.ts';
import { makeTestFolder } from '../test/support/cluster.ts';

const seconds = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? randomInt(2 ** 31));
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error('Use: npm run queue:chaos [-- <seconds> [<seed>]]');
  process.exit(1);
}
const folder = await makeTestFolder();
const dataDirectory = join(folder, 'postgres');
const server = await startEmbeddedServer({
  dataDirectory,
  password: randomBytes(16).toString('hex'),
  durable: false,
});
try {
  console.log(`${seconds} s of 16 writers, seed ${seed}.`);
  const url = server.url('postgres');
  await migrateUp(url);
  const result = await runChaos({ url, writers: 16, seconds, members: 300, seed });
  console.table(result);
  if (result.drifted > 0) process.exitCode = 1;
} finally {
  await server.stop();
  if (await discardEmbeddedServer(dataDirectory)) await rm(folder, { recursive: true, force: true });
}
