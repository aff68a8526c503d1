import { z } from 'zod';
import { csvDownload, type CsvColumns } from '../http/csv.ts';
import { route, type Route } from '../http/route.ts';
import { instant, moment, money, until } from '../http/schemas.ts';
import { PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import type { PayoutReport, ReportService } from './report-service.ts';
import { REPORT_GROUPS } from './report-store.ts';

const sums = {
  count: z.number().int(),
  grossAmount: money.meta({ example: 200000 }),
  retentionFee: money.meta({ example: 600 }),
  withheldAmount: money.meta({ example: 0 }),
  netAmount: money.meta({ example: 199400 }),
};

const payoutReport = z
  .object({
    from: instant.nullable(),
    to: instant.nullable(),
    groupBy: z.enum(REPORT_GROUPS),
    data: z.array(
      z.object({
        period: z
          .string()
          .nullable()
          .meta({ description: 'A day, month or year in UTC; null by status.', example: '2026-11' }),
        status: z.enum(PAYOUT_STATUSES),
        ...sums,
      }),
    ),
    totals: z.object(sums),
  })
  .meta({ id: 'PayoutReport', description: 'Counts and sums of payouts by status and period.' });

const amount = (dollars: number) => dollars.toFixed(2);

const CSV_COLUMNS: CsvColumns<PayoutReport['data'][number]> = [
  ['Period (UTC)', (row) => row.period],
  ['Status', (row) => row.status],
  ['Payouts', (row) => row.count],
  ['Gross (USD)', (row) => amount(row.grossAmount)],
  ['Retention fee (USD)', (row) => amount(row.retentionFee)],
  ['Withheld (USD)', (row) => amount(row.withheldAmount)],
  ['Net (USD)', (row) => amount(row.netAmount)],
];

const SUMS = { count: 2, grossAmount: 200000, retentionFee: 600, withheldAmount: 0, netAmount: 199400 };

export const reportRoutes = (reports: ReportService): Route[] => [
  route({
    method: 'get',
    path: '/api/reports/payouts',
    tag: 'Reports',
    summary: 'Payouts by status and period',
    description: 'Counts and sums of the payouts created from `from` (inclusive) to `to` (exclusive).',
    needs: 'reports.payouts',
    query: z.strictObject({
      from: moment.optional(),
      to: until.optional(),
      groupBy: z.enum(REPORT_GROUPS).default('month').meta({ description: 'status leaves the periods out.' }),
      format: z.enum(['json', 'csv']).optional().meta({ description: 'json unless said.' }),
    }),
    reply: payoutReport,
    files: ['text/csv'],
    example: {
      reply: {
        from: '2026-01-01T00:00:00.000Z',
        to: null,
        groupBy: 'month',
        data: [{ period: '2026-11', status: 'completed', ...SUMS }],
        totals: SUMS,
      },
    },
    handle: async ({ query: { format, ...query } }) => {
      const report = await reports.payoutReport(query);
      return format === 'csv'
        ? csvDownload(`payouts-by-${query.groupBy}.csv`, CSV_COLUMNS, report.data)
        : report;
    },
  }),
];
