/** What is done to the service in operation, by the commands that do it. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT, Running, freePort, run } from '../system/programs.ts';
import { makeFolder, removeFolder } from '../system/service-process.ts';

let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

const command = (name: string, ...args: string[]) =>
  run('npm', ['run', '--silent', name, '--', ...args], { limitMs: 300_000 });

it('npm run stops -- --quick drops no request that was accepted', { timeout: 320_000 }, async () => {
  const { code, stdout, stderr } = await command('stops', '--quick');
  expect(code, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toMatch(/^faults +0$/m);
  expect(Number(/^requests through the balancer +(\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(50);
});

it('npm run backup:rehearse brings everything back', { timeout: 320_000 }, async () => {
  const { code, stdout, stderr } = await command('backup:rehearse');
  expect(code, `${stdout}${stderr}`).toBe(0);
  expect(stdout).toContain('Everything is back.');
});

it('npm run cluster -- 3 serves the demo from three instances', { timeout: 320_000 }, async () => {
  const port = String(await freePort());
  const cluster = new Running('npm', ['run', '--silent', 'cluster', '--', '3'], {
    env: { PORT: port, DATA_DIR: join(folder, 'data') },
  });
  try {
    const deadline = performance.now() + 180_000;
    while (!cluster.output.includes('3 instances behind')) {
      if (cluster.hasEnded || performance.now() > deadline) throw new Error(cluster.output);
      await new Promise((done) => setTimeout(done, 100));
    }
    const demo = await run('npm', ['run', '--silent', 'demo'], {
      env: { DEMO_URL: `http://127.0.0.1:${port}` },
      folder: ROOT,
      limitMs: 120_000,
    });
    expect(demo.code, `${demo.stdout}${demo.stderr}`).toBe(0);
    expect(demo.stdout).toContain('was paid $99,700.00');
  } finally {
    cluster.signalGroup('SIGTERM');
    // npm may end before the balancer has said its last line.
    const limit = performance.now() + 20_000;
    while (!cluster.output.includes('answered by each instance') && performance.now() < limit)
      await new Promise((done) => setTimeout(done, 100));
    await cluster.ended;
  }
  const shares = /answered by each instance: (.*)/.exec(cluster.output)?.[1]?.split(', ').map(Number) ?? [];
  expect(shares).toHaveLength(3);
  for (const share of shares) expect(share).toBeGreaterThan(5);
});

it('npm run test:cluster: from the queue to the 1099, all passes through a balancer before three instances', async () => {
  const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'test:cluster'], {
    limitMs: 1_500_000,
  });
  expect(code, `${stdout}${stderr}`).toBe(0);
}, 1_520_000);
