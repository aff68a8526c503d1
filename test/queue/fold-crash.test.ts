/** PostgreSQL itself is killed in the middle of a fold, and recovers from its log. */
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { discardEmbeddedServer, startEmbeddedServer } from '../../src/db/embedded-server.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { makeTestFolder } from '../support/cluster.ts';
import { differences, makePlainView } from '../support/plain-queue.ts';

const MEMBERS = 50;
const options = { dataDirectory: '', password: randomBytes(16).toString('hex') };
const servers: Awaited<ReturnType<typeof startEmbeddedServer>>[] = [];
let folder: string;

async function start(): Promise<postgres.Sql> {
  const server = await startEmbeddedServer({ ...options, durable: true });
  servers.push(server);
  return postgres(server.url('postgres'), { max: 2, onnotice: () => {} });
}

beforeAll(async () => {
  folder = await makeTestFolder();
  options.dataDirectory = join(folder, 'postgres');
});
afterAll(async () => {
  for (const server of servers) await server.stop();
  await discardEmbeddedServer(options.dataDirectory);
  await rm(folder, { recursive: true, force: true });
});

it('a crash of the server in the middle of a fold loses nothing of it, and counts nothing twice', async () => {
  const before = await start();
  await migrateUp(servers[0]?.url('postgres') ?? '');
  await makePlainView(before);
  await before.unsafe(`
    INSERT INTO users (email) SELECT 'm' || n || '@example.com' FROM generate_series(1, ${MEMBERS}) n;
    INSERT INTO user_subscriptions (user_id, status) SELECT id, 'active' FROM users;
    INSERT INTO user_payments (user_id, amount, status) SELECT id, 10, 'succeeded' FROM users;
    SELECT queue_fold();
    INSERT INTO user_payments (user_id, amount, status) SELECT id, 5, 'succeeded' FROM users;`);
  // Not by `begin`, which would send its ROLLBACK to a connection that is gone.
  const folding = await before.reserve();
  await folding`BEGIN`;
  await folding`SELECT queue_fold()`;
  expect(await folding`SELECT revenue FROM queue_totals`).toEqual([{ revenue: `${MEMBERS * 15}.00` }]);
  // What the fold wrote is on the disk, and its commit is not.
  await before`CHECKPOINT`;
  const [pid] = (await readFile(join(options.dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
  process.kill(Number(pid), 'SIGKILL');
  await expect(folding`SELECT pg_sleep(60)`).rejects.toThrow();
  await before.end({ timeout: 1 });

  const after = await start();
  try {
    const state = () =>
      after`SELECT (SELECT revenue FROM queue_totals), (SELECT count(*)::integer FROM queue_touched) AS waiting`;
    expect(await state()).toEqual([{ revenue: `${MEMBERS * 10}.00`, waiting: MEMBERS }]);
    expect(await differences(after)).toEqual([]);
    await after`SELECT queue_fold()`;
    expect(await state()).toEqual([{ revenue: `${MEMBERS * 15}.00`, waiting: 0 }]);
    expect(await differences(after)).toEqual([]);
  } finally {
    await after.end();
  }
});
