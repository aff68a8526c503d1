/** The service as a process of its own, with a disk that is full and a port for figures. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller } from './support/caller.ts';
import { Stories, startCast, type Cast, type Story } from './support/stories.ts';
import { SECRETS } from './support/test-service.ts';
import { freePort } from './system/programs.ts';

const LOG_KILOBYTES = 16;

let cast: Cast;
let story: Story;
let folder: string;
let child: ChildProcess;
let service: Caller;
let figures: Caller;
const log = () => join(folder, 'log');

beforeAll(async () => {
  cast = await startCast();
  story = await new Stories(cast).completed();
  folder = await mkdtemp(join(tmpdir(), 'payout-service-process.'));
  const [port, metricsPort] = [await freePort(), await freePort()];
  // No file of this process may grow further: what a full disk is to whoever writes.
  const command = `ulimit -f ${LOG_KILOBYTES}; exec "$0" --import tsx src/main.ts 2>> "$1"`;
  child = spawn('bash', ['-c', command, process.execPath, log()], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_ENV: 'test',
      ...SECRETS,
      DATA_DIR: join(folder, 'data'),
      DATABASE_URL: cast.service.databaseUrl,
      JOBS: 'false',
      PORT: String(port),
      ENABLE_METRICS: 'true',
      METRICS_PORT: String(metricsPort),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout ?? child, 'data'),
    once(child, 'exit').then(async () => {
      throw new Error(`It did not start: ${await readFile(log(), 'utf8')}`);
    }),
  ]);
  child.stdout?.resume();
  const at = (number: number) => `http://127.0.0.1:${number}`;
  service = new Caller(at(port), { token: story.member.token });
  figures = new Caller(at(metricsPort));
});

afterAll(async () => {
  if (child.exitCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  await rm(folder, { recursive: true, force: true });
  await cast.service.stop();
});

describe('the figures’ own port', () => {
  it('answers /metrics, and nothing else; the service’s port does not', async () => {
    const { status, body } = await figures.get('/metrics');
    expect(status).toBe(200);
    expect(body).toContain('payout_service_database_up 1');
    for (const path of ['/', '/health', '/api/payouts', '/docs'])
      expect((await figures.get(path)).status, path).toBe(404);
    expect((await service.get('/metrics')).status).toBe(404);
  });
});

describe('/health of a service with a queue of messages', () => {
  it('tells of it, and is degraded when messages have waited for half an hour', async () => {
    await cast.service.sql`UPDATE payout_queue.job SET created_on = now() WHERE state <= 'active'`;
    expect((await service.get('/health')).body).toMatchObject({
      status: 'healthy',
      checks: { database: 'up', email: 'up', scheduler: 'stopped', queue: 'up' },
    });
    const waiting = await cast.service.sql`
      UPDATE payout_queue.job SET created_on = now() - interval '31 minutes' WHERE state <= 'active' RETURNING id`;
    expect(waiting.length).toBeGreaterThan(0);
    // An answer is remembered for three seconds.
    await sleep(3100);
    const { status, body } = await service.get('/health', { authorization: `Bearer ${cast.viewer.token}` });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'degraded',
      checks: { queue: 'down' },
      faults: ['queue is down'],
    });
  });
});

describe('a full disk', () => {
  it('costs lines of the log and nothing else: requests and PDFs go on, and so does the log when there is room', async () => {
    const size = async () => (await readFile(log())).byteLength;
    while ((await size()) < LOG_KILOBYTES * 1024)
      await Promise.all(Array.from({ length: 20 }, () => service.get('/api/no-such-thing')));
    for (let times = 0; times < 20; times += 1)
      expect((await service.get(`/api/payouts/${story.payoutId}`)).status).toBe(200);
    expect(await size()).toBe(LOG_KILOBYTES * 1024);
    const receipt = await service.pdf(`/api/payouts/${story.payoutId}/receipt`);
    expect([receipt.status, receipt.content.subarray(0, 5).toString()]).toEqual([200, '%PDF-']);
    await truncate(log());
    await service.get('/api/no-such-thing', { 'x-request-id': 'after-the-disk-was-full' });
    await expect.poll(() => readFile(log(), 'utf8')).toContain('after-the-disk-was-full');
    expect(child.exitCode).toBeNull();
  });
});
