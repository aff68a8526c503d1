/** What a year's 1099s are made of: who was paid what, who has a form already, and whom a form is for. */
import { and, asc, eq, gt, sql, type SQL } from 'drizzle-orm';
import type { Reader } from '../db/client.ts';
import { idList } from '../db/id-list.ts';
import { personName } from '../db/person-name.ts';
import { taxForms, type PostalAddress } from '../db/schema/index.ts';
import { centsFromDecimal, decimalFromCents, type Cents } from '../kernel/money.ts';
import type { TaxFormRow } from './tax-store.ts';
import type { TaxYear } from './tax-years-rules.ts';
import type { TinType } from './w9-rules.ts';

/** The first so many people of a list in the order of their ids, after one of them. */
export interface PeoplePage {
  after: string | undefined;
  limit: number;
}

export const listLive1099s = (
  reader: Reader,
  year: number,
  { after, limit }: PeoplePage,
): Promise<TaxFormRow[]> =>
  reader
    .select()
    .from(taxForms)
    .where(
      and(
        eq(taxForms.taxYear, year),
        eq(taxForms.formType, '1099-MISC'),
        eq(taxForms.status, 'issued'),
        after === undefined ? undefined : gt(taxForms.userId, after),
      ),
    )
    .orderBy(asc(taxForms.userId))
    .limit(limit);

/** Who of those named has a form of that year. */
export async function findWhoHas1099(
  reader: Reader,
  year: number,
  userIds: readonly string[],
): Promise<Set<string>> {
  const rows = await reader.execute<{ user_id: string }>(sql`
    SELECT user_id FROM tax_forms
     WHERE user_id = ANY (${idList(userIds)}::uuid[]) AND tax_year = ${year}
       AND form_type = '1099-MISC' AND status = 'issued'`);
  return new Set(rows.map(({ user_id }) => user_id));
}

/** What a payee was paid in a year: payments sent in it that did not come back. */
export interface YearIncome {
  userId: string;
  incomeCents: Cents;
  withheldCents: Cents;
  payoutIds: string[];
}

/** Payments of a year: those that left in it and did not come back. */
export const paidIn = (year: number): SQL => sql`
  payment_attempts a JOIN payout_management p ON p.payout_id = a.payout_id
    AND a.status IN ('sent', 'completed')
    AND a.sent_date >= make_date(${year}, 1, 1) AND a.sent_date < make_date(${year + 1}, 1, 1)`;

/** `needsForm` over the payments of one person. */
export const needsFormOf = ({ thresholdCents }: TaxYear): SQL => sql`
  sum(p.amount) > 0
    AND (sum(p.amount) >= ${decimalFromCents(thresholdCents)}::numeric OR sum(a.withheld_amount) > 0)`;

export const hasLive1099 = (year: number): SQL => sql`
  EXISTS (SELECT 1 FROM tax_forms f WHERE f.user_id = p.user_id AND f.tax_year = ${year}
           AND f.form_type = '1099-MISC' AND f.status = 'issued')`;

/** Of those named. */
export const readYearIncome = (
  reader: Reader,
  year: number,
  userIds: readonly string[],
): Promise<YearIncome[]> =>
  readIncome(
    reader,
    sql`
    ${paidIn(year)} WHERE p.user_id = ANY (${idList(userIds)}::uuid[]) GROUP BY p.user_id ORDER BY p.user_id`,
  );

/** Of people who need a form, whether they have one or not. */
export const listIncomeToReport = (
  reader: Reader,
  year: number,
  terms: TaxYear,
  { after, limit }: PeoplePage,
): Promise<YearIncome[]> =>
  readIncome(
    reader,
    sql`
    ${paidIn(year)} ${after === undefined ? sql`` : sql`WHERE p.user_id > ${after}::uuid`}
    GROUP BY p.user_id HAVING ${needsFormOf(terms)} ORDER BY p.user_id LIMIT ${limit}`,
  );

