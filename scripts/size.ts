/**
 * `npm run size`: what a year costs in rows and bytes. Some payouts are lived through the service, from initiation to the
 * 1099, with their messages, jobs and checkpoints; their rows are copied, under ids of their own, until there are as many
 * as in a year of 10,000 payouts; 1,000,000 members and their payments of a year are made beside them. All that a hundredth
 * unless said: `-- 10` for a tenth, `-- --full` for the whole. Prints each table's rows and bytes, as they are and for a
 * whole year. docs/size.md has figures.
 */
import { randomUUID } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import postgres from 'postgres';
import { Caller } from '../test/support/caller.ts';
import { expectOk, startCast, Stories, type Cast } from '../test/support/stories.ts';
import { insertMembers } from './bench/data.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const SHARE = process.argv.includes('--full') ? 1 : Number(process.argv[2] ?? 100);
const PAYOUTS = 10_000 / SHARE;
const MEMBERS = 1_000_000 / SHARE;
const SAMPLES = 10;
const say = (line: string) => process.stdout.write(`${line}\n`);

/** The main app's tables, which the service reads. */
const SHARED = new Set(
  'users sessions accounts verifications admin_users user_subscriptions user_payments user_addresses kyc_verification'
    .split(' ')
    .map((name) => `public.${name}`),
);
/** What payouts leave behind. */
const OF_PAYOUTS = new Set(
  `payout_management payout_approvals payment_attempts bank_details membership_removals notifications idempotency_keys
   tax_forms tax_form_documents withholding_liabilities eligibility_checks user_audit_logs audit_chains audit_checkpoints`
    .split(/\s+/)
    .map((name) => `public.${name}`),
);
const isOfPayouts = (name: string) =>
  OF_PAYOUTS.has(name) || /^payout_queue\.(j[0-9a-f]+|archive)$/.test(name);

/** Sends what staff's dashboards send: every change under a key. */
class Dashboard extends Caller {
  override post(path: string, body: unknown = {}, headers: Record<string, string> = {}) {
    return super.post(path, body, { 'idempotency-key': randomUUID(), ...headers });
  }
}

const withKeys = (cast: Cast): Cast => {
  const keyed = (who: Caller) => new Dashboard(cast.service.url, who);
  const { admin, admin2, finance, finance2, viewer } = cast;
  return {
    ...cast,
    admin: keyed(admin),
    admin2: keyed(admin2),
    finance: keyed(finance),
    finance2: keyed(finance2),
    viewer,
  };
};

/** Payouts of one year, paid, with what follows: mails, a checkpoint after each payment, every job once, 1099s. */
async function live(cast: Cast): Promise<void> {
  const { service } = cast;
  const stories = new Stories(withKeys(cast));
  for (let made = 0; made < SAMPLES; made += 1) {
    await stories.completed();
    await service.services.mailDelivery.deliverDue();
    await service.services.checkpoints.make();
  }
  for (const { name } of await service.services.jobs.list())
    expectOk(await cast.admin.post(`/api/jobs/${name}/run`));
  service.time.setTo('2027-01-10T12:00:00Z');
  expectOk(await cast.admin.post('/api/reports/tax-forms/2026'));
  await service.services.mailDelivery.deliverDue();
}

const tablesOf = (sql: postgres.Sql) => sql<{ name: string }[]>`
  SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`;

/**
 * Copies every row so many times under other ids: the first digits of UUIDs and of payouts' and forms' numbers are the
 * copy's, and whole numbers that must differ are moved on. What is there once for all, such as a job's chain in the audit
 * log, is not copied. No rule between tables holds for copies, but their bytes are right.
 */
async function multiply(sql: postgres.Sql, table: string, copies: number): Promise<void> {
  const numbers = await sql<{ name: string }[]>`
    SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
     WHERE i.indrelid = ${table}::regclass AND i.indisunique AND i.indnkeyatts = 1
       AND a.atttypid IN ('integer'::regtype, 'bigint'::regtype)`;
  const moved = numbers.map(({ name }) => `'${name}', (r->>'${name}')::bigint + nth * 10000`).join(', ');
  await sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await tx.unsafe(`
      INSERT INTO ${table} OVERRIDING SYSTEM VALUE
      SELECT copied.*
        FROM (SELECT nth, regexp_replace(regexp_replace(to_jsonb(t)::text,
                '[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})', lpad(to_hex(nth), 8, '0') || '\\1', 'g'),
                '([A-Z0-9]{2,5}-[0-9]{4}-)[0-9A-Z]{5}([0-9A-Z]{3})\\M', '\\1' || lpad(nth::text, 5, '0') || '\\2', 'g')::jsonb AS r
                FROM ${table} t, generate_series(1, ${copies}) nth OFFSET 0) made,
             jsonb_populate_record(NULL::${table}, r || jsonb_build_object(${moved})) copied
      ON CONFLICT DO NOTHING`);
  });
}

