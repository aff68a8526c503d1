import { and, asc, desc, eq, inArray, lte, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { taxFormDocuments, taxForms, type TaxFormStatus } from '../db/schema/index.ts';
import { centsFromDecimal, type Cents } from '../kernel/money.ts';
import { cursorInstant, decodeCursor } from '../kernel/paging.ts';
import type { TinType } from './w9-rules.ts';

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

/** The W-9 behind a 1099: the one that counted when it was issued, though another may by now. */
export async function findW9Behind(reader: Reader, form1099: TaxFormRow): Promise<TaxFormRow | undefined> {
  if (form1099.tinLast4 === null) return undefined;
  const [row] = await reader
    .select()
    .from(taxForms)
    .where(
      and(
        eq(taxForms.userId, form1099.userId),
        eq(taxForms.formType, 'W-9'),
        inArray(taxForms.status, ['approved', 'superseded']),
        lte(taxForms.reviewedAt, form1099.createdAt),
      ),
    )
    .orderBy(desc(taxForms.reviewedAt), desc(taxForms.createdAt))
    .limit(1);
  return row;
}

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

export const listLive1099s = (reader: Reader, year: number): Promise<TaxFormRow[]> =>
  reader
    .select()
    .from(taxForms)
    .where(and(eq(taxForms.taxYear, year), eq(taxForms.formType, '1099-MISC'), eq(taxForms.status, 'issued')))
    .orderBy(asc(taxForms.formId));

/** What a payee was paid in a year: payments sent in it that did not come back. */
export interface YearIncome {
  userId: string;
  incomeCents: Cents;
  withheldCents: Cents;
  payoutIds: string[];
}

const PAID = sql`a.status IN ('sent', 'completed')`;

export async function readYearIncome(reader: Reader, year: number, userId?: string): Promise<YearIncome[]> {
  const rows = await reader.execute<{
    user_id: string;
    income: string;
    withheld: string;
    payout_ids: string[];
  }>(sql`
    SELECT p.user_id, sum(p.amount) AS income, sum(a.withheld_amount) AS withheld,
           array_agg(p.payout_id ORDER BY p.payout_id) AS payout_ids
      FROM payment_attempts a JOIN payout_management p ON p.payout_id = a.payout_id
     WHERE ${PAID} AND a.sent_date >= make_date(${year}, 1, 1) AND a.sent_date < make_date(${year + 1}, 1, 1)
       ${userId === undefined ? sql`` : sql`AND p.user_id = ${userId}::uuid`}
     GROUP BY p.user_id ORDER BY p.user_id`);
  return rows.map((row) => ({
    userId: row.user_id,
    incomeCents: centsFromDecimal(row.income),
    withheldCents: centsFromDecimal(row.withheld),
    payoutIds: row.payout_ids,
  }));
}

/** Withheld by month of the date sent, for Form 945. */
export async function readWithholdingByMonth(
  reader: Reader,
  year: number,
): Promise<{ month: number; payments: number; withheldCents: Cents }[]> {
  const rows = await reader.execute<{ month: number; payments: string; withheld: string }>(sql`
    SELECT extract(month FROM a.sent_date)::integer AS month, count(*) AS payments, sum(a.withheld_amount) AS withheld
      FROM payment_attempts a
     WHERE ${PAID} AND a.withheld_amount > 0
       AND a.sent_date >= make_date(${year}, 1, 1) AND a.sent_date < make_date(${year + 1}, 1, 1)
     GROUP BY 1 ORDER BY 1`);
  return rows.map((row) => ({
    month: row.month,
    payments: Number(row.payments),
    withheldCents: centsFromDecimal(row.withheld),
  }));
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

/** The kind of TIN that a 1099 shows: of the W-9 that had these last digits, for another may be in force by now. */
export async function readTinType(reader: Reader, userId: string, last4: string | null): Promise<TinType> {
  if (last4 === null) return 'ssn';
  const forms = await listForms(reader, { userId, limit: 200 });
  const behind = forms.find(
    (form) => form.formType === 'W-9' && form.reviewedAt !== null && form.tinLast4 === last4,
  );
  return behind?.w9?.tinType ?? 'ssn';
}
