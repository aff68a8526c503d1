/** Many writers at the tables behind the queue, hot members among theirs, while others fold and compare. */
import { randomBytes, randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { differences, makePlainView } from '../support/plain-queue.ts';

export interface ChaosOptions {
  /** The owner's, of a migrated database in which nobody works. */
  url: string;
  writers: number;
  seconds: number;
  members: number;
  seed: number;
}

export interface ChaosResult {
  transactions: number;
  rolledBack: number;
  refused: number;
  deadlocks: number;
  folds: number;
  comparisons: number;
  /** Members or sums that were found to differ, while it ran and at its end. */
  drifted: number;
  members: number;
  payments: number;
}

const ALL = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'] as const;
const rollBack = new Error('rolled back');

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const sql = postgres(options.url, {
    max: options.writers + 3,
    onnotice: () => {},
    connection: { statement_timeout: 20_000 },
  });
  const result: ChaosResult = {
    transactions: 0,
    rolledBack: 0,
    refused: 0,
    deadlocks: 0,
    folds: 0,
    comparisons: 0,
    drifted: 0,
    members: 0,
    payments: 0,
  };
  const random = randomFrom(options.seed);
  try {
    await makePlainView(sql);
    const world = await makeWorld(sql, options.members, random);
    const deadline = performance.now() + options.seconds * 1000;
    const until = async (work: () => Promise<void>) => {
      while (performance.now() < deadline) await work();
    };
    await Promise.all([
      ...Array.from({ length: options.writers }, () => until(() => writeOnce(sql, world, random, result))),
      until(async () => {
        await sql`SELECT queue_fold()`;
        result.folds += 1;
      }),
      until(async () => {
        await sql`SELECT queue_fold()`;
        result.folds += 1;
      }),
      // At any moment, folded or not, nobody differs who does not wait in the log, and the view is exact.
      until(async () => {
        result.drifted += await countDrifted(sql);
        result.drifted += (await differences(sql)).length;
        result.comparisons += 1;
      }),
    ]);
    await sql`SELECT queue_fold()`;
    const [waiting] = await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM queue_touched`;
    if (waiting?.count !== 0) throw new Error('A fold left somebody in the log.');
    result.drifted += await countDrifted(sql);
    result.drifted += (await differences(sql)).length;
    result.drifted += await countWrongTotals(sql);
    const [size] = await sql<{ members: number; payments: number }[]>`
      SELECT (SELECT count(*)::integer FROM plain_queue_view) AS members,
             (SELECT count(*)::integer FROM user_payments) AS payments`;
    return { ...result, ...size };
  } finally {
    await sql.end();
  }
}

async function countDrifted(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    SELECT count(*)::integer AS count FROM queue_drifted(${ALL[0]}::uuid, ${ALL[1]}::uuid)`;
  return row?.count ?? 1;
}

/** Revenue, counts, days, identity checks and who stands ahead against the tables, by none of the service's code. */
async function countWrongTotals(sql: postgres.Sql): Promise<number> {
  const [row] = await sql<{ wrong: number }[]>`
    SELECT ((SELECT revenue FROM queue_totals) IS DISTINCT FROM
              (SELECT coalesce(sum(amount), 0) FROM user_payments WHERE status = 'succeeded' AND upper(currency) = 'USD'))::integer
         + ((SELECT (members, candidates) FROM queue_totals) IS DISTINCT FROM
              (SELECT (count(*), count(*) FILTER (WHERE is_eligible AND NOT has_received_payout)) FROM plain_queue_view))::integer
         + ((SELECT (live_payouts, live_gross) FROM queue_totals) IS DISTINCT FROM
              (SELECT (count(*), coalesce(sum(amount), 0)) FROM payout_management
                WHERE status NOT IN ('rejected', 'cancelled')))::integer
         + ((SELECT ahead FROM queue_totals) IS DISTINCT FROM
              (SELECT coalesce(min(queue_position) FILTER (WHERE is_eligible AND NOT has_received_payout), 1) - 1
                 FROM plain_queue_view))::integer
         + (SELECT count(*)::integer FROM queue_members m
             WHERE m.kyc_verified IS DISTINCT FROM coalesce((
               SELECT k.status = 'verified' FROM kyc_verification k WHERE k.user_id = m.user_id
                ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1), false))
         + (SELECT count(*)::integer FROM (
              SELECT (tenure_start_date AT TIME ZONE 'UTC')::date AS day, count(*) AS members,
                     count(*) FILTER (WHERE is_eligible AND NOT has_received_payout) AS candidates
                FROM plain_queue_view GROUP BY 1) p
              FULL JOIN (SELECT * FROM queue_days WHERE members <> 0) d USING (day)
             WHERE (p.members, p.candidates) IS DISTINCT FROM (d.members, d.candidates)) AS wrong`;
  return row?.wrong ?? 1;
}

interface World {
  userIds: string[];
  adminId: number;
}

async function makeWorld(sql: postgres.Sql, members: number, random: () => number): Promise<World> {
  const userIds = Array.from({ length: members }, () => randomUUID());
  await sql`INSERT INTO users (id, email) SELECT i, i || '@example.com' FROM unnest(${userIds}::uuid[]) i`;
  const staff = randomUUID();
  await sql`INSERT INTO users (id, email) VALUES (${staff}, ${`${staff}@example.com`})`;
  const [admin] = await sql<{ id: number }[]>`
    INSERT INTO admin_users (user_id, role) VALUES (${staff}, 'admin') RETURNING id`;
  // Enough for every payout that is made here.
  await sql`INSERT INTO user_payments (user_id, amount, status) SELECT ${staff}, 9000000000, 'succeeded' FROM generate_series(1, 10)`;
  for (const userId of userIds) {
    if (random() < 0.8)
      await sql`INSERT INTO user_subscriptions (user_id, status) VALUES (${userId}, 'active')`;
  }
  return { userIds, adminId: admin?.id ?? 0 };
}

/** One transaction of one to four changes, one in five taken back. */
async function writeOnce(
  sql: postgres.Sql,
  world: World,
  random: () => number,
  result: ChaosResult,
): Promise<void> {
  try {
    await sql.begin(async (tx) => {
      const changes = 1 + Math.floor(random() * 4);
      for (let change = 0; change < changes; change += 1) await pick(CHANGES, random)(tx, world, random);
      if (random() < 0.2) throw rollBack;
    });
    result.transactions += 1;
  } catch (error) {
    if (error === rollBack) result.rolledBack += 1;
    else if ((error as { code?: string }).code === '40P01') result.deadlocks += 1;
    else if (/^(PO001|23\d\d\d)$/.test(String((error as { code?: string }).code))) result.refused += 1;
    else throw error;
  }
}

type Change = (tx: postgres.TransactionSql, world: World, random: () => number) => Promise<unknown>;

/** Half of the time one of the first ten, who are touched by everybody at once. */
const member = ({ userIds }: World, random: () => number): string => {
  const among = random() < 0.5 ? Math.min(10, userIds.length) : userIds.length;
  return userIds[Math.floor(random() * among)] ?? '';
};

const STATUSES = ['succeeded', 'succeeded', 'succeeded', 'failed', 'refunded'] as const;
const KYC_STATUSES = ['verified', 'verified', 'pending', 'rejected'] as const;
const cents = (random: () => number) => (1 + random() * 500).toFixed(2);
const instant = (random: () => number) =>
  new Date(Date.UTC(2024, 0, 1) + Math.floor(random() * 700) * 43_200_000);
/** A payment of somebody, found the same way whatever happened to it since. */
const onePayment = (tx: postgres.TransactionSql, world: World, random: () => number) =>
  tx`id = (SELECT p.id FROM user_payments p WHERE p.user_id = ${member(world, random)}
            ORDER BY p.id LIMIT 1 FOR UPDATE SKIP LOCKED)`;

const oneCheck = (tx: postgres.TransactionSql, world: World, random: () => number) =>
  tx`id = (SELECT k.id FROM kyc_verification k WHERE k.user_id = ${member(world, random)}
            ORDER BY k.id LIMIT 1 FOR UPDATE SKIP LOCKED)`;

const insertPayments: Change = (tx, world, random) =>
  tx`INSERT INTO user_payments ${tx(
    Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
      user_id: member(world, random),
      amount: cents(random),
      currency: random() < 0.9 ? 'USD' : 'EUR',
      status: pick(STATUSES, random),
      created_at: instant(random),
    })),
  )}`;

const CHANGES: readonly Change[] = [
  insertPayments,
  insertPayments,
  insertPayments,
  (tx, world, random) =>
    tx`UPDATE user_payments SET amount = ${cents(random)} WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) =>
    tx`UPDATE user_payments SET status = ${pick(STATUSES, random)} WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) =>
    tx`UPDATE user_payments SET created_at = ${instant(random)} WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) =>
    tx`UPDATE user_payments SET user_id = ${member(world, random)} WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) => tx`UPDATE user_payments SET currency = 'usd' WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) => tx`DELETE FROM user_payments WHERE ${onePayment(tx, world, random)}`,
  (tx, world, random) =>
    tx`INSERT INTO user_subscriptions (user_id, status, created_at)
       VALUES (${member(world, random)}, ${pick(['active', 'trialing', 'cancelled'], random)}, ${instant(random)})`,
  (tx, world, random) =>
    tx`UPDATE user_subscriptions SET status = ${pick(['active', 'trialing', 'cancelled'], random)}
        WHERE id = (SELECT s.id FROM user_subscriptions s WHERE s.user_id = ${member(world, random)}
                     ORDER BY s.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
  (tx, world, random) =>
    tx`DELETE FROM user_subscriptions
        WHERE id = (SELECT s.id FROM user_subscriptions s WHERE s.user_id = ${member(world, random)}
                     ORDER BY s.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
  (tx, world, random) =>
    tx`INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
         eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
       VALUES (${newId()}, ${member(world, random)}, 1, 100000, 'pending_approval', 300, 99700, '{}',
         ${world.adminId}, ${1 + Math.floor(random() * 1e9)}, ${Math.floor(random() * 2)}, 2, now(), now())`,
  (tx, world, random) =>
    tx`UPDATE payout_management SET status = 'cancelled', version = version + 1
        WHERE id = (SELECT m.id FROM payout_management m
                     WHERE m.user_id = ${member(world, random)} AND m.status = 'pending_approval'
                     ORDER BY m.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
  (tx, world, random) =>
    tx`INSERT INTO membership_removals (payout_id, user_id, due_date, status, removed_at, created_at)
       SELECT m.payout_id, m.user_id, current_date, 'removed', ${instant(random)}, now() FROM payout_management m
        WHERE m.user_id = ${member(world, random)} ORDER BY m.id LIMIT 1
       ON CONFLICT DO NOTHING`,
  (tx, world, random) =>
    tx`UPDATE membership_removals SET removed_at = ${instant(random)}
        WHERE id = (SELECT r.id FROM membership_removals r
                     WHERE r.user_id = ${member(world, random)} AND r.status = 'removed'
                     ORDER BY r.id LIMIT 1 FOR UPDATE SKIP LOCKED)`,
  (tx, world, random) =>
    tx`INSERT INTO kyc_verification (user_id, status, verified_at)
       VALUES (${member(world, random)}, ${pick(KYC_STATUSES, random)}, ${instant(random)})`,
  (tx, world, random) =>
    tx`UPDATE kyc_verification SET status = ${pick(KYC_STATUSES, random)}, user_id = ${member(world, random)}
        WHERE ${oneCheck(tx, world, random)}`,
  (tx, world, random) => tx`DELETE FROM kyc_verification WHERE ${oneCheck(tx, world, random)}`,
];

const newId = () => `PO-2026-${randomBytes(4).toString('hex').toUpperCase()}`;

const pick = <T>(from: readonly T[], random: () => number): T =>
  from[Math.floor(random() * from.length)] as T;

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
