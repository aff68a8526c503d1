/** Payments that reach the main app's tables by logical replication, from another database of a server of its own. */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { discardEmbeddedServer, startEmbeddedServer } from '../../src/db/embedded-server.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { makeTestFolder } from '../support/cluster.ts';
import { createDatabase } from '../support/databases.ts';
import { differences, makePlainView } from '../support/plain-queue.ts';

it('payments that are copied, replicated and truncated by a subscription are in the queue', async () => {
  const folder = await makeTestFolder();
  const options = {
    dataDirectory: join(folder, 'postgres'),
    password: randomBytes(16).toString('hex'),
    durable: false,
  };
  let server = await startEmbeddedServer(options);
  const open: postgres.Sql[] = [];
  const connect = (database: string) => {
    const sql = postgres(server.url(database), { max: 2, onnotice: () => {} });
    open.push(sql);
    return sql;
  };
  try {
    const admin = connect('postgres');
    await admin`ALTER SYSTEM SET wal_level = 'logical'`;
    await admin.end();
    await server.stop();
    server = await startEmbeddedServer(options);
    for (const name of ['main_app', 'payouts']) {
      await createDatabase(server.url('postgres'), name);
      await migrateUp(server.url(name));
    }
    const [far, near] = [connect('main_app'), connect('payouts')];
    await makePlainView(near);
    await far.unsafe(`INSERT INTO users (email) SELECT n || '@example.com' FROM generate_series(1, 20) n;
      INSERT INTO user_subscriptions (user_id, status) SELECT id, 'active' FROM users;
      INSERT INTO user_payments (user_id, amount, status) SELECT id, 10, 'succeeded' FROM users;
      CREATE PUBLICATION everything FOR TABLE users, user_subscriptions, user_payments`);
    // Of the same server, so the slot is made first, or each would wait for the other.
    await far`SELECT pg_create_logical_replication_slot('copied', 'pgoutput')`;
    await near.unsafe(`CREATE SUBSCRIPTION copied CONNECTION '${server.url('main_app')}' PUBLICATION everything
      WITH (create_slot = false, slot_name = 'copied')`);
    const arrives = async (wish: string, payments: number) => {
      for (let waits = 0; waits < 300; waits += 1) {
        const [row] = await near<{ count: number }[]>`
          SELECT count(*)::integer AS count FROM user_payments WHERE amount::text = ${wish}`;
        if (row?.count === payments) break;
        await sleep(100);
      }
      expect(await differences(near)).toEqual([]);
      await near`SELECT queue_fold()`;
      expect(await differences(near)).toEqual([]);
      const [totals] = await near<{ revenue: string; members: number }[]>`
        SELECT revenue, members::integer FROM queue_totals`;
      return totals;
    };
    // Each table is copied for itself.
    for (let waits = 0; waits < 300; waits += 1) {
      if ((await near`SELECT 1 FROM pg_subscription_rel WHERE srsubstate <> 'r'`).length === 0) break;
      await sleep(100);
    }
    expect(await arrives('10.00', 20)).toEqual({ revenue: '200.00', members: 20 });
    await far`INSERT INTO user_payments (user_id, amount, status) SELECT id, 20, 'succeeded' FROM users`;
    expect(await arrives('20.00', 20)).toEqual({ revenue: '600.00', members: 20 });
    await far`UPDATE user_payments SET amount = 30 WHERE amount = 20`;
    expect(await arrives('30.00', 20)).toEqual({ revenue: '800.00', members: 20 });
    await far`DELETE FROM user_payments WHERE amount = 30`;
    expect(await arrives('30.00', 0)).toEqual({ revenue: '200.00', members: 20 });
    await far`TRUNCATE user_payments`;
    expect(await arrives('10.00', 0)).toEqual({ revenue: '0.00', members: 0 });
    await near.unsafe('ALTER SUBSCRIPTION copied DISABLE');
    await near.unsafe('ALTER SUBSCRIPTION copied SET (slot_name = NONE)');
    await near.unsafe('DROP SUBSCRIPTION copied');
  } finally {
    await Promise.all(open.map((sql) => sql.end()));
    await server.stop();
    if (await discardEmbeddedServer(options.dataDirectory))
      await rm(folder, { recursive: true, force: true });
  }
});
