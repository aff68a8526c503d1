import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ACCOUNT_RETURN_CODES,
  concernsAccount,
  isAccountNumber,
  isRoutingNumber,
  masked,
} from '../../src/payments/bank-details-rules.ts';

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);
/** ABA Routing Number Policy: Federal Reserve districts, thrifts, electronic, traveller's cheques. */
const PREFIXES = [...range(1, 12), ...range(21, 32), ...range(61, 72), 80].map((prefix) =>
  String(prefix).padStart(2, '0'),
);

/** The ninth digit makes 3(d1+d4+d7) + 7(d2+d5+d8) + (d3+d6+d9) a multiple of ten. */
function withCheckDigit(eight: string): string {
  const [d1 = 0, d2 = 0, d3 = 0, d4 = 0, d5 = 0, d6 = 0, d7 = 0, d8 = 0] = [...eight].map(Number);
  const sum = 3 * (d1 + d4 + d7) + 7 * (d2 + d5 + d8) + (d3 + d6);
  return `${eight}${(10 - (sum % 10)) % 10}`;
}

const digits = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((list) => list.join(''));
const routingNumbers = fc
  .tuple(fc.constantFrom(...PREFIXES), digits(6))
  .map(([prefix, rest]) => withCheckDigit(prefix + rest));

describe('a routing number', () => {
  it.each(['021000021', '011401533', '091000019'])('%s of a real bank is one', (number) => {
    expect(isRoutingNumber(number)).toBe(true);
  });

  it('has the right check digit', () => {
    fc.assert(
      fc.property(routingNumbers, (number) => {
        expect(isRoutingNumber(number)).toBe(true);
      }),
    );
  });

  it('with any one digit changed is none', () => {
    fc.assert(
      fc.property(routingNumbers, fc.nat(8), fc.integer({ min: 1, max: 9 }), (number, place, change) => {
        const digit = (Number(number[place]) + change) % 10;
        expect(isRoutingNumber(number.slice(0, place) + digit + number.slice(place + 1))).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  it('with two neighbours swapped is none, unless they differ by five or not at all', () => {
    fc.assert(
      fc.property(routingNumbers, fc.nat(7), (number, place) => {
        const [a = '', b = ''] = [number[place], number[place + 1]];
        fc.pre(Math.abs(Number(a) - Number(b)) % 5 !== 0);
        expect(isRoutingNumber(number.slice(0, place) + b + a + number.slice(place + 2))).toBe(false);
      }),
      { numRuns: 1000 },
    );
  });

  it('has a prefix in use, whatever its checksum', () => {
    const taken = range(0, 99)
      .map((prefix) => String(prefix).padStart(2, '0'))
      .filter((prefix) => isRoutingNumber(withCheckDigit(`${prefix}100002`)));
    expect(taken).toEqual(PREFIXES);
  });

  it.each([
    '',
    '02100002',
    '0210000210',
    '02100002x',
    ' 021000021',
    '021-000-021',
    '０２１０００００２１',
    '000000000',
  ])('is not %j', (text) => {
    expect(isRoutingNumber(text)).toBe(false);
  });
});

describe('an account number', () => {
  it('is 4 to 17 digits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 25 }).chain((length) => digits(length)),
        (text) => {
          expect(isAccountNumber(text)).toBe(text.length >= 4 && text.length <= 17);
        },
      ),
    );
    for (const text of ['12345x', '1234 5678', '-12345', '１２３４５'])
      expect(isAccountNumber(text)).toBe(false);
  });

  it('is shown by its last four digits', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: 17 }).chain((length) => digits(length)),
        (number) => {
          expect(masked(number)).toBe(`****${number.slice(-4)}`);
        },
      ),
    );
  });
});

describe('an ACH return (Nacha return reason codes)', () => {
  it('concerns the account for closed, unknown, invalid, frozen and non-transaction accounts', () => {
    expect(ACCOUNT_RETURN_CODES).toEqual(['R02', 'R03', 'R04', 'R13', 'R16', 'R20']);
    for (const code of ACCOUNT_RETURN_CODES) expect(concernsAccount(code)).toBe(true);
  });

  it.each(['R01', 'R09', 'R23', '', undefined])('does not for %s', (code) => {
    expect(concernsAccount(code)).toBe(false);
  });
});
