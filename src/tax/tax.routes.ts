import { z } from 'zod';
import { TAX_FORM_STATUSES } from '../db/schema/index.ts';
import { csvDownload, type CsvColumns } from '../http/csv.ts';
import { Download, route, type Route, type RouteSubject } from '../http/route.ts';
import { formId, formParams, listOf, memberParams, pageQuery, paragraph, userId } from '../http/schemas.ts';
import { decimalFromCents } from '../kernel/money.ts';
import type { TaxComplianceService } from './tax-compliance.ts';
import { taxFormView } from './tax-form-view.ts';
import type { TaxPapers } from './tax-papers.ts';
import type { FilingRow, TaxReports, WithholdingReport } from './tax-reports.ts';
import {
  issued1099Example,
  revealedTin,
  submittedW9Example,
  taxYear,
  w9Body,
  w9Example,
  withholdingExample,
  withholdingReport,
  year1099s,
  year1099sExample,
} from './tax-schemas.ts';
import type { W9Desk } from './w9-desk.ts';
import type { W9Safe } from './w9-safe.ts';

export interface TaxRoom {
  desk: W9Desk;
  safe: W9Safe;
  compliance: TaxComplianceService;
  papers: TaxPapers;
  reports: TaxReports;
}

const FORMS = 'Tax forms';
const REPORTS = 'Reports';

const reasonBody = z.strictObject({ reason: paragraph(1000) });
const yearParams = z.strictObject({ year: taxYear });
const formatQuery = z.strictObject({
  format: z.enum(['json', 'csv']).optional().meta({ description: 'json unless said.' }),
});

const yearQuery = formatQuery
  .extend(pageQuery)
  .refine(({ format, limit, cursor }) => format !== 'csv' || (limit === undefined && cursor === undefined), {
    path: ['format'],
    message: 'csv has the whole year: leave limit and cursor out',
  });

const subject = (params: Record<string, string>): RouteSubject => ({
  entityType: 'tax_form',
  entityId: params['formId'] ?? '',
});

/** One line a form, with the fields that the IRS's filing portal (IRIS) asks for. */
const FILING_COLUMNS: CsvColumns<FilingRow> = [
  ['Form type', () => '1099-MISC'],
  ['Tax year', ({ form }) => form.taxYear],
  ['Status', ({ form }) => form.status],
  ['Form id', ({ form }) => form.formId],
  ['Corrects', ({ form }) => form.corrects],
  ['Payer name', ({ payer }) => payer.name],
  ['Payer TIN', ({ payer }) => payer.tin],
  ['Payer address', ({ payer }) => payer.address],
  ['Recipient name', ({ form }) => form.recipientName],
  ['Recipient TIN type', ({ tinType }) => tinType?.toUpperCase() ?? null],
  ['Recipient TIN', ({ tin }) => tin],
  ['Recipient address', ({ form }) => form.addressLines.join(', ')],
  ['Box 3 Other income', ({ form }) => decimalFromCents(form.incomeCents)],
  ['Box 4 Federal income tax withheld', ({ form }) => decimalFromCents(form.withheldCents)],
  ['Payouts', ({ form }) => form.payoutIds.join(' ')],
  ['Needs correction', ({ form }) => form.needsCorrection],
  ['User id', ({ form }) => form.userId],
];

const WITHHOLDING_COLUMNS: CsvColumns<WithholdingReport['periods'][number]> = [
  ['Month', ({ period }) => period],
  ['Form 945 line', ({ month }) => `7${'ABCDEFGHIJKL'.charAt(month - 1)}`],
  ['Payments', ({ payments }) => payments],
  ['Withheld (USD)', ({ withheldAmount }) => withheldAmount.toFixed(2)],
];

export const taxRoutes = (room: TaxRoom): Route[] => [
  ...w9Routes(room),
  ...form1099Routes(room),
  ...yearRoutes(room),
];

