import { expect, it } from 'vitest';
import { run } from './programs.ts';

const LIMIT_MS = 180_000;

it(
  'npm run sessions:prove -- --quick finds nobody who may do what was taken from them',
  async () => {
    const { code, stdout, stderr } = await run(
      'npm',
      ['run', '--silent', 'sessions:prove', '--', '--quick'],
      {
        limitMs: LIMIT_MS,
      },
    );
    expect(code, `${stdout}${stderr}`).toBe(0);
    const figures = new Map(
      [...stdout.matchAll(/^(.*?\S) +(\d+)$/gm)].map(([, name = '', count]) => [name, Number(count)]),
    );
    expect(figures.get('requests sent afterwards')).toBeGreaterThanOrEqual(16 * 4 * 3);
    for (const fault of ['of these allowed: stale', 'faults']) expect(figures.get(fault), fault).toBe(0);
  },
  LIMIT_MS,
);
