import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**', 'test/proofs/**', '**/node_modules/**'],
    globalSetup: ['test/support/cluster.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Importing the house anew for each file would take a minute.
    isolate: false,
    maxWorkers: 3,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/main.ts'],
      reporter: ['text-summary', 'lcov'],
      thresholds: { lines: 90 },
    },
  },
});
