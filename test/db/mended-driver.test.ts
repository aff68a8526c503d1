/** What scripts/mend-driver.mjs is for: what a lost connection leaves behind must not reach the session that follows. */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Database, type Tx } from '../../src/db/client.ts';
import { startTestService, type TestService } from '../support/test-service.ts';
import { Wire } from '../support/wire.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  await service.sql`CREATE TABLE kept (note text NOT NULL)`;
});
afterAll(() => service.stop());

const kept = async () =>
  (await service.sql<{ note: string }[]>`SELECT note FROM kept ORDER BY note`).map(({ note }) => note);

let wire: Wire;
let database: Database;
/** The near ends of its connections, as they are opened. */
let sockets: Socket[];

async function openLine(withTls: boolean): Promise<void> {
  wire = await Wire.to(service.databaseUrl, { withTls });
  sockets = [];
  database = new Database({ url: wire.url, poolSize: 1 });
  const { options } = database.sql as unknown as { options: { socket: (of: unknown) => Promise<Socket> } };
  const opened = options.socket;
  options.socket = async (of) => {
    const socket = await opened(of);
    sockets.push(socket);
    return socket;
  };
}

afterEach(async () => {
  await database.close();
  await wire.cut();
  await service.sql`TRUNCATE kept`;
});

const noting = (note: string, then: () => Promise<void> = () => Promise.resolve()) =>
  database.transaction(async (tx) => {
    await tx.execute(sql`INSERT INTO kept (note) VALUES (${note})`);
    await then();
  });

it('a connection that ends as a transaction begins makes it begin again, and never run without one', async () => {
  await openLine(false);
  await database.sql`SELECT 1`;
  let outcomes: Promise<PromiseSettledResult<unknown>[]> | undefined;
  sockets[0]?.prependListener('error', () => {
    const refuse = () => Promise.reject(new Error('Nothing of it may stay.'));
    outcomes = Promise.allSettled([
      noting('kept'),
      noting('refused', refuse),
      database.sql`SELECT 42 AS answer`,
    ]);
  });
  const closed = new Promise((resolve) => sockets[0]?.prependListener('close', resolve));
  sockets[0]?.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
  await closed;
  expect(await database.sql`SELECT 7 AS seven`).toEqual([{ seven: 7 }]);
  const [first, second, read] = (await outcomes) ?? [];
  expect(first).toMatchObject({ status: 'fulfilled' });
  expect(second).toMatchObject({ status: 'rejected', reason: { message: 'Nothing of it may stay.' } });
  if (read?.status === 'fulfilled') expect([...(read.value as unknown[])]).toEqual([{ answer: 42 }]);
  expect(await kept()).toEqual(['kept']);
});

describe.each([
  ['plain', false],
  ['TLS', true],
])('a connection (%s)', (_, withTls) => {
  beforeEach(() => openLine(withTls));

  it('that ends in the middle of a result leaves the next one whole', async () => {
    // Slow enough that it cannot be over when its first rows have come.
    const long = Promise.allSettled([
      database.sql`SELECT n, repeat('x', 300), pg_sleep(0.005) FROM generate_series(1, 400) n`,
    ]);
    await vi.waitUntil(() => (wire.sockets[0]?.bytesWritten ?? 0) > 20_000, { timeout: 10_000, interval: 5 });
    wire.sockets[0]?.resetAndDestroy();
    expect(await long).toMatchObject([{ status: 'rejected' }]);
    expect([...(await database.sql`SELECT 'next' AS row`)]).toEqual([{ row: 'next' }]);
  });

  it('that the server ends leaves no refusal behind', async () => {
    const dying = database.sql`SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)`;
    await expect(dying).rejects.toThrow();
    expect([...(await database.sql`SELECT 'next' AS row`)]).toEqual([{ row: 'next' }]);
  });

  it('that is refused comes back to the pool', async () => {
    await wire.cut();
    for (let time = 0; time < 3; time += 1)
      await expect(database.sql`SELECT 1`).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await wire.mend();
    expect([...(await database.sql`SELECT 'back' AS row`)]).toEqual([{ row: 'back' }]);
    await Promise.all([noting('one'), noting('two')]);
    expect(await kept()).toEqual(['one', 'two']);
  });
});

