import type { ReportSource } from '../db/report-source.ts';
import { dollars } from '../kernel/money.ts';
import { PAYOUT_STATUSES, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { readPayoutSums, type PayoutSums, type ReportGroup } from './report-store.ts';

/** Amounts in dollars. */
export interface ReportSums {
  count: number;
  grossAmount: number;
  retentionFee: number;
  withheldAmount: number;
  netAmount: number;
}

export interface PayoutReport {
  from: string | null;
  to: string | null;
  groupBy: ReportGroup;
  data: (ReportSums & { period: string | null; status: PayoutStatus })[];
  totals: ReportSums;
}

/** Figures over many payouts, read from a replica where there is one: nothing is decided by what they say. */
export class ReportService {
  readonly #source: ReportSource;

  constructor(source: ReportSource) {
    this.#source = source;
  }

  /** Payouts created from `from` (inclusive) to `to` (exclusive), by period in UTC and status, in their usual order. */
  async payoutReport(query: {
    from?: Date | undefined;
    to?: Date | undefined;
    groupBy: ReportGroup;
  }): Promise<PayoutReport> {
    const { from, to, groupBy } = query;
    const rows = await this.#source.read((reader) => readPayoutSums(reader, { from, to }, groupBy));
    rows.sort(
      (a, b) => comparePeriods(a, b) || PAYOUT_STATUSES.indexOf(a.status) - PAYOUT_STATUSES.indexOf(b.status),
    );
    return {
      from: from?.toISOString() ?? null,
      to: to?.toISOString() ?? null,
      groupBy,
      data: rows.map((row) => ({ period: row.period, status: row.status, ...sumsOf([row]) })),
      totals: sumsOf(rows),
    };
  }
}

const comparePeriods = (a: PayoutSums, b: PayoutSums): number =>
  a.period === b.period ? 0 : (a.period ?? '') < (b.period ?? '') ? -1 : 1;

/** Added in cents, so that the total is exact. */
function sumsOf(rows: readonly PayoutSums[]): ReportSums {
  const total = (part: (row: PayoutSums) => number) => rows.reduce((sum, row) => sum + part(row), 0);
  return {
    count: total(({ count }) => count),
    grossAmount: dollars(total(({ grossCents }) => grossCents)),
    retentionFee: dollars(total(({ retentionFeeCents }) => retentionFeeCents)),
    withheldAmount: dollars(total(({ withheldCents }) => withheldCents)),
    netAmount: dollars(total(({ netCents }) => netCents)),
  };
}
