import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import type { ReportSource } from '../db/report-source.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { UUID_PATTERN } from '../kernel/ids.ts';
import { dollars } from '../kernel/money.ts';
import { DEFAULT_PAGE, decodeCursor, invalidCursor, pageOf } from '../kernel/paging.ts';
import { staffMay } from '../kernel/permissions.ts';
import type { Form1099 } from './form-1099.ts';
import type { TaxComplianceService } from './tax-compliance.ts';
import type { Payer } from './tax-papers.ts';
import { findForms } from './tax-store.ts';
import type { YearTotals } from './year-store.ts';
import { formattedTin, truncatedTin, type TinType } from './w9-rules.ts';
import type { W9Safe } from './w9-safe.ts';
import { readLiabilities } from './withholding-store.ts';
import type { IssueProgress, YearEndIssuing } from './year-end-issuing.ts';

/** Figures of Form 945 in dollars. Lines that need more than this service knows are null. */
export interface WithholdingReport {
  taxYear: number;
  totalWithheld: number;
  /** All twelve months, by the date sent. */
  periods: { month: number; period: string; withheldAmount: number; payments: number }[];
  /** The days on which tax came to be owed, as Form 945-A wants them of semiweekly depositors. */
  days: { date: string; withheldAmount: number; payments: number }[];
  form945: {
    line1: null;
    line2BackupWithholding: number;
    line3: null;
    line7: { line: string; month: number; liability: number }[];
    line7MTotal: number;
  };
}

/** A 1099-MISC, issued or draft, as the year's report shows it. */
export interface Report1099 {
  formId: string | null;
  userId: string;
  recipientName: string;
  tinMasked: string | null;
  status: Form1099['status'];
  box3OtherIncome: number;
  box4FederalTaxWithheld: number;
  incomeDetails: { box_3_other_income: number; federal_tax_withheld: number };
  payoutIds: string[];
  needsCorrection: string | null;
}

export interface YearReport {
  taxYear: number;
  data: Report1099[];
  totals: { forms: number; box3OtherIncome: number; box4FederalTaxWithheld: number };
  /** How far the newest issuing is; null where none was begun. */
  issuing: { status: IssueProgress['status']; payees: number; issued: number } | null;
  nextCursor: string | null;
}

/** A line of the file from which the year is filed. The TIN is in full only for those who file. */
export interface FilingRow {
  form: Form1099;
  payer: Payer;
  tinType: TinType | null;
  tin: string | null;
}

/** After it a large year is left to the job; well within what a proxy waits. */
const MOST_IN_A_REQUEST_MS = 10_000;
/** Also how many data keys are unwrapped at once. */
const FILING_PAGE = 100;

/** A year's tax: its 1099s, the file from which they are filed, and what was withheld. */
export class TaxReports {
  readonly #database: Database;
  readonly #source: ReportSource;
  readonly #clock: Clock;
  readonly #compliance: TaxComplianceService;
  readonly #issuing: YearEndIssuing;
  readonly #safe: W9Safe;
  readonly #payer: Payer;

  constructor(deps: {
    database: Database;
    source: ReportSource;
    clock: Clock;
    compliance: TaxComplianceService;
    issuing: YearEndIssuing;
    safe: W9Safe;
    payer: Payer;
  }) {
    this.#database = deps.database;
    this.#source = deps.source;
    this.#clock = deps.clock;
    this.#compliance = deps.compliance;
    this.#issuing = deps.issuing;
    this.#safe = deps.safe;
    this.#payer = deps.payer;
  }

  /** Backup withholding of a year by the date sent; what came back is not in it (Form 945, lines 2 and 7). */
  async withholding(taxYear: number): Promise<WithholdingReport> {
    const days = await this.#source.read((reader) => readLiabilities(reader, taxYear));
    const periods = Array.from({ length: 12 }, (_, index) => {
      const period = `${taxYear}-${String(index + 1).padStart(2, '0')}`;
      const within = days.filter(({ date }) => date.startsWith(period));
      return {
        month: index + 1,
        period,
        withheldAmount: dollars(sumOf(within, ({ withheldCents }) => withheldCents)),
        payments: sumOf(within, ({ payments }) => payments),
      };
    });
    const total = dollars(sumOf(days, ({ withheldCents }) => withheldCents));
    return {
      taxYear,
      totalWithheld: total,
      periods,
      days: days.map(({ date, withheldCents, payments }) => ({
        date,
        withheldAmount: dollars(withheldCents),
        payments,
      })),
      form945: {
        line1: null,
        line2BackupWithholding: total,
        line3: null,
        line7: periods.map(({ month, withheldAmount }) => ({
          line: `7${'ABCDEFGHIJKL'.charAt(month - 1)}`,
          month,
          liability: withheldAmount,
        })),
        line7MTotal: total,
      },
    };
  }

