import type { taxForms } from '../db/schema/index.ts';
import { newFormId } from '../kernel/ids.ts';
import { decimalFromCents, dollars } from '../kernel/money.ts';
import type { Recipient, YearIncome } from './year-store.ts';

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
