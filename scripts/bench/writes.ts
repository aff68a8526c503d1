import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { userId, type DataSet } from './data.ts';
import { median } from './timing.ts';

/** Inserts a second with our triggers as a share of those without: alone, and while the queue is folded beside them. */
export interface WriteRatios {
  single: [number, number];
  bulk: [number, number];
  contended: [number, number];
  deadlocks: number;
}

const ROUNDS = 5;

/** What our triggers cost the main app: each kind with them, with them and a fold beside, and without, in turn. */
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
  const ratios: Record<string, [number, number]> = {};
  try {
    for (const [name, kind] of Object.entries(kinds)) {
      const rounds: [number, number][] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await owner`SELECT queue_watch()`;
        await owner`DELETE FROM queue_touched WHERE user_id IS NULL`;
        const withTriggers = await rate(kind);
        const folding = new AbortController();
        const folds = foldLikeTheService(owner, folding.signal);
        const withFolds = await rate(kind);
        folding.abort();
        await folds;
        await owner`SELECT queue_unwatch()`;
        const bare = await rate(kind);
        rounds.push([withTriggers / bare, withFolds / bare]);
      }
      ratios[name] = [median(rounds.map(([alone]) => alone)), median(rounds.map(([, folded]) => folded))];
    }
  } finally {
    await owner`DELETE FROM user_payments WHERE amount = 0.01`;
    await owner`SELECT queue_watch()`;
    await owner`SELECT queue_fold()`;
    await owner.unsafe('VACUUM ANALYZE user_payments');
    await Promise.all([sql.end(), owner.end()]);
  }
  return {
    single: ratios['single'] ?? [NaN, NaN],
    bulk: ratios['bulk'] ?? [NaN, NaN],
    contended: ratios['contended'] ?? [NaN, NaN],
    deadlocks,
  };
}

/** A second after the last fold, or as long as it took. */
async function foldLikeTheService(owner: postgres.Sql, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const began = performance.now();
    await owner`SELECT queue_fold()`;
    await sleep(Math.max(1000, performance.now() - began), undefined, { signal }).catch(() => undefined);
  }
}
