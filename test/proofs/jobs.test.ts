import { spawn, type ChildProcess } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { connectRedis } from '../../src/db/redis.ts';
import { RedisJobElection } from '../../src/jobs/job-election.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { makeTestFolder } from '../support/cluster.ts';
import { freePort, programAt, run, Running } from '../system/programs.ts';

const LIMIT_MS = 400_000;

const figuresOf = (stdout: string) =>
  new Map([...stdout.matchAll(/^(.*?\S) +(\d+)$/gm)].map(([, name = '', count]) => [name, Number(count)]));

it(
  'npm run jobs:prove -- --quick kills instances in their jobs, and every fire’s effect is there once',
  async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'jobs:prove', '--', '--quick'], {
      limitMs: LIMIT_MS,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    const figures = figuresOf(stdout);
    expect(figures.get('instances killed')).toBeGreaterThan(0);
    expect([figures.get('effects missing'), figures.get('effects there twice')]).toEqual([0, 0]);
  },
  LIMIT_MS,
);

it(
  'npm run removals:prove -- --quick ends every membership that is due, once',
  async () => {
    const { code, stdout, stderr } = await run(
      'npm',
      ['run', '--silent', 'removals:prove', '--', '--quick'],
      {
        limitMs: LIMIT_MS,
      },
    );
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(figuresOf(stdout).get('ended more than once')).toBe(0);
  },
  LIMIT_MS,
);

it(
  'npm run dev stops at Ctrl-C, and its database with it',
  async () => {
    const folder = await makeTestFolder();
    const data = join(folder, 'data');
    const port = String(await freePort());
    const dev = new Running('npm', ['run', 'dev'], { env: { DATA_DIR: data, PORT: port } });
    try {
      await expect.poll(() => dev.output, { timeout: 100_000, interval: 200 }).toContain('member0001@');
      expect(await isServing(data)).toBe(true);
      dev.signalGroup('SIGINT');
      await dev.ended;
      await expect.poll(() => isServing(data), { timeout: 15_000 }).toBe(false);
    } finally {
      dev.signalGroup('SIGKILL');
      await rm(folder, { recursive: true, force: true });
    }
  },
  LIMIT_MS,
);

/** Is there a PostgreSQL on that folder? */
async function isServing(data: string): Promise<boolean> {
  const { stdout } = await run('ps', ['-eww', '-o', 'args']);
  return stdout.includes(join(data, 'postgres'));
}

it('Redis elects one instance for each slot, and where it is away the row in the database decides', async () => {
  const program = programAt(['/usr/bin/redis-server', '/usr/local/bin/redis-server'], 'redis-server');
  const port = await freePort();
  const server: ChildProcess = spawn(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  const url = `redis://127.0.0.1:${port}`;
  const connections = await Promise.all([1, 2, 3, 4, 5].map(() => connectRedis(url, silentLogger)));
  try {
    await expect.poll(() => connections.every(({ status }) => status === 'ready')).toBe(true);
    const elections = connections.map((redis) => new RedisJobElection(redis, silentLogger));
    for (const hour of ['02', '03']) {
      const slot = new Date(`2026-11-21T${hour}:00:00Z`);
      const elected = await Promise.all(elections.map((each) => each.isElected('report', slot)));
      expect(elected.filter(Boolean)).toHaveLength(1);
    }
    server.kill('SIGKILL');
    await expect.poll(() => connections.some(({ status }) => status === 'ready')).toBe(false);
    const alone = await Promise.all(elections.map((each) => each.isElected('report', new Date())));
    expect(alone).toEqual([true, true, true, true, true]);
  } finally {
    for (const redis of connections) redis.disconnect();
    server.kill('SIGKILL');
  }
});
