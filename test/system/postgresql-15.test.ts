/** What depends on the database, on the oldest PostgreSQL that the service takes: Debian's, on a cluster of its own. */
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT, freePort, programAt, run, succeed, type Account } from './programs.ts';
import { makeFolder, removeFolder } from './service-process.ts';

let folder: string;
let url: string;
let account: Account | undefined;

/** `name` among PostgreSQL 15's programs. */
const program = (name: string): string =>
  programAt([`/usr/lib/postgresql/15/bin/${name}`], 'the package postgresql-15');

beforeAll(async () => {
  folder = await makeFolder();
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  account = await accountForServer();
  if (account) for (const path of [folder, passwordFile]) chownSync(path, account.uid, account.gid);
  const options = { account, folder };
  const data = join(folder, 'data');
  const login = ['--username=owner', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  await succeed(
    program('initdb'),
    ['-D', data, ...login, '--encoding=UTF8', '--no-locale', '--no-sync'],
    options,
  );
  const port = await freePort();
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    fsync: 'off',
  };
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  await succeed(
    program('pg_ctl'),
    ['start', '-w', '-s', '-D', data, '-l', join(folder, 'log'), '-o', flags.join(' ')],
    options,
  );
  url = `postgres://owner:${password}@127.0.0.1:${port}/postgres`;
});

afterAll(async () => {
  await run(program('pg_ctl'), ['stop', '-w', '-s', '-m', 'immediate', '-D', join(folder, 'data')], {
    account,
  });
  await removeFolder(folder);
});

/** What speaks SQL of its own, and the whole way of a payout. All of the suite would take its time again. */
const FILTERS = ['test/db/', 'test/payouts/payout-workflow', 'test/queue/'];

it('passes the tests of migrations, database and the first payout', { timeout: 300_000 }, async () => {
  const files = await filesOnTheDatabase();
  expect(files).toContain('test/db/migrations.test.ts');
  expect(files).toContain('test/payouts/payout-workflow.test.ts');
  const { code, stdout, stderr } = await run(
    process.execPath,
    [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...files],
    { env: { TEST_DATABASE_URL: url, NO_COLOR: '1' }, limitMs: 290_000 },
  );
  expect(code, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toMatch(new RegExp(`Test Files +${files.length} passed`));
});

/** Those of them that clone the run's database: for a service, for a story, or by themselves. */
async function filesOnTheDatabase(): Promise<string[]> {
  const names = await readdir(join(ROOT, 'test'), { recursive: true });
  return names
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts') && FILTERS.some((filter) => name.startsWith(filter)))
    .filter((name) =>
      /support\/(test-service|stories|databases)\.ts'|inject\('/.test(readFileSync(join(ROOT, name), 'utf8')),
    );
}

/** PostgreSQL refuses to run as root: then as the user that its package made. */
async function accountForServer(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const [uid, gid] = await Promise.all([
    succeed('id', ['-u', 'postgres']),
    succeed('id', ['-g', 'postgres']),
  ]);
  return { uid: Number(uid), gid: Number(gid) };
}
