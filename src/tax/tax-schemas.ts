/** What the tax routes take and give. */
import { z } from 'zod';
import { isoDate, line, money, type instant } from '../http/schemas.ts';
import { incomeDetailsView, tinMasked, type TaxFormView } from './tax-form-view.ts';
import { LLC_CLASSIFICATIONS, TAX_CLASSIFICATIONS, TIN_TYPES } from './w9-rules.ts';

export const taxYear = z
  .string()
  .regex(/^(20\d\d|2100)$/, 'must be a year from 2000 to 2100')
  .transform(Number)
  .meta({ description: 'A calendar year.', example: '2026' });

/** Form W-9 (Rev. March 2024). Faults between fields are found by `w9Faults`. */
export const w9Body = z.strictObject({
  legalName: line(200).meta({ description: 'Line 1, as on the income tax return.' }),
  businessName: line(200).optional().meta({ description: 'Line 2.' }),
  taxClassification: z.enum(TAX_CLASSIFICATIONS).meta({ description: 'Line 3a.' }),
  llcClassification: z.enum(LLC_CLASSIFICATIONS).optional().meta({ description: 'For an LLC: C, S or P.' }),
  exemptPayeeCode: z
    .string()
    .regex(/^([1-9]|1[0-3])$/, 'must be a number from 1 to 13')
    .optional()
    .meta({ description: 'Line 4.', example: '5' }),
  fatcaExemptionCode: z
    .string()
    .regex(/^[A-M]$/, 'must be a letter from A to M')
    .optional()
    .meta({ description: 'Line 4.', example: 'A' }),
  address: z.strictObject({
    line1: line(200),
    line2: line(200).optional(),
    city: line(100),
    state: z
      .string()
      .regex(/^[A-Z]{2}$/, 'must be the two letters of a state, such as NM')
      .meta({ example: 'NM' }),
    postalCode: z
      .string()
      .regex(/^\d{5}(-\d{4})?$/, 'must be a ZIP code, such as 87110 or 87110-1234')
      .meta({ example: '87110' }),
  }),
  tinType: z.enum(TIN_TYPES),
  tin: z
    .string()
    .trim()
    .regex(/^[\d -]{9,15}$/, 'must be nine digits')
    .meta({ description: 'Nine digits; dashes and spaces are left out. Encrypted at once.' }),
  certification: z.strictObject({
    signedName: line(200),
    signedDate: isoDate,
    notSubjectToBackupWithholding: z.boolean().meta({ description: 'False when item 2 is crossed out.' }),
  }),
});

export const year1099s = z
  .object({
    taxYear: z.number().int(),
    data: z.array(
      z.object({
        formId: z.string().nullable().meta({ description: 'Null for a draft.' }),
        userId: z.guid(),
        recipientName: z.string(),
        tinMasked,
        status: z.enum(['draft', 'issued']),
        box3OtherIncome: money.meta({ example: 100000 }),
        box4FederalTaxWithheld: money.meta({ example: 0 }),
        incomeDetails: incomeDetailsView,
        payoutIds: z.array(z.string()),
        needsCorrection: z
          .string()
          .nullable()
          .meta({ description: 'Why the issued form is no longer right.' }),
      }),
    ),
    totals: z.object({ forms: z.number().int(), box3OtherIncome: money, box4FederalTaxWithheld: money }),
    issuing: z
      .object({ status: z.enum(['running', 'done']), payees: z.number().int(), issued: z.number().int() })
      .nullable()
      .meta({ description: 'How far the newest issuing is; null where none was begun.' }),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: 'Give it as cursor for the next page; null on the last.' }),
  })
  .meta({ id: 'Year1099s', description: "A year's 1099-MISCs: issued, or computed and not stored." });

