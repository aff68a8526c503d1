/**
 * Takes an empty database up, all the way back, and up again, and compares what it then holds; and asks drizzle-kit whether
 * the schema has a change that no migration makes. For .ci/run.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { discardEmbeddedServer, startEmbeddedServer } from '../src/db/embedded-server.ts';
import { migrateDown, migrateUp } from '../src/db/migrations.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);

/** Everything that a migration can make in a database, one line each. The list of migrations itself stays. */
async function contentsOf(url: string): Promise<string[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const rows = await sql<{ line: string }[]>`
      WITH ours AS (
        SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' AND nspname <> 'information_schema'
      ), relation AS (
        SELECT c.oid, c.relkind, c.relacl, format('%I.%I', nspname, relname) AS name
        FROM pg_class c JOIN ours ON ours.oid = relnamespace
        WHERE NOT (nspname = 'payout_service' AND relname LIKE 'migrations%') AND relkind <> 'c'
      )
      SELECT format('relation %s %s %s', relkind, name, relacl) AS line FROM relation
      UNION ALL
      SELECT format('column %s.%I %s %s %s', name, attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid))
      FROM relation JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      UNION ALL
      SELECT format('constraint %s %I %s', name, conname, pg_get_constraintdef(pg_constraint.oid))
      FROM relation JOIN pg_constraint ON conrelid = relation.oid
      UNION ALL
      SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM relation JOIN pg_index ON indrelid = relation.oid
      UNION ALL
      SELECT format('view %s %s', name, pg_get_viewdef(oid)) FROM relation WHERE relkind IN ('v', 'm')
      UNION ALL
      SELECT format('trigger %s', pg_get_triggerdef(pg_trigger.oid))
      FROM relation JOIN pg_trigger ON tgrelid = relation.oid AND NOT tgisinternal
      UNION ALL
      SELECT format('function %s %s', pg_get_functiondef(pg_proc.oid), proacl)
      FROM pg_proc JOIN ours ON ours.oid = pronamespace AND prokind = 'f'
      UNION ALL
      SELECT format('type %s.%I', nspname, typname)
      FROM pg_type JOIN ours ON ours.oid = typnamespace AND typtype IN ('d', 'e')
      ORDER BY 1`;
    return rows.map(({ line }) => line);
  } finally {
    await sql.end();
  }
}

function differences(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
  ];
}

function expectSame(before: readonly string[], after: readonly string[], what: string): void {
  const different = differences(before, after);
  if (different.length > 0) throw new Error(`${what}:\n${different.join('\n')}`);
}

async function check(url: string): Promise<void> {
  const empty = await contentsOf(url);
  await migrateUp(url);
  const first = await contentsOf(url);
  if (first.length === empty.length) throw new Error('The migrations made nothing.');
  print(`Up: ${first.length} tables, columns, constraints, indexes, triggers and functions.`);
  await migrateUp(url);
  expectSame(first, await contentsOf(url), 'A second run of the migrations changed something');
  print('Up once more: nothing changed.');
  const undone = await migrateDown(url, Number.POSITIVE_INFINITY);
  expectSame(empty, await contentsOf(url), 'The way back left something, or took too much');
  print(`Down: ${undone.join(', ')}. Nothing is left.`);
  await migrateUp(url);
  expectSame(first, await contentsOf(url), 'Up again made something else');
  print('Up again: the same as before.');
}

/** drizzle-kit writes a migration where the schema in src/db/schema is not the one of the newest snapshot. */
async function checkSnapshot(folder: string): Promise<void> {
  const copy = join(folder, 'drizzle');
  await cp(join(root, 'drizzle'), copy, { recursive: true });
  const before = await readdir(copy);
  await promisify(execFile)(
    join(root, 'node_modules', '.bin', 'drizzle-kit'),
    // It takes the folder for one below the current one, whatever it begins with.
    [
      'generate',
      '--dialect=postgresql',
      '--schema=./src/db/schema/index.ts',
      `--out=${relative(root, copy)}`,
    ],
    { cwd: root },
  );
  const added = (await readdir(copy)).filter((name) => !before.includes(name));
  if (added.length > 0) {
    const wanted = await readFile(join(copy, added[0]!), 'utf8');
    throw new Error(`The schema has changes that the newest snapshot in drizzle/meta has not:\n${wanted}`);
  }
  print('The newest snapshot in drizzle/meta is that of the schema.');
}

const root = resolve(import.meta.dirname, '..');
const folder = await mkdtemp(join(tmpdir(), 'payout-service-migrations.'));
// PostgreSQL runs as another user when we are root, and must get in.
await chmod(folder, 0o755);
const dataDirectory = join(folder, 'postgres');
try {
  await checkSnapshot(folder);
  const server = await startEmbeddedServer({
    dataDirectory,
    password: randomBytes(16).toString('hex'),
    durable: false,
  });
  try {
    await check(server.url('postgres'));
  } finally {
    await server.stop();
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  await discardEmbeddedServer(dataDirectory);
  await rm(folder, { recursive: true, force: true });
}
