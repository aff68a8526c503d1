import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Reader } from '../db/client.ts';
import type { ReportSource } from '../db/report-source.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { dollars, type Cents } from '../kernel/money.ts';
import { staffMay } from '../kernel/permissions.ts';
import { readPayeeFacts } from '../payouts/payout-requirements.ts';
import type { Form1099, TaxComplianceService } from './tax-compliance.ts';
import type { Payer } from './tax-papers.ts';
import {
  findW9,
  findW9Behind,
  listLive1099s,
  readTinType,
  readWithholdingByMonth,
  type TaxFormRow,
} from './tax-store.ts';
import type { W9Desk } from './w9-desk.ts';
import { formattedTin, truncatedTin, type TinType } from './w9-rules.ts';

/** Figures of Form 945 in dollars. Lines that need more than this service knows are null. */
export interface WithholdingReport {
  taxYear: number;
  totalWithheld: number;
  /** All twelve months, by the date sent. */
  periods: { month: number; period: string; withheldAmount: number; payments: number }[];
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
  nextCursor: null;
}

/** A line of the file from which the year is filed. The TIN is in full only for those who file. */
export interface FilingRow {
  form: Form1099;
  payer: Payer;
  tinType: TinType | null;
  tin: string | null;
  addressLines: readonly string[];
  corrects: string | null;
}

/** A year's tax: its 1099s, the file from which they are filed, and what was withheld. */
export class TaxReports {
  readonly #database: Database;
  readonly #source: ReportSource;
  readonly #clock: Clock;
  readonly #compliance: TaxComplianceService;
  readonly #desk: W9Desk;
  readonly #payer: Payer;

  constructor(deps: {
    database: Database;
    source: ReportSource;
    clock: Clock;
    compliance: TaxComplianceService;
    desk: W9Desk;
    payer: Payer;
  }) {
    this.#database = deps.database;
    this.#source = deps.source;
    this.#clock = deps.clock;
    this.#compliance = deps.compliance;
    this.#desk = deps.desk;
    this.#payer = deps.payer;
  }

  /** Backup withholding of a year by the date sent; what came back is not in it (Form 945, lines 2 and 7). */
  async withholding(taxYear: number): Promise<WithholdingReport> {
    const rows = await this.#source.read((reader) => readWithholdingByMonth(reader, taxYear));
    const months = new Map(rows.map((row) => [row.month, row]));
    const periods = Array.from({ length: 12 }, (_, index) => {
      const month = index + 1;
      const { withheldCents = 0, payments = 0 } = months.get(month) ?? {};
      return {
        month,
        period: `${taxYear}-${String(month).padStart(2, '0')}`,
        withheldAmount: dollars(withheldCents),
        payments,
      };
    });
    const total = dollars(sumOf([...months.values()], ({ withheldCents }) => withheldCents));
    return {
      taxYear,
      totalWithheld: total,
      periods,
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

  /** The year's forms, issued or drafts; nothing is written. Throws TAX_YEAR_UNKNOWN. */
  async year(taxYear: number): Promise<YearReport> {
    return this.#yearReport(taxYear, await this.#compliance.list1099s(taxYear));
  }

  /** Issues the year's forms; whoever has one keeps it. Throws YEAR_NOT_ENDED or TAX_YEAR_UNKNOWN. */
  async issueYear(actor: CallerActor, taxYear: number): Promise<YearReport> {
    return this.#yearReport(taxYear, await this.#compliance.generateYearEnd1099s(actor, taxYear));
  }

  async #yearReport(taxYear: number, forms: Form1099[]): Promise<YearReport> {
    return {
      taxYear,
      data: await Promise.all(forms.map((form) => this.#report1099(form))),
      totals: {
        forms: forms.length,
        box3OtherIncome: dollars(sumOf(forms, ({ incomeCents }) => incomeCents)),
        box4FederalTaxWithheld: dollars(sumOf(forms, ({ withheldCents }) => withheldCents)),
      },
      nextCursor: null,
    };
  }

  async #report1099(form: Form1099): Promise<Report1099> {
    const { formId, userId, recipientName, status, payoutIds, needsCorrection, tinLast4 } = form;
    const box3OtherIncome = dollars(form.incomeCents);
    const box4FederalTaxWithheld = dollars(form.withheldCents);
    return {
      formId,
      userId,
      recipientName,
      tinMasked:
        tinLast4 === null
          ? null
          : truncatedTin(await readTinType(this.#database.reader, userId, tinLast4), tinLast4),
      status,
      box3OtherIncome,
      box4FederalTaxWithheld,
      incomeDetails: { box_3_other_income: box3OtherIncome, federal_tax_withheld: box4FederalTaxWithheld },
      payoutIds,
      needsCorrection,
    };
  }

  /** What the year is filed from. Those who file see full TINs, which is audited; all others the last four digits. */
  async filing(actor: CallerActor, taxYear: number): Promise<FilingRow[]> {
    const full = staffMay('tax-forms.file', actor);
    const forms = await this.#compliance.list1099s(taxYear);
    const issued = new Map(
      (await listLive1099s(this.#database.reader, taxYear)).map((row) => [row.formId, row]),
    );
    const rows: FilingRow[] = [];
    for (const form of forms)
      rows.push(
        await this.#filingRow(form, form.formId === null ? undefined : issued.get(form.formId), full),
      );
    if (full) {
      await this.#database.transaction((tx) =>
        recordAudit(tx, {
          actor,
          at: this.#clock.now(),
          entityType: 'report',
          entityId: `tax-forms-${taxYear}`,
          action: 'filing_csv_downloaded',
          newValues: { taxYear, count: rows.length },
        }),
      );
    }
    return rows;
  }

  async #filingRow(form: Form1099, issued: TaxFormRow | undefined, full: boolean): Promise<FilingRow> {
    const reader = this.#database.reader;
    const w9 = issued ? await findW9Behind(reader, issued) : await findW9(reader, form.userId, 'approved');
    const tinType = full
      ? (w9?.w9?.tinType ?? null)
      : form.tinLast4 === null
        ? null
        : await readTinType(this.#database.reader, form.userId, form.tinLast4);
    const masked = tinType && form.tinLast4 && truncatedTin(tinType, form.tinLast4);
    return {
      form,
      payer: this.#payer,
      tinType,
      tin: full ? (w9?.w9 ? formattedTin(w9.w9.tinType, this.#desk.tinOf(w9)) : null) : masked,
      addressLines:
        issued?.incomeDetails?.recipient.addressLines ?? (await addressLinesOf(reader, form.userId, w9)),
      corrects: issued?.corrects ?? null,
    };
  }
}

async function addressLinesOf(reader: Reader, userId: string, w9: TaxFormRow | undefined): Promise<string[]> {
  const address = w9?.w9?.address ?? (await readPayeeFacts(reader, userId)).address;
  if (!address) return [];
  return [
    address.line1,
    ...(address.line2 ? [address.line2] : []),
    `${address.city}, ${address.state} ${address.postalCode}`,
  ];
}

const sumOf = <T>(rows: readonly T[], part: (row: T) => Cents): Cents =>
  rows.reduce((sum, row) => sum + part(row), 0);
