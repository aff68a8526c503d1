/** Rules for US bank details (specification, section 8). */

/**
 * ABA routing number: nine digits, weighted checksum 3-7-1 divisible by ten, and a prefix in use: Federal Reserve
 * districts 01-12, thrift institutions 21-32, electronic 61-72, traveller's cheques 80. The government's 00 is left
 * out: members do not bank there. (ABA Routing Number Policy.)
 */
export function isRoutingNumber(text: string): boolean {
  if (!/^\d{9}$/.test(text)) return false;
  const prefix = Number(text.slice(0, 2));
  const known = [[1, 12], [21, 32], [61, 72], [80, 80]].some(([from, to]) => prefix >= from! && prefix <= to!); // prettier-ignore
  const sum = [...text].reduce((total, digit, index) => total + Number(digit) * [3, 7, 1][index % 3]!, 0);
  return known && sum % 10 === 0;
}

export const isAccountNumber = (text: string): boolean => /^\d{4,17}$/.test(text);

/** `****6789`: four stars and the last four digits. */
export const masked = (number: string): string => `****${number.slice(-4)}`;

/** ACH returns that concern the account itself: these details are not tried again (Nacha return reason codes). */
export const ACCOUNT_RETURN_CODES = ['R02', 'R03', 'R04', 'R13', 'R16', 'R20'] as const;

export const concernsAccount = (returnCode: string | undefined): boolean =>
  (ACCOUNT_RETURN_CODES as readonly string[]).includes(returnCode ?? '');