const w9Routes = ({ desk, safe, papers }: TaxRoom): Route[] => [
  route({
    method: 'post',
    path: '/api/members/:userId/tax-info',
    tag: 'Members',
    summary: 'Submit a W-9',
    description:
      'Form W-9 (Rev. March 2024). It counts once finance has approved it; until then an earlier one does.',
    needs: 'tax-info.submit',
    params: memberParams,
    body: w9Body,
    reply: z.object({ formId, status: z.enum(TAX_FORM_STATUSES) }),
    status: 201,
    errors: ['SEPARATION_OF_DUTIES'],
    example: { body: w9Example, reply: { formId: 'W9-2026-7K3M9QXA', status: 'submitted' } },
    handle: ({ actor, params, body }) => desk.submit(actor, params.userId, body),
  }),
  route({
    method: 'get',
    path: '/api/tax-forms',
    tag: FORMS,
    summary: 'List tax forms',
    description: 'W-9s and 1099-MISCs, newest first. TINs are masked.',
    needs: 'tax-forms.read',
    query: z.strictObject({
      status: z.enum(TAX_FORM_STATUSES).optional(),
      userId: userId.optional(),
      year: taxYear.optional(),
      ...pageQuery,
    }),
    reply: listOf(taxFormView),
    example: { reply: { data: [submittedW9Example], nextCursor: null } },
    handle: ({ actor, query }) => papers.list(actor, query),
  }),
  route({
    method: 'post',
    path: '/api/tax-forms/:formId/approve',
    tag: FORMS,
    summary: 'Approve a W-9',
    description: 'Payouts that waited for it move on; instructions made without it become void.',
    needs: 'tax-forms.review',
    params: formParams,
    reply: taxFormView,
    subject,
    errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES'],
    example: {
      reply: {
        ...submittedW9Example,
        status: 'approved',
        reviewedBy: 3,
        reviewedAt: '2026-11-20T09:00:00.000Z',
      },
    },
    handle: async ({ actor, params }) => papers.view(actor, await desk.approve(actor, params.formId)),
  }),
  route({
    method: 'post',
    path: '/api/tax-forms/:formId/reject',
    tag: FORMS,
    summary: 'Reject a W-9',
    description: 'The member is told the reason and may submit another.',
    needs: 'tax-forms.review',
    params: formParams,
    body: reasonBody,
    reply: taxFormView,
    subject,
    errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES'],
    example: {
      body: { reason: 'The name is not the one on the identity check.' },
      reply: {
        ...submittedW9Example,
        status: 'rejected',
        reason: 'The name is not the one on the identity check.',
        reviewedBy: 3,
      },
    },
    handle: async ({ actor, params, body }) =>
      papers.view(actor, await desk.reject(actor, params.formId, body.reason)),
  }),
  route({
    method: 'post',
    path: '/api/tax-forms/:formId/reveal',
    tag: FORMS,
    summary: 'Show a full TIN, once',
    description:
      'Of a W-9, or of the W-9 behind a 1099. Recorded with its reason, told to the admins, and at most five full numbers an hour and person.',
    needs: 'secrets.reveal',
    stepUp: true,
    idempotency: 'never',
    params: formParams,
    body: reasonBody,
    reply: revealedTin,
    subject,
    errors: ['SEPARATION_OF_DUTIES', 'STEP_UP_REQUIRED'],
    example: {
      body: { reason: 'The IRS sent notice CP2100 about this payee.' },
      reply: { formId: 'W9-2026-7K3M9QXA', tinType: 'ssn', tin: '123-45-6789' },
    },
    handle: ({ actor, params, body }) => safe.reveal(actor, params.formId, body.reason),
  }),
];

