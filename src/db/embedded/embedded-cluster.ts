/** One PostgreSQL data directory: made, started, found running, asked whether it is ours, stopped. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chmod,
  mkdir,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, parse } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { giveTo, type Account, type Place } from './embedded-account.ts';
import type { Binaries } from './embedded-binaries.ts';
import { commandLineOf, processMark } from './embedded-processes.ts';

/** A data directory, and the programs to run on it. */
export interface Installed extends Place {
  readonly binaries: Binaries;
}

export interface Cluster extends Installed {
  readonly password: string;
  readonly isDurable: boolean;
  readonly maxConnections: number;
}

const START_LIMIT_MS = 120_000;
const ORPHANS_LIMIT_MS = 15_000;
const STOP_LIMIT_S = 60;
const PORT_ATTEMPTS = 10;
const LOG_LIMIT_BYTES = 5_000_000;
export const OUT_OF_THE_WAY = 'move or delete that folder, or set DATABASE_URL to a server of your own.';

export function urlOf(password: string, port: number, database: string): string {
  return `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

/** Makes the data where there is none, sees that a server runs on it, and gives its port. */
export async function ensureRunning(cluster: Cluster): Promise<number> {
  if (!existsSync(join(cluster.dataDirectory, 'PG_VERSION'))) await initialise(cluster);
  await refuseOtherVersion(cluster);
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    const running = await findPostmaster(cluster.dataDirectory);
    const port = running ? running.port : await launch(cluster);
    if (port && (await isOurs(cluster, port))) return port;
    await sleep(100);
  }
  throw new Error(
    `The PostgreSQL that runs on ${cluster.dataDirectory} does not answer: see ${logOf(cluster)}`,
  );
}

/** Made aside and renamed, so that an interrupted initdb leaves nothing that looks like data. */
async function initialise({ dataDirectory, account, binaries, password, isDurable }: Cluster): Promise<void> {
  if (existsSync(dataDirectory) && (await readdir(dataDirectory)).length > 0) {
    throw new Error(`${dataDirectory} is no PostgreSQL data directory, but not empty: ${OUT_OF_THE_WAY}`);
  }
  const aside = `${dataDirectory}.new`;
  const made = join(aside, 'data');
  const passwordFile = join(aside, 'password');
  await rm(aside, { recursive: true, force: true });
  await mkdir(aside, { mode: 0o700 });
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    giveTo(account, aside);
    // The built-in locale sorts by code point wherever it runs: no library's version changes an index's order.
    const locale = '--no-locale --locale-provider=builtin --builtin-locale=C.UTF-8 --encoding=UTF8'.split(
      ' ',
    );
    const login = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
    const args = [`--pgdata=${made}`, ...locale, ...login, '--no-instructions'];
    if (!isDurable) args.push('--no-sync');
    const { code, said } = await run(binaries.initdb, args, account);
    if (code !== 0) throw new Error(`The embedded PostgreSQL could not be set up: ${lastLine(said)}`);
    await rm(dataDirectory, { recursive: true, force: true });
    await rename(made, dataDirectory);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function refuseOtherVersion({ dataDirectory, binaries }: Cluster): Promise<void> {
  const found = (await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim();
  if (found === binaries.major) return;
  const versions = `made by PostgreSQL ${found}, and this service brings PostgreSQL ${binaries.major}`;
  throw new Error(`The data in ${dataDirectory} was ${versions}: ${OUT_OF_THE_WAY}`);
}

/** The server that runs on the data directory; its port is undefined until it has one. */
async function findPostmaster(dataDirectory: string): Promise<{ port?: number } | undefined> {
  const lines = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').then(
    (text) => text.split('\n'),
    () => [],
  );
  const pid = Number(lines[0]);
  if (!(pid > 0) || processMark(pid) === undefined) return undefined;
  // The pid may have been given to another program since.
  const command = commandLineOf(pid);
  const isPostgres = /postgres/i.test(command.split(' -D ')[0] ?? '');
  if (!isPostgres || (process.platform !== 'win32' && !command.includes(dataDirectory))) return undefined;
  return { port: Number(lines[3]) || undefined };
}

/** Starts the server and gives its port. Only for a data directory without a live server. */
async function launch(cluster: Cluster): Promise<number> {
  const { dataDirectory, account, binaries } = cluster;
  // Of a killed server, or PostgreSQL would wait for whoever has its pid now. The shared memory still guards the data.
  await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
  giveTo(account, dataDirectory);
  await chmod(dataDirectory, 0o700);
  const orphansDeadline = performance.now() + ORPHANS_LIMIT_MS;
  for (let portAttempts = 0; ;) {
    const port = await freePort();
    const limit = String(START_LIMIT_MS / 1000);
    const args = ['start', '-s', '-w', '-t', limit, '-D', dataDirectory, '-l', logOf(cluster)];
    const { code, said } = await runLogged(cluster, [...args, '-o', serverOptions(cluster, port).join(' ')]);
    if (code === 0) return port;
    if (/could not bind|Address already in use/.test(said) && ++portAttempts < PORT_ATTEMPTS) continue;
    // Processes of a killed server end within moments of noticing.
    const hasOrphans = /pre-existing shared memory block/.test(said);
    if (!hasOrphans || performance.now() > orphansDeadline) {
      throw new Error(
        `The embedded PostgreSQL did not start: ${lastLine(said)} (${logOf(cluster)}, ${binaries.pgCtl})`,
      );
    }
    await sleep(250);
  }
}

function serverOptions({ isDurable, maxConnections }: Cluster, port: number): string[] {
  const settings: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: maxConnections,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // Statements and the details of errors hold members' data, which has no place in a log.
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
  };
  if (!isDurable) {
    Object.assign(settings, { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
  }
  return [
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, failed) => probe.once('error', failed).listen(0, '127.0.0.1', done));
  const address = probe.address();
  await new Promise((done) => probe.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}

/** Whether the server at the port lets us in and runs on our data; false too while it is still starting. */
async function isOurs({ password, dataDirectory }: Cluster, port: number): Promise<boolean> {
  const sql = postgres(urlOf(password, port, 'postgres'), {
    max: 1,
    connect_timeout: 5,
    fetch_types: false,
    onnotice: () => undefined,
  });
  try {
    const [row] = await sql`select current_setting('data_directory') as directory`;
    return (await realpath(String(row?.['directory']))) === (await realpath(dataDirectory));
  } catch (error) {
    if ((error as { code?: string }).code !== '28P01') return false;
    throw new Error(`The data in ${dataDirectory} was made with another password: ${OUT_OF_THE_WAY}`);
  } finally {
    await sql.end({ timeout: 1 }).catch(() => undefined);
  }
}

export async function stopServer(cluster: Installed, mode: 'fast' | 'immediate'): Promise<void> {
  if (!(await findPostmaster(cluster.dataDirectory))) return;
  const args = ['stop', '-s', '-w', '-t', String(STOP_LIMIT_S), '-D', cluster.dataDirectory, '-m', mode];
  const { code, said } = await runLogged(cluster, args);
  if (code !== 0 && (await findPostmaster(cluster.dataDirectory))) {
    throw new Error(`The embedded PostgreSQL did not stop: ${lastLine(said)} (${logOf(cluster)})`);
  }
}

export function logOf({ dataDirectory }: Place): string {
  return `${dataDirectory}.log`;
}

/** Runs pg_ctl with its output in the server's log: the server inherits it, so a pipe would never end. */
async function runLogged(cluster: Installed, args: string[]): Promise<Outcome> {
  const path = logOf(cluster);
  if (existsSync(path) && (await stat(path)).size > LOG_LIMIT_BYTES) await rename(path, `${path}.1`);
  const log = await open(path, 'a', 0o600);
  try {
    giveTo(cluster.account, path);
    const before = (await log.stat()).size;
    const { code } = await run(cluster.binaries.pgCtl, args, cluster.account, log.fd);
    return { code, said: (await readFile(path)).subarray(before).toString() };
  } finally {
    await log.close();
  }
}

interface Outcome {
  code: number | null;
  said: string;
}

async function run(command: string, args: string[], account?: Account, output?: number): Promise<Outcome> {
  // From "/", since the account may not enter the folder we are in.
  const child = spawn(command, args, {
    ...account,
    cwd: parse(process.execPath).root,
    env: plainEnvironment(),
    stdio: ['ignore', output ?? 'pipe', output ?? 'pipe'],
    windowsHide: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((done) => {
    child.once('error', (error) => done({ code: null, said: explainSpawn(error) }));
    child.once(output === undefined ? 'close' : 'exit', (code: number | null) => done({ code, said }));
  });
}

function explainSpawn({ message, code, path }: NodeJS.ErrnoException): string {
  const hasNoLoader = code === 'ENOENT' && path !== undefined && existsSync(path);
  return hasNoLoader ? `error: ${path} needs glibc, which this system lacks: set DATABASE_URL` : message;
}

/** The server outlives us: it gets neither our secrets nor the PG* variables, which would steer it elsewhere. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = 'PATH HOME TMPDIR TEMP TMP LD_LIBRARY_PATH SystemRoot ComSpec USERPROFILE'.split(' ');
  const entries = Object.entries(process.env).filter(([name]) => kept.includes(name));
  return { ...Object.fromEntries(entries), LC_ALL: 'C', TZ: 'UTC' };
}

function lastLine(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim());
  return lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? lines.at(-1) ?? 'it gave no reason';
}
