import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import certificateForTests from 'smtp-server/lib/tls-options.js';
import { afterEach, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { sql } from 'drizzle-orm';
import { Database } from '../../src/db/client.ts';
import { DatabaseWatch } from '../../src/db/database-watch.ts';
import { silentLogger } from '../../src/kernel/logger.ts';

/** A way to the database that can fall silent, as a network does, and come back. */
let wire: Server;
let pairs: [Duplex, Socket][];
let database: Database;
let watch: DatabaseWatch;

async function openWire(withTls: boolean): Promise<void> {
  const address = new URL(inject('clusterUrl'));
  const [port, host] = [Number(address.port), address.hostname];
  const join = (near: Duplex) => {
    const far = connect(port, host);
    pairs.push([near, far]);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  };
  pairs = [];
  wire = createServer((near) => {
    if (!withTls) return join(near);
    // Whatever asks for TLS is told yes, before the first byte of it.
    near.once('data', () => {
      near.pause();
      near.write('S');
      join(new TLSSocket(near, { isServer: true, ...certificateForTests() }));
    });
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  address.port = String((wire.address() as AddressInfo).port);
  address.hostname = '127.0.0.1';
  if (withTls) address.searchParams.set('sslmode', 'require');
  database = new Database({ url: address.href, poolSize: 2, silenceLimitMs: 1000 });
  watch = new DatabaseWatch(database, silentLogger);
}

/** Nothing more comes through, either way, and neither side is told. */
function silence(): void {
  for (const [near, far] of pairs) {
    near.unpipe(far);
    far.unpipe(near);
    far.pause();
  }
}

afterEach(async () => {
  watch.stop();
  for (const [near] of pairs) near.destroy();
  await database.close();
  await new Promise((resolve) => wire.close(resolve));
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
    silence();
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
        if (tries === 1) silence();
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
  const { port } = wire.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    wire.close(() => resolve());
    for (const [near] of pairs) near.destroy();
  });
  await vi.waitUntil(() => !watch.isUp, { timeout: 15_000, interval: 20 });
  await new Promise<void>((resolve) => wire.listen(port, '127.0.0.1', resolve));
  await vi.waitUntil(() => watch.isUp, { timeout: 15_000, interval: 20 });
  expect(await database.sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
});
