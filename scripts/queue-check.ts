/** Compares the queue's rollup with the tables and changes nothing. Exit status 1 when they differ. */
import { Database } from '../src/db/client.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { MemberQueue } from '../src/queue/member-queue.ts';
import { withMigratedUrl } from './db-urls.ts';

await withMigratedUrl(async (url, config) => {
  const database = new Database({ url: config.database.url ?? url, poolSize: 2, role: 'payout_service' });
  try {
    const found = await new MemberQueue(database, systemClock).check();
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
    if (!found.isExact) process.exitCode = 1;
  } finally {
    await database.close();
  }
});
