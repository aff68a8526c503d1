import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { centsFromDecimal, decimalFromCents, dollars, shareOf } from '../../src/kernel/money.ts';

/** All that numeric(12,2) holds. */
const LARGEST = 999_999_999_999;
const cents = fc.integer({ min: -LARGEST, max: LARGEST });
const amount = fc.integer({ min: 0, max: LARGEST });

describe('cents', () => {
  it('come back from the database as they went there', () => {
    fc.assert(
      fc.property(cents, (value) => {
        expect(centsFromDecimal(decimalFromCents(value))).toBe(value);
      }),
    );
  });

  it('are written as numeric(12,2) prints them', () => {
    fc.assert(
      fc.property(cents, (value) => {
        expect(decimalFromCents(value)).toMatch(/^-?(0|[1-9]\d*)\.\d{2}$/);
      }),
    );
    expect(decimalFromCents(9_970_000)).toBe('99700.00');
    expect(decimalFromCents(-5)).toBe('-0.05');
    expect(decimalFromCents(0)).toBe('0.00');
  });

  it('come back from JSON dollars as they went there', () => {
    fc.assert(
      fc.property(cents, (value) => {
        const json = JSON.stringify(dollars(value));
        expect(json).toMatch(/^-?\d+(\.\d{1,2})?$/);
        expect(Math.round((JSON.parse(json) as number) * 100)).toBe(value);
      }),
    );
  });

  it.each([
    ['100000', 10_000_000],
    ['100000.5', 10_000_050],
    [' 1.05 ', 105],
    ['1.0500', 105],
    ['-0.00', 0],
    ['0.29', 29],
  ])('are read from %j', (text, value) => {
    expect(centsFromDecimal(text)).toBe(value);
  });

  it.each([
    '',
    '.',
    '1.',
    '.5',
    '1.005',
    '1e5',
    '1,000',
    '$1',
    'NaN',
    'Infinity',
    '--1',
    '99999999999999999',
  ])('are not read from %j', (text) => {
    expect(() => centsFromDecimal(text)).toThrow(RangeError);
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('are not %d', (value) => {
    for (const use of [decimalFromCents, dollars]) expect(() => use(value)).toThrow(RangeError);
    expect(() => shareOf(value, 1)).toThrow(RangeError);
  });
});

describe('a share', () => {
  /** Whole part by division, then one more when the rest is at least half: not how the code does it. */
  function oracle(value: number, basisPoints: number): number {
    const product = BigInt(value) * BigInt(basisPoints);
    const [whole, rest] = [product / 10_000n, product % 10_000n];
    return Number(rest * 2n >= 10_000n ? whole + 1n : whole);
  }

  it('is rounded half up to the cent', () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 10_000 }), (value, rate) => {
        expect(shareOf(value, rate)).toBe(oracle(value, rate));
      }),
    );
  });

  it('of the half exactly goes up, of anything less down', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), (value) => {
        expect(shareOf(2 * value + 1, 5000)).toBe(value + 1);
        expect(shareOf(2 * value, 5000)).toBe(value);
      }),
    );
    expect(shareOf(1, 4999)).toBe(0);
    expect(shareOf(1, 5001)).toBe(1);
  });

  it('lies between nothing and all', () => {
    fc.assert(
      fc.property(amount, fc.integer({ min: 0, max: 10_000 }), (value, rate) => {
        const share = shareOf(value, rate);
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share).toBeLessThanOrEqual(value);
      }),
    );
  });

  it('of 24% of $100,000 is $24,000', () => {
    expect(shareOf(10_000_000, 2400)).toBe(2_400_000);
  });

  it.each([-1, 0.5, Number.NaN])('has no rate of %d', (rate) => {
    expect(() => shareOf(100, rate)).toThrow(RangeError);
  });
});

it('says what is wrong with an amount', () => {
  expect(() => centsFromDecimal('1,5')).toThrow('Not an amount of dollars and cents: "1,5"');
  expect(() => centsFromDecimal('99999999999999999')).toThrow('The amount is too large to be exact.');
  expect(() => dollars(0.5)).toThrow('Not whole cents: 0.5');
  expect(() => shareOf(-1, 2400)).toThrow('Nothing is withheld from a negative amount.');
  expect(() => shareOf(1, 0.5)).toThrow('The rate must be whole basis points.');
});