export const withholdingReport = z
  .object({
    taxYear: z.number().int(),
    totalWithheld: money,
    periods: z.array(
      z.object({
        month: z.number().int(),
        period: z.string().meta({ example: '2026-01' }),
        withheldAmount: money,
        payments: z.number().int().meta({ description: 'Payments from which tax was withheld.' }),
      }),
    ),
    days: z
      .array(z.object({ date: isoDate, withheldAmount: money, payments: z.number().int() }))
      .meta({ description: 'Days on which tax came to be owed, for Form 945-A.' }),
    form945: z
      .object({
        line1: z.null(),
        line2BackupWithholding: money,
        line3: z.null(),
        line7: z.array(
          z.object({ line: z.string().meta({ example: '7A' }), month: z.number().int(), liability: money }),
        ),
        line7MTotal: money,
      })
      .meta({ description: 'Lines that need more than this service knows are null.' }),
  })
  .meta({
    id: 'WithholdingReport',
    description: 'Backup withholding by the month in which payments were sent.',
  });

export const revealedTin = z
  .object({
    formId: z.string(),
    tinType: z.enum(TIN_TYPES),
    tin: z.string().meta({ example: '123-45-6789' }),
  })
  .meta({ id: 'RevealedTin', description: 'A full TIN.' });

const USER_ID = '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11';
const AT: z.input<typeof instant> = '2026-11-20T02:00:00.000Z';
const ADDRESS = { line1: '1200 Marquez Avenue NE', city: 'Albuquerque', state: 'NM', postalCode: '87110' };

export const w9Example: z.input<typeof w9Body> = {
  legalName: 'Maria Gonzalez',
  taxClassification: 'individual',
  address: ADDRESS,
  tinType: 'ssn',
  tin: '123-45-6789',
  certification: {
    signedName: 'Maria Gonzalez',
    signedDate: '2026-11-20',
    notSubjectToBackupWithholding: true,
  },
};

const formExample = {
  userId: USER_ID,
  taxYear: 2026,
  tinMasked: 'XXX-XX-6789',
  needsCorrection: null,
  corrects: null,
  reason: null,
  reviewedBy: null,
  reviewedAt: null,
  createdAt: AT,
  updatedAt: AT,
};

export const submittedW9Example: TaxFormView = {
  ...formExample,
  formId: 'W9-2026-7K3M9QXA',
  formType: 'W-9',
  status: 'submitted',
  incomeDetails: null,
  w9: {
    legalName: 'Maria Gonzalez',
    taxClassification: 'individual',
    address: ADDRESS,
    tinType: 'ssn',
    certification: {
      ...w9Example.certification,
      ipAddress: '203.0.113.7',
      signedAt: AT,
      textVersion: 'W-9 Rev. March 2024',
    },
    nameCheck: {
      kycName: 'María González',
      w9Name: 'Maria Gonzalez',
      accountHolderName: 'Maria Gonzalez',
      matches: true,
    },
  },
};

export const issued1099Example: TaxFormView = {
  ...formExample,
  formId: '1099-2026-K3M8Q1ZT',
  formType: '1099-MISC',
  status: 'issued',
  incomeDetails: { box_3_other_income: 100000, federal_tax_withheld: 0 },
  w9: null,
};

export const year1099sExample: z.input<typeof year1099s> = {
  taxYear: 2026,
  data: [
    {
      formId: '1099-2026-K3M8Q1ZT',
      userId: USER_ID,
      recipientName: 'Maria Gonzalez',
      tinMasked: 'XXX-XX-6789',
      status: 'issued',
      box3OtherIncome: 100000,
      box4FederalTaxWithheld: 0,
      incomeDetails: { box_3_other_income: 100000, federal_tax_withheld: 0 },
      payoutIds: ['PO-2026-7K3M9QXA'],
      needsCorrection: null,
    },
  ],
  totals: { forms: 1, box3OtherIncome: 100000, box4FederalTaxWithheld: 0 },
  issuing: { status: 'done', payees: 1, issued: 1 },
  nextCursor: null,
};

export const withholdingExample: z.input<typeof withholdingReport> = {
  taxYear: 2026,
  totalWithheld: 24000,
  periods: [{ month: 11, period: '2026-11', withheldAmount: 24000, payments: 1 }],
  days: [{ date: '2026-11-20', withheldAmount: 24000, payments: 1 }],
  form945: {
    line1: null,
    line2BackupWithholding: 24000,
    line3: null,
    line7: [{ line: '7K', month: 11, liability: 24000 }],
    line7MTotal: 24000,
  },
};
