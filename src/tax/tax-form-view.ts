/** What staff see of tax forms: never a full TIN. */
import { z } from 'zod';
import { TAX_FORM_STATUSES, type W9Data } from '../db/schema/index.ts';
import { allNamesMatch } from '../payouts/payee-names-rules.ts';
import type { NamesBeside } from '../payouts/payout-requirements.ts';
import type { TaxFormRow } from './tax-store.ts';
import {
  LLC_CLASSIFICATIONS,
  TAX_CLASSIFICATIONS,
  TIN_TYPES,
  truncatedTin,
  type TinType,
} from './w9-rules.ts';

const instant = z.string().meta({ description: 'ISO 8601, UTC.', example: '2026-11-20T02:00:00.000Z' });
const money = z.number().meta({ description: 'US dollars, at most two decimals.', example: 100000 });
export const tinMasked = z
  .string()
  .nullable()
  .meta({ description: 'The last four digits only.', example: 'XXX-XX-1234' });

export const incomeDetailsView = z
  .object({ box_3_other_income: money, federal_tax_withheld: money })
  .meta({ description: "Boxes 3 and 4, with the design document's names." });

const w9View = z
  .object({
    legalName: z.string(),
    businessName: z.string().optional(),
    taxClassification: z.enum(TAX_CLASSIFICATIONS),
    llcClassification: z.enum(LLC_CLASSIFICATIONS).optional(),
    exemptPayeeCode: z.string().optional(),
    fatcaExemptionCode: z.string().optional(),
    address: z.object({
      line1: z.string(),
      line2: z.string().optional(),
      city: z.string(),
      state: z.string(),
      postalCode: z.string(),
    }),
    tinType: z.enum(TIN_TYPES),
    certification: z.object({
      signedName: z.string(),
      signedDate: z.string(),
      notSubjectToBackupWithholding: z.boolean().meta({ description: 'False when item 2 was crossed out.' }),
      ipAddress: z.string().optional(),
      signedAt: z.string().optional().meta({ description: 'When it reached us.' }),
      textVersion: z.string().meta({ description: 'Which text of the certification was signed.' }),
    }),
    nameCheck: z
      .object({
        kycName: z.string(),
        w9Name: z.string(),
        accountHolderName: z
          .string()
          .nullable()
          .meta({ description: 'Of the newest payout’s bank account; null where there is none.' }),
        matches: z
          .boolean()
          .meta({ description: 'Case, accents, order, punctuation and middle names aside.' }),
      })
      .optional()
      .meta({ description: 'For reviewers, while the form counts or is to be reviewed.' }),
  })
  .meta({ description: 'The W-9 as submitted, less its TIN.' });

export const taxFormView = z
  .object({
    formId: z.string().meta({ example: 'W9-2026-7K3M9QXA' }),
    userId: z.guid(),
    formType: z.enum(['W-9', '1099-MISC']),
    taxYear: z.number().int(),
    status: z.enum(TAX_FORM_STATUSES),
    incomeDetails: incomeDetailsView.nullable().meta({ description: 'Of a 1099-MISC.' }),
    tinMasked,
    w9: w9View.nullable(),
    needsCorrection: z
      .string()
      .nullable()
      .meta({ description: 'Why an issued 1099-MISC is no longer right.' }),
    corrects: z.string().nullable().meta({ description: 'The form that this one takes the place of.' }),
    reason: z.string().nullable().meta({ description: 'Why it was rejected, corrected or voided.' }),
    reviewedBy: z.number().int().nullable(),
    reviewedAt: instant.nullable(),
    createdAt: instant,
    updatedAt: instant,
  })
  .meta({ id: 'TaxForm', description: 'A W-9 or a 1099-MISC, without the full TIN.' });

export type TaxFormView = z.input<typeof taxFormView>;

/** `beside` is given where the reader may compare it with the name on the W-9. */
export function viewTaxForm(
  form: TaxFormRow,
  tinType: TinType,
  beside: NamesBeside | undefined,
): TaxFormView {
  return {
    formId: form.formId,
    userId: form.userId,
    formType: form.formType,
    taxYear: form.taxYear,
    status: form.status,
    incomeDetails: form.incomeDetails && {
      box_3_other_income: form.incomeDetails.box_3_other_income,
      federal_tax_withheld: form.incomeDetails.federal_tax_withheld,
    },
    tinMasked: form.tinLast4 === null ? null : truncatedTin(tinType, form.tinLast4),
    w9: form.w9 && viewW9(form.w9, beside),
    needsCorrection: form.needsCorrection,
    corrects: form.corrects,
    reason: form.reason,
    reviewedBy: form.reviewedBy,
    reviewedAt: form.reviewedAt?.toISOString() ?? null,
    createdAt: form.createdAt.toISOString(),
    updatedAt: form.updatedAt.toISOString(),
  };
}

function viewW9(w9: W9Data, beside: NamesBeside | undefined): z.input<typeof w9View> {
  const shown = w9 as z.input<typeof w9View>;
  if (!beside) return shown;
  const { kyc, accountHolder } = beside;
  return {
    ...shown,
    nameCheck: {
      kycName: kyc,
      w9Name: w9.legalName,
      accountHolderName: accountHolder ?? null,
      matches: allNamesMatch([kyc, w9.legalName, accountHolder]),
    },
  };
}
