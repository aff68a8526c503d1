import { defineConfig } from 'vitest/config';

/** The README's commands in a fresh clone, and what needs programs that npm does not bring. */
export default defineConfig({
  test: {
    include: ['test/system/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    // One after the other: how long a start takes is measured.
    fileParallelism: false,
  },
});
