import { AsyncLocalStorage } from 'node:async_hooks';
import { drizzle, type PostgresJsDatabase } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { crashPoint } from '../kernel/crash-points.ts';
import { traced } from '../kernel/tracing.ts';
import { DatabaseSockets } from './database-sockets.ts';
import { domainErrorFromDatabase, isConnectionFailure, isRetryable } from './errors.ts';
import { guardedDriver } from './guarded-driver.ts';
import * as schema from './schema/index.ts';
import { tracedClient } from './traced-client.ts';

type Db = PostgresJsDatabase<typeof schema>;

/** An open transaction. Whatever writes asks for one by type. */
export type Tx = Parameters<Parameters<Db['transaction']>[0]>[0];
/** Whatever only reads takes this: the pool, a transaction, or a replica. */
export type Reader = Pick<
  Db,
  'select' | 'selectDistinct' | 'selectDistinctOn' | 'execute' | 'with' | '$with' | '$count'
>;

export interface DatabaseOptions {
  url: string;
  poolSize: number;
  /** The role that each connection takes on, where the URL's own user has more rights than it needs. */
  role?: string | undefined;
  applicationName?: string;
  /** After so long without a byte from the server a connection is cut off. */
  silenceLimitMs?: number;
}

/** Waits before the second, third and fourth try (design document, Retry Strategy). */
const RETRY_WAITS_MS = [1000, 2000, 4000] as const;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The pool, and the one way to open a transaction. */
export class Database {
  /** The driver itself, for what Drizzle does not do. */
  readonly sql: postgres.Sql;
  readonly drizzle: Db;
  readonly poolSize: number;
  #openTransactions = 0;
  #isClosing = false;
  readonly #sockets: DatabaseSockets;
  readonly #enclosing = new AsyncLocalStorage<Tx>();

  constructor(options: DatabaseOptions) {
    if (!('forgetsLostConnections' in postgres))
      throw new Error('The database’s driver is not mended: run "node scripts/mend-driver.mjs".');
    this.#sockets = new DatabaseSockets(options.silenceLimitMs);
    this.poolSize = options.poolSize;
    this.sql = postgres(options.url, {
      max: options.poolSize,
      idle_timeout: 30,
      connect_timeout: 5,
      // The driver's types do not know it.
      ...({ socket: this.#sockets.open } as object),
      // Asked at each new connection; one that ended meanwhile would end the process (postgres 3.4.9, fetchArrayTypes).
      fetch_types: false,
      // The driver's own pauses grow to 20 s; a database that is back should be found at once.
      backoff: () => 0.1,
      onnotice: () => {},
      connection: {
        application_name: options.applicationName ?? 'payout-service',
        // Whatever the server, the database or the user have for a default.
        search_path: 'public',
        TimeZone: 'UTC',
        DateStyle: 'ISO, MDY',
        // Compiling a plan costs more than any of our statements takes.
        jit: false,
        // Statements are prepared to save a round trip, not to be planned without their values.
        plan_cache_mode: 'force_custom_plan',
        statement_timeout: 30_000,
        lock_timeout: 10_000,
        idle_in_transaction_session_timeout: 30_000,
        ...(options.role ? { role: options.role } : {}),
      },
    });
    this.drizzle = drizzle(tracedClient(guardedDriver(this.sql)), { schema });
  }

  /** Connections of the pool that are open, and transactions that are running or wait for one. */
  get load(): { connections: number; transactions: number } {
    return { connections: this.#sockets.count, transactions: this.#openTransactions };
  }

  /** For reading: the pool, or the transaction that encloses the request. */
  get reader(): Reader {
    return this.#enclosing.getStore() ?? this.drizzle;
  }

  /**
   * Runs `work` in a transaction. A serialization failure, a deadlock, or a connection lost before the commit was sent
   * is tried again; an unclear commit never is. `work` must therefore do nothing but database work.
   * Constraint and trigger refusals come out as DomainErrors. Within `enclose` it is a part of that transaction.
   */
  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const enclosing = this.#enclosing.getStore();
    if (enclosing) return this.#part(enclosing, work);
    this.#openTransactions += 1;
    try {
      return await traced('transaction', 'internal', {}, () => this.#withRetries(work));
    } finally {
      this.#openTransactions -= 1;
    }
  }

  async #withRetries<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      let commitSent = false;
      try {
        const outcome = await this.drizzle.transaction(async (tx) => {
          crashPoint('transaction-begun');
          const result = await work(tx);
          crashPoint('before-commit');
          commitSent = true;
          return result;
        });
        crashPoint('after-commit');
        return outcome;
      } catch (error) {
        const wait = RETRY_WAITS_MS[attempt];
        const again = isRetryable(error) || (isConnectionFailure(error) && !commitSent);
        if (wait === undefined || !again || this.#isClosing) throw domainErrorFromDatabase(error);
        await sleep(wait);
      }
    }
  }

  /**
   * Runs `work` so that every transaction that it opens is a part of one, which commits or fails as a whole. For what
   * must be stored together with an effect that several services bring about (idempotency/).
   */
  enclose<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.transaction((tx) => this.#enclosing.run(tx, () => work(tx)));
  }

  /** A savepoint. What would be tried again must be tried again as a whole, so those errors go up as they are. */
  async #part<T>(enclosing: Tx, work: (tx: Tx) => Promise<T>): Promise<T> {
    try {
      return await enclosing.transaction(work);
    } catch (error) {
      throw isRetryable(error) || isConnectionFailure(error) ? error : domainErrorFromDatabase(error);
    }
  }

  /** Waits a second for what runs. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.sql.end({ timeout: 1 });
  }
}
