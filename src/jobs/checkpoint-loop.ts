import { setTimeout as wait } from 'node:timers/promises';
import { raiseAlert } from '../alerts/raise-alert.ts';
import type { Database } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { Checkpoints } from '../audit/checkpoints.ts';

const PAUSE_MS = 5000;

/** Makes a checkpoint within seconds of a payment, in whichever instance looks first. The hourly one is a job. */
export class CheckpointLoop {
  readonly #checkpoints: Checkpoints;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;

  constructor(deps: { checkpoints: Checkpoints; database: Database; clock: Clock; logger: Logger }) {
    this.#checkpoints = deps.checkpoints;
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  start(): void {
    this.#work ??= this.#run();
  }

  /** Leaves nothing uncovered that it can cover. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look();
      await wait(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look: makes a checkpoint where one is due, and raises an alert where that fails. */
  async look(): Promise<void> {
    try {
      if (!(await this.#checkpoints.isDue())) return;
      const number = await this.#checkpoints.make();
      if (number !== null) this.#logger.info('A checkpoint of the audit log was written.', { count: number });
    } catch (error) {
      this.#logger.error('A checkpoint of the audit log could not be written.', errorFields(error));
      await this.#tell().catch(() => undefined);
    }
  }

  async #tell(): Promise<void> {
    await this.#database.transaction((tx) =>
      raiseAlert(tx, {
        severity: 'critical',
        category: 'audit_broken',
        title: 'The audit log is not being checkpointed',
        message:
          'A signed checkpoint could not be written. Look at AUDIT_CHECKPOINT_DIR: is it there, writable, and shared?',
        subject: 'checkpoint',
        at: this.#clock.now(),
      }),
    );
  }
}
