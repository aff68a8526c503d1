import type { taxForms } from '../db/schema/index.ts';
import { newFormId } from '../kernel/ids.ts';
import { centsFromDecimal, decimalFromCents, dollars, type Cents } from '../kernel/money.ts';
import type { TaxFormRow } from './tax-store.ts';
import type { TinType } from './w9-rules.ts';
import type { Recipient, YearIncome } from './year-store.ts';

/** A 1099-MISC as it is or would be: drafts have no form id and are never stored. */
export interface Form1099 {
  formId: string | null;
  userId: string;
  taxYear: number;
  status: 'draft' | 'issued';
  incomeCents: Cents;
  withheldCents: Cents;
  payoutIds: string[];
  recipientName: string;
  addressLines: string[];
  tinType: TinType | null;
  tinLast4: string | null;
  w9FormId: string | null;
  corrects: string | null;
  needsCorrection: string | null;
}

/** The row of a new 1099-MISC: the year's income, and whom it is for at this moment. */
export function form1099Row(facts: {
  income: YearIncome;
  recipient: Recipient | undefined;
  taxYear: number;
  corrects: string | null;
  at: Date;
}): typeof taxForms.$inferInsert {
  const { income, recipient, taxYear, corrects, at } = facts;
  return {
    formId: newFormId('1099', taxYear),
    userId: income.userId,
    formType: '1099-MISC',
    taxYear,
    status: 'issued',
    incomeDetails: {
      box_3_other_income: dollars(income.incomeCents),
      federal_tax_withheld: dollars(income.withheldCents),
      payoutIds: income.payoutIds,
      recipient: { name: recipient?.name ?? '', addressLines: recipient?.addressLines ?? [] },
    },
    otherIncome: decimalFromCents(income.incomeCents),
    federalTaxWithheld: decimalFromCents(income.withheldCents),
    tinLast4: recipient?.tinLast4 ?? null,
    w9FormId: recipient?.w9FormId ?? null,
    corrects,
    createdAt: at,
    updatedAt: at,
  };
}

export const issuedForm = (row: TaxFormRow, tinType: TinType | null): Form1099 => ({
  formId: row.formId,
  userId: row.userId,
  taxYear: row.taxYear,
  status: 'issued',
  incomeCents: centsFromDecimal(row.otherIncome ?? '0'),
  withheldCents: centsFromDecimal(row.federalTaxWithheld ?? '0'),
  payoutIds: row.incomeDetails?.payoutIds ?? [],
  recipientName: row.incomeDetails?.recipient.name ?? '',
  addressLines: row.incomeDetails?.recipient.addressLines ?? [],
  tinType,
  tinLast4: row.tinLast4,
  w9FormId: row.w9FormId,
  corrects: row.corrects,
  needsCorrection: row.needsCorrection,
});

export const draftForm = (
  income: YearIncome,
  taxYear: number,
  recipient: Recipient | undefined,
): Form1099 => ({
  formId: null,
  userId: income.userId,
  taxYear,
  status: 'draft',
  incomeCents: income.incomeCents,
  withheldCents: income.withheldCents,
  payoutIds: income.payoutIds,
  recipientName: recipient?.name ?? '',
  addressLines: recipient?.addressLines ?? [],
  tinType: recipient?.tinType ?? null,
  tinLast4: recipient?.tinLast4 ?? null,
  w9FormId: recipient?.w9FormId ?? null,
  corrects: null,
  needsCorrection: null,
});