it('a way that takes connections and closes them is refused at once, and not tried in a circle', async () => {
  await openLine(false);
  wire.refuse('the end');
  for (let time = 0; time < 3; time += 1) await expect(database.sql`SELECT 1`).rejects.toThrow();
  expect(wire.sockets).toHaveLength(3);
});

it.each([99, 100, 101, 102, 200, 201, 202])('a transaction behind %i statements is one', async (ahead) => {
  await openLine(false);
  const read = async (index: number) =>
    await database.drizzle.execute(sql`SELECT ${index}::integer AS index`);
  // Prepared, so that they go out without waiting for an answer.
  await read(0);
  const reads = Array.from({ length: ahead }, (_, index) => read(index));
  for (let turn = 0; turn < 15; turn += 1) await Promise.resolve();
  await noting('kept');
  await expect(noting('refused', () => Promise.reject(new Error('No.')))).rejects.toThrow('No.');
  expect((await Promise.all(reads)).map(([row]) => row)).toEqual(reads.map((_, index) => ({ index })));
  await database.drizzle.execute(sql`INSERT INTO kept (note) VALUES ('by itself')`);
  expect(await kept()).toEqual(['by itself', 'kept']);
});

it('a statement that cannot be sent fails by itself, and those around it do not', async () => {
  await openLine(false);
  const say = (value: unknown) =>
    database.sql.unsafe('SELECT $1::text AS said', [value as string], { prepare: true });
  await say('warm');
  const mute = {
    toString: () => {
      throw new Error('No text.');
    },
  };
  const [ahead, faulty, behind] = await Promise.allSettled([say('ahead'), say(mute), say('behind')]);
  expect(ahead).toMatchObject({ status: 'fulfilled', value: [{ said: 'ahead' }] });
  expect(faulty).toMatchObject({ status: 'rejected', reason: { message: 'No text.' } });
  expect(behind).toMatchObject({ status: 'fulfilled', value: [{ said: 'behind' }] });
});

describe('a branch that goes on when another has failed', () => {
  let letGo: () => void;
  let other: Promise<void>;
  let behind: Promise<unknown>;
  beforeEach(async () => {
    await openLine(false);
    other = new Promise((resolve) => (letGo = resolve));
  });

  /** Sends what comes too late, once it does. */
  const late = (tx: Tx): Promise<void> => {
    const branch = (async () => {
      await other;
      await tx.execute(sql`INSERT INTO kept (note) VALUES ('behind')`);
    })();
    branch.catch(() => undefined);
    behind = branch;
    return branch;
  };

  it('changes nothing after the transaction', async () => {
    const failing = database.transaction(async (tx) => {
      void late(tx);
      await tx.execute(sql`SELECT 1`);
      throw new Error('The other branch.');
    });
    await expect(failing).rejects.toThrow('The other branch.');
    letGo();
    await expect(behind).rejects.toThrow();
    expect(await kept()).toEqual([]);
  });

  it('in a part of its own changes nothing after the transaction, nor in the one that follows', async () => {
    let outcome = 'none yet';
    await database.transaction(async (tx) => {
      const begun = new Promise<void>((resolve) => {
        tx.transaction((inner) => {
          resolve();
          return late(inner);
        }).then(
          () => (outcome = 'done'),
          () => (outcome = 'failed'),
        );
      });
      await begun;
    });
    // Its ROLLBACK TO would undo a part of this one.
    await database.transaction(async (tx) => {
      await tx.transaction((inner) => inner.execute(sql`INSERT INTO kept (note) VALUES ('of the next')`));
      letGo();
      await expect(behind).rejects.toMatchObject({ cause: { message: 'This transaction has ended.' } });
      // What the part would send now goes ahead of this.
      await nextTurn();
      await tx.execute(sql`SELECT 1`);
    });
    expect(outcome).toBe('none yet');
    expect(await kept()).toEqual(['of the next']);
  });

  it('changes nothing after its part', async () => {
    await database.transaction(async (tx) => {
      const part = tx.transaction(async (inner) => {
        void late(inner);
        await inner.execute(sql`SELECT 1`);
        throw new Error('The other branch.');
      });
      await expect(part).rejects.toThrow('The other branch.');
      letGo();
      await expect(behind).rejects.toMatchObject({ cause: { message: 'This transaction has ended.' } });
    });
    expect(await kept()).toEqual([]);
  });
});
