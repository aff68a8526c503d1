import { and, desc, eq, inArray, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { idList } from '../db/id-list.ts';
import { insertMany } from '../db/insert-many.ts';
import { taxFormDocuments, taxForms, type TaxFormStatus } from '../db/schema/index.ts';
import { cursorInstant, decodeCursor } from '../kernel/paging.ts';

export type TaxFormRow = typeof taxForms.$inferSelect;

export interface TaxFormFilter {
  status?: TaxFormStatus | undefined;
  userId?: string | undefined;
  year?: number | undefined;
  limit: number;
  cursor?: string | undefined;
}

export async function listForms(reader: Reader, filter: TaxFormFilter): Promise<TaxFormRow[]> {
  const after = filter.cursor === undefined ? undefined : decodeCursor(filter.cursor, 2);
  const conditions: (SQL | undefined)[] = [
    filter.status === undefined ? undefined : eq(taxForms.status, filter.status),
    filter.userId === undefined ? undefined : eq(taxForms.userId, filter.userId),
    filter.year === undefined ? undefined : eq(taxForms.taxYear, filter.year),
    after &&
      sql`(${taxForms.createdAt}, ${taxForms.formId}) < (${cursorInstant(after[0]).toISOString()}::timestamptz, ${String(after[1])})`,
  ];
  return reader
    .select()
    .from(taxForms)
    .where(and(...conditions))
    .orderBy(desc(taxForms.createdAt), desc(taxForms.formId))
    .limit(filter.limit + 1);
}

export async function findForm(reader: Reader, formId: string): Promise<TaxFormRow | undefined> {
  const [row] = await reader.select().from(taxForms).where(eq(taxForms.formId, formId));
  return row;
}

export async function lockForm(tx: Tx, formId: string): Promise<TaxFormRow | undefined> {
  const [row] = await tx.select().from(taxForms).where(eq(taxForms.formId, formId)).for('update');
  return row;
}

/** First key of the locks on a person's forms; the second is a hash of who it is. */
const FORMS_LOCK = 7_203_005;

/** Of many people at once, always in the same order. */
export async function lockFormsOfAll(tx: Tx, userIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    SELECT pg_advisory_xact_lock(${FORMS_LOCK}::integer, wanted.lock)
      FROM (SELECT DISTINCT hashtext(id) AS lock FROM unnest(${idList(userIds)}::text[]) AS id ORDER BY 1) wanted`);
}

/** Held until the commit: of several that make a form for the same person at once, each sees those before it. */
export async function lockFormsOf(tx: Tx, userId: string): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${FORMS_LOCK}::integer, hashtext(${userId}))`);
}

/** The W-9 of a member in one status: at most one is submitted, at most one approved. */
export async function findW9(
  reader: Reader,
  userId: string,
  status: 'submitted' | 'approved',
): Promise<TaxFormRow | undefined> {
  const [row] = await reader
    .select()
    .from(taxForms)
    .where(and(eq(taxForms.userId, userId), eq(taxForms.formType, 'W-9'), eq(taxForms.status, status)));
  return row;
}

/** The W-9 from which a 1099 was made, though another may count by now. */
export async function findW9Behind(reader: Reader, form1099: TaxFormRow): Promise<TaxFormRow | undefined> {
  return form1099.w9FormId === null ? undefined : findForm(reader, form1099.w9FormId);
}

/** Forms by their ids, in no order. */
export const findForms = (reader: Reader, formIds: readonly string[]): Promise<TaxFormRow[]> =>
  formIds.length === 0
    ? Promise.resolve([])
    : reader
        .select()
        .from(taxForms)
        .where(inArray(taxForms.formId, [...formIds]));

export const insertForms = (tx: Tx, rows: readonly (typeof taxForms.$inferInsert)[]): Promise<void> =>
  insertMany(tx, taxForms, rows);

export async function insertForm(tx: Tx, row: typeof taxForms.$inferInsert): Promise<TaxFormRow> {
  const [form] = await tx.insert(taxForms).values(row).returning();
  if (!form) throw new Error('The form was not inserted.');
  return form;
}

/** Sets a form's status if it still is in one of `from`. Returns undefined when it is not. */
export async function moveForm(
  tx: Tx,
  formId: string,
  from: readonly TaxFormStatus[],
  change: Partial<Pick<TaxFormRow, 'status' | 'reviewedBy' | 'reviewedAt' | 'reason' | 'needsCorrection'>> & {
    updatedAt: Date;
  },
): Promise<TaxFormRow | undefined> {
  const [row] = await tx
    .update(taxForms)
    .set(change)
    .where(and(eq(taxForms.formId, formId), inArray(taxForms.status, [...from])))
    .returning();
  return row;
}

/** Supersedes the member's W-9 of that status, if there is one. */
export async function supersedeW9(
  tx: Tx,
  userId: string,
  status: 'submitted' | 'approved',
  at: Date,
): Promise<void> {
  await tx
    .update(taxForms)
    .set({ status: 'superseded', updatedAt: at })
    .where(and(eq(taxForms.userId, userId), eq(taxForms.formType, 'W-9'), eq(taxForms.status, status)));
}

export async function findLive1099(
  reader: Reader,
  userId: string,
  year: number,
): Promise<TaxFormRow | undefined> {
  const [row] = await reader
    .select()
    .from(taxForms)
    .where(
      and(
        eq(taxForms.userId, userId),
        eq(taxForms.taxYear, year),
        eq(taxForms.formType, '1099-MISC'),
        eq(taxForms.status, 'issued'),
      ),
    );
  return row;
}

export async function findDocument(
  reader: Reader,
  formId: string,
  copy: 'B' | 'C',
  version: number,
): Promise<Buffer | undefined> {
  const [row] = await reader
    .select({ content: taxFormDocuments.content })
    .from(taxFormDocuments)
    .where(
      and(
        eq(taxFormDocuments.formId, formId),
        eq(taxFormDocuments.copy, copy),
        eq(taxFormDocuments.version, version),
      ),
    );
  return row?.content;
}

/** Keeps the first rendering of a version; a second one of the same is left out. */
export async function keepDocument(tx: Tx, row: typeof taxFormDocuments.$inferInsert): Promise<void> {
  await tx.insert(taxFormDocuments).values(row).onConflictDoNothing();
}
