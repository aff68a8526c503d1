import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** An instance as a process of its own. */
export class InstanceProcess {
  readonly #child: ChildProcess;
  /** Resolves when it has died. */
  readonly ended: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = once(child, 'exit');
  }

  /** Resolves when it is up. */
  static async start(url: string, skewMs: number, nowMs: number): Promise<InstanceProcess> {
    const child = spawn(process.execPath, ['--import', 'tsx', process.argv[1] ?? ''], {
      env: { PATH: process.env['PATH'], PROOF_URL: url, PROOF_SKEW_MS: String(skewMs) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const instance = new InstanceProcess(child);
    await Promise.race([once(child, 'message'), instance.ended]);
    instance.tell(nowMs);
    return instance;
  }

  /** What time it is, but for its own clock's fault. */
  tell(nowMs: number): void {
    if (this.#child.connected) this.#child.send(nowMs, () => {});
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  end(): void {
    this.kill();
  }
}
