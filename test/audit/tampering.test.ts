/** The quick form of `npm run audit:tamper`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TamperedLog } from '../support/audit-tampering.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const TIMES = 40;
const folder = join(tmpdir(), `payout-service-tampering-${process.pid}`);

let service: TestService;
let log: TamperedLog;
beforeAll(async () => {
  service = await startTestService();
  let seed = 7;
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  log = new TamperedLog({ url: service.databaseUrl, folder, clock: service.time, random });
  await log.fill();
});
afterAll(async () => {
  await log.close();
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

it('finds whatever a superuser does to rows that a checkpoint covers, and names the place', async () => {
  expect(await log.isWhole()).toBe(true);
  const kinds = new Set<string>();
  for (let time = 0; time < TIMES; time += 1) {
    const outcome = await log.attempt();
    expect(outcome, outcome.detail).toMatchObject({ found: true, named: true });
    kinds.add(outcome.kind);
  }
  expect(kinds.size).toBeGreaterThan(7);
  expect(await log.isWhole()).toBe(true);
});
