import { defineConfig } from 'vitest/config';

/** scripts/mutate.mjs says which. */
const rooms = (process.env['MUTATE_ROOMS'] ?? '').split(',');

/** For `npm run mutate`: the tests of what is pure in some rooms. They need no database. */
export default defineConfig({
  test: {
    include: rooms.flatMap((room) => [
      `test/${room}/*-rules.test.ts`,
      ...(['kernel', 'auth'].includes(room) ? [`test/${room}/*.test.ts`] : []),
      ...(room === 'crypto' ? ['test/crypto/envelope.test.ts'] : []),
    ]),
    testTimeout: 60_000,
    pool: 'forks',
    isolate: false,
    maxWorkers: 1,
  },
});
