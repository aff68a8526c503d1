import postgres from 'postgres';
import { inject } from 'vitest';
import type { TestService } from './test-service.ts';

/** The service's database takes no connections while `work` runs; those that there are end. */
export async function withoutDatabase(service: TestService, work: () => Promise<void>): Promise<void> {
  const name = new URL(service.databaseUrl).pathname.slice(1);
  const outside = postgres(inject('clusterUrl'), { max: 1, onnotice: () => {} });
  try {
    await outside.unsafe(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await outside`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ${name}`;
    await work();
  } finally {
    await outside.unsafe(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await outside.end();
    // The pool finds out now which of its connections have ended, and not in the next test.
    const asks = Array.from({ length: 40 }, () => service.database.sql`SELECT 1`);
    await Promise.allSettled(asks);
  }
}
