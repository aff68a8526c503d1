import { randomBytes } from 'node:crypto';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { isMigrated, migrateDown, migrateUp } from '../../src/db/migrations.ts';
import * as schema from '../../src/db/schema/index.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';

const clusterUrl = inject('clusterUrl');
let name: string;
let url: string;
let sql: postgres.Sql;

beforeEach(async () => {
  name = `payout_migrations_${process.pid}_${randomBytes(4).toString('hex')}`;
  url = databaseUrl(clusterUrl, name);
  await createDatabase(clusterUrl, name);
  sql = postgres(url, { max: 2, onnotice: () => {} });
});
afterEach(async () => {
  await sql.end();
  await dropDatabase(clusterUrl, name);
});

const SCHEMAS = ['public', 'payout_service', 'payout_queue'];

/** Everything that makes up the schema, as sorted lines. */
async function dump(): Promise<string[]> {
  const parts = await Promise.all([
    sql`SELECT concat_ws(' ', 'column', table_schema, table_name, column_name, data_type, udt_name, is_nullable,
               column_default, is_identity, numeric_precision, numeric_scale) AS line
          FROM information_schema.columns WHERE table_schema IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS line
          FROM pg_constraint WHERE connamespace::regnamespace::text IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'index', schemaname, indexname, indexdef) AS line
          FROM pg_indexes WHERE schemaname IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'trigger', tgrelid::regclass, pg_get_triggerdef(oid)) AS line
          FROM pg_trigger WHERE NOT tgisinternal`,
    sql`SELECT concat_ws(' ', 'function', pg_get_functiondef(oid)) AS line
          FROM pg_proc WHERE pronamespace::regnamespace::text IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'view', viewname, definition) AS line FROM pg_views WHERE schemaname IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'grant', table_schema, table_name, grantee, privilege_type) AS line
          FROM information_schema.role_table_grants WHERE table_schema IN ${sql(SCHEMAS)}`,
    sql`SELECT concat_ws(' ', 'sequence', sequence_schema, sequence_name) AS line
          FROM information_schema.sequences WHERE sequence_schema IN ${sql(SCHEMAS)}`,
  ]);
  return parts.flatMap((rows) => rows.map((row) => String(row['line']))).sort();
}

const tables = async (): Promise<string[]> => {
  const rows = await sql<{ name: string }[]>`
    SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`;
  return rows.map((row) => row.name);
};

/** As PostgreSQL spells the type that Drizzle names. */
const sqlType = (type: string): string =>
  type.replace(/^numeric\((\d+), (\d+)\)$/, 'numeric($1,$2)').replace(/^serial$/, 'integer');

const SHARED = [
  'accounts',
  'admin_users',
  'kyc_verification',
  'sessions',
  'user_addresses',
  'user_payments',
  'user_subscriptions',
  'users',
  'verifications',
];

