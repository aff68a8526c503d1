/** Fills an empty database with the demo data. Never in production. */
import { seedDemo } from '../src/demo/seed.ts';
import { withOwnerUrl } from './db-urls.ts';

let seeded = false;
const seed = async (url: string, config: Parameters<typeof seedDemo>[0]): Promise<void> => {
  if (config.production) throw new Error('Demo data are never put into production.');
  await seedDemo(config, url);
  seeded = true;
};
await withOwnerUrl(async (url, config) => {
  if (!seeded) await seed(url, config);
  process.stdout.write('The database holds the demo data.\n');
}, seed);
