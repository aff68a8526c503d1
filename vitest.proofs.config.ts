import { defineConfig } from 'vitest/config';

/** Commands of operation, done in earnest. They take minutes, more than CI has: run them before a release. */
export default defineConfig({
  test: {
    include: ['test/proofs/**/*.test.ts'],
    testTimeout: 320_000,
    hookTimeout: 180_000,
    pool: 'forks',
    fileParallelism: false,
  },
});