describe('the migrations', () => {
  it('up, all the way back, and up again make the same schema', async () => {
    const empty = await dump();
    await migrateUp(url);
    const made = await dump();
    expect(made.length).toBeGreaterThan(300);
    expect(await isMigrated(sql)).toBe(true);
    const undone = await migrateDown(url, 100);
    expect(undone.at(-1)).toBe('0000_first');
    expect(await tables()).toEqual([]);
    expect(await dump()).toEqual(empty);
    await migrateUp(url);
    expect(await dump()).toEqual(made);
  });

  it('make the columns that the code believes in', async () => {
    await migrateUp(url);
    const rows = await sql<{ line: string }[]>`
      SELECT concat_ws(' ', relname, attname, format_type(atttypid, atttypmod), attnotnull) AS line
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
       WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped`;
    const believed = Object.values(schema)
      .filter((value) => is(value, PgTable))
      .map((table) => getTableConfig(table))
      .flatMap(({ name: table, columns }) =>
        columns.map((column) =>
          [table, column.name, sqlType(column.getSQLType()), column.notNull ? 't' : 'f'].join(' '),
        ),
      );
    expect(believed.toSorted()).toEqual(rows.map(({ line }) => line).toSorted());
  });

  it('each have a way back to where they were before', async () => {
    await migrateUp(url);
    const [newest] = [await dump()];
    const [undone] = await migrateDown(url, 1);
    expect(undone).toMatch(/^\d{4}_/);
    expect(await isMigrated(sql)).toBe(false);
    const before = await dump();
    expect(before).not.toEqual(newest);
    await migrateUp(url);
    expect(await dump()).toEqual(newest);
    await migrateDown(url, 1);
    expect(await dump()).toEqual(before);
  });

  it('that are there already are not made again', async () => {
    await migrateUp(url);
    const made = await dump();
    await migrateUp(url);
    expect(await dump()).toEqual(made);
  });

  it('are made once, whoever starts at the same time', async () => {
    await Promise.all([migrateUp(url), migrateUp(url), migrateUp(url)]);
    const rows = await sql`SELECT created_at FROM payout_service.migrations`;
    expect(new Set(rows.map((row) => String(row['created_at']))).size).toBe(rows.length);
    expect(await isMigrated(sql)).toBe(true);
  });

  it('leave nothing behind when one fails', async () => {
    // Something of this name is in the way of the last statements of the second migration.
    await sql`CREATE VIEW active_member_queue_view AS SELECT 1 AS one`;
    const before = await dump();
    await expect(migrateUp(url)).rejects.toThrow();
    expect((await dump()).filter((line) => !line.includes('payout_service'))).toEqual(before);
    expect(await tables()).toEqual(['active_member_queue_view']);
    await sql`DROP VIEW active_member_queue_view`;
    await migrateUp(url);
    expect(await isMigrated(sql)).toBe(true);
  });

  it('go back over data, too', async () => {
    await migrateUp(url);
    const [user] = await sql<
      { id: string }[]
    >`INSERT INTO users (email) VALUES ('a@example.com') RETURNING id`;
    await sql`INSERT INTO notifications (id, template, user_id, status, next_attempt_at, message_id, created_at)
      VALUES (gen_random_uuid(), 'winner', ${user?.id ?? ''}, 'queued', now(), 'a', now())`;
    await migrateDown(url, 100);
    expect(await tables()).toEqual([]);
  });

  it('take the identity checks into a queue that is in use, and work nobody else out anew', async () => {
    await migrateUp(url);
    const back = 3;
    expect(await migrateDown(url, back)).toEqual([
      '0011_strange_data',
      '0010_exact_reads',
      '0009_quick_pages',
    ]);
    await sql.unsafe(`
      INSERT INTO users (email) SELECT n || '@example.com' FROM generate_series(1, 30) n;
      INSERT INTO user_subscriptions (user_id, status) SELECT id, 'active' FROM users;
      INSERT INTO user_payments (user_id, amount, status) SELECT id, 10, 'succeeded' FROM users;
      INSERT INTO kyc_verification (user_id, status, verified_at)
        SELECT id, CASE WHEN email < '2' THEN 'verified' ELSE 'pending' END, '2026-01-01' FROM users;
      INSERT INTO kyc_verification (user_id, status, verified_at)
        SELECT id, 'verified', '2026-02-01' FROM users WHERE email LIKE '3%';
      SELECT queue_fold();
      INSERT INTO user_payments (user_id, amount, status) SELECT id, 20, 'succeeded' FROM users WHERE email LIKE '7%'`);
    const verified = () => sql`
      SELECT count(*) FILTER (WHERE kyc_verified)::integer AS found,
             (SELECT count(*)::integer FROM users WHERE email < '2' OR email LIKE '3%') AS wanted FROM queue_members`;
    // Who writes payments meanwhile is not waited for, and does not wait.
    await sql.begin(async (tx) => {
      await tx`INSERT INTO user_payments (user_id, amount, status) SELECT id, 30, 'failed' FROM users LIMIT 1`;
      await migrateUp(url);
    });
    const [counts] = await verified();
    expect(counts?.['found']).toBe(counts?.['wanted']);
    expect(counts?.['found']).toBeGreaterThan(5);
    // Who had paid waits for the fold as before, and nobody else does.
    expect(await sql`SELECT u.email FROM queue_touched t LEFT JOIN users u ON u.id = t.user_id`).toEqual([
      { email: '7@example.com' },
    ]);
    expect((await sql`SELECT queue_fold() AS watched`)[0]).toEqual({ watched: true });
    const drifted = () =>
      sql`SELECT queue_drifted('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff')`;
    expect(await drifted()).toHaveLength(0);
    // Everybody stands in the log where a TRUNCATE came before the migration.
    await migrateDown(url, back);
    await sql`TRUNCATE user_payments`;
    await migrateUp(url);
    expect(await sql`SELECT 1 FROM queue_touched WHERE user_id IS NULL`).toHaveLength(1);
  });

  it('have no way back where none was made', async () => {
    expect(await migrateDown(url, 1)).toEqual([]);
    expect(await tables()).toEqual([]);
  });
});

