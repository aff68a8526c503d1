/**
 * The queue of messages: pg-boss 10 on the same PostgreSQL, which this file and its keeper's alone know. Jobs are added, taken and
 * ended within the caller's transaction, over the service's own connections; its tables come from drizzle/0004. A job
 * has the id of its notification, so no message is in the queue twice.
 */
import { sql, type SQL, type SQLWrapper } from 'drizzle-orm';
import PgBoss from 'pg-boss';
import type { Reader, Tx } from '../db/client.ts';
import { idList } from '../db/id-list.ts';

const SCHEMA = 'payout_queue';
export const MAIL = 'mail';
const DEAD = 'mail-dead';
/** What drizzle/0004 gives an attempt; more than a mailer takes. Then its worker counts as dead. */
export const LEASE_SECONDS = 180;

/** pg-boss's statements within a transaction of Drizzle's. */
export class WithinTransaction implements PgBoss.Db {
  readonly #tx: Pick<Tx, 'execute'>;
  /** `fetch` swallows errors, and a transaction that failed must not go on. */
  fault: Error | undefined;

  constructor(tx: Pick<Tx, 'execute'>) {
    this.#tx = tx;
  }

  async executeSql(text: string, values: unknown[] = []): Promise<{ rows: Record<string, unknown>[] }> {
    try {
      return { rows: [...(await this.#tx.execute<Record<string, unknown>>(statement(text, values)))] };
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error));
      throw this.fault;
    }
  }
}

/** The text with its `$1` … as parameters of Drizzle's. */
function statement(text: string, values: readonly unknown[]): SQL {
  const parts = text.split(/\$(\d+)/);
  return sql.join(
    parts.map((part, index) =>
      index % 2 === 0 ? sql.raw(part) : sql`${parameter(values[Number(part) - 1])}`,
    ),
  );
}

function parameter(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Date) return value.toISOString();
  // Lists are of ids only.
  return Array.isArray(value) ? `{${value.join(',')}}` : JSON.stringify(value);
}

export const notStarted = { schema: SCHEMA, migrate: false, supervise: false, schedule: false };
/** Knows pg-boss's statements, and has no connection of its own: every call names its transaction. */
const boss = new PgBoss({
  ...notStarted,
  db: { executeSql: () => Promise.reject(new Error('A call to the queue names no transaction.')) },
});

export interface QueuedMail {
  notificationId: string;
  /** When this attempt fails, none follows. */
  isLast: boolean;
}

/** Puts messages into the queue, due at once; there with the transaction, or never. */
export async function addMails(tx: Tx, notificationIds: readonly string[]): Promise<void> {
  if (notificationIds.length === 0) return;
  const jobs = notificationIds.map((id) => ({ id, name: MAIL, data: { notificationId: id } }));
  await boss.insert(jobs, { db: new WithinTransaction(tx) });
}

/** Takes messages that are due. Whoever takes one and dies loses it again after three minutes. */
export async function takeMails(tx: Tx, limit: number): Promise<QueuedMail[]> {
  const db = new WithinTransaction(tx);
  const jobs = await boss.fetch(MAIL, { batchSize: limit, includeMetadata: true, db });
  if (db.fault) throw db.fault;
  return jobs.map(({ id, retryCount, retryLimit }) => ({
    notificationId: id,
    isLast: retryCount >= retryLimit,
  }));
}

/** The message has been sent, or need not be. */
export async function finishMail(tx: Tx, notificationId: string): Promise<void> {
  await boss.complete(MAIL, notificationId, {}, { db: new WithinTransaction(tx) });
}

/** The attempt failed: the message is due again later, or, after the last attempt, dead. */
export async function failMail(tx: Tx, notificationId: string, reason: string): Promise<void> {
  await boss.fail(MAIL, notificationId, { reason }, { db: new WithinTransaction(tx) });
}

/** The message can never be sent: dead at once. */
export async function abandonMail(tx: Tx, notificationId: string): Promise<void> {
  const db = new WithinTransaction(tx);
  await boss.cancel(MAIL, notificationId, { db });
  await boss.insert([{ name: DEAD, data: { notificationId } }], { db });
}

/** Puts a message that was sent or given up into the queue once more, with all its attempts before it. */
export async function requeueMail(tx: Tx, notificationId: string): Promise<void> {
  await boss.deleteJob(MAIL, notificationId, { db: new WithinTransaction(tx) });
  await addMails(tx, [notificationId]);
}

/** Takes one dead message out of the queue of them, for good once the transaction commits. */
export async function takeDeadMail(tx: Tx): Promise<string | undefined> {
  const db = new WithinTransaction(tx);
  const [job] = await boss.fetch<{ notificationId: string }>(DEAD, { db });
  if (db.fault) throw db.fault;
  if (!job) return undefined;
  await boss.complete(DEAD, job.id, {}, { db });
  return job.data.notificationId;
}

/** Condition: a job with this id is there, waiting, active or lately ended. */
export const isInQueue = (id: SQLWrapper): SQL =>
  sql`EXISTS (SELECT 1 FROM payout_queue.job j WHERE j.name = ${MAIL} AND j.id = ${id})`;

/** Makes messages due that wait for another attempt: where the clock was moved, which the database's never is. */
export async function hastenMails(tx: Tx, notificationIds: readonly string[]): Promise<void> {
  if (notificationIds.length === 0) return;
  await tx.execute(sql`
    UPDATE payout_queue.job SET start_after = now() - interval '1 second'
     WHERE name = ${MAIL} AND state < 'active' AND id = ANY(${idList(notificationIds)}::uuid[])`);
}

export interface QueueDepth {
  /** Due now, or about to be. */
  waiting: number;
  /** Waiting for another attempt. */
  retrying: number;
  /** Being sent. */
  active: number;
  /** Given up, and nobody told yet. */
  dead: number;
  /** Age of the oldest message that is not sent; 0 when there is none. */
  oldestSeconds: number;
}

/** How much there is to send, and for how long it has been waiting. */
export async function queueDepth(reader: Reader): Promise<QueueDepth> {
  const [row] = await reader.execute<Record<keyof QueueDepth, number>>(sql`
    SELECT count(*) FILTER (WHERE name = ${MAIL} AND state = 'created')::integer AS "waiting",
           count(*) FILTER (WHERE name = ${MAIL} AND state = 'retry')::integer AS "retrying",
           count(*) FILTER (WHERE name = ${MAIL} AND state = 'active')::integer AS "active",
           count(*) FILTER (WHERE name = ${DEAD})::integer AS "dead",
           coalesce(extract(epoch FROM now() - min(created_on) FILTER (WHERE name = ${MAIL})), 0)::float AS "oldestSeconds"
      FROM payout_queue.job WHERE state <= 'active'`);
  return { waiting: 0, retrying: 0, active: 0, dead: 0, oldestSeconds: 0, ...row };
}
