/** Sets the queue's triggers where they are missing, and mends the rollup slice by slice, while the service runs. */
import { Database } from '../src/db/client.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { MemberQueue } from '../src/queue/member-queue.ts';
import { withMigratedUrl } from './db-urls.ts';

await withMigratedUrl(async (url) => {
  const database = new Database({ url, poolSize: 2 });
  try {
    const queue = new MemberQueue(database, systemClock);
    const isWatched = await queue.watch();
    const mended = await queue.rebuild();
    process.stdout.write(`${mended} members differed and were mended.\n`);
    if (!isWatched) {
      process.stdout.write('The main app’s tables are not watched: we lack the right to TRIGGER on them.\n');
    }
  } finally {
    await database.close();
  }
});
