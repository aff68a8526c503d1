import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { Checkpoints } from '../audit/checkpoints.ts';
import { alertStaff } from '../notifications/alert-staff.ts';

const PAUSE_MS = 5000;

/** Makes a checkpoint within seconds of a payment, in whichever instance looks first. The hourly one is a job. */
export class CheckpointLoop {
  readonly #checkpoints: Checkpoints;
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Each instance tells of itself: the folder may be wrong for one of them only. */
  readonly #subject: string;
  #isBroken: boolean | undefined;
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;

  constructor(deps: {
    checkpoints: Checkpoints;
    database: Database;
    clock: Clock;
    logger: Logger;
    /** What tells this instance from the others; the machine's name unless said. */
    name?: string;
  }) {
    this.#checkpoints = deps.checkpoints;
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#subject = `checkpoint:${deps.name ?? hostname()}`;
  }

  start(): void {
    this.#work ??= this.#run();
  }

  /** Leaves nothing uncovered that it can cover. An instance that is gone fails no more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    if (this.#isBroken) await this.#note(false).catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.look();
      await wait(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look: makes a checkpoint where one is due. While that fails there is an alert. */
  async look(): Promise<void> {
    try {
      // Once it has failed here it is tried until it succeeds here, whoever else has made one meanwhile.
      if (!this.#isBroken && !(await this.#checkpoints.isDue())) return;
      const number = await this.#checkpoints.make();
      if (number === null) return;
      this.#logger.info('A checkpoint of the audit log was written.', { count: number });
      if (this.#isBroken !== false) await this.#note(false);
    } catch (error) {
      this.#logger.error('A checkpoint of the audit log could not be written.', errorFields(error));
      if (!this.#isBroken) await this.#note(true).catch(() => undefined);
    }
  }

  async #note(isBroken: boolean): Promise<void> {
    const at = this.#clock.now();
    await this.#database.transaction(async (tx) => {
      if (!isBroken) return closeAlert(tx, 'audit_broken', this.#subject, at);
      await alertStaff(tx, {
        severity: 'critical',
        category: 'audit_broken',
        title: 'The audit log is not being checkpointed',
        message:
          'A signed checkpoint could not be written. Look at AUDIT_CHECKPOINT_DIR: is it there, writable, and shared?',
        subject: this.#subject,
        at,
      });
    });
    this.#isBroken = isBroken;
  }
}
