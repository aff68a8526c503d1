import { expect, it } from 'vitest';
import { run } from './programs.ts';

const LIMIT_MS = 200_000;

it(
  'npm run fuzz -- 5000 finds no answer that should not be',
  async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'fuzz', '--', '5000'], {
      limitMs: LIMIT_MS,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(stdout).toContain('Faults: 0.');
    // Most operations are reached, or nothing was tried.
    expect(Number(/^(\d+) of \d+ operations/m.exec(stdout)?.[1])).toBeGreaterThan(35);
  },
  LIMIT_MS,
);
