/** Takes back the newest migration, or as many as the first argument says (`all` for every one). */
import { migrateDown } from '../src/db/migrations.ts';
import { withOwnerUrl } from './db-urls.ts';

const wanted = process.argv[2] ?? '1';
const steps = wanted === 'all' ? Number.POSITIVE_INFINITY : Number(wanted);
if (!(steps >= 1)) {
  process.stderr.write('Usage: npm run db:rollback -- [how many, or all]\n');
  process.exitCode = 1;
} else {
  await withOwnerUrl(async (url) => {
    const undone = await migrateDown(url, steps);
    process.stdout.write(
      undone.length === 0 ? 'There is nothing to take back.\n' : `Taken back: ${undone.join(', ')}\n`,
    );
  });
}
