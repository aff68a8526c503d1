/**
 * `npm run soak [-- sequences [seed]]`: many sequences of commands against the model of a payout's life, on a
 * throw-away PostgreSQL of its own. Prints what was reached; ends with an error at the first divergence.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { discardEmbeddedServer, startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { sequences } from '../test/model/commands.ts';
import { Coverage, ModelWorld } from '../test/model/model-world.ts';
import { MOVES, REFUSALS } from '../test/model/payout-model.ts';
import { makeTestFolder } from '../test/support/cluster.ts';
import { createDatabase } from '../test/support/databases.ts';

const LANES = 4;
/** A database serves so many sequences: the invariants look at all that is in it. */
const BATCH = 240;
/** Commands that follow a sequence's beginning, at most. */
const LONGEST = 16;
const TEMPLATE = 'payout_template';

const wanted = Number(process.argv[2] ?? 20_000);
const seed = Number(process.argv[3] ?? randomInt(2 ** 31));
if (!Number.isInteger(wanted) || wanted < 1 || !Number.isInteger(seed)) {
  console.error('Use: npm run soak [-- <sequences> [<seed>]]');
  process.exit(1);
}

const startedAt = Date.now();
const seconds = () => Math.round((Date.now() - startedAt) / 1000);
const coverage = new Coverage();
const folder = await makeTestFolder();
const dataDirectory = join(folder, 'postgres');
const password = randomBytes(16).toString('hex');
const server = await startEmbeddedServer({ dataDirectory, password, durable: false, maxConnections: 200 });
const divergences: unknown[] = [];
console.log(`${wanted} sequences, seed ${seed}.`);
try {
  const url = server.url('postgres');
  await createDatabase(url, TEMPLATE);
  await migrateUp(server.url(TEMPLATE));
  for (let done = 0; done < wanted && divergences.length === 0; done += BATCH) {
    await runBatch({ url, templateDatabase: TEMPLATE }, Math.min(BATCH, wanted - done), seed + done);
    console.log(`${coverage.sequences} sequences, ${coverage.steps} commands, ${seconds()} s`);
  }
} finally {
  await server.stop();
  if (await discardEmbeddedServer(dataDirectory)) await rm(folder, { recursive: true, force: true });
}
report();

async function runBatch(
  cluster: { url: string; templateDatabase: string },
  size: number,
  batchSeed: number,
): Promise<void> {
  const world = await ModelWorld.start({ lanes: LANES, cluster, coverage });
  try {
    const lanes = Array.from({ length: Math.min(LANES, size) }, (_, lane) => {
      const numRuns = Math.floor(size / LANES) + (lane < size % LANES ? 1 : 0);
      const property = fc.asyncProperty(sequences(LONGEST), (sequence) => world.run(lane, sequence));
      return fc.assert(property, { seed: batchSeed + lane, numRuns });
    });
    for (const outcome of await Promise.allSettled(lanes))
      if (outcome.status === 'rejected') divergences.push(outcome.reason);
  } finally {
    await world.stop();
  }
}

function report(): void {
  for (const divergence of divergences) console.error(divergence);
  print('Moves', MOVES, coverage.moves);
  print('Refusals', Object.keys(REFUSALS), coverage.refusals);
  console.log(`Sequences:   ${coverage.sequences}`);
  console.log(`Commands:    ${coverage.steps}`);
  console.log(`Divergences: ${divergences.length}`);
  console.log(`Duration:    ${seconds()} s`);
  if (divergences.length > 0) process.exitCode = 1;
}

function print(title: string, names: readonly string[], counts: ReadonlyMap<string, number>): void {
  console.log(`${title}: ${names.filter((name) => counts.has(name)).length} of ${names.length} reached`);
  for (const name of names) console.log(`  ${String(counts.get(name) ?? 0).padStart(8)}  ${name}`);
}
