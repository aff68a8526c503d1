/**
 * A real PostgreSQL from an npm package, for a machine that has none: one server for each data directory, shared by
 * all processes that start it and stopped by the last of them to leave. Beside the data directory `postgres` lie
 * `postgres.log`, `postgres.users` (who uses the server) and `postgres.lock` (who is starting or stopping it).
 */
import { access, constants, mkdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { findData, placeData, pointerOf } from './embedded/embedded-account.ts';
import { prepareBinaries } from './embedded/embedded-binaries.ts';
import {
  OUT_OF_THE_WAY,
  ensureRunning,
  logOf,
  stopServer,
  urlOf,
  type Cluster,
} from './embedded/embedded-cluster.ts';
import { countRegistered, register, withLock } from './embedded/embedded-processes.ts';

export interface EmbeddedServer {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: 'postgres';
  readonly password: string;
  /** Where the data really is: not where it was wanted, if root may not have it there. */
  readonly dataDirectory: string;
  url(database: string): string;
  /** Leaves the server, and stops it when no other live process uses it. May be called again. */
  stop(): Promise<void>;
}

export interface EmbeddedServerOptions {
  dataDirectory: string;
  password: string;
  /** False trades safety against a crash of the machine for speed: for tests. */
  durable?: boolean;
  note?: (line: string) => void;
  maxConnections?: number;
}

const LOCK_WAIT_MS = 180_000;

/** Starts the server on the data directory, made first where there is none, or joins the one that runs on it. */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const wanted = await settle(options.dataDirectory);
  return withLock(`${wanted}.lock`, LOCK_WAIT_MS, async () => {
    const place = await placeData(wanted, options.note ?? (() => undefined));
    const cluster: Cluster = {
      ...place,
      binaries: await prepareBinaries(place.account),
      password: options.password,
      isDurable: options.durable ?? true,
      maxConnections: options.maxConnections ?? 100,
    };
    const unregister = await register(`${wanted}.users`);
    const leave = async (): Promise<void> => {
      await unregister();
      if ((await countRegistered(`${wanted}.users`)) === 0) await stopServer(cluster, 'fast');
    };
    try {
      const port = await ensureRunning(cluster);
      return handle(cluster, port, () => withLock(`${wanted}.lock`, LOCK_WAIT_MS, leave));
    } catch (error) {
      // The first error says more than what may go wrong in clearing up after it.
      await leave().catch(() => undefined);
      throw error;
    }
  });
}

/** Ends the server and removes all there is of it, unless a live process uses it; for throw-away servers. */
export async function discardEmbeddedServer(dataDirectory: string): Promise<boolean> {
  const wanted = await settle(dataDirectory);
  return withLock(`${wanted}.lock`, LOCK_WAIT_MS, async () => {
    if ((await countRegistered(`${wanted}.users`).catch(() => 0)) > 0) return false;
    const place = findData(wanted);
    if (place) await stopServer({ ...place, binaries: await prepareBinaries(place.account) }, 'immediate');
    const gone = [pointerOf(wanted), `${wanted}.users`, `${wanted}.new`];
    if (place) gone.push(place.dataDirectory, logOf(place));
    // A folder made for the data alone goes with it.
    if (place && place.dataDirectory !== wanted) gone.push(dirname(place.dataDirectory));
    for (const path of gone) await rm(path, { recursive: true, force: true });
    return true;
  });
}

function handle(cluster: Cluster, port: number, leave: () => Promise<void>): EmbeddedServer {
  let stopped: Promise<void> | undefined;
  return {
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: cluster.password,
    dataDirectory: cluster.dataDirectory,
    url: (database) => urlOf(cluster.password, port, database),
    stop: () => (stopped ??= leave()),
  };
}

/** One spelling of the path for every process, in a folder that we may write to. */
async function settle(dataDirectory: string): Promise<string> {
  const parent = dirname(resolve(dataDirectory));
  try {
    await mkdir(parent, { recursive: true });
    await access(parent, constants.W_OK);
  } catch (error) {
    const why = (error as Error).message;
    throw new Error(`The embedded PostgreSQL cannot keep its data in ${parent} (${why}): ${OUT_OF_THE_WAY}`);
  }
  const wanted = join(await realpath(parent), basename(dataDirectory));
  // pg_ctl hands the path to a shell within double quotes, and escapes nothing.
  if (process.platform !== 'win32' && /["$`\\\n]/.test(wanted)) {
    throw new Error(`PostgreSQL cannot live in ${wanted}: use a path without any of " $ \` \\`);
  }
  return wanted;
}
