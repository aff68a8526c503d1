import { sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { idList } from '../db/id-list.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import type { QueueMember, QueuePlace, QueueTotals } from './queue-member.ts';

/** What was read, and whether at that moment somebody waited for a fold: then it was not exact. */
export interface Glance<T> {
  isWaiting: boolean;
  value: T;
}

/**
 * A row as the driver gives it: text, numbers and booleans; in a glance all null where there is nobody. A type and not
 * an interface, as `execute` wants an index.
 */
type MemberRow = {
  user_id: string | null;
  email: string | null;
  full_name: string | null;
  queue_position: string;
  tenure_start: string;
  last_payment: string;
  payments: number;
  lifetime_total: string;
  subscription_status: string;
  has_payout: boolean;
  kyc_verified: boolean;
  tenure_number: number;
};
type GlanceRow = MemberRow & { is_waiting: boolean };

const IS_WAITING = sql`EXISTS (SELECT FROM queue_touched)`;

const bound = (place: QueuePlace | undefined): SQL =>
  sql`${place?.tenureStart ?? null}::timestamptz, ${place?.userId ?? null}::uuid`;

export interface CandidateQuery {
  after?: QueuePlace | undefined;
  before?: QueuePlace | undefined;
  /** Leaves out whom the rules would refuse. */
  isValid?: boolean;
  limit: number;
}

const pageOf = (query: CandidateQuery): SQL => sql`queue_candidate_page(
  ${bound(query.after)}, ${bound(query.before)}, ${query.isValid === true}, ${query.limit}::integer)`;

/** Candidates in queue order, with their positions among all members. */
export async function readCandidates(reader: Reader, query: CandidateQuery): Promise<Glance<QueueMember[]>> {
  return glanceAt(await reader.execute<GlanceRow>(sql`SELECT * FROM ${pageOf(query)}`));
}

/** The same, and the totals of that moment. */
export async function readCandidatesAndTotals(
  reader: Reader,
  query: CandidateQuery,
): Promise<Glance<{ members: QueueMember[]; totals: QueueTotals }>> {
  const rows = await reader.execute<GlanceRow & TotalsRow>(
    sql`SELECT ${TOTALS}, z.* FROM queue_totals t, ${pageOf(query)} z`,
  );
  const { isWaiting, value: members } = glanceAt(rows);
  return { isWaiting, value: { members, totals: totalsFrom(rows[0]) } };
}

/** In queue order; those who are not in it are missing. Folds first where somebody waits for it, in the same journey. */
export async function findMembersExactly(reader: Reader, userIds: readonly string[]): Promise<QueueMember[]> {
  const rows = await reader.execute<MemberRow>(
    sql`SELECT * FROM queue_lookup_exact(${idList(userIds)}::uuid[])`,
  );
  return rows.map(memberFromRow);
}

/** The same, of the last fold. */
export async function findMembers(reader: Reader, userIds: readonly string[]): Promise<QueueMember[]> {
  const rows = await reader.execute<GlanceRow>(sql`SELECT * FROM queue_lookup(${idList(userIds)}::uuid[])`);
  return glanceAt(rows).value;
}

/** How many candidates stand ahead of each of these members. */
export async function countAhead(reader: Reader, userIds: readonly string[]): Promise<Map<string, number>> {
  const rows = await reader.execute<{ user_id: string; ahead: string }>(sql`
    SELECT m.user_id, (
             SELECT coalesce(sum(d.candidates), 0) FROM queue_days d
              WHERE d.day < (m.tenure_start AT TIME ZONE 'UTC')::date) + (
             SELECT count(*) FROM queue_members o
              WHERE o.is_candidate
                AND o.tenure_start >= ((m.tenure_start AT TIME ZONE 'UTC')::date)::timestamp AT TIME ZONE 'UTC'
                AND (o.tenure_start, o.user_id) < (m.tenure_start, m.user_id)) AS ahead
      FROM queue_members m WHERE m.in_queue AND m.user_id = ANY (${idList(userIds)}::uuid[])`);
  return new Map(rows.map((row) => [row.user_id, Number(row.ahead)]));
}

type TotalsRow = { revenue: string; candidates: string; live_payouts: string; live_gross: string };

const TOTALS = sql`t.revenue, t.candidates, t.live_payouts, t.live_gross`;

export async function readTotals(reader: Reader): Promise<Glance<QueueTotals>> {
  const [row] = await reader.execute<TotalsRow & { is_waiting: boolean }>(
    sql`SELECT ${IS_WAITING} AS is_waiting, ${TOTALS} FROM queue_totals t`,
  );
  return { isWaiting: row?.is_waiting === true, value: totalsFrom(row) };
}

function totalsFrom(row: TotalsRow | undefined): QueueTotals {
  if (!row) throw new Error('queue_totals has lost its row.');
  return {
    revenueCents: centsFromDecimal(row.revenue),
    candidates: Number(row.candidates),
    livePayouts: Number(row.live_payouts),
    liveGrossCents: centsFromDecimal(row.live_gross),
  };
}

/** Folds what is logged. False where the main app's tables are not watched, and so nothing was logged. */
export async function fold(reader: Reader): Promise<boolean> {
  const [row] = await reader.execute<{ watched: boolean }>(sql`SELECT queue_fold() AS watched`);
  return row?.watched === true;
}

/** Sixteenths of all members, so that no statement takes long. */
const SLICES = Array.from('0123456789abcdef', (digit) => ({
  low: `${digit}0000000-0000-0000-0000-000000000000`,
  high: `${digit}fffffff-ffff-ffff-ffff-ffffffffffff`,
}));
export type Slice = (typeof SLICES)[number];
export const slices: readonly Slice[] = SLICES;

/** Logs the members of a slice of whom the rollup says something else than the tables, and counts them. */
export async function touchDrifted(tx: Tx | Reader, { low, high }: Slice): Promise<number> {
  const [row] = await tx.execute<{ count: string }>(
    sql`SELECT queue_touch_drifted(${low}::uuid, ${high}::uuid) AS count`,
  );
  return Number(row?.count);
}

/** Up to `limit` members of the slice of whom the rollup says something else than the tables, and how many there are. */
export async function findDrifted(
  reader: Reader,
  { low, high }: Slice,
  limit: number,
): Promise<{ count: number; userIds: string[] }> {
  const rows = await reader.execute<{ user_id: string; count: string }>(sql`
    SELECT d AS user_id, count(*) OVER () AS count FROM queue_drifted(${low}::uuid, ${high}::uuid) d
     ORDER BY d LIMIT ${limit}`);
  return { count: Number(rows[0]?.count ?? 0), userIds: rows.map((row) => row.user_id) };
}

/** The days and totals that are not what the members add up to, and the first candidate. */
export async function findWrongSums(reader: Reader): Promise<string[]> {
  const rows = await reader.execute<{ name: string }>(sql`
    WITH counted AS (
      SELECT (tenure_start AT TIME ZONE 'UTC')::date AS day, count(*) AS members,
             count(*) FILTER (WHERE is_candidate) AS candidates
        FROM queue_members WHERE in_queue GROUP BY 1
    ), summed AS (
      SELECT coalesce(sum(revenue), 0) AS revenue, count(*) FILTER (WHERE in_queue) AS members,
             count(*) FILTER (WHERE is_candidate) AS candidates, coalesce(sum(live_payouts), 0) AS live_payouts,
             coalesce(sum(live_gross), 0) AS live_gross FROM queue_members
    )
    SELECT 'day ' || coalesce(c.day, d.day)::text AS name FROM counted c FULL JOIN queue_days d ON d.day = c.day
     WHERE (coalesce(c.members, 0), coalesce(c.candidates, 0))
           IS DISTINCT FROM (coalesce(d.members, 0), coalesce(d.candidates, 0))
    UNION ALL
    SELECT 'totals' FROM summed s
     WHERE NOT EXISTS (SELECT FROM queue_totals t
                        WHERE (t.revenue, t.members, t.candidates, t.live_payouts, t.live_gross)
                            = (s.revenue, s.members, s.candidates, s.live_payouts, s.live_gross))
    UNION ALL
    SELECT 'first' FROM queue_totals t
      LEFT JOIN (SELECT tenure_start, user_id FROM queue_members WHERE is_candidate
                  ORDER BY tenure_start, user_id LIMIT 1) f ON true
     WHERE (t.first_start, t.first_user) IS DISTINCT FROM (f.tenure_start, f.user_id)
        OR t.ahead <> (SELECT count(*) FROM queue_members m
                        WHERE m.in_queue AND (m.tenure_start, m.user_id) < (f.tenure_start, f.user_id))
     ORDER BY 1`);
  return rows.map((row) => row.name);
}

export async function recount(reader: Reader): Promise<void> {
  await reader.execute(sql`SELECT queue_recount()`);
}

/** Sets the triggers that are missing. Needs the owner of the queue's functions. False where it may not. */
export async function watch(reader: Reader): Promise<boolean> {
  const [row] = await reader.execute<{ watched: boolean }>(sql`SELECT queue_watch() AS watched`);
  return row?.watched === true;
}

/** Folding everybody, after the migration or a TRUNCATE, may take longer than a request would wait. */
export async function allowTime(tx: Tx): Promise<void> {
  await tx.execute(sql`SET LOCAL statement_timeout = '15min'`);
}

/** Does anybody wait for a fold, and are the tables watched? */
export async function readState(reader: Reader): Promise<{ isWaiting: boolean; isWatched: boolean }> {
  const [row] = await reader.execute<{ waiting: boolean; watched: boolean }>(
    sql`SELECT ${IS_WAITING} AS waiting, queue_watched() AS watched`,
  );
  return { isWaiting: row?.waiting === true, isWatched: row?.watched === true };
}

const glanceAt = (rows: Iterable<GlanceRow>): Glance<QueueMember[]> => {
  const all = [...rows];
  return {
    isWaiting: all[0]?.is_waiting === true,
    value: all.filter((row) => row.user_id !== null).map(memberFromRow),
  };
};

function memberFromRow(row: MemberRow): QueueMember {
  const userId = row.user_id ?? '';
  const tenureStart = isoMicroseconds(row.tenure_start);
  return {
    userId,
    email: row.email ?? '',
    fullName: row.full_name ?? '',
    queuePosition: Number(row.queue_position),
    tenureStartDate: new Date(tenureStart),
    lastPaymentDate: new Date(isoMicroseconds(row.last_payment)),
    totalPayments: row.payments,
    lifetimeTotalCents: centsFromDecimal(row.lifetime_total),
    subscriptionStatus: row.subscription_status,
    isEligible: row.subscription_status === 'active',
    meetsTimeRequirement: row.payments >= 12,
    hasReceivedPayout: row.has_payout,
    kycVerified: row.kyc_verified,
    tenureNumber: row.tenure_number,
    place: { tenureStart, userId },
  };
}

/** '2021-01-05 00:00:00.12+00', as PostgreSQL writes it in UTC, as '2021-01-05T00:00:00.120000Z'. */
const isoMicroseconds = (text: string): string =>
  `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(6, '0')}Z`;