  /** The year's forms, issued or drafts, a page at a time; the totals are of all. Nothing is written. Throws TAX_YEAR_UNKNOWN. */
  async year(
    taxYear: number,
    { limit = DEFAULT_PAGE, cursor }: { limit?: number | undefined; cursor?: string | undefined } = {},
  ): Promise<YearReport> {
    const after = cursor === undefined ? undefined : payeeIn(cursor);
    const forms = await this.#compliance.list1099s(taxYear, { after, limit: limit + 1 });
    const { data, nextCursor } = pageOf(forms, limit, ({ userId }) => [userId], report1099);
    return {
      taxYear,
      data,
      totals: totalsOf(await this.#compliance.total1099s(taxYear)),
      issuing: issuingOf(await this.#issuing.progress(taxYear)),
      nextCursor,
    };
  }

  /**
   * Issues the year's forms, of which it shows the first page; whoever has one keeps it. Of a large year that is not done within a few seconds it says how
   * far it is, without the forms. Throws YEAR_NOT_ENDED or TAX_YEAR_UNKNOWN.
   */
  async issueYear(actor: CallerActor, taxYear: number): Promise<YearReport> {
    const progress = await this.#compliance.generateYearEnd1099s(actor, taxYear, MOST_IN_A_REQUEST_MS);
    if (progress.status === 'done') return this.year(taxYear);
    const totals = totalsOf({ forms: 0, incomeCents: 0, withheldCents: 0 });
    return { taxYear, data: [], totals, issuing: issuingOf(progress), nextCursor: null };
  }

  /** What the year is filed from. Those who file see full TINs, which is audited; all others the last four digits. */
  async filing(actor: CallerActor, taxYear: number): Promise<AsyncIterable<FilingRow>> {
    const full = staffMay('tax-forms.file', actor);
    const { forms } = await this.#compliance.total1099s(taxYear);
    if (full) {
      await this.#database.transaction((tx) =>
        recordAudit(tx, {
          actor,
          at: this.#clock.now(),
          entityType: 'report',
          entityId: `tax-forms-${taxYear}`,
          action: 'filing_csv_downloaded',
          newValues: { taxYear, count: forms },
        }),
      );
    }
    return this.#filingRows(taxYear, full);
  }

  /** Page by page: a file of 100,000 forms is neither read nor decrypted before it begins, nor held whole. */
  async *#filingRows(taxYear: number, full: boolean): AsyncGenerator<FilingRow> {
    let after: string | undefined;
    do {
      const page = await this.#compliance.list1099s(taxYear, { after, limit: FILING_PAGE });
      const tins = full ? await this.#fullTins(page) : undefined;
      for (const form of page) {
        const { tinType, tinLast4 } = form;
        const masked = tinType && tinLast4 && truncatedTin(tinType, tinLast4);
        yield { form, payer: this.#payer, tinType, tin: tins ? (tins.get(form) ?? null) : masked };
      }
      after = page.length === FILING_PAGE ? page.at(-1)?.userId : undefined;
    } while (after !== undefined);
  }

  async #fullTins(forms: readonly Form1099[]): Promise<Map<Form1099, string>> {
    const ids = forms.flatMap(({ w9FormId }) => (w9FormId === null ? [] : [w9FormId]));
    const w9s = new Map((await findForms(this.#database.reader, ids)).map((w9) => [w9.formId, w9]));
    const pairs = await Promise.all(
      forms.map(async (form): Promise<[Form1099, string][]> => {
        const w9 = w9s.get(form.w9FormId ?? '');
        if (!w9?.w9) return [];
        return [[form, formattedTin(w9.w9.tinType, await this.#safe.tinOf(w9))]];
      }),
    );
    return new Map(pairs.flat());
  }
}

const totalsOf = ({ forms, incomeCents, withheldCents }: YearTotals): YearReport['totals'] => ({
  forms,
  box3OtherIncome: dollars(incomeCents),
  box4FederalTaxWithheld: dollars(withheldCents),
});

const issuingOf = (progress: IssueProgress | null): YearReport['issuing'] =>
  progress && { status: progress.status, payees: progress.payees, issued: progress.issued };

function payeeIn(cursor: string): string {
  const [userId] = decodeCursor(cursor, 1);
  if (typeof userId !== 'string' || !UUID_PATTERN.test(userId)) throw invalidCursor();
  return userId;
}

function report1099(form: Form1099): Report1099 {
  const { formId, userId, recipientName, status, payoutIds, needsCorrection, tinType, tinLast4 } = form;
  const box3OtherIncome = dollars(form.incomeCents);
  const box4FederalTaxWithheld = dollars(form.withheldCents);
  return {
    formId,
    userId,
    recipientName,
    tinMasked: tinLast4 === null ? null : truncatedTin(tinType ?? 'ssn', tinLast4),
    status,
    box3OtherIncome,
    box4FederalTaxWithheld,
    incomeDetails: { box_3_other_income: box3OtherIncome, federal_tax_withheld: box4FederalTaxWithheld },
    payoutIds,
    needsCorrection,
  };
}

const sumOf = <T>(rows: readonly T[], part: (row: T) => number): number =>
  rows.reduce((sum, row) => sum + part(row), 0);
