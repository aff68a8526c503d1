import { setImmediate as nextTurn } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Database, type Tx } from '../../src/db/client.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let database: Database;
beforeAll(async () => {
  service = await startTestService();
  database = new Database({ url: service.databaseUrl, poolSize: 3 });
  await service.sql.unsafe(`
    CREATE TABLE tries (id serial PRIMARY KEY, note text NOT NULL);
    CREATE TABLE left_right (side text PRIMARY KEY, count integer NOT NULL);
    INSERT INTO left_right VALUES ('left', 0), ('right', 0);
    CREATE FUNCTION die_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.note = 'dies at commit' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER die_at_commit AFTER INSERT ON tries DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION die_at_commit();`);
});
afterAll(async () => {
  await database.close();
  await service.stop();
});

const notes = async (note: string) => (await service.sql`SELECT 1 FROM tries WHERE note = ${note}`).length;

describe('Database.transaction', () => {
  it('runs again when the connection is lost before the commit, and leaves one effect', async () => {
    let runs = 0;
    await database.transaction(async (tx) => {
      runs += 1;
      await tx.execute(sql`INSERT INTO tries (note) VALUES ('lost once')`);
      if (runs === 1) await tx.execute(sql`SELECT pg_terminate_backend(pg_backend_pid())`);
    });
    expect(runs).toBe(2);
    expect(await notes('lost once')).toBe(1);
  });

  describe('whose connection ends while no statement is under way', () => {
    /** Ends the transaction's session, and waits until the driver has seen it. */
    const endSession = async (of: Database, tx: Tx) => {
      const [own] = await tx.execute<{ pid: number }>(sql`SELECT pg_backend_pid() AS pid`);
      const { connections } = of.load;
      await service.sql`SELECT pg_terminate_backend(${own?.pid ?? 0}, 5000)`;
      await vi.waitUntil(() => of.load.connections < connections, { timeout: 5000, interval: 5 });
      await nextTurn();
    };

    it.each(['goes on', 'goes on in a part', 'returns', 'throws'])(
      'runs again, though its first try %s',
      async (how) => {
        let runs = 0;
        const note = `lost at rest, ${how}`;
        await database.transaction(async (tx) => {
          runs += 1;
          await tx.execute(sql`INSERT INTO tries (note) VALUES (${note})`);
          if (runs > 1) return;
          await endSession(database, tx);
          if (how === 'goes on') await tx.execute(sql`SELECT 1`);
          if (how === 'goes on in a part') await tx.transaction((part) => part.execute(sql`SELECT 1`));
          if (how === 'throws') throw new Error('Not of the database.');
        });
        expect(runs).toBe(2);
        expect(await notes(note)).toBe(1);
      },
    );

    it('changes nothing by what its first try goes on to do, though the driver has connected anew', async () => {
      const one = new Database({ url: service.databaseUrl, poolSize: 1 });
      let letGo: (value?: unknown) => void = () => {};
      const secondHasBegun = new Promise((resolve) => (letGo = resolve));
      let done: (value?: unknown) => void = () => {};
      const firstIsDone = new Promise((resolve) => (done = resolve));
      const left: unknown[] = [];
      let runs = 0;
      await one.transaction(async (tx) => {
        runs += 1;
        if (runs > 1) {
          // The first try goes on within this one's session.
          letGo();
          await firstIsDone;
          await tx.execute(sql`INSERT INTO tries (note) VALUES ('the second try')`);
          return;
        }
        await endSession(one, tx);
        await secondHasBegun;
        for (const note of ['by the first try', 'by it again'])
          await tx
            .execute(sql`INSERT INTO tries (note) VALUES (${note})`)
            .catch((error: unknown) => left.push(error));
        done();
      });
      await one.close();
      expect(runs).toBe(2);
      expect(await notes('the second try')).toBe(1);
      expect(await notes('by the first try')).toBe(0);
      expect(await notes('by it again')).toBe(0);
      expect(left).toHaveLength(2);
    });
  });

  it('fails as its work does, and its connection is free, where the work lost a connection to something else', async () => {
    let runs = 0;
    const startedAt = performance.now();
    const failing = database.transaction((tx) =>
      tx.transaction(async (part) => {
        runs += 1;
        await part.execute(sql`INSERT INTO tries (note) VALUES ('of a part')`);
        throw Object.assign(new Error('The keys are out of reach.'), { code: 'ECONNRESET' });
      }),
    );
    await expect(failing).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(runs).toBe(4);
    // After the waits between its tries, and not what an idle transaction may last.
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(await notes('of a part')).toBe(0);
    expect(
      await service.sql`SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%' AND datname = current_database()`,
    ).toEqual([]);
  });

  it('never runs again when it is unclear whether the commit went through', async () => {
    let runs = 0;
    const lost = database.transaction(async (tx) => {
      runs += 1;
      await tx.execute(sql`INSERT INTO tries (note) VALUES ('dies at commit')`);
    });
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(runs).toBe(1);
  });

  it('runs again after a deadlock, so that both sides end', async () => {
    let runs = 0;
    let arrived = 0;
    let letGo: (value?: unknown) => void = () => {};
    const bothHoldOne = new Promise((resolve) => (letGo = resolve));
    const add = (first: string, second: string) =>
      database.transaction(async (tx) => {
        runs += 1;
        await tx.execute(sql`UPDATE left_right SET count = count + 1 WHERE side = ${first}`);
        arrived += 1;
        if (arrived === 2) letGo();
        await bothHoldOne;
        await tx.execute(sql`UPDATE left_right SET count = count + 1 WHERE side = ${second}`);
      });
    await Promise.all([add('left', 'right'), add('right', 'left')]);
    const rows = await service.sql<{ count: number }[]>`SELECT count FROM left_right`;
    expect(rows.map(({ count }) => count)).toEqual([2, 2]);
    expect(runs).toBe(3);
  });

  it('gives every connection back, however its transaction ends', async () => {
    const failing = Array.from({ length: 30 }, () =>
      database.transaction(async (tx) => {
        await tx.execute(sql`SELECT 1 / 0`);
      }),
    );
    const ends = await Promise.allSettled(failing);
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
    await Promise.all(
      Array.from({ length: 6 }, () => database.transaction((tx) => tx.execute(sql`SELECT pg_sleep(0.05)`))),
    );
    const busy = await service.sql`SELECT 1 FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'payout-service' AND state LIKE 'idle in transaction%'`;
    expect(busy).toHaveLength(0);
  });

  it('bounds how long a statement, a lock and an idle transaction may last', async () => {
    const [row] = await database.reader.execute<Record<string, string>>(sql`SELECT
      current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
      current_setting('idle_in_transaction_session_timeout') AS idle`);
    expect(row).toEqual({ statement: '30s', lock: '10s', idle: '30s' });
  });
});

