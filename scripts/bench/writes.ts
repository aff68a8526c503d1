import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import type { EmbeddedServer } from '../../src/db/embedded-server.ts';
import { onCopy, userId, type DataSet } from './data.ts';
import { median } from './timing.ts';

/** Inserts a second with our triggers as a share of those without: alone, and while the queue is folded beside them. */
export interface WriteRatios {
  single: [number, number];
  bulk: [number, number];
  contended: [number, number];
  deadlocks: number;
}

const ROUNDS = 9;
const WARM_SECONDS = 0.3;
const CANCELLED = '57014';

/** How many write at once, and what. */
type Kind = readonly [number, () => Promise<unknown>];

/** What our triggers cost the main app: each kind with them, with them and a fold beside, and without, in turn. */
export function measureWrites(
  server: EmbeddedServer,
  { name, members }: DataSet,
  secondsEach: number,
): Promise<WriteRatios> {
  return onCopy(server, name, 'bench_writes', (url) => compare(url, members, secondsEach));
}

async function compare(url: string, members: number, secondsEach: number): Promise<WriteRatios> {
  const owner = postgres(url, { max: 1, onnotice: () => {}, connection: { statement_timeout: 0 } });
  // Of its own: what is let go of late must be a fold.
  const keeping = postgres(url, { max: 1, onnotice: () => {}, connection: { statement_timeout: 0 } });
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
  const rate = async ([writers, write]: Kind, seconds: number): Promise<number> => {
    const deadline = performance.now() + seconds * 1000;
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
  /** With an empty log, and with plans that are made. */
  const begin = async (kind: Kind, isWatched: boolean) => {
    await (isWatched ? owner`SELECT queue_watch()` : owner`SELECT queue_unwatch()`);
    await rate(kind, WARM_SECONDS);
    await owner`TRUNCATE queue_touched`;
  };
  const phases = {
    bare: async (kind: Kind) => {
      await begin(kind, false);
      return rate(kind, secondsEach);
    },
    watched: async (kind: Kind) => {
      await begin(kind, true);
      return rate(kind, secondsEach);
    },
    folded: async (kind: Kind) => {
      await begin(kind, true);
      const keeper = new Keeper(keeping);
      const count = await rate(kind, secondsEach);
      await keeper.stop();
      return count;
    },
  };
  const measure = async (kind: Kind): Promise<[number, number]> => {
    const ratios: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const found = { bare: 0, watched: 0, folded: 0 };
      const names = ['bare', 'watched', 'folded'] as const;
      // Each comes first as often as the others.
      for (let place = 0; place < names.length; place += 1) {
        const name = names[(round + place) % names.length] ?? 'bare';
        found[name] = await phases[name](kind);
      }
      ratios[0].push(found.watched / found.bare);
      ratios[1].push(found.folded / found.bare);
    }
    return [median(ratios[0]), median(ratios[1])];
  };
  try {
    const [single, bulk, contended] = [
      await measure(kinds.single),
      await measure(kinds.bulk),
      await measure(kinds.contended),
    ];
    return { single, bulk, contended, deadlocks };
  } finally {
    await Promise.all([sql.end(), owner.end(), keeping.end()]);
  }
}

/** Folds as the service's does: a second after the last fold, or as long as it took. Stopped, it lets a fold go. */
class Keeper {
  readonly #stop = new AbortController();
  readonly #work: Promise<void>;

  constructor(sql: postgres.Sql) {
    this.#work = this.#run(sql);
  }

  async #run(sql: postgres.Sql): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const began = performance.now();
      const fold = sql`SELECT queue_fold()`.execute();
      const letGo = () => fold.cancel();
      signal.addEventListener('abort', letGo);
      await fold.catch((error: { code?: string }) => {
        if (error.code !== CANCELLED) throw error;
      });
      signal.removeEventListener('abort', letGo);
      await sleep(Math.max(1000, performance.now() - began), undefined, { signal }).catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }
}
