import { expect, it } from 'vitest';
import { CRASH_POINTS } from '../../src/kernel/crash-points.ts';
import { run } from './programs.ts';

const LIMIT_MS = 400_000;

it(
  'npm run crash -- --quick kills at every point, and nothing is lost, doubled or done by half',
  async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'crash', '--', '--quick'], {
      limitMs: LIMIT_MS,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    const figures = new Map(
      [...stdout.matchAll(/^(.*?\S) +(\d+)$/gm)].map(([, name = '', count]) => [name, Number(count)]),
    );
    for (const point of CRASH_POINTS) expect(figures.get(point), point).toBeGreaterThan(0);
    expect(figures.get('PostgreSQL kills')).toBeGreaterThan(0);
    for (const fault of ['lost', 'doubled', 'half', 'other faults', 'answers 500'])
      expect(figures.get(fault), fault).toBe(0);
  },
  LIMIT_MS,
);
