/**
 * `npm run bench [-- sizes...] [--only=section,...] [--quick]`: ours, the plain view and the bare SQL in turn on 10k, 100k
 * and 1m members, on an embedded PostgreSQL whose data are made once and kept in BENCH_DIR (.data/bench).
 * docs/performance.md has the table.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import postgres from 'postgres';
import { startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { runChaos } from '../test/queue/chaos.ts';
import { measureApprovals, type ApprovalTimes } from './bench/approvals.ts';
import { measureAuditLog } from './bench/audit-log.ts';
import { prepareData, SIZES } from './bench/data.ts';
import { measureDocuments } from './bench/documents.ts';
import { measureHttp, type HttpTimes } from './bench/http.ts';
import { measureIssuing } from './bench/issuing.ts';
import { measureLists } from './bench/lists.ts';
import { measureReads, type ReadTimes } from './bench/queue-reads.ts';
import { ms, ratio, timed, type Finding } from './bench/timing.ts';
import { measureWrites } from './bench/writes.ts';

const SECTIONS = [
  'queue',
  'lists',
  'writes',
  'http',
  'approvals',
  'documents',
  'issuing',
  'audit',
  'chaos',
] as const;
type Section = (typeof SECTIONS)[number];

const given = process.argv.slice(2);
const quick = given.includes('--quick');
const only = given.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
const sections = only === undefined ? SECTIONS : only.split(',');
const sizes = given.filter((argument) => !argument.startsWith('--'));
const wanted = sizes.length > 0 ? sizes : quick ? ['10k'] : Object.keys(SIZES);
if (
  wanted.some((size) => SIZES[size] === undefined) ||
  sections.some((section) => !SECTIONS.includes(section as Section))
) {
  const names = `${Object.keys(SIZES).join(' ')}] [--only=${SECTIONS.join(',')}`;
  console.error(`Use: npm run bench [-- --quick] [-- ${names}]`);
  process.exit(1);
}
const runs = (section: Section): boolean => sections.includes(section);
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
  await measureMembers();
  if (runs('documents')) await judgeDocuments();
  if (runs('issuing')) await judgeIssuing();
  if (runs('audit')) await judgeAuditLog();
  if (runs('chaos')) {
    const seconds = quick ? 5 : 60;
    const drifted = await chaos(seconds);
    find(`drift after ${seconds} s of chaos`, String(drifted), '0', drifted === 0);
  }
  console.table(findings);
  console.log(`Load of the machine at the end: ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await server.stop();
}

/** What is measured on the data sets of each size, or of the largest. */
async function measureMembers(): Promise<void> {
  if (!(['queue', 'lists', 'writes', 'http', 'approvals'] as const).some(runs)) return;
  const reads = new Map<string, ReadTimes>();
  for (const size of wanted) {
    const { ms: prepared, value: data } = await timed(() => prepareData(server, size));
    console.log(`\n${size}: data ready in ${Math.round(prepared / 1000)} s`);
    if (runs('queue')) {
      const found = await measureReads(data);
      reads.set(size, found);
      console.table(found);
    }
    if (runs('lists')) console.table(await measureLists(data));
  }
  const largest = wanted.at(-1) ?? '10k';
  const data = await prepareData(server, largest);
  judgeReads(largest, reads);
  if (runs('writes')) {
    const writes = await measureWrites(server, data, quick ? 1 : 2);
    for (const [kind, least] of [
      ['single', 0.75],
      ['bulk', 0.85],
      ['contended', 0.9],
    ] as const) {
      const [alone, folded] = writes[kind];
      const found = `${ratio(alone)} (${ratio(folded)} while folding)`;
      find(`main app’s inserts, ${kind}`, found, `>= ${least}`, alone >= least);
    }
    find('deadlocks', String(writes.deadlocks), '0', writes.deadlocks === 0);
  }
  if (runs('http')) judgeHttp(await measureHttp(data, folder, quick ? 2 : 4));
  if (runs('approvals')) judgeApprovals(await measureApprovals(server, data, folder));
}

function judgeHttp({ share, cpuMs, p95at8, p95at50, memory }: HttpTimes): void {
  const [ourCpu, bareCpu] = cpuMs;
  find('HTTP, share of bare Express', ratio(share), '>= 0.75', share >= 0.75);
  find('HTTP, its processor time for a request', `${ms(ourCpu)} ms (bare ${ms(bareCpu)})`, '', true);
  const latency = (connections: number, [ours, bare]: [number, number], most: number) =>
    find(
      `HTTP p95 at ${connections} connections`,
      `${ms(ours)} ms (bare ${ms(bare)})`,
      `<= ${most} ms`,
      ours <= most,
    );
  latency(8, p95at8, 10);
  latency(50, p95at50, 25);
  find('memory of the service, heap of 256 MB', `${memory} MiB`, 'it runs', memory > 0);
}

function judgeApprovals(found: ApprovalTimes): void {
  console.table(found);
  const { first, bare, serviceMs, databaseMs } = found;
  find(
    'approvals by HTTP, share of bare SQL',
    ratio(first / bare),
    'bound by the database',
    databaseMs >= serviceMs,
  );
  find('processor time of one: service, database', `${ms(serviceMs)}, ${ms(databaseMs)} ms`, '', true);
}

async function judgeDocuments(): Promise<void> {
  const { inThreads, onTheLoop, idleMs } = await measureDocuments(quick ? 50 : 400);
  console.table({ 'in threads': inThreads, 'on the event loop': onTheLoop });
  find('PDF, receipts a second in threads', ratio(inThreads.perSecond), '> 65', inThreads.perSecond > 65);
  find(
    'PDF, event loop blocked (p99)',
    `${ms(inThreads.blockedMs)} ms (without threads ${ms(onTheLoop.blockedMs)}, doing nothing ${ms(idleMs)})`,
    '<= 20 ms',
    inThreads.blockedMs <= 20,
  );
}

async function judgeIssuing(): Promise<void> {
  const issuing = await measureIssuing(server, quick ? 5000 : 100_000);
  console.table(issuing);
  const times = issuing.together / issuing.oneByOne;
  find('1099s together against one by one', `${ratio(times)} times faster`, '>= 30', times >= 30);
}

async function judgeAuditLog(): Promise<void> {
  const found = await measureAuditLog(server, folder, quick ? 300_000 : 10_000_000);
  console.table(found.pages);
  console.table(found.export);
  const slowest = Math.max(...Object.values(found.pages));
  find('audit log, slowest page', `${ms(slowest)} ms`, 'by index', slowest < 100);
  const { entries, seconds, beforeMiB, afterMiB } = found.export;
  find(
    'audit log, export with a heap of 256 MB',
    `${ratio(entries / seconds)} entries/s, ${beforeMiB} to ${afterMiB} MiB`,
    'flat',
    afterMiB < 400,
  );
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
  const journey = top.client / top.floorClient;
  find(`the same from call to answer, ${largest}`, `${ratio(journey)} times its time`, '<= 3', journey <= 3);
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
