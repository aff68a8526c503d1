import { and, asc, desc, eq, getTableColumns, gte, inArray, isNotNull, lt, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { payoutApprovals, payoutManagement, paymentAttempts } from '../db/schema/index.ts';
import { DomainError } from '../kernel/errors.ts';
import { decimalFromCents } from '../kernel/money.ts';
import { BANK_INFO_STATUSES, canMove, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { cursorInstant, decodeCursor } from '../kernel/paging.ts';
import { payoutFromRow, type AttemptRow, type Payout, type PayoutCase } from './payout.ts';

/** Columns that a change may set; amounts come in cents. */
export interface PayoutPatch extends Partial<
  Pick<
    Payout,
    | 'approvalWorkflow'
    | 'approvalRound'
    | 'approvedAt'
    | 'scheduledDate'
    | 'paymentMethod'
    | 'bankDetails'
    | 'bankDetailsVersion'
    | 'bankDetailsChangedAt'
    | 'taxWithholding'
    | 'processing'
    | 'receiptUrl'
    | 'internalNotes'
    | 'membershipRemovalDate'
    | 'heldFrom'
    | 'holdReason'
    | 'acceptedNames'
    | 'withheldCents'
    | 'netCents'
  >
> {
  status?: PayoutStatus;
}

export interface PayoutFilter {
  status?: PayoutStatus | undefined;
  userId?: string | undefined;
  from?: Date | undefined;
  to?: Date | undefined;
  limit: number;
  cursor?: string | undefined;
}

/** Locks the payout for the rest of the transaction and reads all that decides about it. */
export async function lockCase(tx: Tx, payoutId: string): Promise<PayoutCase | undefined> {
  const rows = await tx
    .select()
    .from(payoutManagement)
    .where(eq(payoutManagement.payoutId, payoutId))
    .for('update');
  const [subject] = await casesOf(tx, rows.map(payoutFromRow));
  return subject;
}

export async function findCase(reader: Reader, payoutId: string): Promise<PayoutCase | undefined> {
  const rows = await reader.select().from(payoutManagement).where(eq(payoutManagement.payoutId, payoutId));
  const [subject] = await casesOf(reader, rows.map(payoutFromRow));
  return subject;
}

/** Newest first; one row more than the limit, so that the caller sees whether there is a next page. */
export async function listCases(reader: Reader, filter: PayoutFilter): Promise<PayoutCase[]> {
  const { createdAt, payoutId } = payoutManagement;
  const after = filter.cursor === undefined ? undefined : decodeCursor(filter.cursor, 2);
  const conditions: (SQL | undefined)[] = [
    filter.status && eq(payoutManagement.status, filter.status),
    filter.userId && eq(payoutManagement.userId, filter.userId),
    filter.from && gte(createdAt, filter.from),
    filter.to && lt(createdAt, filter.to),
    after &&
      sql`(${createdAt}, ${payoutId}) < (${cursorInstant(after[0]).toISOString()}::timestamptz, ${String(after[1])})`,
  ].map((condition) => (condition === '' ? undefined : condition));
  const rows = await reader
    .select({ ...getTableColumns(payoutManagement), auditTrail: sql<Payout['auditTrail']>`'[]'::jsonb` })
    .from(payoutManagement)
    .where(and(...conditions))
    .orderBy(desc(createdAt), desc(payoutId))
    .limit(filter.limit + 1);
  return casesOf(reader, rows.map(payoutFromRow));
}

/** Locks every payout of a member that is not at its end, oldest first. */
export async function lockOpenCasesOf(
  tx: Tx,
  userId: string,
  statuses: readonly PayoutStatus[],
): Promise<PayoutCase[]> {
  const rows = await tx
    .select()
    .from(payoutManagement)
    .where(and(eq(payoutManagement.userId, userId), inArray(payoutManagement.status, [...statuses])))
    .orderBy(asc(payoutManagement.createdAt))
    .for('update');
  return casesOf(tx, rows.map(payoutFromRow));
}

/** The member's newest payout, of those that were approved unless `hidden` are wanted too. */
export async function findLatestId(
  reader: Reader,
  userId: string,
  hidden: boolean,
): Promise<string | undefined> {
  const [row] = await reader
    .select({ payoutId: payoutManagement.payoutId })
    .from(payoutManagement)
    .where(
      and(eq(payoutManagement.userId, userId), hidden ? undefined : isNotNull(payoutManagement.approvedAt)),
    )
    .orderBy(desc(payoutManagement.createdAt), desc(payoutManagement.payoutId))
    .limit(1);
  return row?.payoutId;
}

/** The payout that a member's bank details are for: one that waits for them, or else takes them, or else the newest. */
export async function findIdForBankInfo(reader: Reader, userId: string): Promise<string | undefined> {
  const { payoutId, status, createdAt, approvedAt } = payoutManagement;
  const [row] = await reader
    .select({ payoutId })
    .from(payoutManagement)
    .where(and(eq(payoutManagement.userId, userId), isNotNull(approvedAt)))
    .orderBy(
      desc(eq(status, 'pending_bank_info')),
      desc(inArray(status, [...BANK_INFO_STATUSES])),
      desc(createdAt),
      desc(payoutId),
    )
    .limit(1);
  return row?.payoutId;
}

async function casesOf(reader: Reader, payouts: Payout[]): Promise<PayoutCase[]> {
  if (payouts.length === 0) return [];
  const ids = payouts.map(({ payoutId }) => payoutId);
  const [approvals, attempts] = await Promise.all([
    reader
      .select()
      .from(payoutApprovals)
      .where(inArray(payoutApprovals.payoutId, ids))
      .orderBy(asc(payoutApprovals.decidedAt)),
    reader
      .select()
      .from(paymentAttempts)
      .where(inArray(paymentAttempts.payoutId, ids))
      .orderBy(asc(paymentAttempts.number)),
  ]);
  return payouts.map((payout) => {
    const own = attempts.filter(({ payoutId }) => payoutId === payout.payoutId);
    return {
      payout,
      approvals: approvals.filter(
        (approval) => approval.payoutId === payout.payoutId && approval.round === payout.approvalRound,
      ),
      ...attemptFacts(own),
    };
  });
}

const LIVE: readonly AttemptRow['status'][] = ['ready', 'sent', 'completed'];

function attemptFacts(attempts: AttemptRow[]): Omit<PayoutCase, 'payout' | 'approvals'> {
  const failed = attempts.filter(({ status }) => status === 'failed');
  return {
    liveAttempt: attempts.findLast(({ status }) => LIVE.includes(status)),
    lastFailure: failed.at(-1),
    failures: failed.length,
    lastAttemptNumber: attempts.at(-1)?.number ?? 0,
  };
}

/**
 * One compare-and-set: writes only if status and version still are what was read, and counts the version up.
 * Throws INVALID_STATE otherwise, or when the move is not in the lifecycle.
 */
export async function changePayout(
  tx: Tx,
  payout: Payout,
  patch: PayoutPatch & { auditTrail: Payout['auditTrail'] },
  at: Date,
): Promise<Payout> {
  const { withheldCents, netCents, ...columns } = patch;
  if (patch.status !== undefined && !canMove(payout.status, patch.status))
    throw cannotMove(payout, patch.status);
  const [row] = await tx
    .update(payoutManagement)
    .set({
      ...columns,
      ...(withheldCents === undefined ? {} : { withheldAmount: decimalFromCents(withheldCents) }),
      ...(netCents === undefined ? {} : { netAmount: decimalFromCents(netCents) }),
      version: payout.version + 1,
      updatedAt: at,
    })
    .where(
      and(
        eq(payoutManagement.payoutId, payout.payoutId),
        eq(payoutManagement.status, payout.status),
        eq(payoutManagement.version, payout.version),
      ),
    )
    .returning();
  if (!row) throw cannotMove(payout, patch.status ?? payout.status);
  return payoutFromRow(row);
}

const cannotMove = (payout: Payout, to: PayoutStatus) =>
  new DomainError('INVALID_STATE', `Payout ${payout.payoutId} is ${payout.status} and cannot become ${to}.`);
