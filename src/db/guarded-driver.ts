import type postgres from 'postgres';
import { isLostConnection } from './errors.ts';

/** What Drizzle uses of the driver, of its pool and of its transactions. */
interface Driver {
  options: unknown;
  unsafe(text: string, values?: unknown[], options?: { prepare: boolean }): Promise<unknown>;
}
interface Pool extends Driver {
  begin(work: (inner: Transaction) => unknown): Promise<unknown>;
}
interface Transaction extends Driver {
  savepoint(work: (inner: Transaction) => unknown): Promise<unknown>;
}

/**
 * The driver with two things added. Every statement of Drizzle's is prepared: it asks the server about a statement once on
 * each connection instead of before each execution, which halves the journeys that a transaction makes under its locks.
 * And a transaction that has ended, or whose connection is lost, sends nothing more: the driver would send it to whatever
 * session the connection has next, where it would be committed apart from the rest (postgres 3.4.9, index.js, begin). It is
 * the whole driver for the types alone: Drizzle calls nothing but what is here.
 */
export function guardedDriver(driver: postgres.Sql): postgres.Sql {
  const pool = driver as unknown as Pool;
  const guarded: Pool = {
    options: pool.options,
    unsafe: (text, values = []) => prepared(pool, text, values),
    begin: (work) => {
      const session = new Session();
      const outcome = pool.begin((inner) => session.hold(inner, work));
      // It fails as soon as the connection is lost, whatever its work is waiting for.
      outcome.catch(() => session.lose());
      return outcome;
    },
  };
  return guarded as unknown as postgres.Sql;
}

// Without values it may be several statements at once, which cannot be prepared.
const prepared = (driver: Driver, text: string, values: unknown[]) =>
  driver.unsafe(text, values, { prepare: values.length > 0 });

/** A transaction, or a part of one, which ends with it at the latest. */
class Scope {
  readonly #outer: Scope | undefined;
  #hasEnded = false;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  get hasEnded(): boolean {
    return this.#hasEnded || this.#outer?.hasEnded === true;
  }

  end(): void {
    this.#hasEnded = true;
  }
}

/** What a transaction and its parts know of the session that they run in. */
class Session {
  #isLost = false;
  /** What their work failed with by itself, such as somebody else's connection: it says nothing of this one. */
  readonly #ofWork = new WeakSet<object>();

  lose(): void {
    this.#isLost = true;
  }

  /**
   * Runs the work of a transaction or a part. Never ends once the session is lost, or what it is a part of has ended: the
   * driver must not be brought to send a COMMIT or a ROLLBACK after that.
   */
  async hold(driver: Transaction, work: (inner: Transaction) => unknown, outer?: Scope): Promise<unknown> {
    const scope = new Scope(outer);
    const isOver = () => this.#isLost || outer?.hasEnded === true;
    try {
      const result = await work(this.#guard(driver, scope));
      if (!isOver()) return result;
    } catch (error) {
      if (!isOver()) {
        if (error instanceof Error) this.#ofWork.add(error);
        throw error;
      }
    } finally {
      scope.end();
    }
    return new Promise<never>(() => {});
  }

  #guard(driver: Transaction, scope: Scope): Transaction {
    return {
      options: driver.options,
      unsafe: (text, values = []) => {
        this.#insist(scope);
        return this.#heed(prepared(driver, text, values));
      },
      savepoint: (work) => {
        this.#insist(scope);
        return this.#heed(driver.savepoint((inner) => this.hold(inner, work, scope)));
      },
    };
  }

  #insist(scope: Scope): void {
    if (this.#isLost)
      throw Object.assign(new Error('The connection of this transaction is lost.'), {
        code: 'CONNECTION_CLOSED',
      });
    // A branch that goes on when another has failed: behind the ROLLBACK it would be committed by itself.
    if (scope.hasEnded) throw new Error('This transaction has ended.');
  }

  /** Is the first to hear of a loss. */
  #heed<T extends Promise<unknown>>(outcome: T): T {
    // The driver's own `then` would send a query before Drizzle has said how it wants the rows.
    void Promise.prototype.then.call(outcome, undefined, (error: unknown) => {
      const isOfWork = error instanceof Error && this.#ofWork.has(error);
      if (!isOfWork && isLostConnection(error)) this.#isLost = true;
    });
    return outcome;
  }
}
