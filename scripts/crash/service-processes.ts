/** Services as processes of their own, one of which is started for each kill. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { CrashPoint } from '../../src/kernel/crash-points.ts';

/** A named point and the how-manieth passing of it, or any moment at all. */
export type Arm = { point: CrashPoint; passes: number } | 'anywhere';

/** Far more than a start takes, as other work may keep the machine busy. */
const START_LIMIT_MS = 180_000;
/** A child ends with us, however we end: its standard input does. */
const ENDS_WITH_PARENT = 'data:text/javascript,process.stdin.on("end",()=>process.exit(1)).resume()';
const running = new Set<ChildProcess>();

export class ServiceProcess {
  readonly arm: Arm | undefined;
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string, arm: Arm | undefined) {
    this.#child = child;
    this.url = url;
    this.arm = arm;
  }

  /** `env` is all that it is told. Throws with what it said when it does not come up. */
  static async start(build: string, env: Record<string, string>, arm?: Arm): Promise<ServiceProcess> {
    const armed =
      arm === undefined || arm === 'anywhere' ? {} : { CRASH_POINT: `${arm.point}:${arm.passes}` };
    const child = spawn(process.execPath, ['--import', ENDS_WITH_PARENT, join(build, 'src', 'main.js')], {
      cwd: build,
      env: { ...env, ...armed },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let said = '';
    const url = await new Promise<string>((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`A service did not start:\n${said}`)), START_LIMIT_MS);
      child.once('exit', () => failed(new Error(`A service ended at its start:\n${said}`)));
      const hear = (chunk: Buffer): void => {
        said += chunk.toString();
        const address = /Payout Service {2}http:\/\/localhost:(\d+)/.exec(said)?.[1];
        if (address === undefined) return;
        clearTimeout(timer);
        done(`http://127.0.0.1:${address}`);
      };
      child.stdout?.on('data', hear);
      child.stderr?.on('data', hear);
    });
    return new ServiceProcess(child, url, arm);
  }

  get isDead(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** True when it has ended, or ends within the time. */
  async endsWithin(ms: number): Promise<boolean> {
    if (!this.isDead) {
      const timer = new AbortController();
      const late = new Promise<void>((done) => {
        setTimeout(done, ms).unref();
        timer.signal.addEventListener('abort', () => done());
      });
      await Promise.race([once(this.#child, 'exit'), late]);
      timer.abort();
    }
    return this.isDead;
  }

  /** SIGTERM, as whoever deploys sends it. Gives how it ended and after how long. */
  async terminate(): Promise<{ code: number | null; ms: number }> {
    const began = performance.now();
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
    return { code: this.#child.exitCode, ms: performance.now() - began };
  }

  async kill(): Promise<void> {
    if (this.isDead) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/**
 * Compiles the service into the folder, as the image has it: a thousand starts from TypeScript would take an hour.
 * Types are checked elsewhere. `source` is the folder of the version that is wanted.
 */
export async function buildService(folder: string, source = '.'): Promise<string> {
  const tsc = resolve('node_modules', 'typescript', 'bin', 'tsc');
  const options = [
    '-p',
    join(source, 'tsconfig.build.json'),
    '--noCheck',
    '--sourceMap',
    'false',
    '--outDir',
    join(folder, 'src'),
  ];
  await promisify(execFile)(process.execPath, [tsc, ...options]);
  for (const beside of ['node_modules', 'drizzle', 'templates', 'assets', 'package.json'])
    await symlink(resolve(source, beside), join(folder, beside));
  return folder;
}

/** Ends every service that this process started and that still runs. */
export function endAllServices(): void {
  for (const child of running) child.kill('SIGKILL');
}
