import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { sql } from 'drizzle-orm';
import { Database } from '../../src/db/client.ts';
import { DatabaseWatch } from '../../src/db/database-watch.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { Wire } from '../support/wire.ts';

let wire: Wire;
let database: Database;
let watch: DatabaseWatch;

async function openWire(withTls: boolean): Promise<void> {
  wire = await Wire.to(inject('clusterUrl'), { withTls });
  database = new Database({ url: wire.url, poolSize: 2, silenceLimitMs: 1000 });
  watch = new DatabaseWatch(database, silentLogger);
}

afterEach(async () => {
  watch.stop();
  await wire.cut();
  await database.close();
});

describe.each([
  ['plain', false],
  ['TLS', true],
])('a connection (%s)', (_, withTls) => {
  beforeEach(() => openWire(withTls));

  it('that falls silent is cut off, its query fails, and the pool is whole again', async () => {
    await database.sql`SELECT 1`;
    expect(database.load.connections).toBe(1);
    watch.start();
    wire.silence();
    const startedAt = performance.now();
    await expect(database.sql`SELECT 2`).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    // New connections go through: the way is there again.
    await vi.waitUntil(() => watch.isUp, { timeout: 15_000, interval: 20 });
    expect(await database.sql`SELECT 3 AS three`).toEqual([{ three: 3 }]);
    expect(database.load.connections).toBeLessThanOrEqual(2);
    expect(database.load.transactions).toBe(0);
  });

  it('that falls silent in the middle of a transaction is cut off, and the transaction is tried again on another', async () => {
    let tries = 0;
    const numbers = () =>
      database.transaction(async (tx) => {
        tries += 1;
        const [one] = await tx.execute<{ number: number }>(sql`SELECT 1 AS number`);
        if (tries === 1) wire.silence();
        const [two] = await tx.execute<{ number: number }>(sql`SELECT 2 AS number`);
        return [one?.number, two?.number];
      });
    expect(await numbers()).toEqual([1, 2]);
    expect(tries).toBe(2);
    // Every place in the pool is good, and each answer is that of its own question.
    const startedAt = performance.now();
    for (let number = 0; number < 20; number += 1)
      expect(await Promise.all([numbers(), database.sql`SELECT ${number} AS number`])).toEqual([
        [1, 2],
        [{ number: String(number) }],
      ]);
    expect(performance.now() - startedAt).toBeLessThan(5000);
    expect(database.load.transactions).toBe(0);
  });

  it('that is used again and again is not, though it is older than that', async () => {
    const backend = async () =>
      (await database.sql<{ pid: number }[]>`SELECT pg_backend_pid() AS pid FROM pg_sleep(0.1)`)[0]?.pid;
    const first = await backend();
    const until = performance.now() + 2500;
    while (performance.now() < until) expect(await backend()).toBe(first);
  });
});

it('one that is gone is known within seconds, and known to be back', async () => {
  await openWire(false);
  await database.sql`SELECT 1`;
  watch.start();
  await wire.cut();
  await vi.waitUntil(() => !watch.isUp, { timeout: 15_000, interval: 20 });
  await wire.mend();
  await vi.waitUntil(() => watch.isUp, { timeout: 15_000, interval: 20 });
  expect(await database.sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
});
