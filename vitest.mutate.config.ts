import { defineConfig } from 'vitest/config';

/** For `npm run mutate`: the tests of what is pure. They need no database, so that hundreds of runs are minutes. */
export default defineConfig({
  test: {
    include: [
      'test/**/*-rules.test.ts',
      'test/kernel/*.test.ts',
      'test/auth/*.test.ts',
      'test/crypto/envelope.test.ts',
    ],
    testTimeout: 60_000,
    pool: 'forks',
    isolate: false,
    maxWorkers: 1,
  },
});
