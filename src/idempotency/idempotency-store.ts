import { and, eq, isNull, lt, sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { idempotencyKeys } from '../db/schema/index.ts';

/** What a key belongs to: the same key of another caller, or on another route, is another key. */
export interface KeyScope {
  caller: string;
  /** Method and path with its ids. */
  route: string;
  key: string;
}

export type KeyRow = typeof idempotencyKeys.$inferSelect;

const isScope = ({ caller, route, key }: KeyScope) =>
  and(eq(idempotencyKeys.caller, caller), eq(idempotencyKeys.route, route), eq(idempotencyKeys.key, key));

/** Held until the transaction ends. False when another request with this key is running at this moment. */
export async function tryLockKey(tx: Tx, scope: KeyScope): Promise<boolean> {
  const [row] = await tx.execute<{ locked: boolean }>(
    sql`SELECT pg_try_advisory_xact_lock(hashtextextended(${JSON.stringify([scope.caller, scope.route, scope.key])}, 7203004)) AS locked`,
  );
  return row?.locked === true;
}

export async function findKey(tx: Tx, scope: KeyScope): Promise<KeyRow | undefined> {
  const [row] = await tx.select().from(idempotencyKeys).where(isScope(scope));
  return row;
}

export async function insertKey(tx: Tx, row: typeof idempotencyKeys.$inferInsert): Promise<void> {
  await tx.insert(idempotencyKeys).values(row);
}

export async function storeAnswer(
  tx: Tx,
  scope: KeyScope,
  answer: { status: number; body: Buffer },
): Promise<void> {
  await tx.update(idempotencyKeys).set(answer).where(isScope(scope));
}

/** Frees a key whose request ended without an answer to keep. */
export async function releaseKey(tx: Tx, scope: KeyScope): Promise<void> {
  await tx.delete(idempotencyKeys).where(and(isScope(scope), isNull(idempotencyKeys.status)));
}

/** Forgets keys that need not be kept for ever. Returns how many. */
export async function deleteKeysBefore(tx: Tx, before: Date): Promise<number> {
  const rows = await tx
    .delete(idempotencyKeys)
    .where(and(eq(idempotencyKeys.permanent, false), lt(idempotencyKeys.createdAt, before)))
    .returning({ key: idempotencyKeys.key });
  return rows.length;
}
