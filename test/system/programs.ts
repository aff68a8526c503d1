/** Other programs, run as somebody at a terminal would run them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { SETTING_NAMES } from '../../src/config.ts';

export const ROOT = resolve(import.meta.dirname, '../..');

export interface Account {
  uid: number;
  gid: number;
}

export interface RunOptions {
  folder?: string;
  env?: Record<string, string>;
  account?: Account | undefined;
  limitMs?: number;
}

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The environment of a terminal: neither our settings, nor what npm and vitest add for what they run. */
function plainEnvironment(): Record<string, string> {
  const added = /^(npm_|VITEST|NODE_ENV$|NODE_OPTIONS$|NODE_V8_COVERAGE$|TEST_|INIT_CWD$|DEMO_URL$)/i;
  const entries = Object.entries(process.env).filter(
    ([name, value]) => value !== undefined && !added.test(name) && !SETTING_NAMES.includes(name),
  );
  return Object.fromEntries(entries) as Record<string, string>;
}

/** A program that runs, in a process group of its own. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  readonly #said = { stdout: '', stderr: '' };

  constructor(command: string, args: readonly string[], options: RunOptions = {}) {
    this.child = spawn(command, args, {
      cwd: options.folder ?? ROOT,
      env: { ...plainEnvironment(), ...options.env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options.account,
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.#said.stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.#said.stderr += chunk.toString()));
    this.ended = new Promise((done, failed) => {
      this.child.once('error', failed);
      // Not "close": a database that outlives a killed service may hold on to the pipes.
      this.child.once('exit', (code, signal) => setTimeout(() => done({ code, signal, ...this.#said }), 50));
    });
    this.ended.catch(() => undefined);
  }

  get output(): string {
    return `${this.#said.stdout}${this.#said.stderr}`;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** To the program alone. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** To the program and all that it started, as Ctrl-C in a terminal does. */
  signalGroup(signal: NodeJS.Signals): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, signal);
    } catch {
      // They have ended.
    }
  }
}

/** Runs to the end, however it ends. */
export async function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const running = new Running(command, args, options);
  const timer = setTimeout(() => running.signalGroup('SIGKILL'), options.limitMs ?? 60_000);
  try {
    return await running.ended;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs to the end. Throws with all that it said when that is not a good one. */
export async function succeed(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, signal, stdout, stderr } = await run(command, args, options);
  if (code === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${stdout}${stderr}`);
}

export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((done, failed) => probe.once('error', failed).listen(0, '127.0.0.1', done));
  const { port } = probe.address() as AddressInfo;
  await new Promise((done) => probe.close(done));
  return port;
}

/** The first of the paths that is there. Throws with what to install. */
export function programAt(paths: readonly string[], debianPackage: string): string {
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Install ${debianPackage}: none of ${paths.join(', ')} is there.`);
  return found;
}
