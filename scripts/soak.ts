/**
 * `npm run soak [-- sequences [seed]]`: many sequences of commands against the model of a payout's life, on a
 * throw-away PostgreSQL of its own, by as many processes as there are processors, or as `--workers=n` says. Prints what
 * was reached, also when it is stopped; ends with an error at the first divergence.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { discardEmbeddedServer, startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { MOVES, REFUSALS } from '../test/model/payout-model.ts';
import { makeTestFolder } from '../test/support/cluster.ts';
import { createDatabase } from '../test/support/databases.ts';
import type { Batch, BatchResult } from './soak/soak-batch.ts';

/** A database serves so many sequences: the invariants look at all that is in it. */
const BATCH = 240;
const TEMPLATE = 'payout_template';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { workers: { type: 'string', default: String(availableParallelism()) } },
});
const wanted = Number(positionals[0] ?? 20_000);
const seed = Number(positionals[1] ?? randomInt(2 ** 31));
const workers = Number(values.workers);
if (![wanted, seed, workers].every(Number.isInteger) || wanted < 1 || workers < 1) {
  console.error('Use: npm run soak [-- <sequences> [<seed>] [--workers=<n>]]');
  process.exit(1);
}

const began = performance.now();
const seconds = () => Math.round((performance.now() - began) / 1000);
const total = {
  sequences: 0,
  commands: 0,
  moves: new Map<string, number>(),
  refusals: new Map<string, number>(),
  divergences: [] as string[],
};
let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (isStopped = true));

const batches: Batch[] = [];
for (let dealt = 0; dealt < wanted; dealt += BATCH)
  batches.push({ seed: seed + dealt, sequences: Math.min(BATCH, wanted - dealt) });

const folder = await makeTestFolder();
const dataDirectory = join(folder, 'postgres');
const password = randomBytes(16).toString('hex');
const server = await startEmbeddedServer({ dataDirectory, password, durable: false, maxConnections: 200 });
console.log(`${wanted} sequences, seed ${seed}, ${workers} processes.`);
try {
  await createDatabase(server.url('postgres'), TEMPLATE);
  await migrateUp(server.url(TEMPLATE));
  await Promise.all(Array.from({ length: Math.min(workers, batches.length) }, () => work()));
} finally {
  await server.stop();
  if (await discardEmbeddedServer(dataDirectory)) await rm(folder, { recursive: true, force: true });
}
report();

/** One process, with one batch after the other, until there are none, somebody stops us, or the model is wrong. */
async function work(): Promise<void> {
  const worker = fork(
    join(import.meta.dirname, 'soak', 'soak-worker.ts'),
    [server.url('postgres'), TEMPLATE],
    // Ctrl-C reaches the whole group: the workers end with us, when their batch has.
    { execArgv: ['--import', 'tsx'], detached: true },
  );
  const ended = once(worker, 'exit').then(() => {
    throw new Error('A process of the soak has died.');
  });
  ended.catch(() => undefined);
  try {
    for (let batch = next(); batch; batch = next()) count(await resultOf(worker, batch, ended));
  } finally {
    worker.disconnect();
  }
}

function next(): Batch | undefined {
  return isStopped || total.divergences.length > 0 ? undefined : batches.shift();
}

async function resultOf(worker: ChildProcess, batch: Batch, ended: Promise<never>): Promise<BatchResult> {
  worker.send(batch);
  const [result] = (await Promise.race([once(worker, 'message'), ended])) as [BatchResult];
  return result;
}

function count(result: BatchResult): void {
  total.sequences += result.sequences;
  total.commands += result.commands;
  for (const name of ['moves', 'refusals'] as const)
    for (const [what, times] of result[name]) total[name].set(what, (total[name].get(what) ?? 0) + times);
  total.divergences.push(...result.divergences);
  console.log(`${total.sequences} sequences, ${total.commands} commands, ${seconds()} s`);
}

function report(): void {
  for (const divergence of total.divergences) console.error(divergence);
  print('Moves', MOVES, total.moves);
  print('Refusals', Object.keys(REFUSALS), total.refusals);
  console.log(`Sequences:   ${total.sequences}`);
  console.log(`Commands:    ${total.commands}`);
  console.log(`Divergences: ${total.divergences.length}`);
  console.log(`Duration:    ${seconds()} s`);
  if (total.divergences.length > 0 || total.sequences < wanted) process.exitCode = 1;
}

function print(title: string, names: readonly string[], counts: ReadonlyMap<string, number>): void {
  console.log(`${title}: ${names.filter((name) => counts.has(name)).length} of ${names.length} reached`);
  for (const name of names) console.log(`  ${String(counts.get(name) ?? 0).padStart(8)}  ${name}`);
}
