import postgres from 'postgres';
import type { EmbeddedServer } from '../../src/db/embedded-server.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { makePlainView } from '../../test/support/plain-queue.ts';

export interface DataSet {
  name: string;
  members: number;
  url: string;
}

export const SIZES: Record<string, number> = { '10k': 10_000, '100k': 100_000, '1m': 1_000_000 };

/**
 * A database with so many members, 17.5 payments each, a payout for every hundredth and ten audit entries for each of
 * those; made once and kept.
 */
export async function prepareData(server: EmbeddedServer, size: string): Promise<DataSet> {
  const members = SIZES[size];
  if (members === undefined) throw new Error(`Sizes are ${Object.keys(SIZES).join(', ')}.`);
  const name = `bench_${size}`;
  return { name, members, url: await keptDatabase(server, name, (url) => fill(url, members)) };
}

/** The address of a database that is made once and kept; it gets its name when it is whole, and is migrated since. */
export async function keptDatabase(
  server: EmbeddedServer,
  name: string,
  make: (url: string) => Promise<void>,
): Promise<string> {
  const unfinished = `${name}_unfinished`;
  const admin = postgres(server.url('postgres'), { max: 1, onnotice: () => {} });
  try {
    const found = await admin`SELECT 1 FROM pg_database WHERE datname = ${name}`;
    if (found.length === 0) {
      await admin.unsafe(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`);
      await admin.unsafe(`CREATE DATABASE ${unfinished}`);
      const address = server.url(unfinished);
      await migrateUp(address);
      await make(address);
      await admin.unsafe(`ALTER DATABASE ${unfinished} RENAME TO ${name}`);
    }
  } finally {
    await admin.end();
  }
  await migrateUp(server.url(name));
  return server.url(name);
}

/** Works on a copy of a database that is kept, and drops it. Nobody may be connected to the one that is copied. */
export async function onCopy<T>(
  server: EmbeddedServer,
  kept: string,
  name: string,
  work: (url: string) => Promise<T>,
): Promise<T> {
  const admin = postgres(server.url('postgres'), { max: 1, onnotice: () => {} });
  try {
    await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.unsafe(`CREATE DATABASE ${name} TEMPLATE ${kept} STRATEGY FILE_COPY`);
    return await work(server.url(name));
  } finally {
    await admin.unsafe(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await admin.end();
  }
}

const KEYS = [
  ['user_payments', 'user_payments_user_id_users_id_fk'],
  ['user_subscriptions', 'user_subscriptions_user_id_users_id_fk'],
  ['kyc_verification', 'kyc_verification_user_id_users_id_fk'],
] as const;

/** The id of member `n`, of a form that every reader of UUIDs takes. */
export const userId = (n: string): string =>
  `overlay(overlay(md5('user' || ${n}) placing '4' from 13) placing '8' from 17)::uuid`;

/**
 * So many members, each with those of 36 monthly payments for which `paid` holds, a condition on the member's number n and the
 * payment's number k. Without foreign keys, indexes and the queue's watch meanwhile: the caller starts that again.
 */
export async function insertMembers(sql: postgres.Sql, members: number, paid: string): Promise<void> {
  await sql`SELECT queue_unwatch()`;
  for (const [table, key] of KEYS) await sql.unsafe(`ALTER TABLE ${table} DROP CONSTRAINT ${key}`);
  await sql.unsafe('DROP INDEX user_payments_user_id_created_at_idx');
  await sql.unsafe(`SELECT setseed(0.5);
    INSERT INTO users (id, email, first_name, last_name)
      SELECT ${userId('n')}, 'member' || n || '@example.com', 'Ada', 'Member ' || n FROM generate_series(1, ${members}) n;
    INSERT INTO user_subscriptions (user_id, status, created_at)
      SELECT ${userId('n')}, CASE WHEN n % 20 = 0 THEN 'trialing' WHEN n % 13 = 0 THEN 'cancelled' ELSE 'active' END,
             timestamptz '2020-01-01Z' FROM generate_series(1, ${members}) n;
    INSERT INTO kyc_verification (user_id, status, verified_at)
      SELECT ${userId('n')}, CASE WHEN n % 9 = 0 THEN 'pending' ELSE 'verified' END, now() FROM generate_series(1, ${members}) n;
    INSERT INTO user_payments (user_id, amount, status, created_at)
      SELECT ${userId('n')}, 10 + (n + k) % 490, CASE WHEN (n * 7 + k) % 29 = 0 THEN 'refunded' ELSE 'succeeded' END,
             timestamptz '2021-01-01Z' + (n * 7919::bigint % 150000000) * interval '1 second' + k * interval '30 days'
        FROM generate_series(0, 35) k, generate_series(1, ${members}) n WHERE ${paid};
    CREATE INDEX user_payments_user_id_created_at_idx ON user_payments (user_id, created_at);`);
  for (const [table, key] of KEYS)
    await sql.unsafe(
      `ALTER TABLE ${table} ADD CONSTRAINT ${key} FOREIGN KEY (user_id) REFERENCES users (id)`,
    );
}

/** With all triggers again at the end. */
async function fill(url: string, members: number): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { maintenance_work_mem: '512MB' } });
  try {
    await insertMembers(sql, members, 'k <= n % 35');
    await sql.unsafe(`
      INSERT INTO users (id, email) VALUES (${userId("'staff'")}, 'staff@example.com');
      INSERT INTO admin_users (user_id, role) VALUES (${userId("'staff'")}, 'admin');
      ALTER TABLE payout_management DISABLE TRIGGER USER;
      INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
          eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
        SELECT 'PO-2026-' || lpad(n::text, 8, '0'), ${userId('n * 100')}, n, 100000, 'pending_approval', 300, 99700,
               '{}', (SELECT id FROM admin_users), n, 0, 2, now() - n * interval '1 minute', now()
          FROM generate_series(1, ${members / 100}) n;
      INSERT INTO user_audit_logs (id, actor, entity_type, entity_id, action, new_values, success, metadata, created_at,
          chain_index, previous_hash, hash)
        SELECT gen_random_uuid(), 'staff:1', 'payout', 'PO-2026-' || lpad((n / 10)::text, 8, '0'), 'changed', '{"status":"approved"}',
               true, '{}', now() - n * interval '1 second', n % 10 + 1, md5(n::text), md5((n + 1)::text)
          FROM generate_series(10, ${members / 10 + 9}) n;`);
    await sql`ALTER TABLE payout_management ENABLE TRIGGER USER`;
    await sql`SELECT queue_watch()`;
    await sql`SELECT queue_fold()`;
    await sql.unsafe('VACUUM ANALYZE');
    await makePlainView(sql);
  } finally {
    await sql.end();
  }
}
