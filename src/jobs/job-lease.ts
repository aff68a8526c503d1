import type { Database } from '../db/client.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { renewLease, RunLost, type JobRunRow } from './job-store.ts';

export interface LeaseTimes {
  /** An instance that has not been heard of for so long counts as dead. */
  leaseMs: number;
  /** How long the job may take. */
  limitMs: number;
}

/** The job took longer than it may. */
export class JobTooSlow extends Error {}

/** The instance stops: another one goes on. */
export class InstanceStops extends Error {}

/** While a job runs: keeps its lease, and tells it to stop when the lease is lost, its time is up, or we stop. */
export class JobLease {
  readonly #database: Database;
  readonly #run: JobRunRow;
  readonly #times: LeaseTimes;
  readonly #logger: Logger;
  readonly #controller = new AbortController();
  readonly #timers: NodeJS.Timeout[];
  #progress: Record<string, unknown> | undefined;

  constructor(database: Database, run: JobRunRow, times: LeaseTimes, logger: Logger) {
    this.#database = database;
    this.#run = run;
    this.#times = times;
    this.#logger = logger;
    this.#timers = [
      setInterval(() => void this.#renew(), times.leaseMs / 3),
      setTimeout(
        () => this.abort(new JobTooSlow(`The job took longer than ${times.limitMs / 60_000} minutes.`)),
        times.limitMs,
      ),
    ];
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Shown by GET /api/jobs within a third of a lease. */
  progress(figures: Record<string, unknown>): void {
    this.#progress = figures;
  }

  abort(reason: Error): void {
    this.#controller.abort(reason);
  }

  /** Rejects when the job is told to stop: a job that does not listen is not waited for. */
  stopped(): Promise<never> {
    return new Promise((_resolve, reject) => {
      const refuse = () => reject(this.signal.reason as Error);
      if (this.signal.aborted) refuse();
      else this.signal.addEventListener('abort', refuse, { once: true });
    });
  }

  release(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #renew(): Promise<void> {
    try {
      const progress = this.#progress;
      const kept = await this.#database.transaction((tx) =>
        renewLease(tx, this.#run, this.#times.leaseMs, progress),
      );
      if (!kept) this.abort(new RunLost());
    } catch (error) {
      this.#logger.warn('A job’s lease could not be renewed.', {
        job: this.#run.job,
        ...errorFields(error),
      });
    }
  }
}