describe('beside the main app', () => {
  /** The shared tables as the specification names them, made by somebody else. */
  async function makeSharedTables(): Promise<void> {
    await sql.unsafe(`
      CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL UNIQUE,
        email_verified boolean NOT NULL DEFAULT false, name text NOT NULL DEFAULT '', image text, first_name text,
        middle_name text, last_name text, banned boolean, created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE sessions (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL REFERENCES users,
        token text NOT NULL UNIQUE, expires_at timestamptz NOT NULL, ip_address text, user_agent text,
        created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE admin_users (id serial PRIMARY KEY, user_id uuid NOT NULL REFERENCES users, role text NOT NULL,
        is_active boolean NOT NULL DEFAULT true);
      CREATE TABLE user_subscriptions (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL,
        status text NOT NULL, provider_subscription_id text, created_at timestamptz NOT NULL DEFAULT now());
      CREATE TABLE user_payments (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL,
        amount numeric(12,2) NOT NULL, currency text NOT NULL DEFAULT 'USD', status text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(), invoice text);
      CREATE TABLE user_addresses (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL,
        line1 text NOT NULL, line2 text, city text NOT NULL, state text NOT NULL, postal_code text NOT NULL,
        country text NOT NULL DEFAULT 'US', is_primary boolean NOT NULL DEFAULT false);
      CREATE TABLE kyc_verification (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id uuid NOT NULL,
        status text NOT NULL, legal_name text, verified_at timestamptz);
      INSERT INTO users (email, first_name) VALUES ('member@example.com', 'Ada');
      INSERT INTO user_payments (user_id, amount, status) SELECT id, 100, 'succeeded' FROM users;
    `);
  }

  it('its tables stay as they are, and only the missing ones are made', async () => {
    await makeSharedTables();
    const before = (await dump()).filter((line) => !line.startsWith('grant'));
    await migrateUp(url);
    const after = await dump();
    expect(before.filter((line) => !after.includes(line))).toEqual([]);
    expect(await tables()).toEqual(expect.arrayContaining([...SHARED, 'payout_management']));
    const [row] = await sql`SELECT * FROM user_payments`;
    expect(row).toMatchObject({ amount: '100.00', invoice: null });
    const made = await sql<
      { name: string }[]
    >`SELECT name FROM payout_service.created_shared_tables ORDER BY name`;
    expect(made.map((table) => table.name)).toEqual(['accounts', 'verifications']);
  });

  it('its tables and data outlive the way back', async () => {
    await makeSharedTables();
    const before = await dump();
    await migrateUp(url);
    await migrateDown(url, 100);
    expect(await dump()).toEqual(before);
    expect(await sql`SELECT 1 FROM users`).toHaveLength(1);
    expect(await sql`SELECT 1 FROM user_payments`).toHaveLength(1);
  });
});

