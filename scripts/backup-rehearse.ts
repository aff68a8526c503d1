/**
 * `npm run backup:rehearse`: makes a database with payouts in every state, dumps it, loses it, restores it on an empty server, and
 * compares: every table's rows, the totals of money, the rules between tables, every chain of the audit log, and
 * that the service starts on it. Needs PostgreSQL's own programs (PG_BIN, or Debian's postgresql package).
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { loadConfig } from '../src/config.ts';
import { migrateUp } from '../src/db/migrations.ts';
import { seedDemo } from '../src/demo/seed.ts';
import { startService } from '../src/start-service.ts';
import { invariantFaults } from '../test/support/invariants.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** The newest PostgreSQL's programs that are here. */
function programs(): string {
  const given = process.env['PG_BIN'];
  if (given) return given;
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions
    .map((version) => join(root, version, 'bin'))
    .find((bin) => existsSync(join(bin, 'pg_dump')));
  if (!found)
    throw new Error('Install postgresql-15 or newer, or name the folder of pg_dump and initdb in PG_BIN.');
  return found;
}

const bin = programs();
const folder = await mkdtemp(join(tmpdir(), 'payout-service-backup.'));
await chmod(folder, 0o755);
const password = randomBytes(16).toString('hex');
/** PostgreSQL refuses to run as root: then as whoever owns nobody's files. */
const account: { uid?: number; gid?: number } = process.getuid?.() === 0 ? await accountForServer() : {};

async function accountForServer(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map((flag) => promisify(execFile)('id', [flag, 'postgres'])),
  );
  return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
}

async function run(name: string, args: string[], asServer = false): Promise<string> {
  const { stdout } = await promisify(execFile)(join(bin, name), args, {
    env: { PATH: process.env['PATH'] ?? '', PGPASSWORD: password },
    cwd: folder,
    maxBuffer: 50_000_000,
    ...(asServer ? account : {}),
  });
  return stdout;
}

/** A server of its own, with nothing in it. */
async function startServer(name: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const data = join(folder, name);
  const passwordFile = join(folder, `${name}.password`);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  const { uid, gid } = account;
  if (uid !== undefined && gid !== undefined)
    for (const path of [folder, passwordFile]) chownSync(path, uid, gid);
  const login = ['--username=owner', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  await run('initdb', ['-D', data, ...login, '--encoding=UTF8', '--no-locale', '--no-sync'], true);
  const port = await freePort();
  const settings = `-c port=${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off`;
  await new Promise<void>((resolve, reject) => {
    // The server keeps the pipes of whoever starts it.
    const starting = execFile(
      join(bin, 'pg_ctl'),
      ['start', '-w', '-s', '-D', data, '-l', join(folder, `${name}.log`), '-o', settings],
      account,
    );
    starting.once('error', reject);
    starting.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${name} did not start.`))));
  });
  return {
    url: `postgres://owner:${password}@127.0.0.1:${port}/payouts`,
    stop: async () => {
      await run('pg_ctl', ['stop', '-w', '-s', '-m', 'immediate', '-D', data], true);
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function inDatabase<T>(url: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

const onServer = (url: string, statement: string) =>
  inDatabase(url.replace(/payouts$/, 'postgres'), (sql) => sql.unsafe(statement));

/** A digest of every table's rows, and the totals of money by status. */
async function pictureOf(url: string): Promise<Map<string, string>> {
  return inDatabase(url, async (sql) => {
    const picture = new Map<string, string>();
    const tables = await sql<{ name: string }[]>`
      SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`;
    for (const { name } of tables) {
      const [row] = await sql.unsafe<{ n: string; digest: string }[]>(
        `SELECT count(*)::text AS n, md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) AS digest FROM ${name} t`,
      );
      picture.set(`table ${name}`, `${row?.n} rows, ${row?.digest}`);
    }
    const totals = await sql<{ status: string; line: string }[]>`
      SELECT status, format('%s payouts, gross %s, fee %s, withheld %s, net %s', count(*), sum(amount),
             sum(retention_fee), sum(withheld_amount), sum(net_amount)) AS line
        FROM payout_management GROUP BY status ORDER BY status`;
    for (const { status, line } of totals) picture.set(`money ${status}`, line);
    return picture;
  });
}

async function main(): Promise<void> {
  const faults: string[] = [];
  const env = { NODE_ENV: 'test', DATA_DIR: folder, PORT: '0', JOBS: 'false', LOG_LEVEL: 'error' };
  const first = await startServer('first');
  let stopFirst: (() => Promise<void>) | undefined = first.stop;
  const dump = join(folder, 'payouts.dump');
  let before: Map<string, string>;
  let roles: string[];
  try {
    await onServer(first.url, 'CREATE DATABASE payouts');
    await migrateUp(first.url);
    await seedDemo(loadConfig({ ...env, DATABASE_URL: first.url }), first.url);
    before = await pictureOf(first.url);
    // Roles belong to the server, so they are in no dump.
    roles = await inDatabase(first.url, async (sql) => {
      const rows = await sql<{ name: string }[]>`
        SELECT quote_ident(rolname) AS name FROM pg_roles WHERE rolname LIKE 'payout\\_%'`;
      return rows.map(({ name }) => name);
    });
    await run('pg_dump', ['--format=custom', '--no-owner', `--file=${dump}`, first.url]);
    say(`Dumped ${before.size} tables and totals into ${statSync(dump).size} bytes.`);
    await first.stop();
    stopFirst = undefined;
    await rm(join(folder, 'first'), { recursive: true, force: true });
    say('Lost the server and its data.');
  } finally {
    await stopFirst?.();
  }
  const second = await startServer('second');
  try {
    for (const role of roles) await onServer(second.url, `CREATE ROLE ${role}`);
    await onServer(second.url, 'CREATE DATABASE payouts');
    await run('pg_restore', ['--no-owner', '--exit-on-error', `--dbname=${second.url}`, dump]);
    say('Restored on an empty server.');
    const after = await pictureOf(second.url);
    for (const [name, line] of before)
      if (after.get(name) !== line) faults.push(`${name}: ${line} before, ${after.get(name)} after`);
    if (after.size !== before.size)
      faults.push(`${before.size} tables and totals before, ${after.size} after`);
    for (const [name, line] of after)
      if (name.startsWith('money')) say(`  ${name.slice(6).padEnd(24)} ${line}`);
    faults.push(...(await inDatabase(second.url, invariantFaults)));
    const service = await startService({ ...env, DATABASE_URL: second.url });
    try {
      const { status } = await fetch(`${service.url.replace('localhost', '127.0.0.1')}/ready`);
      if (status !== 200) faults.push(`/ready says ${status}.`);
      const audit = await service.services.audit.verify();
      say(
        `Audit log: ${audit.entries} entries in ${audit.chains} chains, ${audit.valid ? 'all right' : 'broken'}.`,
      );
      if (!audit.valid || audit.entries === 0)
        faults.push(`The audit log is broken: ${JSON.stringify(audit.firstFault)}`);
    } finally {
      await service.stop();
    }
  } finally {
    await second.stop();
  }
  for (const fault of faults) say(fault);
  say(faults.length === 0 ? 'Everything is back.' : `${faults.length} faults.`);
  if (faults.length > 0) process.exitCode = 1;
}

try {
  await main();
} finally {
  await rm(folder, { recursive: true, force: true });
}
