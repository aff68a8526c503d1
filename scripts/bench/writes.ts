import postgres from 'postgres';
import { userId, type DataSet } from './data.ts';
import { median } from './timing.ts';

/** Inserts a second with our triggers, as a share of those without. */
export interface WriteRatios {
  single: number;
  bulk: number;
  contended: number;
  deadlocks: number;
}

const ROUNDS = 5;

/** What our triggers cost the main app: each kind with and without them in turn, folding all the while. */
export async function measureWrites({ url, members }: DataSet, secondsEach: number): Promise<WriteRatios> {
  const owner = postgres(url, { max: 2, onnotice: () => {}, connection: { statement_timeout: 0 } });
  const sql = postgres(url, { max: 16, onnotice: () => {}, connection: { jit: false } });
  let deadlocks = 0;
  const kinds = {
    single: [
      16,
      () =>
        sql.unsafe(
          `INSERT INTO user_payments (user_id, amount, status) VALUES (${userId('$1::integer')}, 0.01, 'succeeded')`,
          [1 + Math.floor(Math.random() * members)],
          { prepare: true },
        ),
    ],
    bulk: [
      2,
      () =>
        sql.unsafe(
          `INSERT INTO user_payments (user_id, amount, status)
             SELECT ${userId('n')}, 0.01, 'succeeded' FROM generate_series($1::integer, $1::integer + 999) n`,
          [1 + Math.floor(Math.random() * (members - 1000))],
          { prepare: true },
        ),
    ],
    // Two payments of fifty members that everybody writes to, in any order.
    contended: [
      16,
      () =>
        sql.begin(async (tx) => {
          for (let one = 0; one < 2; one += 1)
            await tx.unsafe(
              `INSERT INTO user_payments (user_id, amount, status) VALUES (${userId('$1::integer')}, 0.01, 'succeeded')`,
              [1 + Math.floor(Math.random() * 50)],
              { prepare: true },
            );
        }),
    ],
  } as const;
  const rate = async ([writers, write]: readonly [number, () => Promise<unknown>]): Promise<number> => {
    const deadline = performance.now() + secondsEach * 1000;
    let count = 0;
    await Promise.all(
      Array.from({ length: writers }, async () => {
        while (performance.now() < deadline) {
          await write().catch((error: { code?: string }) => {
            if (error.code !== '40P01') throw error;
            deadlocks += 1;
          });
          count += 1;
        }
      }),
    );
    return count;
  };
  const ratios: Record<string, number> = {};
  try {
    for (const [name, kind] of Object.entries(kinds)) {
      const rounds: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await owner`SELECT queue_watch()`;
        await owner`DELETE FROM queue_touched WHERE user_id IS NULL`;
        const folding = setInterval(() => void owner`SELECT queue_fold()`.catch(() => undefined), 1000);
        const withTriggers = await rate(kind);
        clearInterval(folding);
        await owner`SELECT queue_unwatch()`;
        rounds.push(withTriggers / (await rate(kind)));
      }
      ratios[name] = median(rounds);
    }
  } finally {
    await owner`DELETE FROM user_payments WHERE amount = 0.01`;
    await owner`SELECT queue_watch()`;
    await owner`SELECT queue_fold()`;
    await owner.unsafe('VACUUM ANALYZE user_payments');
    await Promise.all([sql.end(), owner.end()]);
  }
  return {
    single: ratios['single'] ?? NaN,
    bulk: ratios['bulk'] ?? NaN,
    contended: ratios['contended'] ?? NaN,
    deadlocks,
  };
}
