import { notInArray, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { payoutManagement } from '../db/schema/index.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import { RELEASED_STATUSES } from '../kernel/payout-lifecycle.ts';
import type { QueueMember } from './candidate.ts';

/** A row as the driver gives it: text, numbers and booleans. A type and not an interface, as `execute` wants an index. */
type QueueRow = {
  user_id: string;
  email: string;
  full_name: string | null;
  queue_position: string;
  tenure_start_date: string;
  last_payment_date: string;
  total_successful_payments: string;
  lifetime_payment_total: string;
  subscription_status: string;
  is_eligible: boolean;
  meets_time_requirement: boolean;
  has_received_payout: boolean;
  kyc_verified: boolean;
  tenure_number: number;
};

/** The newest identity check counts. */
const COLUMNS = sql`q.user_id, q.email, q.full_name, q.queue_position, q.tenure_start_date, q.last_payment_date,
  q.total_successful_payments, q.lifetime_payment_total, q.subscription_status, q.is_eligible, q.meets_time_requirement,
  q.has_received_payout, q.tenure_number,
  coalesce((SELECT k.status = 'verified' FROM kyc_verification k WHERE k.user_id = q.user_id
             ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1), false) AS kyc_verified`;

/** Taken by every initiation until it commits: one at a time looks at what is funded and takes it. */
const INITIATION_LOCK = 7_203_003;

async function readQueue(reader: Reader, condition: SQL, limit?: number): Promise<QueueMember[]> {
  const rows = await reader.execute<QueueRow>(
    sql`SELECT ${COLUMNS} FROM active_member_queue_view q WHERE ${condition} ORDER BY q.queue_position
        ${limit === undefined ? sql`` : sql`LIMIT ${limit}`}`,
  );
  return rows.map(memberFromRow);
}

const memberFromRow = (row: QueueRow): QueueMember => ({
  userId: row.user_id,
  email: row.email,
  fullName: row.full_name ?? '',
  queuePosition: Number(row.queue_position),
  tenureStartDate: new Date(row.tenure_start_date),
  lastPaymentDate: new Date(row.last_payment_date),
  totalPayments: Number(row.total_successful_payments),
  lifetimeTotalCents: centsFromDecimal(row.lifetime_payment_total),
  subscriptionStatus: row.subscription_status,
  isEligible: row.is_eligible,
  meetsTimeRequirement: row.meets_time_requirement,
  hasReceivedPayout: row.has_received_payout,
  kycVerified: row.kyc_verified,
  tenureNumber: row.tenure_number,
});

const CANDIDATE = sql`q.is_eligible AND NOT q.has_received_payout`;

/** In queue order, after a position. */
export const listCandidates = (
  reader: Reader,
  afterPosition: number,
  limit: number,
): Promise<QueueMember[]> =>
  readQueue(reader, sql`${CANDIDATE} AND q.queue_position > ${afterPosition}`, limit);

export const findMembers = (reader: Reader, userIds: readonly string[]): Promise<QueueMember[]> =>
  readQueue(
    reader,
    sql`q.user_id IN (${sql.join(
      userIds.map((id) => sql`${id}::uuid`),
      sql`, `,
    )})`,
  );

/** Everybody ahead of a position who has not won in this tenure, with whatever bars them. */
export const listAhead = (reader: Reader, position: number): Promise<QueueMember[]> =>
  readQueue(reader, sql`${CANDIDATE} AND q.queue_position < ${position}`);

export async function countCandidates(reader: Reader): Promise<number> {
  const [row] = await reader.execute<{ count: string }>(
    sql`SELECT count(*) AS count FROM active_member_queue_view q WHERE ${CANDIDATE}`,
  );
  return Number(row?.count ?? 0);
}

export async function lockInitiation(tx: Tx): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${INITIATION_LOCK})`);
}

export async function takenTranches(tx: Tx): Promise<number[]> {
  const rows = await tx
    .select({ tranche: payoutManagement.fundingTranche })
    .from(payoutManagement)
    .where(notInArray(payoutManagement.status, [...RELEASED_STATUSES]));
  return rows.map(({ tranche }) => tranche);
}

export async function insertPayout(tx: Tx, row: typeof payoutManagement.$inferInsert): Promise<void> {
  await tx.insert(payoutManagement).values(row);
}
