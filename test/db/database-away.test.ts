import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, inject, it } from 'vitest';
import { Database } from '../../src/db/client.ts';
import { DatabaseWatch } from '../../src/db/database-watch.ts';
import { silentLogger } from '../../src/kernel/logger.ts';

/** A way to the database that can fall silent, as a network does, and come back. */
let wire: Server;
let pairs: [Socket, Socket][];
let database: Database;
let watch: DatabaseWatch;

beforeEach(async () => {
  const address = new URL(inject('clusterUrl'));
  const [port, host] = [Number(address.port), address.hostname];
  pairs = [];
  wire = createServer((near) => {
    const far = connect(port, host);
    pairs.push([near, far]);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  address.port = String((wire.address() as AddressInfo).port);
  address.hostname = '127.0.0.1';
  database = new Database({ url: address.href, poolSize: 2, silenceLimitMs: 1500 });
  watch = new DatabaseWatch(database, silentLogger);
});

afterEach(async () => {
  watch.stop();
  for (const [near] of pairs) near.destroy();
  await database.close();
  await new Promise((resolve) => wire.close(resolve));
});

async function until(isSo: () => boolean, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('It did not come to this.');
    await sleep(20);
  }
}

it('a connection that falls silent is cut off, its query fails, and the pool is whole again', async () => {
  await database.sql`SELECT 1`;
  expect(database.load.connections).toBe(1);
  watch.start();
  for (const [near, far] of pairs) {
    near.unpipe(far);
    far.unpipe(near);
    far.pause();
  }
  const startedAt = performance.now();
  await expect(database.sql`SELECT 2`).rejects.toThrow();
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  // New connections go through: the way is there again.
  await until(() => watch.isUp, 15_000);
  expect(await database.sql`SELECT 3 AS three`).toEqual([{ three: 3 }]);
  expect(database.load.connections).toBeLessThanOrEqual(2);
  expect(database.load.transactions).toBe(0);
});

it('one that is gone is known within seconds, and known to be back', async () => {
  await database.sql`SELECT 1`;
  watch.start();
  const { port } = wire.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    wire.close(() => resolve());
    for (const [near] of pairs) near.destroy();
  });
  await until(() => !watch.isUp, 15_000);
  await new Promise<void>((resolve) => wire.listen(port, '127.0.0.1', resolve));
  await until(() => watch.isUp, 15_000);
  expect(await database.sql`SELECT 1 AS one`).toEqual([{ one: 1 }]);
});
