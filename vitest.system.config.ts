import { defineConfig } from 'vitest/config';

const forks = { pool: 'forks', testTimeout: 120_000, hookTimeout: 180_000 } as const;
const FRESH_CLONE = 'test/system/fresh-clone.test.ts';

/** The README's commands in a fresh clone, and what needs programs that npm does not bring. */
export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      // First and alone: how long a start takes is measured.
      { test: { ...forks, name: 'clone', include: [FRESH_CLONE], sequence: { groupOrder: 0 } } },
      {
        test: {
          ...forks,
          name: 'programs',
          maxWorkers: 3,
          include: ['test/system/**/*.test.ts'],
          exclude: [FRESH_CLONE],
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
