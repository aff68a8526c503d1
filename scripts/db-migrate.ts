import { migrateUp } from '../src/db/migrations.ts';
import { withOwnerUrl } from './db-urls.ts';

await withOwnerUrl(async (url) => {
  await migrateUp(url);
  process.stdout.write('The database is up to date.\n');
});
