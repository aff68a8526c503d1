/**
 * `npm run bench [-- sizes...]`: ours, the plain view and the bare SQL in turn on 10k, 100k and 1m members, on an
 * embedded PostgreSQL whose data are made once and kept in BENCH_DIR (.data/bench). docs/performance.md has the table.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import postgres from 'postgres';
import { startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { runChaos } from '../test/queue/chaos.ts';
import { prepareData, SIZES } from './bench/data.ts';
import { measureDocuments } from './bench/documents.ts';
import { measureHttp } from './bench/http.ts';
import { measureLists } from './bench/lists.ts';
import { measureReads, type ReadTimes } from './bench/queue-reads.ts';
import { ms, ratio, timed, type Finding } from './bench/timing.ts';
import { measureWrites } from './bench/writes.ts';

const given = process.argv.slice(2);
const quick = given.includes('--quick');
const sizes = given.filter((argument) => argument !== '--quick');
const wanted = sizes.length > 0 ? sizes : quick ? ['10k'] : Object.keys(SIZES);
if (wanted.some((size) => SIZES[size] === undefined)) {
  console.error(`Use: npm run bench [-- --quick] [-- ${Object.keys(SIZES).join(' ')}]`);
  process.exit(1);
}
const folder = resolve(process.env['BENCH_DIR'] ?? '.data/bench');
await mkdir(folder, { recursive: true });
const findings: Finding[] = [];
const find = (what: string, found: string, wish: string, ok: boolean) =>
  findings.push({ what, found, wanted: wish, ok });

console.log(
  `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
);
const server = await startEmbeddedServer({
  dataDirectory: join(folder, 'postgres'),
  password: await keptPassword(),
  durable: false,
});
try {
  const reads = new Map<string, ReadTimes>();
  for (const size of wanted) {
    const { ms: prepared, value: data } = await timed(() => prepareData(server, size));
    console.log(`\n${size}: data ready in ${Math.round(prepared / 1000)} s`);
    const found = await measureReads(data);
    reads.set(size, found);
    console.table(found);
    console.table(await measureLists(data));
  }
  const largest = wanted.at(-1) ?? '10k';
  const data = await prepareData(server, largest);
  judgeReads(largest, reads);
  console.table(findings);
  const writes = await measureWrites(data, quick ? 1 : 3);
  find('main app’s inserts, single', ratio(writes.single), '>= 0.75', writes.single >= 0.75);
  find('main app’s inserts, bulk', ratio(writes.bulk), '>= 0.85', writes.bulk >= 0.85);
  find('main app’s inserts, contended', ratio(writes.contended), '>= 0.9', writes.contended >= 0.9);
  find('deadlocks', String(writes.deadlocks), '0', writes.deadlocks === 0);
  const http = await measureHttp(data, folder, quick ? 2 : 4);
  find('HTTP, share of bare Express', ratio(http.share), '>= 0.75', http.share >= 0.75);
  find(
    'HTTP p95 at 8 connections',
    `${ms(http.p95at8[0])} ms (bare ${ms(http.p95at8[1])})`,
    '<= 10 ms',
    http.p95at8[0] <= 10,
  );
  find(
    'HTTP p95 at 50 connections',
    `${ms(http.p95at50[0])} ms (bare ${ms(http.p95at50[1])})`,
    '<= 25 ms',
    http.p95at50[0] <= 25,
  );
  find('memory of the service, heap of 256 MB', `${http.memory} MiB`, 'it runs', http.memory > 0);
  const documents = await measureDocuments(quick ? 50 : 200);
  find('PDF, receipts a second', ratio(documents.perSecond), '> 65', documents.perSecond > 65);
  find(
    'PDF, event loop blocked (p99)',
    `${ms(documents.blockedMs)} ms`,
    '<= 20 ms',
    documents.blockedMs <= 20,
  );
  const drifted = await chaos(quick ? 5 : 60);
  find(`drift after ${quick ? 5 : 60} s of chaos`, String(drifted), '0', drifted === 0);
  console.table(findings);
} finally {
  await server.stop();
}

function judgeReads(largest: string, reads: Map<string, ReadTimes>): void {
  const big = reads.get(largest);
  const small = reads.get('10k');
  if (!big) return;
  const { top, position, eligibility } = big;
  const times = (slow: number, quickly: number) => slow / quickly;
  const say = (what: string, value: number, least: number) =>
    find(`${what}, ${largest}`, `${ratio(value)} times faster`, `>= ${ratio(least)}`, value >= least);
  say('top 10 against the plain view', times(top.plain, top.ours), 50_000);
  const floor = top.ours / top.floor;
  find(`top 10 against the bare index, ${largest}`, `${ratio(floor)} times its time`, '<= 3', floor <= 3);
  if (small && small !== big) {
    const growth = top.ours / small.top.ours;
    find(`top 10, ${largest} against 10k`, ratio(growth), '<= 2', growth <= 2);
  }
  say('eligibility against SUM and count', times(eligibility.plain, eligibility.ours), 10_000);
  find(`one position, ${largest}`, `${ms(position.ours)} ms`, '<= 0.5 ms', position.ours <= 0.5);
  find(
    `payment and exact read, ${largest}`,
    `${ms(big.paymentToRead)} ms`,
    '<= 3 ms',
    big.paymentToRead <= 3,
  );
}

async function chaos(seconds: number): Promise<number> {
  const admin = postgres(server.url('postgres'), { max: 1, onnotice: () => {} });
  try {
    await admin.unsafe('DROP DATABASE IF EXISTS bench_chaos WITH (FORCE)');
    await admin.unsafe('CREATE DATABASE bench_chaos');
    const url = server.url('bench_chaos');
    await migrateUp(url);
    const result = await runChaos({ url, writers: 16, seconds, members: 300, seed: randomInt(2 ** 31) });
    console.table(result);
    await admin.unsafe('DROP DATABASE bench_chaos WITH (FORCE)');
    return result.drifted;
  } finally {
    await admin.end();
  }
}

/** Of the kept server; its data are made up. */
async function keptPassword(): Promise<string> {
  const path = join(folder, 'password');
  const kept = await readFile(path, 'utf8').catch(() => undefined);
  if (kept !== undefined) return kept;
  const password = randomBytes(16).toString('hex');
  await writeFile(path, password, { mode: 0o600 });
  return password;
}