const form1099Routes = ({ compliance, papers }: TaxRoom): Route[] => [
  route({
    method: 'get',
    path: '/api/tax-forms/:formId/pdf',
    tag: FORMS,
    summary: 'A 1099-MISC as PDF',
    description:
      'Copy B is for the recipient, who gets no other; copy C for the payer. Both show XXX-XX-1234.',
    needs: 'tax-forms.pdf',
    params: formParams,
    query: z.strictObject({ copy: z.enum(['B', 'C']).default('B') }),
    files: ['application/pdf'],
    subject,
    handle: async ({ actor, params, query }) => {
      const { fileName, content } = await papers.form1099Pdf(actor, params.formId, query.copy);
      return new Download('application/pdf', fileName, content);
    },
  }),
  route({
    method: 'post',
    path: '/api/tax-forms/:formId/correct',
    tag: FORMS,
    summary: 'Correct a 1099-MISC',
    description: 'Issues a new form with the figures of now, marked CORRECTED. The earlier one is kept.',
    needs: 'tax-forms.amend',
    params: formParams,
    body: reasonBody,
    reply: taxFormView,
    subject,
    errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES', 'TAX_YEAR_UNKNOWN'],
    example: {
      body: { reason: 'A payment of that year came back.' },
      reply: { ...issued1099Example, formId: '1099-2026-Z9Y8X7W6', corrects: '1099-2026-K3M8Q1ZT' },
    },
    handle: async ({ actor, params, body }) =>
      papers.view(actor, await compliance.correct(actor, params.formId, body.reason)),
  }),
  route({
    method: 'post',
    path: '/api/tax-forms/:formId/void',
    tag: FORMS,
    summary: 'Void a 1099-MISC',
    needs: 'tax-forms.amend',
    params: formParams,
    body: reasonBody,
    reply: taxFormView,
    subject,
    errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES'],
    example: {
      body: { reason: 'It was issued to the wrong person.' },
      reply: { ...issued1099Example, status: 'void', reason: 'It was issued to the wrong person.' },
    },
    handle: async ({ actor, params, body }) =>
      papers.view(actor, await compliance.void(actor, params.formId, body.reason)),
  }),
];

const yearRoutes = ({ reports }: TaxRoom): Route[] => [
  route({
    method: 'get',
    path: '/api/reports/tax-forms/:year',
    tag: REPORTS,
    summary: "A year's 1099-MISCs",
    description:
      'Issued ones, and drafts for whoever has none: computed, not stored. Totals are of the whole year. As csv it comes whole, and is what the year is filed from; a finance_manager gets the full TINs in it, which is recorded.',
    needs: 'tax-forms.read',
    params: yearParams,
    query: yearQuery,
    reply: year1099s,
    files: ['text/csv'],
    errors: ['TAX_YEAR_UNKNOWN'],
    example: { reply: year1099sExample },
    handle: async ({ actor, params: { year }, query }) =>
      query.format === 'csv'
        ? csvDownload(`1099-misc-${year}.csv`, FILING_COLUMNS, await reports.filing(actor, year))
        : reports.year(year, query),
  }),
  route({
    method: 'post',
    path: '/api/reports/tax-forms/:year',
    tag: REPORTS,
    summary: "Issue a year's 1099-MISCs",
    description:
      'For a year that has ended. Whoever has a form keeps it: repeating it issues no second copy. A large year goes on as the job tax-form-issuing; `issuing` says how far it is, and the forms can be read when it is done: this gives their first page.',
    needs: 'tax-forms.issue',
    idempotency: 'recorded',
    params: yearParams,
    reply: year1099s,
    errors: ['YEAR_NOT_ENDED', 'TAX_YEAR_UNKNOWN'],
    example: { reply: year1099sExample },
    handle: ({ actor, params }) => reports.issueYear(actor, params.year),
  }),
  route({
    method: 'get',
    path: '/api/reports/withholding/:year',
    tag: REPORTS,
    summary: 'Figures of Form 945',
    description:
      'Backup withholding by the month, and by the day, on which payments were sent. What came back is not in it.',
    needs: 'reports.withholding',
    params: yearParams,
    query: formatQuery,
    reply: withholdingReport,
    files: ['text/csv'],
    example: { reply: withholdingExample },
    handle: async ({ params: { year }, query }) => {
      const report = await reports.withholding(year);
      return query.format === 'csv'
        ? csvDownload(`withholding-${year}.csv`, WITHHOLDING_COLUMNS, report.periods)
        : report;
    },
  }),
];
