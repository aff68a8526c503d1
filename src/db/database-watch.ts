import { errorFields, type Logger } from '../kernel/logger.ts';
import type { Database } from './client.ts';

const LOOK_EVERY_MS = 1000;
const ANSWER_LIMIT_MS = 2000;

/**
 * Knows at any moment whether the database answers, so that a request need not find out by waiting. It asks one
 * question at a time: one that is not answered holds a single connection, whose return says that the database is back.
 */
export class DatabaseWatch {
  readonly #database: Database;
  readonly #logger: Logger;
  #isUp = true;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(database: Database, logger: Logger) {
    this.#database = database;
    this.#logger = logger;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#look().finally(() => this.start()), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const late = setTimeout(() => this.#say(false), ANSWER_LIMIT_MS).unref();
    try {
      await this.#database.sql`SELECT 1`;
      this.#say(true);
    } catch (error) {
      this.#say(false, error);
    } finally {
      clearTimeout(late);
    }
  }

  #say(isUp: boolean, error?: unknown): void {
    if (isUp === this.#isUp || this.#isStopped) return;
    this.#isUp = isUp;
    if (isUp) this.#logger.info('The database answers again.');
    else
      this.#logger.error('The database does not answer: requests are refused until it does.', {
        ...(error === undefined ? {} : errorFields(error)),
      });
  }
}
