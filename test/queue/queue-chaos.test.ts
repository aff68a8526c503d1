import { randomBytes, randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { runChaos } from './chaos.ts';

const clusterUrl = inject('clusterUrl');
const name = `payout_chaos_${process.pid}_${randomBytes(4).toString('hex')}`;
beforeAll(() => createDatabase(clusterUrl, name, inject('templateDatabase')));
afterAll(() => dropDatabase(clusterUrl, name));

it('16 writers, hot members and folds all the while leave nobody out of step', async () => {
  const seed = randomInt(2 ** 31);
  const result = await runChaos({
    url: databaseUrl(clusterUrl, name),
    writers: 16,
    seconds: 3,
    members: 60,
    seed,
  });
  expect({ seed, drifted: result.drifted }).toEqual({ seed, drifted: 0 });
  expect(result.transactions).toBeGreaterThan(50);
  expect(result.rolledBack).toBeGreaterThan(5);
  expect(result.comparisons).toBeGreaterThan(3);
  expect(result.members).toBeGreaterThan(5);
});
