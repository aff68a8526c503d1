import { and, asc, desc, eq, inArray, isNull, lte, lt, or, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import {
  notifications,
  payoutManagement,
  users,
  type NotificationStatus,
  type TrailEntry,
} from '../db/schema/index.ts';
import { UUID_PATTERN } from '../kernel/ids.ts';
import { cursorInstant, decodeCursor, invalidCursor } from '../kernel/paging.ts';

export type NotificationRow = typeof notifications.$inferSelect;

export interface NotificationFilter {
  status?: NotificationStatus | undefined;
  payoutId?: string | undefined;
  limit: number;
  cursor?: string | undefined;
}

export async function listNotifications(
  reader: Reader,
  filter: NotificationFilter,
): Promise<NotificationRow[]> {
  const conditions: (SQL | undefined)[] = [
    filter.status === undefined ? undefined : eq(notifications.status, filter.status),
    filter.payoutId === undefined ? undefined : eq(notifications.payoutId, filter.payoutId),
    filter.cursor === undefined ? undefined : after(filter.cursor),
  ];
  return reader
    .select()
    .from(notifications)
    .where(and(...conditions))
    .orderBy(desc(notifications.createdAt), desc(notifications.id))
    .limit(filter.limit + 1);
}

function after(cursor: string): SQL {
  const [createdAt, id] = decodeCursor(cursor, 2);
  if (typeof id !== 'string' || !UUID_PATTERN.test(id)) throw invalidCursor();
  return sql`(${notifications.createdAt}, ${notifications.id}) < (${cursorInstant(createdAt).toISOString()}::timestamptz, ${id}::uuid)`;
}

/** Takes messages that are due, for as long as the lease lasts; a worker that dies loses them to another. */
export async function claimDue(
  tx: Tx,
  now: Date,
  leaseUntil: Date,
  limit: number,
): Promise<NotificationRow[]> {
  const due = await tx
    .select({ id: notifications.id })
    .from(notifications)
    .where(
      and(
        inArray(notifications.status, ['queued', 'sending']),
        lte(notifications.nextAttemptAt, now),
        or(isNull(notifications.leaseUntil), lt(notifications.leaseUntil, now)),
      ),
    )
    .orderBy(asc(notifications.nextAttemptAt))
    .limit(limit)
    .for('update', { skipLocked: true });
  if (due.length === 0) return [];
  return tx
    .update(notifications)
    .set({ status: 'sending', leaseUntil, attempts: sql`${notifications.attempts} + 1` })
    .where(
      inArray(
        notifications.id,
        due.map(({ id }) => id),
      ),
    )
    .returning();
}

export async function lockNotification(tx: Tx, id: string): Promise<NotificationRow | undefined> {
  const [row] = await tx.select().from(notifications).where(eq(notifications.id, id)).for('update');
  return row;
}

export async function changeNotification(
  tx: Tx,
  id: string,
  change: Partial<
    Pick<
      NotificationRow,
      'status' | 'attempts' | 'nextAttemptAt' | 'leaseUntil' | 'lastError' | 'sentAt' | 'messageId'
    >
  >,
): Promise<NotificationRow> {
  const [row] = await tx.update(notifications).set(change).where(eq(notifications.id, id)).returning();
  if (!row) throw new Error('The notification is gone.');
  return row;
}

export interface Recipient {
  address: string;
  name: string;
}

export async function findRecipient(reader: Reader, userId: string): Promise<Recipient | undefined> {
  const [row] = await reader
    .select({ address: users.email, name: personName })
    .from(users)
    .where(eq(users.id, userId));
  return row && { address: row.address, name: row.name || row.address };
}

export async function findPayeeName(reader: Reader, payoutId: string): Promise<string> {
  const [row] = await reader
    .select({ name: personName })
    .from(payoutManagement)
    .innerJoin(users, eq(users.id, payoutManagement.userId))
    .where(eq(payoutManagement.payoutId, payoutId));
  return row?.name ?? '';
}

const personName = sql<string>`coalesce(nullif(concat_ws(' ', ${users.firstName}, ${users.lastName}), ''), ${users.name})`;

/** Adds to a payout's own trail, without counting as a change of the payout. */
export async function appendToTrail(tx: Tx, payoutId: string, entry: TrailEntry): Promise<void> {
  await tx
    .update(payoutManagement)
    .set({ auditTrail: sql`${payoutManagement.auditTrail} || ${JSON.stringify([entry])}::jsonb` })
    .where(eq(payoutManagement.payoutId, payoutId));
}
