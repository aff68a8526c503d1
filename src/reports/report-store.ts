import { sql } from 'drizzle-orm';
import type { Reader } from '../db/client.ts';
import { centsFromDecimal, type Cents } from '../kernel/money.ts';
import type { PayoutStatus } from '../kernel/payout-lifecycle.ts';

export const REPORT_GROUPS = ['month', 'day', 'year', 'status'] as const;
export type ReportGroup = (typeof REPORT_GROUPS)[number];

/** How PostgreSQL writes the period; a null leaves the periods out. */
const PERIOD_FORMATS: Record<ReportGroup, string | null> = {
  day: 'YYYY-MM-DD',
  month: 'YYYY-MM',
  year: 'YYYY',
  status: null,
};

export interface PayoutSums {
  period: string | null;
  status: PayoutStatus;
  count: number;
  grossCents: Cents;
  retentionFeeCents: Cents;
  withheldCents: Cents;
  netCents: Cents;
}

/** Counts and sums by period of the creation (UTC) and status. `from` is inclusive, `to` exclusive. */
export async function readPayoutSums(
  reader: Reader,
  range: { from?: Date | undefined; to?: Date | undefined },
  groupBy: ReportGroup,
): Promise<PayoutSums[]> {
  const rows = await reader.execute<{
    period: string | null;
    status: PayoutStatus;
    count: string;
    gross: string;
    fee: string;
    withheld: string;
    net: string;
  }>(sql`
    SELECT to_char(created_at AT TIME ZONE 'UTC', ${PERIOD_FORMATS[groupBy]}::text) AS period, status, count(*) AS count,
           sum(amount) AS gross, sum(retention_fee) AS fee, sum(withheld_amount) AS withheld, sum(net_amount) AS net
      FROM payout_management
     WHERE created_at >= coalesce(${range.from?.toISOString() ?? null}::timestamptz, '-infinity')
       AND created_at < coalesce(${range.to?.toISOString() ?? null}::timestamptz, 'infinity')
     GROUP BY 1, 2 ORDER BY 1, 2`);
  return rows.map((row) => ({
    period: row.period,
    status: row.status,
    count: Number(row.count),
    grossCents: centsFromDecimal(row.gross),
    retentionFeeCents: centsFromDecimal(row.fee),
    withheldCents: centsFromDecimal(row.withheld),
    netCents: centsFromDecimal(row.net),
  }));
}
