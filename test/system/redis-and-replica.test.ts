/** The service with a real Redis and a real streaming replica: with them, without them, and with them again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEMO_PASSWORD } from '../../src/demo/people.ts';
import { seedDemo } from '../../src/demo/seed.ts';
import { migrateUp } from '../../src/db/migrations.ts';
import { loadConfig } from '../../src/config.ts';
import { startService, type RunningService } from '../../src/start-service.ts';
import { freePort, programAt, run, succeed, type Account } from './programs.ts';
import { makeFolder, removeFolder } from './service-process.ts';

const program = (name: string) =>
  programAt([`/usr/lib/postgresql/15/bin/${name}`], 'the package postgresql-15');

let folder: string;
let account: Account | undefined;
let service: RunningService | undefined;
/** Another instance on the same database and the same Redis. */
let beside: RunningService | undefined;
let url: string;
let replicaPort: number;
let redisPort: number;
let redis: ChildProcess | undefined;
let sql: postgres.Sql;

async function startRedis(): Promise<void> {
  const server = programAt(['/usr/bin/redis-server'], 'the package redis-server');
  redis = spawn(server, ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  await new Promise<void>((resolve) =>
    redis?.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) resolve();
    }),
  );
}

async function stopRedis(): Promise<void> {
  if (!redis || redis.exitCode !== null) return;
  const ended = once(redis, 'exit');
  redis.kill('SIGTERM');
  await ended;
}

const pgCtl = (action: string[], data: string) =>
  succeed(program('pg_ctl'), [...action, '-w', '-s', '-D', join(folder, data)], { account, folder });

function start(data: string, port: number): Promise<string> {
  const flags = `-c port=${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off`;
  return pgCtl(['start', '-l', join(folder, `${data}.log`), '-o', flags], data);
}

beforeAll(async () => {
  folder = await makeFolder();
  const password = randomBytes(16).toString('hex');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (process.getuid?.() === 0) {
    const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => succeed('id', [flag, 'postgres'])));
    account = { uid: Number(uid), gid: Number(gid) };
    for (const path of [folder, passwordFile]) chownSync(path, account.uid, account.gid);
  }
  const options = { account, folder, env: { PGPASSWORD: password } };
  const login = ['--username=owner', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  await succeed(
    program('initdb'),
    ['-D', join(folder, 'primary'), ...login, '--encoding=UTF8', '--no-locale', '--no-sync'],
    options,
  );
  const port = await freePort();
  [replicaPort, redisPort] = [await freePort(), await freePort()];
  await start('primary', port);
  url = `postgres://owner:${password}@127.0.0.1:${port}/postgres`;
  await succeed(
    program('pg_basebackup'),
    ['-h', '127.0.0.1', '-p', String(port), '-U', 'owner', '-D', join(folder, 'replica'), '-R', '-c', 'fast'],
    options,
  );
  await start('replica', replicaPort);
  await startRedis();
  const env = {
    NODE_ENV: 'test',
    DATABASE_URL: url,
    DATABASE_REPLICA_URL: url.replace(`:${port}/`, `:${replicaPort}/`),
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    DATA_DIR: folder,
    PORT: '0',
    LOG_LEVEL: 'error',
    ENABLE_METRICS: 'true',
    RATE_LIMIT_MEMBER: '6',
    RATE_LIMIT_APPROVALS: '3',
  };
  await migrateUp(url);
  await seedDemo(loadConfig(env), url);
  sql = postgres(url, { max: 1, onnotice: () => {} });
  service = await startService(env);
  beside = await startService(env);
});

afterAll(async () => {
  await beside?.stop();
  await service?.stop();
  await sql?.end();
  await stopRedis();
  for (const data of ['replica', 'primary'])
    await run(program('pg_ctl'), ['stop', '-w', '-s', '-m', 'immediate', '-D', join(folder, data)], {
      account,
    });
  await removeFolder(folder);
});

const at = (path: string, instance = service) => `${instance?.url.replace('localhost', '127.0.0.1')}${path}`;

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`It did not come to this: ${what}.`);
    await sleep(200);
  }
}

const checks = async () =>
  ((await (await fetch(at('/health'))).json()) as { checks: Record<string, string> }).checks;
const figure = async (name: string) =>
  Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await fetch(at('/metrics'))).text())?.[1]);

async function signIn(email: string): Promise<{ token: string; userId: string }> {
  const answer = await fetch(at('/api/auth/sign-in/email'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: DEMO_PASSWORD }),
  });
  const { user } = (await answer.json()) as { user: { id: string } };
  return { token: answer.headers.get('set-auth-token') ?? '', userId: user.id };
}

const viewer = async () => (await signIn('viewer@example.com')).token;

/** A GET, or a POST where there is a body; what was answered, in short. */
async function ask(instance: RunningService | undefined, path: string, token: string, body?: object) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const post = body && { method: 'POST', body: JSON.stringify(body) };
  const answer = await fetch(at(path, instance), { headers, ...post });
  const { error } = (await answer.json()) as { error?: { code: string } };
  return { said: error?.code ?? answer.status, remaining: answer.headers.get('ratelimit-remaining') };
}

const auditEntries = async () => (await sql`SELECT count(*)::int AS n FROM user_audit_logs`)[0]?.['n'];