/** Runs of jobs, one for each hour or day of the year, as the table of jobs says. */
async function multiplyRuns(sql: postgres.Sql, cast: Cast): Promise<void> {
  for (const { name, schedule } of await cast.service.services.jobs.list()) {
    const runs = Math.round((/^\d+ \* /.test(schedule) ? 8760 : 365) / SHARE);
    await sql.unsafe(`
      INSERT INTO job_runs (job, slot, trigger, started_at, finished_at, status, result, attempts, progress)
      SELECT job, slot + n * interval '1 hour', 'schedule', started_at, finished_at, status, result, attempts, progress
        FROM (SELECT * FROM job_runs WHERE job = '${name}' LIMIT 1) run, generate_series(1, ${runs}) n`);
  }
}

interface TableSize {
  name: string;
  rows: number;
  table: number;
  indexes: number;
}

async function sizes(sql: postgres.Sql): Promise<TableSize[]> {
  await sql.unsafe('VACUUM ANALYZE');
  const found: TableSize[] = [];
  for (const { name } of await tablesOf(sql)) {
    const [row] = await sql<{ table: string; indexes: string }[]>`
      SELECT pg_table_size(${name}::regclass) AS table, pg_indexes_size(${name}::regclass) AS indexes`;
    const [count] = await sql.unsafe<{ n: string }[]>(`SELECT count(*) AS n FROM ${name}`);
    found.push({ name, rows: Number(count?.n), table: Number(row?.table), indexes: Number(row?.indexes) });
  }
  return found;
}

const megabytes = (bytes: number) => (bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0);

function print(title: string, tables: TableSize[]): void {
  const line = (...cells: (string | number)[]) =>
    say(
      cells
        .map((cell, index) => (index === 0 ? String(cell).padEnd(34) : String(cell).padStart(12)))
        .join(''),
    );
  say('');
  line(title, 'rows', 'MB', 'indexes MB', 'bytes a row', 'rows a year', 'MB a year');
  const total = { rows: 0, table: 0, indexes: 0 };
  for (const { name, rows, table, indexes } of tables.toSorted(
    (a, b) => b.table + b.indexes - a.table - a.indexes,
  )) {
    total.rows += rows;
    total.table += table;
    total.indexes += indexes;
    if (rows < 50) continue;
    line(name.replace('public.', ''), rows, megabytes(table), megabytes(indexes), Math.round((table + indexes) / rows),
      rows * SHARE, megabytes((table + indexes) * SHARE)); // prettier-ignore
  }
  line('all', total.rows, megabytes(total.table), megabytes(total.indexes), '', total.rows * SHARE,
    megabytes((total.table + total.indexes) * SHARE)); // prettier-ignore
}

async function folderSize(folder: string): Promise<{ files: number; bytes: number }> {
  const names = await readdir(folder).catch(() => []);
  const all = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return { files: all.length, bytes: all.reduce((sum, size) => sum + size, 0) };
}

await withThrowawayServer(async (cluster) => {
  const began = performance.now();
  const checkpoints = join(cluster.folder, 'checkpoints');
  const cast = await startCast({ cluster, env: { AUDIT_CHECKPOINT_DIR: checkpoints } });
  const sql = postgres(cast.service.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    say(`${SAMPLES} payouts, from initiation to 1099 …`);
    await live(cast);
    const places = await folderSize(checkpoints);
    say(`Copied to ${PAYOUTS} payouts …`);
    for (const { name } of await tablesOf(sql))
      if (isOfPayouts(name)) await multiply(sql, name, PAYOUTS / SAMPLES - 1);
    await multiplyRuns(sql, cast);
    say(`${MEMBERS} members with twelve payments each …`);
    await insertMembers(sql, MEMBERS, 'k < 12');
    await sql`SELECT queue_watch()`;
    await sql`SELECT queue_fold()`;
    const all = await sizes(sql);
    print('ours', all.filter(({ name }) => !SHARED.has(name))); // prettier-ignore
    print('the main app’s', all.filter(({ name }) => SHARED.has(name))); // prettier-ignore
    say(`\nFiles of checkpoints: ${places.files}, ${Math.round(places.bytes / places.files)} bytes each.`);
    say(
      `${Math.round((performance.now() - began) / 1000)} s, a ${SHARE === 1 ? 'whole year' : `${SHARE}th of a year`}.`,
    );
  } finally {
    await sql.end();
    await cast.service.stop();
  }
});
