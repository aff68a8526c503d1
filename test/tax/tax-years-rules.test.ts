import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { needsForm, TaxYears } from '../../src/tax/tax-years-rules.ts';

let years: TaxYears;
beforeAll(() => {
  years = new TaxYears();
});

describe('the table of tax years', () => {
  it.each([2018, 2024, 2025])('has $600 for %i (IRC section 6041(a) before Public Law 119-21)', (year) => {
    expect(years.get(year).thresholdCents).toBe(60_000);
  });

  it('has $2,000 for 2026 (IRC section 6041(a), Public Law 119-21, section 70433)', () => {
    expect(years.get(2026).thresholdCents).toBe(200_000);
  });

  it.each([2017, 2027, 2100])('refuses %i, which it does not have, rather than guess', (year) => {
    expect(() => years.get(year)).toThrow(
      expect.objectContaining({
        code: 'TAX_YEAR_UNKNOWN',
        message: `The tax year ${year} is not in the table. Add it to the setting TAX_YEARS.`,
        details: { taxYear: year },
      }),
    );
  });

  it('withholds 24% from 2018 on, also in years to come (IRC sections 3406(a)(1) and 1(j), Public Law 119-21)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2018, max: 2100 }), (year) => {
        expect(years.withholdingBasisPoints(year)).toBe(2400);
      }),
    );
  });
});

describe('the setting TAX_YEARS', () => {
  it('adds a year, with the rate of the law unless it says another', () => {
    const added = new TaxYears('{"2027":{"threshold":2050.5}}');
    expect(added.get(2027)).toEqual({ thresholdCents: 205_050, withholdingBasisPoints: 2400 });
    expect(added.get(2026)).toEqual(years.get(2026));
  });

  it('may change a year that is built in', () => {
    expect(new TaxYears('{"2026":{"threshold":600}}').get(2026).thresholdCents).toBe(60_000);
  });

  it('changes the rate from its year on and not before', () => {
    const changed = new TaxYears('{"2030":{"threshold":2000,"backupWithholdingRate":0.28}}');
    expect(changed.withholdingBasisPoints(2029)).toBe(2400);
    expect(changed.withholdingBasisPoints(2030)).toBe(2800);
    expect(changed.withholdingBasisPoints(2031)).toBe(2800);
  });

  it.each([
    '{',
    '[]',
    '{"27":{"threshold":1}}',
    '{"2027":{}}',
    '{"2027":{"threshold":-1}}',
    '{"2027":{"threshold":1.001}}',
    '{"2027":{"threshold":1,"x":1}}',
  ])('is refused when it is %s', (setting) => {
    expect(() => new TaxYears(setting)).toThrow();
  });

  it('reads every rate of whole basis points exactly', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), (basisPoints) => {
        const setting = JSON.stringify({
          2027: { threshold: 2000, backupWithholdingRate: basisPoints / 10_000 },
        });
        expect(new TaxYears(setting).withholdingBasisPoints(2027)).toBe(basisPoints);
      }),
    );
  });
});

describe('a 1099-MISC is needed (Instructions for Forms 1099-MISC and 1099-NEC, Specific Instructions)', () => {
  it.each([
    [2025, 59_999, 0, false],
    [2025, 60_000, 0, true],
    [2026, 199_999, 0, false],
    [2026, 200_000, 0, true],
  ])('in %i for %i cents with %i withheld: %s', (year, income, withheld, needed) => {
    expect(needsForm(years.get(year), income, withheld)).toBe(needed);
  });

  it('for any income from which tax was withheld, "regardless of the amount of the payment"', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2018, max: 2026 }),
        fc.integer({ min: 1, max: 10_000_000 }),
        (year, income) => {
          expect(needsForm(years.get(year), income, 1)).toBe(true);
        },
      ),
    );
  });

  it('never for less when it is needed for more', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.nat(1_000_000), (income, more) => {
        const year = years.get(2026);
        if (needsForm(year, income, 0)) expect(needsForm(year, income + more, 0)).toBe(true);
      }),
    );
  });

  it('not for a year without income', () => {
    expect(needsForm(years.get(2026), 0, 0)).toBe(false);
  });
});
