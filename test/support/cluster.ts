/** Before all tests: a throw-away PostgreSQL of this run's own, or the one that TEST_DATABASE_URL names. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import type { Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type {} from 'vitest';
import type { TestProject } from 'vitest/node';
import { migrateUp } from '../../src/db/migrations.ts';
import { discardEmbeddedServer, startEmbeddedServer } from '../../src/db/embedded-server.ts';
import { createDatabase, databaseUrl, dropDatabase } from './databases.ts';
import { isAlive, processMark } from '../../src/db/embedded/embedded-processes.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A superuser's URL to the database `postgres` of the server that the tests share. */
    clusterUrl: string;
    /** The migrated database that each test file clones. */
    templateDatabase: string;
  }
}

const PREFIX = 'payout-service-test.';

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const existing = process.env['TEST_DATABASE_URL'];
  if (existing) {
    project.provide('clusterUrl', existing);
    const template = await makeTemplate(existing);
    project.provide('templateDatabase', template);
    return () => dropDatabase(existing, template);
  }
  await sweepAbandoned();
  const folder = await makeTestFolder();
  const dismiss = watch(folder);
  const server = await startEmbeddedServer({
    dataDirectory: dataIn(folder),
    password: randomBytes(16).toString('hex'),
    durable: false,
    maxConnections: 200,
  });
  project.provide('clusterUrl', server.url('postgres'));
  project.provide('templateDatabase', await makeTemplate(server.url('postgres')));
  return async () => {
    await server.stop();
    await remove(folder);
    dismiss();
  };
}

/** One migrated database for the run; its name is the run's own, as another run may be on the same server. */
async function makeTemplate(clusterUrl: string): Promise<string> {
  const name = `payout_template_${process.pid}_${randomBytes(4).toString('hex')}`;
  await createDatabase(clusterUrl, name);
  await migrateUp(databaseUrl(clusterUrl, name));
  return name;
}

/** A folder for a server of this process, which a later run clears away if this one is killed. */
export async function makeTestFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${processMark()}.`));
  // PostgreSQL runs as another user when we are root, and must get in.
  if (process.getuid?.() === 0) await chmod(folder, 0o755);
  return folder;
}

/**
 * A process of its own that clears up when this one ends without doing so, by Ctrl-C or killed: its standard input
 * then ends. Answers how to send it home.
 */
function watch(folder: string): () => void {
  const script = `
    process.stdin.resume().on('end', async () => {
      const { register } = await import('tsx/esm/api');
      register();
      const { removeAfterEnd } = await import(${JSON.stringify(import.meta.url)});
      await removeAfterEnd(${JSON.stringify(folder)});
    });`;
  const watchdog = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: resolve(import.meta.dirname, '../..'),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  (watchdog.stdin as Socket).unref();
  return () => watchdog.kill();
}

/** @public For the watchdog: the process that has just ended may count as alive a moment longer. */
export async function removeAfterEnd(folder: string): Promise<void> {
  for (let attempts = 0; attempts < 50 && !(await remove(folder)); attempts++) await sleep(200);
}

/** What runs left behind whose watchdog was killed too: their folders name processes that live no more. */
async function sweepAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    if (!name.startsWith(PREFIX) || isAlive(name.slice(PREFIX.length).split('.')[0] ?? '')) continue;
    const folder = join(tmpdir(), name);
    // Two sweeps may meet, and a folder of somebody else's is not ours to remove: neither may fail this run.
    if (await isOwn(folder)) await remove(folder).catch(() => undefined);
  }
}

async function isOwn(folder: string): Promise<boolean> {
  const stat = await lstat(folder).catch(() => undefined);
  return stat !== undefined && stat.isDirectory() && stat.uid === (process.getuid?.() ?? stat.uid);
}

/** False, and nothing removed, while a live process uses the server. */
async function remove(folder: string): Promise<boolean> {
  if (!(await discardEmbeddedServer(dataIn(folder)))) return false;
  await rm(folder, { recursive: true, force: true });
  return true;
}

function dataIn(folder: string): string {
  return join(folder, 'postgres');
}
