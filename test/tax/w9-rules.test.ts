/** Sources: Form W-9 and its instructions (Rev. March 2024); SSA POMS RM 10201.035; IRM 3.13.5; IRS list of EIN prefixes. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CERTIFICATION_TEXTS,
  CERTIFICATION_VERSION,
  formattedTin,
  isTin,
  TIN_TYPES,
  tinDigits,
  truncatedTin,
  w9Faults,
  type W9Shape,
} from '../../src/tax/w9-rules.ts';

const digits = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((list) => list.join(''));
const tinType = fc.constantFrom(...TIN_TYPES);

const form = (change: Partial<W9Shape> = {}): W9Shape => ({
  taxClassification: 'individual',
  tinType: 'ssn',
  tin: '123-45-6789',
  ...change,
});
const faultyFields = (change: Partial<W9Shape>) => w9Faults(form(change)).map(({ path }) => path);

describe('a TIN as people type it', () => {
  it('is nine digits, with dashes and spaces where they like', () => {
    fc.assert(
      fc.property(
        digits(9),
        fc.array(fc.constantFrom('-', ' ', ''), { minLength: 8, maxLength: 8 }),
        (tin, gaps) => {
          const typed = [...tin].map((digit, index) => digit + (gaps[index] ?? '')).join('');
          expect(tinDigits(typed)).toBe(tin);
        },
      ),
    );
  });

  it.each(['', '12345678', '1234567890', '12345678x', '１２３４５６７８９', '123.45.6789'])(
    'is not %j',
    (typed) => {
      expect(tinDigits(typed)).toBeNull();
    },
  );
});

describe('a social security number (SSA, POMS RM 10201.035)', () => {
  it('has no area 000, 666 or 900 to 999, no group 00, no serial 0000', () => {
    fc.assert(
      fc.property(digits(9), (tin) => {
        const [area, group, serial] = [
          Number(tin.slice(0, 3)),
          Number(tin.slice(3, 5)),
          Number(tin.slice(5)),
        ];
        const possible = area > 0 && area < 900 && area !== 666 && group > 0 && serial > 0;
        expect(isTin('ssn', tin)).toBe(possible);
      }),
    );
  });

  it.each(['000123456', '666123456', '900123456', '123006789', '123450000'])('is not %s', (tin) => {
    expect(isTin('ssn', tin)).toBe(false);
  });
});

describe('an ITIN (IRS, Publication 1915 and IRM 3.21.263)', () => {
  it('starts with 9 and has a middle of 50-65, 70-88, 90-92 or 94-99', () => {
    const middles = Array.from({ length: 100 }, (_, middle) => middle).filter((middle) =>
      isTin('itin', `900${String(middle).padStart(2, '0')}1234`),
    );
    const range = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => from + index);
    expect(middles).toEqual([...range(50, 65), ...range(70, 88), ...range(90, 92), ...range(94, 99)]);
  });

  it('is never also a social security number', () => {
    fc.assert(
      fc.property(digits(9), (tin) => {
        expect(isTin('ssn', tin) && isTin('itin', tin)).toBe(false);
      }),
    );
  });
});

describe('an EIN (IRS, How EINs are assigned and valid EIN prefixes)', () => {
  it('has a prefix that a campus, the internet or the SBA assigns', () => {
    const prefixes = Array.from({ length: 100 }, (_, prefix) => String(prefix).padStart(2, '0'));
    const unassigned = prefixes.filter((prefix) => !isTin('ein', `${prefix}1234567`));
    expect(unassigned.join(' ')).toBe('00 07 08 09 17 18 19 28 29 49 69 70 78 79 89 96 97');
  });
});

describe('a W-9', () => {
  it('of an individual with a social security number has no faults', () => {
    expect(w9Faults(form())).toEqual([]);
  });

  it('of a sole proprietor may give an EIN (instructions, Part I)', () => {
    expect(faultyFields({ tinType: 'ein', tin: '12-3456789' })).toEqual([]);
  });

  it.each(['c_corporation', 's_corporation', 'partnership'] as const)(
    'of a %s gives the EIN of the entity',
    (classification) => {
      expect(faultyFields({ taxClassification: classification })).toEqual(['tinType']);
      expect(faultyFields({ taxClassification: classification, tinType: 'ein', tin: '12-3456789' })).toEqual(
        [],
      );
    },
  );

  it('of an LLC that is a corporation or partnership gives the EIN of the entity (instructions, Part I)', () => {
    expect(faultyFields({ taxClassification: 'llc', llcClassification: 'P' })).toEqual(['tinType']);
    expect(
      faultyFields({ taxClassification: 'llc', llcClassification: 'P', tinType: 'ein', tin: '12-3456789' }),
    ).toEqual([]);
  });

  it('of a grantor trust may give the SSN of the grantor (What Name and Number To Give)', () => {
    expect(faultyFields({ taxClassification: 'trust_estate' })).toEqual([]);
  });

  it('of an LLC says C, S or P, and no other form does (line 3a)', () => {
    expect(faultyFields({ taxClassification: 'llc', tinType: 'ein', tin: '12-3456789' })).toEqual([
      'llcClassification',
    ]);
    expect(faultyFields({ llcClassification: 'C' })).toEqual(['llcClassification']);
  });

  it('of an individual has no exempt payee code (line 4: individuals are not exempt)', () => {
    expect(faultyFields({ exemptPayeeCode: '5' })).toEqual(['exemptPayeeCode']);
    expect(faultyFields({ taxClassification: 'trust_estate', exemptPayeeCode: '13' })).toEqual([]);
  });

  it('of an individual has no FATCA code either (line 4: "codes apply only to certain entities, not individuals")', () => {
    expect(faultyFields({ fatcaExemptionCode: 'A' })).toEqual(['fatcaExemptionCode']);
    expect(faultyFields({ taxClassification: 'trust_estate', fatcaExemptionCode: 'M' })).toEqual([]);
  });

  it('is signed under a text that is kept by its version (part II, Certification)', () => {
    const text = CERTIFICATION_TEXTS[CERTIFICATION_VERSION] ?? [];
    expect(text).toHaveLength(5);
    expect(text[0]).toMatch(/^Under penalties of perjury/);
    expect(text[2]).toMatch(/^2\. I am not subject to backup withholding/);
    // Whoever signed it, signed these very words.
    const hash = createHash('sha256').update(JSON.stringify(text)).digest('hex');
    expect([CERTIFICATION_VERSION, hash.slice(0, 16)]).toEqual(['W-9 Rev. March 2024', '89e972c89f7927af']);
  });

  it('names the field of a TIN that cannot be, and never repeats the number', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), tinType, (tin, type) => {
        const faults = w9Faults(form({ tin, tinType: type })).filter(({ path }) => path === 'tin');
        const plain = tinDigits(tin);
        expect(faults.length === 0).toBe(plain !== null && isTin(type, plain));
        if (plain !== null) for (const { message } of faults) expect(message).not.toContain(plain);
      }),
    );
  });
});

describe('a TIN on paper', () => {
  it('shows the last four digits and no other (Treas. Reg. 301.6109-4(b))', () => {
    fc.assert(
      fc.property(tinType, digits(9), (type, tin) => {
        const shown = truncatedTin(type, tin.slice(-4));
        expect(shown.replace(/[X-]/g, '')).toBe(tin.slice(-4));
        expect(shown).toMatch(type === 'ein' ? /^XX-XXX\d{4}$/ : /^XXX-XX-\d{4}$/);
      }),
    );
  });

  it('in full is read back as the same digits', () => {
    fc.assert(
      fc.property(tinType, digits(9), (type, tin) => {
        expect(tinDigits(formattedTin(type, tin))).toBe(tin);
      }),
    );
    expect(formattedTin('ein', '123456789')).toBe('12-3456789');
    expect(formattedTin('ssn', '123456789')).toBe('123-45-6789');
  });
});
