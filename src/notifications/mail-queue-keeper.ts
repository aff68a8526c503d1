import PgBoss from 'pg-boss';
import type { Database } from '../db/client.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { MAIL, notStarted, WithinTransaction } from './mail-queue.ts';

/** How often what a dead worker held is looked for; once for all instances. */
const UPKEEP_SECONDS = 60;

/** Keeps the queue: what dead workers held is tried again, what is done is archived and, after a week, removed. */
export class MailQueueKeeper {
  readonly #boss: PgBoss;
  readonly #retry: { limit: number; delaySeconds: number };

  constructor(database: Database, logger: Logger, retry: { limit: number; delaySeconds: number }) {
    this.#retry = retry;
    this.#boss = new PgBoss({
      ...notStarted,
      supervise: true,
      maintenanceIntervalSeconds: UPKEEP_SECONDS,
      db: { executeSql: (text: string, values: unknown[]) => run(database, text, values) },
    });
    this.#boss.on('error', (error) => logger.warn('The queue could not be kept.', errorFields(error)));
  }

  /** Throws when the queue's tables are of another version than the package. */
  async start(): Promise<void> {
    await this.#boss.start();
    await this.#boss.updateQueue(MAIL, {
      name: MAIL,
      retryLimit: this.#retry.limit,
      retryDelay: this.#retry.delaySeconds,
    });
  }

  /** Does now what is done once a minute. */
  async maintain(): Promise<void> {
    await this.#boss.maintain();
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ wait: true });
  }
}

/** Several statements with a BEGIN of their own need one connection; the driver's transaction has that. */
async function run(
  database: Database,
  text: string,
  values: unknown[] = [],
): Promise<{ rows: Record<string, unknown>[] }> {
  const several = /^\s*BEGIN;(.*)COMMIT;\s*$/s.exec(text)?.[1];
  if (several === undefined) return new WithinTransaction(database.drizzle).executeSql(text, values);
  await database.drizzle.transaction((tx) => tx.execute(several));
  return { rows: [] };
}
