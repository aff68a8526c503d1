import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, lte, ne, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import {
  membershipRemovals,
  payoutManagement,
  userPayments,
  users,
  userSubscriptions,
} from '../db/schema/index.ts';
import type { IsoDate } from '../kernel/calendar.ts';

export type RemovalRow = typeof membershipRemovals.$inferSelect;

/**
 * A payout completed again after a return starts its removal anew. Where its member was removed before that, and may have
 * come back, it gets another one.
 */
export async function upsertRemoval(
  tx: Tx,
  removal: { payoutId: string; userId: string; dueDate: IsoDate; createdAt: Date },
): Promise<void> {
  await tx
    .insert(membershipRemovals)
    .values({ ...removal, status: 'scheduled' })
    .onConflictDoUpdate({
      target: membershipRemovals.payoutId,
      targetWhere: sql`status <> 'removed'`,
      set: { status: 'scheduled', dueDate: removal.dueDate, noticedAt: null, attempts: 0, lastError: null },
    });
}

export async function suspendRemoval(tx: Tx, payoutId: string): Promise<void> {
  await tx
    .update(membershipRemovals)
    .set({ status: 'suspended' })
    .where(and(eq(membershipRemovals.payoutId, payoutId), eq(membershipRemovals.status, 'scheduled')));
}

/** The next ones that are due, after one of them. */
export const listDue = (
  reader: Reader,
  today: IsoDate,
  after: RemovalRow | undefined,
  limit: number,
): Promise<RemovalRow[]> =>
  reader
    .select()
    .from(membershipRemovals)
    .where(
      and(
        eq(membershipRemovals.status, 'scheduled'),
        lte(membershipRemovals.dueDate, today),
        after
          ? sql`(${membershipRemovals.dueDate}, ${membershipRemovals.id}) > (${after.dueDate}::date, ${after.id}::uuid)`
          : undefined,
      ),
    )
    .orderBy(asc(membershipRemovals.dueDate), asc(membershipRemovals.id))
    .limit(limit);

/** Those that come within the days up to `until`. One that is due already is told of by its removal. */
export const listToNotice = (
  reader: Reader,
  today: IsoDate,
  until: IsoDate,
  limit: number,
): Promise<RemovalRow[]> =>
  reader
    .select()
    .from(membershipRemovals)
    .where(
      and(
        eq(membershipRemovals.status, 'scheduled'),
        gt(membershipRemovals.dueDate, today),
        lte(membershipRemovals.dueDate, until),
        isNull(membershipRemovals.noticedAt),
      ),
    )
    .orderBy(asc(membershipRemovals.dueDate), asc(membershipRemovals.id))
    .limit(limit);

/** Removals that are not to be made now, of which the subscription service was asked and no answer was recorded. */
export const listUnclear = (reader: Reader, today: IsoDate, limit: number): Promise<RemovalRow[]> =>
  reader
    .select()
    .from(membershipRemovals)
    .where(
      and(
        isNotNull(membershipRemovals.callStartedAt),
        sql`(${membershipRemovals.status} = 'suspended'
             OR (${membershipRemovals.status} = 'scheduled' AND ${membershipRemovals.dueDate} > ${today}::date))`,
      ),
    )
    .orderBy(asc(membershipRemovals.callStartedAt))
    .limit(limit);

/** True for the one caller whose write it was. */
export async function markNoticed(tx: Tx, id: string, at: Date): Promise<boolean> {
  const rows = await tx
    .update(membershipRemovals)
    .set({ noticedAt: at })
    .where(
      and(
        eq(membershipRemovals.id, id),
        eq(membershipRemovals.status, 'scheduled'),
        isNull(membershipRemovals.noticedAt),
      ),
    )
    .returning({ id: membershipRemovals.id });
  return rows.length > 0;
}

/** Counts a try, before it is made. Undefined where the removal is no longer to be made. */
export async function countAttempt(
  tx: Tx,
  id: string,
  today: IsoDate,
  at: Date,
): Promise<RemovalRow | undefined> {
  const [row] = await tx
    .update(membershipRemovals)
    .set({ attempts: sql`${membershipRemovals.attempts} + 1`, callStartedAt: at })
    .where(
      and(
        eq(membershipRemovals.id, id),
        eq(membershipRemovals.status, 'scheduled'),
        lte(membershipRemovals.dueDate, today),
      ),
    )
    .returning();
  return row;
}

