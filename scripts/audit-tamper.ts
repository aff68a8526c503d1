/**
 * `npm run audit:tamper [-- times [seed]]`: changes the audit log at random as a superuser with the triggers off, in rows
 * that a checkpoint covers, and looks whether each is found and its place named. Ends with an error when one is not.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { startTestService } from '../test/support/test-service.ts';
import { TamperedLog } from '../test/support/audit-tampering.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const times = Number(process.argv[2] ?? 1000);
const seed = Number(process.argv[3] ?? randomInt(1, 2_147_483_646));
let state = seed;
const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;

await withThrowawayServer(async (cluster) => {
  const service = await startTestService({ cluster });
  const folder = join(cluster.folder, 'checkpoints');
  const log = new TamperedLog({ url: service.databaseUrl, folder, clock: service.time, random });
  const kinds = new Map<string, number>();
  let missed = 0;
  try {
    await log.fill();
    const startedAt = Date.now();
    for (let time = 0; time < times; time += 1) {
      const { kind, detail, found, named } = await log.attempt();
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (found && named) continue;
      missed += 1;
      console.log(`${found ? 'found elsewhere' : 'NOT FOUND'}: ${kind}, ${detail}`);
    }
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    console.log([...kinds].map(([kind, count]) => `${kind} ${count}`).join(', '));
    console.log(
      `${times} tamperings of ${log.rows} rows, seed ${seed}: ${times - missed} found and named, ${missed} not. ${seconds} s.`,
    );
    if (missed > 0 || !(await log.isWhole())) process.exitCode = 1;
  } finally {
    await log.close();
    await service.stop();
  }
});
