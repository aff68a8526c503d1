import { and, asc, desc, eq, inArray, lte, not, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { personName } from '../db/person-name.ts';
import {
  notifications,
  payoutManagement,
  users,
  type NotificationStatus,
  type TrailEntry,
} from '../db/schema/index.ts';
import { UUID_PATTERN } from '../kernel/ids.ts';
import { cursorInstant, decodeCursor, invalidCursor } from '../kernel/paging.ts';
import { isInQueue } from './mail-queue.ts';

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

export async function lockNotifications(tx: Tx, ids: readonly string[]): Promise<NotificationRow[]> {
  if (ids.length === 0) return [];
  const theirs = inArray(notifications.id, [...ids]);
  return tx.select().from(notifications).where(theirs).orderBy(asc(notifications.id)).for('update');
}

/** Notes the beginning of an attempt. `retryAt`: when another follows if this one never ends. */
export async function beginAttempt(tx: Tx, id: string, retryAt: Date): Promise<NotificationRow> {
  return changeNotification(tx, id, {
    status: 'sending',
    attempts: sql`${notifications.attempts} + 1`,
    nextAttemptAt: retryAt,
  });
}

/** Notes that an attempt failed, unless another one has begun since. */
export async function failAttempt(
  tx: Tx,
  { id, attempts }: NotificationRow,
  change: Pick<NotificationRow, 'status' | 'lastError' | 'nextAttemptAt'>,
): Promise<boolean> {
  const stillIts = and(
    eq(notifications.id, id),
    eq(notifications.status, 'sending'),
    eq(notifications.attempts, attempts),
  );
  const rows = await tx.update(notifications).set(change).where(stillIts).returning({ id: notifications.id });
  return rows.length > 0;
}

const isOpen = inArray(notifications.status, ['queued', 'sending']);

/** Messages that should have been tried by now. */
export async function dueIds(reader: Reader, now: Date): Promise<string[]> {
  const due = and(isOpen, lte(notifications.nextAttemptAt, now));
  const rows = await reader.select({ id: notifications.id }).from(notifications).where(due);
  return rows.map(({ id }) => id);
}

/** Messages that are to be sent and are not in the queue: written by an older version, or the queue was emptied. */
export async function unqueuedIds(tx: Tx, limit: number): Promise<string[]> {
  const rows = await tx
    .select({ id: notifications.id })
    .from(notifications)
    .where(and(isOpen, not(isInQueue(notifications.id))))
    .limit(limit)
    .for('update', { skipLocked: true });
  return rows.map(({ id }) => id);
}

export async function lockNotification(tx: Tx, id: string): Promise<NotificationRow | undefined> {
  const [row] = await tx.select().from(notifications).where(eq(notifications.id, id)).for('update');
  return row;
}

export async function changeNotification(
  tx: Tx,
  id: string,
  change: Partial<
    Pick<NotificationRow, 'status' | 'nextAttemptAt' | 'lastError' | 'sentAt' | 'messageId'> & {
      attempts: number | SQL;
    }
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
  const [row] = await reader.select({ address: users.email, name }).from(users).where(eq(users.id, userId));
  return row && { address: row.address, name: row.name || row.address };
}

export async function findPayeeName(reader: Reader, payoutId: string): Promise<string> {
  const [row] = await reader
    .select({ name })
    .from(payoutManagement)
    .innerJoin(users, eq(users.id, payoutManagement.userId))
    .where(eq(payoutManagement.payoutId, payoutId));
  return row?.name ?? '';
}

const name = sql<string | null>`${personName()}`;

/** Adds to a payout's own trail, without counting as a change of the payout. */
export async function appendToTrail(tx: Tx, payoutId: string, entry: TrailEntry): Promise<void> {
  await tx
    .update(payoutManagement)
    .set({ auditTrail: sql`${payoutManagement.auditTrail} || ${JSON.stringify([entry])}::jsonb` })
    .where(eq(payoutManagement.payoutId, payoutId));
}
