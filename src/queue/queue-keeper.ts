import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../db/client.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { MemberQueue } from './member-queue.ts';

const PAUSE_MS = 1000;
/** Where nothing tells us of changes, all members are compared so often. */
const COMPARE_EVERY_MS = 5 * 60_000;

/**
 * Keeps the log of touched members short, so that no reader finds much to fold. Rests as long as it has worked: while a great
 * many pay, an instance takes no more than half of one of the database's processors.
 */
export class QueueKeeper {
  readonly #queue: MemberQueue;
  readonly #database: Database;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;
  #comparedAt = Number.NEGATIVE_INFINITY;

  constructor(queue: MemberQueue, database: Database, logger: Logger) {
    this.#queue = queue;
    this.#database = database;
    this.#logger = logger;
  }

  start(): void {
    this.#work ??= this.#run();
  }

  /** Ends after the fold that is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const began = performance.now();
      try {
        if (!(await this.#queue.fold())) await this.#compare();
      } catch (error) {
        this.#logger.warn('The queue could not be folded; trying again.', errorFields(error));
      }
      const rest = Math.max(PAUSE_MS, performance.now() - began);
      await wait(rest, undefined, { signal }).catch(() => undefined);
    }
  }

  async #compare(): Promise<void> {
    const now = performance.now();
    if (now - this.#comparedAt < COMPARE_EVERY_MS) return;
    this.#logger.warn('The main app’s tables are not watched: the queue is compared with them by time.');
    await this.#database.transaction((tx) => this.#queue.settle(tx));
    this.#comparedAt = now;
  }
}
