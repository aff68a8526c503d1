import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  discardEmbeddedServer,
  startEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from '../../src/db/embedded-server.ts';
import { isAlive, processMark, withLock } from '../../src/db/embedded/embedded-processes.ts';
import { makeTestFolder } from '../support/cluster.ts';

const PASSWORD = 'secret with % and /';
const MODULE = resolve(import.meta.dirname, '../../src/db/embedded-server.ts');

let folder: string;
let children: ChildProcess[];
let servers: EmbeddedServer[];

beforeEach(async () => {
  folder = await makeTestFolder();
  children = [];
  servers = [];
});

afterEach(async () => {
  for (const child of children) await end(child, 'SIGKILL');
  for (const server of servers) await server.stop();
  expect(await discardEmbeddedServer(data()), 'somebody still uses the server').toBe(true);
  await rm(folder, { recursive: true, force: true });
});

const data = (): string => join(folder, 'postgres');

async function start(options: Partial<EmbeddedServerOptions> = {}): Promise<EmbeddedServer> {
  const server = await startEmbeddedServer({
    dataDirectory: data(),
    password: PASSWORD,
    durable: false,
    ...options,
  });
  servers.push(server);
  return server;
}

describe('an embedded server', () => {
  it('keeps its data when it is stopped and started again', async () => {
    const first = await start();
    await query(first, 'create table kept (word text)');
    await query(first, `insert into kept values ('Zürich')`);
    await first.stop();
    await first.stop();
    await expect(query(first, 'select 1')).rejects.toThrow(/ECONNREFUSED/);

    const second = await start();
    expect(await query(second, 'select word from kept')).toEqual([{ word: 'Zürich' }]);
    await second.stop();
  });

  it('is reached over the loopback address only, by the password', async () => {
    const server = await start();
    const settings = `select current_setting('listen_addresses') as hosts, current_setting('timezone') as zone,
      current_setting('unix_socket_directories') as sockets, current_setting('server_encoding') as encoding`;
    expect(await query(server, settings)).toEqual([
      { hosts: '127.0.0.1', zone: 'UTC', sockets: '', encoding: 'UTF8' },
    ]);
    const stranger = { ...server, url: () => server.url('postgres').replace(/:[^:@]+@/, ':guess@') };
    await expect(query(stranger, 'select 1')).rejects.toThrow(/password authentication failed/);
    await server.stop();
  });

  it('leaves no password and no half-made data behind', async () => {
    const server = await start();
    await server.stop();
    const left = ['postgres', 'postgres.lock', 'postgres.log', 'postgres.users'];
    expect((await readdir(folder)).sort()).toEqual(left);
  });

  it('is shared by processes, and stopped by the last to leave', async () => {
    const other = await startInChild();
    const server = await start();
    expect(server.port).toBe(other.port);

    await end(other.child, 'SIGTERM');
    expect(await query(server, 'select 1 as one')).toEqual([{ one: 1 }]);
    await server.stop();
    await expect(query(server, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
  });

  it('is started once when two processes and two callers start it together', async () => {
    const servers = await Promise.all([startInChild(), startInChild(), start(), start()]);
    expect(new Set(servers.map(({ port }) => port)).size).toBe(1);
    const [, , ...own] = servers;
    await Promise.all(own.map((server) => (server as EmbeddedServer).stop()));
  });

  it('outlives a killed service, whose next start takes it up', async () => {
    const killed = await startInChild();
    await end(killed.child, 'SIGKILL');

    const server = await start();
    expect(server.port).toBe(killed.port);
    await server.stop();
    await expect(query(server, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('an embedded server that was killed', () => {
  it('comes back with what was committed', async () => {
    const first = await start({ durable: true });
    await query(first, 'create table kept (number int)');
    await query(first, 'insert into kept values (42)');
    // A connection's process outlives the killed server for a moment, and holds its shared memory.
    const busy = postgres(first.url('postgres'), { max: 1, onnotice: () => undefined });
    const sleeping = busy`select pg_sleep(60)`.catch(() => undefined);
    await new Promise((done) => setTimeout(done, 300));
    process.kill(await postmasterPid(), 'SIGKILL');

    const second = await start({ durable: true });
    expect(await query(second, 'select number from kept')).toEqual([{ number: 42 }]);
    await sleeping;
    await busy.end({ timeout: 1 });
    await first.stop();
    await second.stop();
  });

  it('is not mistaken for the program that has its pid now', async () => {
    const first = await start();
    const pidFile = await readFile(join(data(), 'postmaster.pid'), 'utf8');
    await first.stop();
    const stranger = keep(spawn('sleep', ['60'], await accountOfTheData()));
    await writeFile(join(data(), 'postmaster.pid'), pidFile.replace(/^\d+/, String(stranger.pid)));

    const second = await start();
    expect(await query(second, 'select 1 as one')).toEqual([{ one: 1 }]);
    await second.stop();
    expect(processMark(stranger.pid), 'the stranger was stopped instead of the server').toBeDefined();
  });
});

describe('an embedded server refuses', () => {
  it("another PostgreSQL's data, and says what to do", async () => {
    await (await start()).stop();
    await writeFile(join(data(), 'PG_VERSION'), '15\n');
    await expect(start()).rejects.toThrow(
      /^The data in .*postgres was made by PostgreSQL 15, and this service brings PostgreSQL \d+: move or delete .*$/,
    );
  });

  it('a folder that holds something else, and leaves it alone', async () => {
    await (await start()).stop();
    await rm(join(data(), 'PG_VERSION'));
    await expect(start()).rejects.toThrow(/is no PostgreSQL data directory, but not empty/);
    expect(existsSync(join(data(), 'global'))).toBe(true);
  });

  it('another password, and does not stay up', async () => {
    await (await start()).stop();
    await expect(start({ password: 'another' })).rejects.toThrow(/was made with another password/);
    expect(existsSync(join(data(), 'postmaster.pid'))).toBe(false);
  });
});

describe('the lock between processes', () => {
  it('lets one in at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise((done) => setTimeout(done, 5));
      inside--;
    };
    await Promise.all(Array.from({ length: 12 }, () => withLock(join(folder, 'lock'), 30_000, work)));
    expect(most).toBe(1);
    expect(await readdir(join(folder, 'lock'))).toEqual([]);
  });

  it('is not held by the dead, nor by another process of the same pid', async () => {
    const lock = join(folder, 'lock');
    await withLock(lock, 1000, async () => undefined);
    await writeFile(join(lock, `ticket.000000001.${process.pid}-0.ab`), '');
    await writeFile(join(lock, 'choosing.999999999-1.cd'), '');
    await expect(withLock(lock, 1000, async () => 'in')).resolves.toBe('in');
    expect(isAlive(processMark() ?? '')).toBe(true);
  });

  it('gives up on a holder that does not end', async () => {
    const lock = join(folder, 'lock');
    const { promise: isIn, resolve: enter } = deferred();
    const { promise: isFree, resolve: release } = deferred();
    const holder = withLock(lock, 1000, () => {
      enter();
      return isFree;
    });
    await isIn;
    await expect(withLock(lock, 200, async () => undefined)).rejects.toThrow(/too long/);
    release();
    await holder;
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

async function query(server: Pick<EmbeddedServer, 'url'>, text: string): Promise<unknown[]> {
  const sql = postgres(server.url('postgres'), { max: 1, onnotice: () => undefined });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A process that starts the server, tells its port, and stops it on SIGTERM. */
async function startInChild(): Promise<{ child: ChildProcess; port: number }> {
  const script = `
    const { startEmbeddedServer } = await import(${JSON.stringify(MODULE)});
    const options = ${JSON.stringify({ dataDirectory: data(), password: PASSWORD, durable: false })};
    const server = await startEmbeddedServer(options);
    process.on('SIGTERM', () => server.stop().then(() => process.exit(0)));
    setInterval(() => undefined, 1000);
    console.log(server.port);`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script];
  const child = keep(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
  const [line] = await once(createInterface(child.stdout!), 'line');
  return { child, port: Number(line) };
}

function keep(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function postmasterPid(): Promise<number> {
  return Number((await readFile(join(data(), 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** The one that PostgreSQL runs as here: it only trusts a pid file about a process of its own user. */
async function accountOfTheData(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const { uid, gid } = await stat(data());
  return { uid, gid };
}
