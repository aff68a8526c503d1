import { and, desc, eq, isNull, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { adminAlerts, type AlertSeverity } from '../db/schema/index.ts';
import { UUID_PATTERN } from '../kernel/ids.ts';
import { cursorInstant, decodeCursor, invalidCursor } from '../kernel/paging.ts';

export type AlertRow = typeof adminAlerts.$inferSelect;

export interface AlertFilter {
  severity?: AlertSeverity | undefined;
  category?: string | undefined;
  /** True for those that still want somebody's attention: neither acknowledged nor closed. */
  open?: boolean | undefined;
  limit: number;
  cursor?: string | undefined;
}

const WANTS_ATTENTION = sql`(${adminAlerts.acknowledgedAt} IS NULL AND ${adminAlerts.closedAt} IS NULL)`;

/** Newest first; one row more than the limit, so that the caller sees whether there is a next page. */
export async function listAlerts(reader: Reader, filter: AlertFilter): Promise<AlertRow[]> {
  const conditions: (SQL | undefined)[] = [
    filter.severity === undefined ? undefined : eq(adminAlerts.severity, filter.severity),
    filter.category === undefined ? undefined : eq(adminAlerts.category, filter.category),
    filter.open === undefined ? undefined : filter.open ? WANTS_ATTENTION : sql`NOT ${WANTS_ATTENTION}`,
    filter.cursor === undefined ? undefined : after(filter.cursor),
  ];
  return reader
    .select()
    .from(adminAlerts)
    .where(and(...conditions))
    .orderBy(desc(adminAlerts.createdAt), desc(adminAlerts.id))
    .limit(filter.limit + 1);
}

function after(cursor: string): SQL {
  const [createdAt, id] = decodeCursor(cursor, 2);
  if (typeof id !== 'string' || !UUID_PATTERN.test(id)) {
    throw invalidCursor();
  }
  return sql`(${adminAlerts.createdAt}, ${adminAlerts.id}) < (${cursorInstant(createdAt).toISOString()}::timestamptz, ${id}::uuid)`;
}

export async function findAlert(reader: Reader, id: string): Promise<AlertRow | undefined> {
  const [row] = await reader.select().from(adminAlerts).where(eq(adminAlerts.id, id));
  return row;
}

/** Acknowledges an alert that nobody has acknowledged yet. Returns undefined when there is none such. */
export async function acknowledgeAlert(
  tx: Tx,
  id: string,
  adminId: number,
  at: Date,
): Promise<AlertRow | undefined> {
  const [row] = await tx
    .update(adminAlerts)
    .set({ acknowledgedBy: adminId, acknowledgedAt: at })
    .where(and(eq(adminAlerts.id, id), isNull(adminAlerts.acknowledgedAt)))
    .returning();
  return row;
}
