import { and, asc, desc, eq, inArray, sql, type SQL } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { taxFormDocuments, taxForms, type PostalAddress, type TaxFormStatus } from '../db/schema/index.ts';
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

/** Of many people at once, always in the same order. */
export async function lockFormsOfAll(tx: Tx, userIds: readonly string[]): Promise<void> {
  await tx.execute(sql`
    SELECT pg_advisory_xact_lock(${FORMS_LOCK}::integer, wanted.lock)
      FROM (SELECT DISTINCT hashtext(id) AS lock FROM unnest(${listOf(userIds)}::text[]) AS id ORDER BY 1) wanted`);
}

/** An array as PostgreSQL reads it; the members are ids. */
const listOf = (ids: readonly string[]): string => `{${ids.join(',')}}`;

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

export async function insertForms(tx: Tx, rows: (typeof taxForms.$inferInsert)[]): Promise<TaxFormRow[]> {
  return rows.length === 0 ? [] : tx.insert(taxForms).values(rows).returning();
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

/** Of those named only. */
export const listLive1099sOf = (
  reader: Reader,
  year: number,
  userIds: readonly string[],
): Promise<TaxFormRow[]> =>
  reader
    .select()
    .from(taxForms)
    .where(
      and(
        inArray(taxForms.userId, [...userIds]),
        eq(taxForms.taxYear, year),
        eq(taxForms.formType, '1099-MISC'),
        eq(taxForms.status, 'issued'),
      ),
    );

/** What a payee was paid in a year: payments sent in it that did not come back. */
export interface YearIncome {
  userId: string;
  incomeCents: Cents;
  withheldCents: Cents;
  payoutIds: string[];
}

/** A payment that left and did not come back. */
export const PAID = sql`a.status IN ('sent', 'completed')`;

/** Of everybody, or of those named. */
export async function readYearIncome(
  reader: Reader,
  year: number,
  userIds?: readonly string[],
): Promise<YearIncome[]> {
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
       ${userIds === undefined ? sql`` : sql`AND p.user_id = ANY (${listOf(userIds)}::uuid[])`}
     GROUP BY p.user_id ORDER BY p.user_id`);
  return rows.map((row) => ({
    userId: row.user_id,
    incomeCents: centsFromDecimal(row.income),
    withheldCents: centsFromDecimal(row.withheld),
    payoutIds: row.payout_ids,
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

/** Whom a 1099 is for: the approved W-9, or what the main app knows where there is none. */
export interface Recipient {
  userId: string;
  name: string;
  addressLines: string[];
  w9FormId: string | null;
  tinType: TinType | null;
  tinLast4: string | null;
}

/** Of many people in one query: a year may have 100,000. */
export async function readRecipients(
  reader: Reader,
  userIds: readonly string[],
): Promise<Map<string, Recipient>> {
  const rows = await reader.execute<{
    user_id: string;
    name: string;
    address: PostalAddress | null;
    form_id: string | null;
    tin_type: TinType | null;
    tin_last4: string | null;
  }>(sql`
    SELECT u.id AS user_id, w.form_id, w.tin_last4, w.w9 ->> 'tinType' AS tin_type,
           coalesce(w.w9 ->> 'legalName', k.legal_name, concat_ws(' ', u.first_name, u.middle_name, u.last_name)) AS name,
           coalesce(w.w9 -> 'address', to_jsonb(a)) AS address
      FROM users u
      LEFT JOIN tax_forms w ON w.user_id = u.id AND w.form_type = 'W-9' AND w.status = 'approved'
      LEFT JOIN LATERAL (
        SELECT v.legal_name FROM kyc_verification v WHERE v.user_id = u.id
         ORDER BY v.verified_at DESC NULLS LAST, v.id LIMIT 1) k ON true
      LEFT JOIN LATERAL (
        SELECT h.line1, h.line2, h.city, h.state, h.postal_code AS "postalCode" FROM user_addresses h
         WHERE h.user_id = u.id AND h.is_primary ORDER BY h.id DESC LIMIT 1) a ON true
     WHERE u.id = ANY (${listOf(userIds)}::uuid[])`);
  return new Map(
    rows.map((row) => [
      row.user_id,
      {
        userId: row.user_id,
        name: row.name,
        addressLines: row.address ? linesOf(row.address) : [],
        w9FormId: row.form_id,
        tinType: row.tin_type,
        tinLast4: row.tin_last4,
      },
    ]),
  );
}

const linesOf = ({ line1, line2, city, state, postalCode }: PostalAddress): string[] => [
  line1,
  ...(line2 ? [line2] : []),
  `${city}, ${state} ${postalCode}`,
];

/** The kinds of TIN of W-9s, by their form ids. */
export async function readTinTypes(
  reader: Reader,
  w9FormIds: readonly string[],
): Promise<Map<string, TinType>> {
  if (w9FormIds.length === 0) return new Map();
  const rows = await reader.execute<{ form_id: string; tin_type: TinType }>(sql`
    SELECT form_id, w9 ->> 'tinType' AS tin_type FROM tax_forms
     WHERE form_type = 'W-9' AND form_id = ANY (${listOf(w9FormIds)}::text[])`);
  return new Map(rows.map((row) => [row.form_id, row.tin_type]));
}
