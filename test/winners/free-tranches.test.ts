import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freeTranches } from '../../src/winners/initiation-store.ts';
import { insertPayouts, insertPeople, withoutTriggers } from '../support/paid-years.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const PAYOUTS = 3000;
let service: TestService;
beforeAll(async () => (service = await startTestService()));
afterAll(() => service.stop());

/** The free ones, and how many payouts were looked at to find them. */
const look = (count: number) =>
  service.database.transaction(async (tx) => {
    const tranches = await freeTranches(tx, count);
    const [seen] = await tx.execute<{ whole: number; single: number }>(sql`
      SELECT seq_tup_read::integer AS whole, idx_tup_fetch::integer AS single
        FROM pg_stat_xact_user_tables WHERE relname = 'payout_management'`);
    return { tranches, looked: (seen?.whole ?? NaN) + (seen?.single ?? NaN) };
  });

it('are numbered from one', async () => {
  expect((await look(3)).tranches).toEqual([1, 2, 3]);
});

it('are the lowest that no live payout holds, at the same cost whatever is held', async () => {
  const [userId = ''] = await insertPeople(service.sql, 1);
  const payout = {
    userId,
    grossCents: 10_000_000,
    attempts: [{ sentDate: '2026-01-15', withheldCents: 0, status: 'completed' as const }],
  };
  const ids = await insertPayouts(service.sql, Array<typeof payout>(PAYOUTS).fill(payout));
  const giveBack = (tranches: number[]) =>
    withoutTriggers(service.sql, async (tx) => {
      await tx`UPDATE payout_management SET status = 'cancelled'
        WHERE payout_id IN ${tx(tranches.map((tranche) => ids[tranche - 1] ?? ''))}`;
    });
  await service.sql`ANALYZE payout_management`;
  const whole = await look(3);
  expect(whole.tranches).toEqual([PAYOUTS + 1, PAYOUTS + 2, PAYOUTS + 3]);
  expect(whole.looked).toBeLessThan(10);

  // The last is no gap; the one in the middle was awarded again.
  await giveBack([7, 1500, 2000, PAYOUTS]);
  await withoutTriggers(service.sql, async (tx) => {
    await tx`UPDATE payout_management SET funding_tranche = 1500 WHERE funding_tranche = ${PAYOUTS - 1}`;
  });
  const gaps = await look(4);
  expect(gaps.tranches).toEqual([7, 2000, PAYOUTS - 1, PAYOUTS]);
  expect(gaps.looked).toBeLessThan(20);
  expect((await look(1)).tranches).toEqual([7]);
});
