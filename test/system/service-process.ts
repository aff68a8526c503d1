/** The service as a process of its own: started as the README says, and looked at from outside. */
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Running, freePort, type Account, type Outcome } from './programs.ts';

const POLL_MS = 50;

export interface ServiceOptions {
  folder: string;
  port: number;
  env?: Record<string, string>;
  account?: Account | undefined;
}

export class ServiceProcess {
  readonly url: string;
  readonly #running: Running;
  readonly #startedAt = performance.now();

  /** Runs `npm start`. */
  constructor({ folder, port, env = {}, account }: ServiceOptions) {
    this.url = `http://127.0.0.1:${port}`;
    this.#running = new Running('npm', ['start'], {
      folder,
      env: { PORT: String(port), ...env },
      account,
    });
  }

  get output(): string {
    return this.#running.output;
  }

  /** Waits until it is ready. Gives the seconds since the start. Throws with what it said when that takes too long. */
  async ready(limitSeconds: number): Promise<number> {
    while (this.#secondsSinceStart() < limitSeconds) {
      if (await this.isReady()) return this.#secondsSinceStart();
      if (this.#running.hasEnded) throw new Error(`The service ended:\n${this.output}`);
      await sleep(POLL_MS);
    }
    throw new Error(`The service was not ready within ${limitSeconds} s:\n${this.output}`);
  }

  async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/ready`)).status === 200;
    } catch {
      return false;
    }
  }

  /** SIGTERM to npm alone, as a supervisor sends it. */
  async terminate(): Promise<Outcome> {
    this.#running.signal('SIGTERM');
    return this.#end('SIGTERM');
  }

  /** SIGINT to all in the terminal. */
  async pressCtrlC(): Promise<Outcome> {
    this.#running.signalGroup('SIGINT');
    return this.#end('SIGINT');
  }

  /** No chance to clear up. */
  async kill(): Promise<void> {
    this.#running.signalGroup('SIGKILL');
    await this.#running.ended;
  }

  async #end(signal: string): Promise<Outcome> {
    const late = sleep(20_000).then((): never => {
      throw new Error(`The service did not stop at ${signal}:\n${this.output}`);
    });
    const outcome = await Promise.race([this.#running.ended, late]);
    // npm may end before the service has.
    await Promise.race([this.#isGone(), late]);
    return outcome;
  }

  async #isGone(): Promise<void> {
    for (;;) {
      try {
        await fetch(`${this.url}/health`);
      } catch {
        return;
      }
      await sleep(POLL_MS);
    }
  }

  #secondsSinceStart(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }
}

/** The processes that have to do with the folder: by where they are, or what their command line names. */
export function processesIn(folder: string): { pid: number; uid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const isThere = `${readlinkSync(`/proc/${name}/cwd`)}/`.startsWith(`${folder}/`);
        return isThere || command.includes(folder)
          ? [{ pid: Number(name), uid: statSync(`/proc/${name}`).uid, command }]
          : [];
      } catch {
        return [];
      }
    });
}

/** Waits until no process has to do with the folder, and gives those that stay. */
export async function leftIn(folder: string, limitSeconds = 15): Promise<string[]> {
  const deadline = performance.now() + limitSeconds * 1000;
  while (performance.now() < deadline && processesIn(folder).length > 0) await sleep(POLL_MS);
  return processesIn(folder).map(({ pid, command }) => `${pid} ${command}`);
}

/** The pid of the PostgreSQL server that runs on the data of the folder. */
export function postmasterOf(dataDirectory: string): number {
  return Number(readFileSync(join(dataDirectory, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
}

/** A folder under the temporary one that everybody may enter: PostgreSQL runs as another user when we are root. */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'payout-service-system.'));
  await chmod(folder, 0o755);
  return folder;
}

/** Ends what a failed test may have left, by pid, and removes the folder. */
export async function removeFolder(folder: string): Promise<void> {
  for (const { pid } of processesIn(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended since.
    }
  }
  await leftIn(folder, 5);
  await rm(folder, { recursive: true, force: true });
}

/** This working copy, served with data of its own. */
export async function serveHere(root: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const data = await makeFolder();
  const service = new ServiceProcess({ folder: root, port: await freePort(), env: { DATA_DIR: data } });
  try {
    await service.ready(60);
  } catch (error) {
    await service.kill();
    await removeFolder(data);
    throw error;
  }
  return {
    url: service.url,
    stop: async () => {
      await service.terminate();
      await removeFolder(data);
    },
  };
}
