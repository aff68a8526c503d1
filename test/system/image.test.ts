import { expect, it } from 'vitest';
import { run } from './programs.ts';

const LIMIT_MS = 300_000;

it(
  'npm run image:by-hand -- --quick makes what the Dockerfile says, and it starts',
  async () => {
    const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'image:by-hand', '--', '--quick'], {
      limitMs: LIMIT_MS,
    });
    expect(code, `${stdout}${stderr}`).toBe(0);
    expect(stdout).toMatch(/^The image can be built\.$/m);
  },
  LIMIT_MS,
);