async function readIncome(reader: Reader, from: SQL): Promise<YearIncome[]> {
  const rows = await reader.execute<{
    user_id: string;
    income: string;
    withheld: string;
    payout_ids: string[];
  }>(sql`
    SELECT p.user_id, sum(p.amount) AS income, sum(a.withheld_amount) AS withheld,
           jsonb_agg(p.payout_id ORDER BY p.payout_id) AS payout_ids
      FROM ${from}`);
  return rows.map((row) => ({
    userId: row.user_id,
    incomeCents: centsFromDecimal(row.income),
    withheldCents: centsFromDecimal(row.withheld),
    payoutIds: row.payout_ids,
  }));
}

export interface YearTotals {
  forms: number;
  incomeCents: Cents;
  withheldCents: Cents;
}

/** Over issued forms, and over what is to be reported of people who have none. */
export async function sumYear(reader: Reader, year: number, terms: TaxYear): Promise<YearTotals> {
  const [row] = await reader.execute<{ forms: number; income: string; withheld: string }>(sql`
    SELECT count(*)::integer AS forms, coalesce(sum(income), 0) AS income, coalesce(sum(withheld), 0) AS withheld
      FROM (SELECT other_income AS income, federal_tax_withheld AS withheld FROM tax_forms
             WHERE tax_year = ${year} AND form_type = '1099-MISC' AND status = 'issued'
            UNION ALL
            SELECT sum(p.amount), sum(a.withheld_amount) FROM ${paidIn(year)} WHERE NOT ${hasLive1099(year)}
             GROUP BY p.user_id HAVING ${needsFormOf(terms)}) forms`);
  return {
    forms: row?.forms ?? 0,
    incomeCents: centsFromDecimal(row?.income ?? '0'),
    withheldCents: centsFromDecimal(row?.withheld ?? '0'),
  };
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
    address: WrittenAddress | null;
    form_id: string | null;
    tin_type: TinType | null;
    tin_last4: string | null;
  }>(sql`
    SELECT u.id AS user_id, w.form_id, w.tin_last4, w.w9 ->> 'tinType' AS tin_type,
           coalesce(w.w9 ->> 'legalName', nullif(btrim(k.legal_name), ''), ${personName(sql`u`)}, '') AS name,
           coalesce(w.w9 -> 'address', to_jsonb(a)) AS address
      FROM users u
      LEFT JOIN tax_forms w ON w.user_id = u.id AND w.form_type = 'W-9' AND w.status = 'approved'
      LEFT JOIN LATERAL (
        SELECT v.legal_name FROM kyc_verification v WHERE v.user_id = u.id
         ORDER BY v.verified_at DESC NULLS LAST, v.id LIMIT 1) k ON true
      LEFT JOIN LATERAL (
        SELECT h.line1, h.line2, h.city, h.state, h.postal_code AS "postalCode" FROM user_addresses h
         WHERE h.user_id = u.id AND h.is_primary ORDER BY h.id DESC LIMIT 1) a ON true
     WHERE u.id = ANY (${idList(userIds)}::uuid[])`);
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

/** The main app's may lack a part. */
type WrittenAddress = { [K in keyof PostalAddress]: PostalAddress[K] | null };

function linesOf({ line1, line2, city, state, postalCode }: WrittenAddress): string[] {
  const joined = (parts: (string | null | undefined)[], by: string) =>
    parts.filter((part) => part?.trim()).join(by);
  return [line1, line2, joined([joined([city, state], ', '), postalCode], ' ')].filter(
    (line): line is string => typeof line === 'string' && line.trim() !== '',
  );
}

/** The kinds of TIN of W-9s, by their form ids. */
export async function readTinTypes(
  reader: Reader,
  w9FormIds: readonly string[],
): Promise<Map<string, TinType>> {
  if (w9FormIds.length === 0) return new Map();
  const rows = await reader.execute<{ form_id: string; tin_type: TinType }>(sql`
    SELECT form_id, w9 ->> 'tinType' AS tin_type FROM tax_forms
     WHERE form_type = 'W-9' AND form_id = ANY (${idList(w9FormIds)}::text[])`);
  return new Map(rows.map((row) => [row.form_id, row.tin_type]));
}
