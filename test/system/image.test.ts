import { expect, it } from 'vitest';
import { succeed } from './programs.ts';

const LIMIT_MS = 300_000;

it(
  'npm run image:by-hand -- --quick makes what the Dockerfile says, which names all that production lacks',
  async () => {
    const args = ['run', '--silent', 'image:by-hand', '--', '--quick'];
    const said = await succeed('npm', args, { limitMs: LIMIT_MS });
    expect(said).toMatch(/^The image can be built\.$/m);
  },
  LIMIT_MS,
);
