import { PgDialect } from 'drizzle-orm/pg-core';
import type { SQL } from 'drizzle-orm';
import postgres from 'postgres';
import { Database, type Reader } from '../../src/db/client.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { MemberQueue } from '../../src/queue/member-queue.ts';
import { findMembersExactly, readCandidates, readTotals } from '../../src/queue/queue-store.ts';
import type { DataSet } from './data.ts';
import { median, timed } from './timing.ts';

/** Milliseconds in the server, but for `client` and `floorClient`: from the call to its answer, the journey and the driver with it. */
export interface ReadTimes {
  top: { plain: number; floor: number; ours: number; client: number; floorClient: number };
  position: { plain: number; ours: number };
  eligibility: { plain: number; ours: number };
  paymentToRead: number;
}

const PLAIN_TOP = `SELECT user_id, queue_position FROM plain_queue_view WHERE is_eligible AND NOT has_received_payout
  ORDER BY queue_position LIMIT 10`;
const PLAIN_SUMS = `SELECT (SELECT sum(amount) FROM user_payments WHERE status = 'succeeded' AND upper(currency) = 'USD') AS revenue,
  (SELECT count(*) FROM plain_queue_view WHERE is_eligible AND NOT has_received_payout) AS candidates`;
const FLOOR_TOP = `SELECT m.user_id, m.tenure_start, m.payments, m.lifetime_total FROM queue_members m WHERE m.is_candidate
  ORDER BY m.tenure_start, m.user_id LIMIT 10`;

/** The same questions to the plain view, to the index alone and to the service's own statements; throws on other answers. */
export async function measureReads({ url, members }: DataSet): Promise<ReadTimes> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { jit: false, statement_timeout: 0 } });
  const database = new Database({ url, poolSize: 2, role: 'payout_service' });
  const queue = new MemberQueue(database, systemClock);
  try {
    await queue.fold();
    const runs = members > 200_000 ? 1 : 3;
    const ours = await queue.candidates({ limit: 10 });
    const someone = String(
      (
        await sql`SELECT user_id FROM queue_members WHERE in_queue ORDER BY tenure_start OFFSET ${members / 2} LIMIT 1`
      )[0]?.['user_id'],
    );
    const found = (await queue.find([someone]))[0];
    const totals = await queue.totals();
    const top = await inTurn(sql, runs, PLAIN_TOP, [
      statementOf((reader) => readCandidates(reader, { limit: 10 })),
      [FLOOR_TOP, []],
    ]);
    const position = await inTurn(
      sql,
      runs,
      `SELECT queue_position FROM plain_queue_view WHERE user_id = '${someone}'`,
      [statementOf((reader) => findMembersExactly(reader, [someone]))],
    );
    const sums = await inTurn(sql, runs, PLAIN_SUMS, [statementOf(readTotals)]);
    same(
      'top 10',
      top.rows.map((row): [string, number] => [String(row['user_id']), Number(row['queue_position'])]),
      ours.map((member) => [member.userId, member.queuePosition]),
    );
    same('position', Number(position.rows[0]?.['queue_position']), found?.queuePosition);
    same('revenue', Math.round(Number(sums.rows[0]?.['revenue']) * 100), totals.revenueCents);
    same('candidates', Number(sums.rows[0]?.['candidates']), totals.candidates);
    const [client, floorClient] = await inTurnFromHere(
      () => queue.candidates({ limit: 10 }),
      async () => sql.unsafe(FLOOR_TOP, [], { prepare: true }),
    );
    // Each of another member, as nobody pays a hundred times; the first round reads their rows from the disk.
    const payers = await sql<{ user_id: string }[]>`
      SELECT user_id FROM queue_members WHERE in_queue ORDER BY tenure_start OFFSET ${members / 2} LIMIT 100`;
    let paymentToRead = Number.NaN;
    for (let round = 0; round < 2; round += 1) {
      const waits: number[] = [];
      for (const { user_id: payer } of payers) {
        const payment = async () => {
          await sql`INSERT INTO user_payments (user_id, amount, status) VALUES (${payer}, 1, 'succeeded')`;
          await queue.find([payer]);
        };
        waits.push((await timed(payment)).ms);
      }
      paymentToRead = median(waits);
    }
    await sql`DELETE FROM user_payments WHERE amount = 1 AND user_id IN ${sql(payers.map((payer) => payer.user_id))}`;
    await queue.fold();
    const [plainTop, oursTop, floorTop] = top.ms;
    return {
      top: { plain: plainTop ?? NaN, ours: oursTop ?? NaN, floor: floorTop ?? NaN, client, floorClient },
      position: { plain: position.ms[0] ?? NaN, ours: position.ms[1] ?? NaN },
      eligibility: { plain: sums.ms[0] ?? NaN, ours: sums.ms[1] ?? NaN },
      paymentToRead,
    };
  } finally {
    await Promise.all([sql.end(), database.close()]);
  }
}

function same(what: string, plain: unknown, ours: unknown): void {
  if (JSON.stringify(plain) !== JSON.stringify(ours))
    throw new Error(`Other answers for ${what}: ${JSON.stringify(plain)} and ${JSON.stringify(ours)}`);
}

type Statement = [text: string, values: unknown[]];

/** The text of a store's statement, caught on its way to the server. */
export function statementOf(read: (reader: Reader) => Promise<unknown>): Statement {
  let caught: Statement | undefined;
  const reader = {
    execute: (query: SQL) => {
      const { sql, params } = new PgDialect().sqlToQuery(query);
      caught = [sql, params];
      return Promise.reject(new Error('caught'));
    },
  };
  read(reader as unknown as Reader).catch(() => undefined);
  if (!caught) throw new Error('The store asked nothing.');
  return caught;
}

/** Runs the plain statement and, many times in between, the quick ones: medians of the server's own time, planning too. */
async function inTurn(sql: postgres.Sql, runs: number, plain: string, quick: readonly Statement[]) {
  const all: number[][] = [[], ...quick.map(() => [])];
  let rows: readonly postgres.Row[] = [];
  for (let run = 0; run < runs; run += 1) {
    const once = await timed(async () => sql.unsafe(plain));
    rows = once.value;
    all[0]?.push(once.ms);
    // One after the other each time, as the machine is not equally quick all the while.
    for (let time = 0; time < 200; time += 1)
      for (const [index, [text, values]] of quick.entries())
        all[index + 1]?.push(await serverTime(sql, text, values));
  }
  return { rows, ms: all.map(median) };
}

/** Medians from the call to its answer; what else the machine does meets both alike. */
async function inTurnFromHere(
  ours: () => Promise<unknown>,
  floor: () => Promise<unknown>,
): Promise<[number, number]> {
  const all: [number[], number[]] = [[], []];
  for (let time = 0; time < 300; time += 1) {
    all[0].push((await timed(ours)).ms);
    all[1].push((await timed(floor)).ms);
  }
  return [median(all[0]), median(all[1])];
}

async function serverTime(sql: postgres.Sql, text: string, values: unknown[]): Promise<number> {
  const [row] = await sql.unsafe(`EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`, values as string[], {
    prepare: true,
  });
  const [plan] = (row?.['QUERY PLAN'] ?? []) as { 'Planning Time': number; 'Execution Time': number }[];
  return (plan?.['Planning Time'] ?? NaN) + (plan?.['Execution Time'] ?? NaN);
}
