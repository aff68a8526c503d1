import type postgres from 'postgres';

/** What Drizzle uses of the driver, and of its transactions. */
interface Driver {
  options: unknown;
  unsafe(text: string, values?: unknown[], options?: { prepare: boolean }): unknown;
  begin(work: (inner: Driver) => unknown): unknown;
  savepoint(work: (inner: Driver) => unknown): unknown;
}

/**
 * The driver with every statement of Drizzle's prepared: it asks the server about a statement once on each connection
 * instead of before each execution, which halves the journeys that a transaction makes under its locks. It is the whole
 * driver for the types alone: Drizzle calls nothing but the four that are here.
 */
export function preparing(driver: postgres.Sql): postgres.Sql {
  return wrapped(driver as unknown as Driver) as unknown as postgres.Sql;
}

const wrapped = (driver: Driver): Driver => ({
  options: driver.options,
  // Without values it may be several statements at once, which cannot be prepared.
  unsafe: (text, values = []) => driver.unsafe(text, values, { prepare: values.length > 0 }),
  begin: (work) => driver.begin((inner) => work(wrapped(inner))),
  savepoint: (work) => driver.savepoint((inner) => work(wrapped(inner))),
});