/** Nothing was asked: the try does not count. */
export async function takeAttemptBack(tx: Tx, id: string): Promise<void> {
  await tx
    .update(membershipRemovals)
    .set({ attempts: sql`${membershipRemovals.attempts} - 1`, callStartedAt: null })
    .where(and(eq(membershipRemovals.id, id), gt(membershipRemovals.attempts, 0)));
}

/** The removal, locked; undefined where it has been made. */
export async function lockOpenRemoval(tx: Tx, id: string): Promise<RemovalRow | undefined> {
  const [row] = await tx
    .select()
    .from(membershipRemovals)
    .where(and(eq(membershipRemovals.id, id), ne(membershipRemovals.status, 'removed')))
    .for('update');
  return row;
}

export async function markRemoved(tx: Tx, id: string, at: Date): Promise<void> {
  await tx
    .update(membershipRemovals)
    .set({ status: 'removed', removedAt: at, lastError: null, callStartedAt: null })
    .where(eq(membershipRemovals.id, id));
}

/** `isUnclear`: the membership may have ended all the same. Returns whether it still is to be ended. */
export async function markAttemptFailed(
  tx: Tx,
  id: string,
  lastError: string,
  isUnclear: boolean,
): Promise<boolean> {
  const [row] = await tx
    .update(membershipRemovals)
    .set({ lastError, ...(isUnclear ? {} : { callStartedAt: null }) })
    .where(and(eq(membershipRemovals.id, id), ne(membershipRemovals.status, 'removed')))
    .returning({ status: membershipRemovals.status });
  return row?.status === 'scheduled';
}

/** It did not end after all. */
export async function forgetCall(tx: Tx, id: string): Promise<void> {
  await tx.update(membershipRemovals).set({ callStartedAt: null }).where(eq(membershipRemovals.id, id));
}

export async function hasLiveSubscription(reader: Reader, userId: string): Promise<boolean> {
  const rows = await reader
    .select({ id: userSubscriptions.id })
    .from(userSubscriptions)
    .where(
      and(eq(userSubscriptions.userId, userId), inArray(userSubscriptions.status, ['active', 'trialing'])),
    )
    .limit(1);
  return rows.length > 0;
}

export async function lockLastRemoval(tx: Tx, userId: string): Promise<RemovalRow | undefined> {
  const [row] = await tx
    .select()
    .from(membershipRemovals)
    .where(and(eq(membershipRemovals.userId, userId), eq(membershipRemovals.status, 'removed')))
    .orderBy(desc(membershipRemovals.removedAt))
    .limit(1)
    .for('update');
  return row;
}

export async function markReturned(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.update(membershipRemovals).set({ returnedAt: at }).where(eq(membershipRemovals.id, id));
}

/** The first succeeded payment of that day (UTC) after an instant. */
export async function findPaymentOn(
  reader: Reader,
  userId: string,
  day: IsoDate,
  after: Date,
): Promise<Date | undefined> {
  const [row] = await reader
    .select({ createdAt: userPayments.createdAt })
    .from(userPayments)
    .where(
      and(
        eq(userPayments.userId, userId),
        eq(userPayments.status, 'succeeded'),
        gt(userPayments.createdAt, after),
        sql`(${userPayments.createdAt} AT TIME ZONE 'UTC')::date = ${day}::date`,
      ),
    )
    .orderBy(asc(userPayments.createdAt))
    .limit(1);
  return row?.createdAt;
}

/** What a membership's status is told from; undefined for an unknown user. */
export async function readStanding(reader: Reader, userId: string) {
  const removals = (status: 'scheduled' | 'removed') =>
    reader
      .select()
      .from(membershipRemovals)
      .where(and(eq(membershipRemovals.userId, userId), eq(membershipRemovals.status, status)))
      .orderBy(desc(membershipRemovals.removedAt), desc(membershipRemovals.createdAt))
      .limit(1);
  const [[user], isActive, [payout], [scheduled], [removed]] = await Promise.all([
    reader.select({ id: users.id }).from(users).where(eq(users.id, userId)),
    hasLiveSubscription(reader, userId),
    reader
      .select({
        completedDate: sql<string | null>`${payoutManagement.processing}->>'completedDate'`,
        payoutId: payoutManagement.payoutId,
      })
      .from(payoutManagement)
      .where(and(eq(payoutManagement.userId, userId), eq(payoutManagement.status, 'completed')))
      .orderBy(desc(payoutManagement.createdAt))
      .limit(1),
    removals('scheduled'),
    removals('removed'),
  ]);
  return user ? { isActive, payout, scheduled, removed } : undefined;
}
