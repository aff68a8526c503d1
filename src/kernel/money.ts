/** Integer cents of US dollars. All arithmetic is done in it; dollars exist only at the edges. */
export type Cents = number;

const PATTERN = /^(-?)(\d+)(?:\.(\d{1,2})0*)?$/;

/** Reads `numeric(12,2)` as PostgreSQL prints it, or a dollar amount from configuration. Throws on anything else. */
export function centsFromDecimal(text: string): Cents {
  const match = PATTERN.exec(text.trim());
  if (!match) throw new RangeError(`Not an amount of dollars and cents: ${JSON.stringify(text)}`);
  const cents = Number(match[2]) * 100 + Number((match[3] ?? '').padEnd(2, '0'));
  if (!Number.isSafeInteger(cents)) throw new RangeError('The amount is too large to be exact.');
  return match[1] === '-' && cents !== 0 ? -cents : cents;
}

/** Writes cents as PostgreSQL's `numeric` takes them: `9970000` becomes `"99700.00"`. */
export function decimalFromCents(cents: Cents): string {
  assertCents(cents);
  const digits = String(Math.abs(cents)).padStart(3, '0');
  return `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** The JSON number of dollars at the edge: exact to the cent for every amount that `numeric(12,2)` holds. */
export function dollars(cents: Cents): number {
  assertCents(cents);
  return cents / 100;
}

/** `amount * rate` rounded half up to the cent; `rateBasisPoints` is a hundredth of a per cent (24% is 2400). */
export function shareOf(amount: Cents, rateBasisPoints: number): Cents {
  assertCents(amount);
  if (amount < 0) throw new RangeError('Nothing is withheld from a negative amount.');
  if (!Number.isInteger(rateBasisPoints) || rateBasisPoints < 0)
    throw new RangeError('The rate must be whole basis points.');
  return Number((BigInt(amount) * BigInt(rateBasisPoints) + 5000n) / 10000n);
}

function assertCents(cents: Cents): void {
  if (!Number.isSafeInteger(cents)) throw new RangeError(`Not whole cents: ${cents}`);
}
