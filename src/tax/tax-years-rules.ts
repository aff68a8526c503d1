/** The table of tax years: what a 1099-MISC is made from, and the rate of backup withholding. */
import { z } from 'zod';
import { DomainError } from '../kernel/errors.ts';
import { centsFromDecimal, type Cents } from '../kernel/money.ts';

export interface TaxYear {
  /** Box 3 at or above it makes a form. */
  thresholdCents: Cents;
  withholdingBasisPoints: number;
}

/** 24% since 2018 (Public Law 115-97, IRC section 3406(a)(1)), until the table says otherwise. */
const BACKUP_WITHHOLDING_BASIS_POINTS = 2400;
const FIRST_YEAR = 2018;

/** $600 through 2025; $2,000 for 2026 (IRC section 6041(a), as changed by Public Law 119-21). */
const BUILT_IN = new Map<number, TaxYear>([
  ...Array.from({ length: 2025 - FIRST_YEAR + 1 }, (_, index): [number, TaxYear] => [
    FIRST_YEAR + index,
    { thresholdCents: 60_000, withholdingBasisPoints: BACKUP_WITHHOLDING_BASIS_POINTS },
  ]),
  [2026, { thresholdCents: 200_000, withholdingBasisPoints: BACKUP_WITHHOLDING_BASIS_POINTS }],
]);

const settingSchema = z.record(
  z.string().regex(/^20\d{2}$/, 'must be a year'),
  z.strictObject({
    threshold: z.number().nonnegative().multipleOf(0.01),
    backupWithholdingRate: z.number().min(0).max(1).optional(),
  }),
);

export class TaxYears {
  readonly #years: ReadonlyMap<number, TaxYear>;

  /** `setting`: TAX_YEARS, JSON such as `{"2027":{"threshold":2000,"backupWithholdingRate":0.24}}`. Throws when it is not. */
  constructor(setting?: string) {
    this.#years = new Map([...BUILT_IN, ...(setting === undefined ? [] : yearsFromSetting(setting))]);
  }

  /** Throws TAX_YEAR_UNKNOWN: a threshold is never guessed. */
  get(year: number): TaxYear {
    const row = this.#years.get(year);
    if (row) return row;
    throw new DomainError(
      'TAX_YEAR_UNKNOWN',
      `The tax year ${year} is not in the table. Add it to the setting TAX_YEARS.`,
      {
        taxYear: year,
      },
    );
  }

  /** The rate holds from year to year until the table says otherwise. */
  withholdingBasisPoints(year: number): number {
    const known = [...this.#years.keys()].filter((other) => other <= year).sort((a, b) => b - a)[0];
    return (
      (known === undefined ? undefined : this.#years.get(known))?.withholdingBasisPoints ??
      BACKUP_WITHHOLDING_BASIS_POINTS
    );
  }
}

function yearsFromSetting(setting: string): [number, TaxYear][] {
  const parsed = settingSchema.parse(JSON.parse(setting));
  return Object.entries(parsed).map(([year, row]) => [
    Number(year),
    {
      thresholdCents: centsFromDecimal(row.threshold.toFixed(2)),
      withholdingBasisPoints: Math.round(
        (row.backupWithholdingRate ?? BACKUP_WITHHOLDING_BASIS_POINTS / 10_000) * 10_000,
      ),
    },
  ]);
}

/** A form is made at or above the threshold, and whatever the amount when tax was withheld. */
export const needsForm = (year: TaxYear, incomeCents: Cents, withheldCents: Cents): boolean =>
  incomeCents > 0 && (incomeCents >= year.thresholdCents || withheldCents > 0);