describe('Database.enclose', () => {
  it('makes one transaction of all that is opened within it', async () => {
    const enclosed = database.enclose(async () => {
      await database.transaction((tx) => tx.execute(sql`INSERT INTO tries (note) VALUES ('enclosed')`));
      const seen = await database.reader.execute(sql`SELECT 1 FROM tries WHERE note = 'enclosed'`);
      expect(seen).toHaveLength(1);
      expect(await notes('enclosed')).toBe(0);
      throw new Error('given up');
    });
    await expect(enclosed).rejects.toThrow('given up');
    expect(await notes('enclosed')).toBe(0);
  });

  it('lets a part fail by itself', async () => {
    await database.enclose(async () => {
      await expect(database.transaction((tx) => tx.execute(sql`SELECT 1 / 0`))).rejects.toThrow();
      await database.transaction((tx) =>
        tx.execute(sql`INSERT INTO tries (note) VALUES ('after a failed part')`),
      );
    });
    expect(await notes('after a failed part')).toBe(1);
  });

  it('prepares a statement once on a connection, and plans it for its values', async () => {
    const prepared = await database.transaction(async (tx) => {
      for (const note of ['first', 'second', 'third'])
        await tx.execute(sql`SELECT count(*) FROM tries WHERE note = ${note}`);
      return tx.execute(sql`SELECT generic_plans, custom_plans FROM pg_prepared_statements
        WHERE statement LIKE 'SELECT count(*) FROM tries%'`);
    });
    expect([...prepared]).toEqual([{ generic_plans: '0', custom_plans: '3' }]);
  });
});
