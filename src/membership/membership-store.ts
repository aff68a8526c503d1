import { and, asc, desc, eq, gt, inArray, isNull, lte, sql } from 'drizzle-orm';
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

/** A payout completed again after a return starts its removal anew. */
export async function upsertRemoval(
  tx: Tx,
  removal: { payoutId: string; userId: string; dueDate: IsoDate; createdAt: Date },
): Promise<void> {
  await tx
    .insert(membershipRemovals)
    .values({ ...removal, status: 'scheduled' })
    .onConflictDoUpdate({
      target: membershipRemovals.payoutId,
      set: { status: 'scheduled', dueDate: removal.dueDate, noticedAt: null, attempts: 0, lastError: null },
      setWhere: sql`${membershipRemovals.status} <> 'removed'`,
    });
}

export async function suspendRemoval(tx: Tx, payoutId: string): Promise<void> {
  await tx
    .update(membershipRemovals)
    .set({ status: 'suspended' })
    .where(and(eq(membershipRemovals.payoutId, payoutId), eq(membershipRemovals.status, 'scheduled')));
}

export const listDue = (reader: Reader, today: IsoDate): Promise<RemovalRow[]> =>
  reader
    .select()
    .from(membershipRemovals)
    .where(and(eq(membershipRemovals.status, 'scheduled'), lte(membershipRemovals.dueDate, today)))
    .orderBy(asc(membershipRemovals.dueDate), asc(membershipRemovals.id));

export const listToNotice = (reader: Reader, until: IsoDate): Promise<RemovalRow[]> =>
  reader
    .select()
    .from(membershipRemovals)
    .where(
      and(
        eq(membershipRemovals.status, 'scheduled'),
        lte(membershipRemovals.dueDate, until),
        isNull(membershipRemovals.noticedAt),
      ),
    )
    .orderBy(asc(membershipRemovals.dueDate));

/** True for the one caller whose write it was. */
export async function markNoticed(tx: Tx, id: string, at: Date): Promise<boolean> {
  const rows = await tx
    .update(membershipRemovals)
    .set({ noticedAt: at })
    .where(and(eq(membershipRemovals.id, id), isNull(membershipRemovals.noticedAt)))
    .returning({ id: membershipRemovals.id });
  return rows.length > 0;
}

/** Counts a try, before it is made. */
export async function countAttempt(tx: Tx, id: string): Promise<RemovalRow | undefined> {
  const [row] = await tx
    .update(membershipRemovals)
    .set({ attempts: sql`${membershipRemovals.attempts} + 1` })
    .where(and(eq(membershipRemovals.id, id), eq(membershipRemovals.status, 'scheduled')))
    .returning();
  return row;
}

export async function markRemoved(tx: Tx, id: string, at: Date): Promise<boolean> {
  const rows = await tx
    .update(membershipRemovals)
    .set({ status: 'removed', removedAt: at, lastError: null })
    .where(and(eq(membershipRemovals.id, id), eq(membershipRemovals.status, 'scheduled')))
    .returning({ id: membershipRemovals.id });
  return rows.length > 0;
}

export async function markAttemptFailed(tx: Tx, id: string, lastError: string): Promise<void> {
  await tx.update(membershipRemovals).set({ lastError }).where(eq(membershipRemovals.id, id));
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
  const [[user], subscriptions, [payout], [removal]] = await Promise.all([
    reader.select({ id: users.id }).from(users).where(eq(users.id, userId)),
    reader
      .select({ id: userSubscriptions.id })
      .from(userSubscriptions)
      .where(
        and(eq(userSubscriptions.userId, userId), inArray(userSubscriptions.status, ['active', 'trialing'])),
      )
      .limit(1),
    reader
      .select({
        completedDate: sql<string | null>`${payoutManagement.processing}->>'completedDate'`,
        removalDate: payoutManagement.membershipRemovalDate,
        payoutId: payoutManagement.payoutId,
      })
      .from(payoutManagement)
      .where(and(eq(payoutManagement.userId, userId), eq(payoutManagement.status, 'completed')))
      .orderBy(desc(payoutManagement.createdAt))
      .limit(1),
    reader
      .select()
      .from(membershipRemovals)
      .where(eq(membershipRemovals.userId, userId))
      .orderBy(desc(membershipRemovals.createdAt))
      .limit(1),
  ]);
  return user ? { isActive: subscriptions.length > 0, payout, removal } : undefined;
}