describe('the schema', () => {
  beforeEach(() => migrateUp(url));

  // Those of the queue are pg-boss's, and lead to two rows that stay.
  it('has an index for every foreign key', async () => {
    const bare = await sql`
      SELECT c.conrelid::regclass::text AS "table", c.conname AS name
        FROM pg_constraint c
       WHERE c.contype = 'f' AND c.connamespace::regnamespace::text <> 'payout_queue' AND NOT EXISTS (
         SELECT 1 FROM pg_index i
          WHERE i.indrelid = c.conrelid AND i.indpred IS NULL
            AND (i.indkey::smallint[])[0:cardinality(c.conkey) - 1] = c.conkey)`;
    expect([...bare]).toEqual([]);
    const [count] = await sql`SELECT count(*)::integer AS count FROM pg_constraint WHERE contype = 'f'`;
    expect(count?.['count']).toBeGreaterThan(20);
  });

  it('keeps every instant with its time zone, and every amount exact', async () => {
    const loose = await sql`
      SELECT table_name, column_name, data_type FROM information_schema.columns
       WHERE table_schema = 'public'
         AND (data_type IN ('timestamp without time zone', 'real', 'double precision', 'money')
              OR (data_type = 'numeric' AND numeric_scale IS DISTINCT FROM 2
                  AND table_name <> 'active_member_queue_view'))`;
    expect([...loose]).toEqual([]);
  });

  /** What the service may do to each table (specification, section 13): written by hand, to be changed with thought. */
  const RIGHTS: Record<string, string> = {
    accounts: '',
    active_member_queue_view: 'SELECT',
    admin_alerts: 'INSERT SELECT UPDATE',
    admin_users: 'SELECT',
    audit_anchors: 'SELECT',
    audit_chains: 'INSERT SELECT UPDATE',
    audit_checkpoints: 'INSERT SELECT',
    audit_verifications: 'INSERT SELECT',
    bank_details: 'INSERT SELECT UPDATE',
    eligibility_checks: 'INSERT SELECT',
    idempotency_keys: 'DELETE INSERT SELECT UPDATE',
    job_runs: 'INSERT SELECT UPDATE',
    job_schedules: 'INSERT SELECT UPDATE',
    kyc_verification: 'SELECT',
    membership_removals: 'INSERT SELECT UPDATE',
    notifications: 'INSERT SELECT UPDATE',
    payment_attempts: 'INSERT SELECT UPDATE',
    payout_approvals: 'INSERT SELECT',
    payout_management: 'INSERT SELECT UPDATE',
    payout_moves: 'SELECT',
    queue_days: 'SELECT',
    queue_members: 'SELECT',
    queue_totals: 'SELECT',
    queue_touched: 'SELECT',
    retention_due: 'SELECT',
    service_state: 'INSERT SELECT UPDATE',
    session_activity: 'DELETE INSERT SELECT UPDATE',
    sessions: 'SELECT',
    tax_form_documents: 'INSERT SELECT',
    tax_forms: 'INSERT SELECT UPDATE',
    tax_issue_payees: 'DELETE INSERT SELECT UPDATE',
    tax_issue_runs: 'INSERT SELECT UPDATE',
    user_addresses: 'SELECT',
    user_audit_logs: 'INSERT SELECT',
    user_payments: 'SELECT',
    user_subscriptions: 'SELECT',
    users: 'SELECT',
    vault_keys: 'INSERT SELECT UPDATE',
    verifications: '',
    withholding_liabilities: 'INSERT SELECT UPDATE',
  };

  const rightsOf = async (role: string) => {
    const rows = await sql<{ name: string; rights: string | null }[]>`
      SELECT t.table_name AS name, string_agg(g.privilege_type, ' ' ORDER BY g.privilege_type) AS rights
        FROM information_schema.tables t
        LEFT JOIN information_schema.role_table_grants g
          ON g.table_schema = t.table_schema AND g.table_name = t.table_name AND g.grantee IN (${role}, 'PUBLIC')
       WHERE t.table_schema = 'public' GROUP BY 1 ORDER BY 1`;
    return Object.fromEntries(rows.map((row) => [row.name, row.rights ?? '']));
  };

  it('gives the service no tables to make in the queue, and no queue to end', async () => {
    const rows = await sql<{ name: string; rights: string }[]>`
      SELECT table_name AS name, string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
        FROM information_schema.role_table_grants
       WHERE table_schema = 'payout_queue' AND grantee IN ('payout_service', 'PUBLIC') GROUP BY 1`;
    expect(Object.fromEntries(rows.map(({ name, rights }) => [name, rights]))).toEqual({
      archive: 'DELETE INSERT SELECT UPDATE',
      job: 'DELETE INSERT SELECT UPDATE',
      queue: 'SELECT',
      version: 'SELECT UPDATE',
    });
    const [can] = await sql`SELECT has_schema_privilege('payout_service', 'payout_queue', 'CREATE') AS make`;
    expect(can?.['make']).toBe(false);
  });

  it('gives the service the rights that it needs and no others', async () => {
    expect(await rightsOf('payout_service')).toEqual(RIGHTS);
    const columns = await sql`
      SELECT table_name, column_name, privilege_type FROM information_schema.column_privileges c
       WHERE grantee = 'payout_service' AND table_schema = 'public' AND NOT EXISTS (
         SELECT 1 FROM information_schema.role_table_grants g
          WHERE g.grantee = c.grantee AND g.table_name = c.table_name AND g.privilege_type = c.privilege_type)`;
    expect([...columns]).toEqual([]);
    const [role] = await sql`
      SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls, rolcanlogin FROM pg_roles
       WHERE rolname = 'payout_service'`;
    expect(Object.values(role ?? {})).toEqual([false, false, false, false, false]);
    const [schema] = await sql`
      SELECT has_schema_privilege('payout_service', 'public', 'CREATE') AS public,
             has_schema_privilege('payout_service', 'payout_service', 'CREATE') AS own`;
    expect(schema).toEqual({ public: false, own: false });
  });

  it('gives the stand-in for the main app nothing of ours', async () => {
    const rights = await rightsOf('payout_main_app');
    const given = Object.entries(rights).filter(([, right]) => right !== '');
    expect(given.map(([table]) => table)).toEqual([
      'accounts',
      'sessions',
      'user_payments',
      'user_subscriptions',
      'users',
      'verifications',
    ]);
  });

  it('lets nobody whom it does not name run a function under its owner’s rights', async () => {
    const open = await sql`
      SELECT p.oid::regprocedure::text AS name FROM pg_proc p
       WHERE p.prosecdef AND p.pronamespace::regnamespace::text IN ${sql(SCHEMAS)}
         AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)`;
    expect(open).toEqual([]);
  });

  it('refuses what the service must not do', async () => {
    const service = postgres(url, { max: 1, onnotice: () => {}, connection: { role: 'payout_service' } });
    try {
      for (const statement of [
        `INSERT INTO users (email) VALUES ('x@example.com')`,
        `INSERT INTO admin_users (user_id, role) VALUES (gen_random_uuid(), 'admin')`,
        `UPDATE admin_users SET role = 'admin'`,
        `UPDATE user_payments SET amount = 1000000`,
        `INSERT INTO user_payments (user_id, amount, status) VALUES (gen_random_uuid(), 1, 'succeeded')`,
        `UPDATE kyc_verification SET status = 'verified'`,
        `UPDATE sessions SET expires_at = now()`,
        `SELECT * FROM accounts`,
        `SELECT * FROM verifications`,
        `DELETE FROM payout_management`,
        `UPDATE payout_approvals SET decision = 'approved'`,
        `DELETE FROM payout_approvals`,
        `DELETE FROM payment_attempts`,
        `INSERT INTO payout_moves VALUES ('rejected', 'approved')`,
        `UPDATE user_audit_logs SET action = 'x'`,
        `DELETE FROM user_audit_logs`,
        `TRUNCATE user_audit_logs`,
        `UPDATE audit_verifications SET valid = true`,
        `UPDATE tax_form_documents SET content = ''`,
        `DELETE FROM tax_forms`,
        `DELETE FROM notifications`,
        `UPDATE eligibility_checks SET checked_by = 'x'`,
        `ALTER TABLE payout_management DISABLE TRIGGER ALL`,
        `CREATE TABLE public.mine (id integer)`,
        `DROP TABLE notifications`,
        `SET session_replication_role = replica`,
        `INSERT INTO payout_service.migrations (hash, created_at) VALUES ('x', 1)`,
      ]) {
        const outcome = await service.unsafe(statement).then(
          () => 'done',
          (error: { code?: string }) => error.code,
        );
        expect([statement, outcome]).toEqual([statement, '42501']);
      }
    } finally {
      await service.end();
    }
  });
});
