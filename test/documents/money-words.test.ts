import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { amountInWords, breakdownLines, formatUsd } from '../../src/documents/money-words.ts';

const VALUES: Record<string, number> = Object.fromEntries(
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'
    .split(' ')
    .map((word, value) => [word, value]),
);
'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ').forEach((word, index) => {
  VALUES[word] = (index + 2) * 10;
});
const SCALES: Record<string, bigint> = {
  thousand: 1_000n,
  million: 1_000_000n,
  billion: 1_000_000_000n,
  trillion: 1_000_000_000_000n,
};

/** Reads the words back the way a bank clerk does, sharing nothing with the code that writes them. */
function readWords(text: string): bigint {
  const [, words = '', cents = ''] = /^(.+) and (\d\d)\/100 dollars$/.exec(text) ?? [];
  let dollars = 0n;
  let group = 0;
  for (const word of words.toLowerCase().split(/[ -]/)) {
    const scale = SCALES[word];
    if (scale !== undefined) {
      dollars += BigInt(group) * scale;
      group = 0;
    } else if (word === 'hundred') group *= 100;
    else group += VALUES[word] ?? Number.NaN;
  }
  return (dollars + BigInt(group)) * 100n + BigInt(cents);
}

const anyCents = fc.oneof(
  fc.integer({ min: 0, max: 20_000_000 }),
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
);

describe('an amount in words', () => {
  it.each([
    [9_970_000, 'Ninety-nine thousand seven hundred and 00/100 dollars'],
    [7_570_000, 'Seventy-five thousand seven hundred and 00/100 dollars'],
    [10_000_000, 'One hundred thousand and 00/100 dollars'],
    [1_301_405, 'Thirteen thousand fourteen and 05/100 dollars'],
    [110_000_099, 'One million one hundred thousand and 99/100 dollars'],
    [2_100, 'Twenty-one and 00/100 dollars'],
    [7, 'Zero and 07/100 dollars'],
    [0, 'Zero and 00/100 dollars'],
  ])('writes %d cents as "%s"', (cents, words) => {
    expect(amountInWords(cents)).toBe(words);
  });

  it('reads back as the same amount, whatever the amount', () => {
    fc.assert(
      fc.property(anyCents, (cents) => {
        const words = amountInWords(cents);
        expect(words).toMatch(/^[A-Z][a-z]*([ -][a-z]+)* and \d\d\/100 dollars$/);
        expect(readWords(words)).toBe(BigInt(cents));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('refuses %d cents', (cents) => {
    expect(() => amountInWords(cents)).toThrow(RangeError);
  });
});

describe('an amount in figures', () => {
  it.each([
    [9_970_000, '$99,700.00'],
    [-30_000, '-$300.00'],
    [-5, '-$0.05'],
    [0, '$0.00'],
    [-0, '$0.00'],
    [99_999, '$999.99'],
    [100_000, '$1,000.00'],
    [Number.MAX_SAFE_INTEGER, '$90,071,992,547,409.91'],
  ])('writes %d cents as "%s"', (cents, figures) => {
    expect(formatUsd(cents)).toBe(figures);
  });

  it('reads back as the same amount, with a comma before every three digits', () => {
    const signed = fc
      .tuple(anyCents, fc.boolean())
      .map(([cents, isNegative]) => (isNegative ? -cents : cents));
    fc.assert(
      fc.property(signed, (cents) => {
        const figures = formatUsd(cents);
        expect(figures).toMatch(/^-?\$\d{1,3}(,\d{3})*\.\d\d$/);
        expect(BigInt(figures.replace(/[$,.]/g, ''))).toBe(BigInt(cents));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([0.1, Number.NaN, 2 ** 53])('refuses %d cents', (cents) => {
    expect(() => formatUsd(cents)).toThrow(RangeError);
  });
});

describe('the breakdown of a payout', () => {
  const amounts = {
    grossCents: 10_000_000,
    retentionFeeCents: 30_000,
    withheldCents: 0,
    netCents: 9_970_000,
  };

  it('names gross, retention fee and net in the words of the design document', () => {
    expect(breakdownLines(amounts)).toEqual([
      { label: 'Gross Payout', amountCents: 10_000_000, isTotal: false },
      { label: 'Retention Fee (Next Year)', amountCents: -30_000, isTotal: false },
      { label: 'Net Payout', amountCents: 9_970_000, isTotal: true },
    ]);
  });

  it('shows backup withholding, with its rate, only when tax was withheld', () => {
    const lines = breakdownLines({ ...amounts, withheldCents: 2_400_000, netCents: 7_570_000 });
    expect(lines[2]).toEqual({
      label: 'Backup Withholding (24%)',
      amountCents: -2_400_000,
      isTotal: false,
    });
  });

  it('adds up to the net amount', () => {
    const cents = fc.integer({ min: 0, max: 10_000_000_000 });
    fc.assert(
      fc.property(cents, cents, cents, (netCents, retentionFeeCents, withheldCents) => {
        const grossCents = netCents + retentionFeeCents + withheldCents;
        const lines = breakdownLines({ grossCents, retentionFeeCents, withheldCents, netCents });
        const parts = lines.filter(({ isTotal }) => !isTotal);
        expect(parts.reduce((sum, { amountCents }) => sum + amountCents, 0)).toBe(netCents);
        expect(lines.at(-1)).toMatchObject({ isTotal: true, amountCents: netCents });
      }),
    );
  });

  it.each([
    ['one cent is missing', { netCents: 9_969_999 }],
    ['a part is negative', { retentionFeeCents: -30_000, netCents: 10_030_000 }],
    ['a part is a fraction of a cent', { grossCents: 10_000_000.5, netCents: 9_970_000.5 }],
  ])('is refused when %s', (_, wrong) => {
    expect(() => breakdownLines({ ...amounts, ...wrong })).toThrow(RangeError);
  });
});