it('reads reports from the replica, and from the primary while the replica is away', async () => {
  const token = await viewer();
  const report = async () => {
    const answer = await fetch(at('/api/reports/payouts'), { headers: { authorization: `Bearer ${token}` } });
    expect(answer.status).toBe(200);
    return (await answer.json()) as { totals: { count: number } };
  };
  const onReplica = postgres(url.replace(/:\d+\/postgres$/, `:${replicaPort}/postgres`), { max: 1 });
  const scans = async () => {
    const [row] = await onReplica<{ n: string }[]>`
      SELECT sum(numbackends)::text || '/' || (SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'payout-service reports' AND query LIKE '%payout_management%')::text AS n
        FROM pg_stat_database`;
    return Number(row?.n.split('/')[1]);
  };
  await until('the replica is used', async () => (await figure('payout_service_replica_used')) === 1);
  const before = await report();
  expect(before.totals.count).toBeGreaterThan(5);
  expect(await scans()).toBeGreaterThan(0);

  // Behind: what it has is old, and it says so.
  await onReplica`SELECT pg_wal_replay_pause()`;
  await sql`UPDATE payout_management SET updated_at = updated_at WHERE false`;
  await sql`SELECT pg_switch_wal(), pg_logical_emit_message(false, 'test', 'written')`;
  await until(
    'the replica is seen to be behind',
    async () => (await figure('payout_service_replica_lag_seconds')) > 2,
  );
  await onReplica`SELECT pg_wal_replay_resume()`;
  await onReplica.end();

  await pgCtl(['stop', '-m', 'immediate'], 'replica');
  expect(await report()).toEqual(before);
  await until('/health tells it', async () => (await checks())['replica'] === 'down');
  expect((await fetch(at('/ready'))).status).toBe(200);
  await start('replica', replicaPort);
  await until('the replica is used again', async () => (await figure('payout_service_replica_used')) === 1);
});

it('counts a caller once over both instances, as Redis counts', async () => {
  const { token, userId } = await signIn('member0100@example.com');
  const read = (instance: RunningService | undefined) =>
    ask(instance, `/api/members/${userId}/membership`, token);
  const remaining: (string | null)[] = [];
  for (const instance of [service, beside, service, beside, service, beside])
    remaining.push((await read(instance)).remaining);
  expect(remaining).toEqual(['5', '4', '3', '2', '1', '0']);
  for (const instance of [service, beside]) expect((await read(instance)).said).toBe('RATE_LIMITED');

  const admin = await signIn('admin@example.com');
  const approve = async (instance: RunningService | undefined) =>
    (await ask(instance, '/api/payouts/PO-2026-ZZZZZZZZ/approve', admin.token, {})).said;
  expect([await approve(service), await approve(beside), await approve(service)]).toEqual([
    'NOT_FOUND',
    'NOT_FOUND',
    'NOT_FOUND',
  ]);
  expect([await approve(service), await approve(beside)]).toEqual(['RATE_LIMITED', 'RATE_LIMITED']);
});

/** With limits that cannot be counted: reads are answered soon enough, and nothing is changed. */
async function expectReadsOnly(): Promise<void> {
  const [admin, finance, member] = await Promise.all(
    ['admin@example.com', 'finance@example.com', 'member0101@example.com'].map(signIn),
  );
  const open = await sql<{ id: string }[]>`
    SELECT payout_id AS id FROM payout_management WHERE status = 'pending_approval'`;
  const before = await auditEntries();
  const own = `/api/members/${member?.userId}`;
  const wanted: [string, string | undefined, object?][] = [
    ['/api/payouts', admin?.token],
    [`${own}/membership`, member?.token],
    [`/api/payouts/${open[0]?.id}/approve`, finance?.token, {}],
    [`/api/payouts/${open[0]?.id}/cancel`, admin?.token, { reason: 'A test.' }],
    ['/api/payouts/initiate', admin?.token, { userIds: [member?.userId], overrideReason: 'A test.' }],
    [`${own}/tax-info`, member?.token, {}],
  ];
  const startedAt = performance.now();
  for (const instance of [service, beside])
    await Promise.all(
      wanted.map(async ([path, token = '', body]) =>
        expect((await ask(instance, path, token, body)).said, path).toBe(body ? 'UNAVAILABLE' : 200),
      ),
    );
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  expect(await auditEntries()).toBe(before);
}

it('lets people read while the limits cannot be counted, and changes nothing', async () => {
  await stopRedis();
  await until('/health tells it', async () => (await checks())['redis'] === 'down');
  await expectReadsOnly();
  await startRedis();
  await until('Redis is back', async () => (await checks())['redis'] === 'up');
  const { token } = await signIn('admin2@example.com');
  const change = () => ask(beside, '/api/payouts/PO-2026-ZZZZZZZZ/cancel', token, { reason: 'A test.' });
  await until('changes are taken again', async () => (await change()).said === 'NOT_FOUND');
});

it('does so too where Redis is there and answers nothing', async () => {
  const token = await viewer();
  redis?.kill('SIGSTOP');
  try {
    await expectReadsOnly();
    // It has been waited for; whoever comes now does not wait for it again.
    const startedAt = performance.now();
    for (let read = 0; read < 20; read += 1)
      expect((await ask(service, '/api/payouts', token)).said).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(5000);
  } finally {
    redis?.kill('SIGCONT');
  }
  await until('Redis is back', async () => (await checks())['redis'] === 'up');
});

it('goes on without Redis, and finds it again', async () => {
  expect((await checks())['redis']).toBe('up');
  await stopRedis();
  await until('/health tells it', async () => (await checks())['redis'] === 'down');
  expect((await fetch(at('/ready'))).status).toBe(200);
  const token = await viewer();
  expect(token).not.toBe('');
  const startedAt = performance.now();
  const answer = await fetch(at('/api/payouts'), { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status).toBe(200);
  expect(performance.now() - startedAt).toBeLessThan(5000);
  await startRedis();
  await until('Redis is back', async () => (await checks())['redis'] === 'up');
});
