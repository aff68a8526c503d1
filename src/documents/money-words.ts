/** The parts of a payout as a document prints them; integer cents, all of them 0 or more. */
export type PayoutAmounts = {
  grossCents: number;
  retentionFeeCents: number;
  withheldCents: number;
  netCents: number;
  withholdingReason?: string;
};

/** One printed line of the breakdown; a deduction's `amountCents` is negative. */
export type BreakdownLine = { label: string; amountCents: number; isTotal: boolean };

const SMALL_NUMBERS = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
  'thirteen',
  'fourteen',
  'fifteen',
  'sixteen',
  'seventeen',
  'eighteen',
  'nineteen',
];
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];
/** Number.MAX_SAFE_INTEGER cents is 90 trillion dollars: no longer list can be reached. */
const GROUPS = ['', ' thousand', ' million', ' billion', ' trillion'];

/** 1 to 999 in words, without "and": a check keeps that word for the cents. */
function wordsBelowThousand(number: number): string {
  const hundreds = Math.floor(number / 100);
  const rest = number % 100;
  const tail =
    rest < 20
      ? SMALL_NUMBERS[rest]
      : `${TENS[Math.floor(rest / 10)]}${rest % 10 === 0 ? '' : `-${SMALL_NUMBERS[rest % 10]}`}`;
  if (hundreds === 0) return `${tail}`;
  return `${SMALL_NUMBERS[hundreds]} hundred${rest === 0 ? '' : ` ${tail}`}`;
}

function wholeDollarsInWords(dollars: number): string {
  if (dollars === 0) return 'zero';
  const parts: string[] = [];
  for (let rest = dollars, group = 0; rest > 0; rest = Math.floor(rest / 1000), group += 1) {
    if (rest % 1000 > 0) parts.unshift(wordsBelowThousand(rest % 1000) + GROUPS[group]);
  }
  return parts.join(' ');
}

/** Refuses what is no whole number of cents, so that a document never prints NaN or a rounded amount. */
function assertCents(cents: number): void {
  if (!Number.isSafeInteger(cents)) throw new RangeError('An amount must be a whole number of cents.');
}

/**
 * An amount as it is written on a check: 'Ninety-nine thousand seven hundred and 00/100 dollars'.
 * @param cents integer cents, 0 or more; throws a RangeError otherwise
 */
export function amountInWords(cents: number): string {
  assertCents(cents);
  if (cents < 0) throw new RangeError('A check cannot be written for a negative amount.');
  const words = wholeDollarsInWords(Math.floor(cents / 100));
  const fraction = String(cents % 100).padStart(2, '0');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)} and ${fraction}/100 dollars`;
}

/**
 * An amount in figures: 9970000 is '$99,700.00', -30000 is '-$300.00'.
 * @param cents integer cents; throws a RangeError otherwise
 */
export function formatUsd(cents: number): string {
  assertCents(cents);
  // Digits are moved, not divided: a floating point quotient would not be exact for large amounts.
  const digits = String(Math.abs(cents)).padStart(3, '0');
  const dollars = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ',');
  return `${cents < 0 ? '-' : ''}$${dollars}.${digits.slice(-2)}`;
}

/**
 * The lines from gross to net in the design document's words (section 4, `breakdown`).
 * Throws a RangeError when they do not add up: such a document must not exist.
 */
export function breakdownLines(amounts: PayoutAmounts): BreakdownLine[] {
  const { grossCents, retentionFeeCents, withheldCents, netCents } = amounts;
  for (const cents of [grossCents, retentionFeeCents, withheldCents, netCents]) {
    assertCents(cents);
    if (cents < 0) throw new RangeError('The parts of a payout cannot be negative.');
  }
  if (grossCents - retentionFeeCents - withheldCents !== netCents) {
    throw new RangeError('The amounts of the payout do not add up: gross - fee - withheld must be net.');
  }
  const lines: BreakdownLine[] = [
    { label: 'Gross Payout', amountCents: grossCents, isTotal: false },
    { label: 'Retention Fee (Next Year)', amountCents: 0 - retentionFeeCents, isTotal: false },
  ];
  if (withheldCents > 0) {
    // Taken from the amounts, so that the printed rate is the one that was applied. 24% today (IRC 3406).
    const ratePercent = Math.round((withheldCents / grossCents) * 1000) / 10;
    lines.push({
      label: `Backup Withholding (${ratePercent}%)`,
      amountCents: 0 - withheldCents,
      isTotal: false,
    });
  }
  return [...lines, { label: 'Net Payout', amountCents: netCents, isTotal: true }];
}
