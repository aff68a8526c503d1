/** Compares a payee's names (specification, section 8): case, accents, order, punctuation and middle names aside. */

import type { PaymentMethod } from '../db/schema/index.ts';

/** Letters that Unicode does not take apart into a base letter and an accent. */
const LETTERS: Record<string, string> = {
  ł: 'l',
  ø: 'o',
  đ: 'd',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  þ: 'th',
  ð: 'd',
  ı: 'i',
};

/** The words of a name in lower case, without accents and punctuation, in the order written. */
export function nameWords(name: string): string[] {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[łøđßæœþðı]/g, (letter) => LETTERS[letter] ?? letter)
    .replace(/['’ʼ`]/g, '')
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}

/**
 * True when two names can be the same person's or firm's: the same words in any order, or names of which each holds the
 * first and the last word of the other, so that only what stands between differs. An empty name matches none.
 */
export function namesMatch(a: string, b: string): boolean {
  const [first, second] = [nameWords(a), nameWords(b)];
  if (first.length === 0 || second.length === 0) return false;
  if (sameWords(first, second)) return true;
  if (Math.min(first.length, second.length) < 2) return false;
  return (
    outer(first).every((word) => second.includes(word)) && outer(second).every((word) => first.includes(word))
  );
}

/** Every name that is there matches every other. */
export const allNamesMatch = (names: readonly (string | undefined)[]): boolean => {
  const given = names.filter((name) => name !== undefined);
  return given.every((name, index) => given.slice(index + 1).every((other) => namesMatch(name, other)));
};

/** The names that are compared, as they are written; the account holder's only where a payment goes to the account. */
export interface PayeeNames {
  kyc: string;
  w9: string | undefined;
  accountHolder: string | undefined;
}

export const payeeNames = (
  payout: { bankDetails: { accountHolderName: string } | null },
  payee: { legalName: string; w9: { data: { legalName: string } } | undefined },
  method: PaymentMethod,
): PayeeNames => ({
  kyc: payee.legalName,
  w9: payee.w9?.data.legalName,
  accountHolder: method === 'ach' ? payout.bankDetails?.accountHolderName : undefined,
});

/** Why a payout is held for its names. It names them, as a reviewer accepts this very set and no other. */
export const mismatchReason = ({ kyc, w9, accountHolder }: PayeeNames): string =>
  `NAME_MISMATCH: The names differ. Identity check: ${kyc}. W-9: ${w9 ?? 'none'}. Bank account: ${accountHolder ?? 'none'}.`;

/** What a reviewer accepts when the names differ: this very set of names and no other, in whatever order their words stand. */
export const namesKey = ({ kyc, w9, accountHolder }: PayeeNames): string =>
  [kyc, w9, accountHolder].map((name) => inOrder(nameWords(name ?? ''))).join(' | ');

const REASON = /^NAME_MISMATCH: The names differ\. Identity check: (.*)\. W-9: (.*)\. Bank account: (.*)\.$/s;

/** Is this the reason for which a payout with these names is held? They may be written in another way by now. */
export function isMismatchOf(reason: string | null, names: PayeeNames): boolean {
  if (reason === mismatchReason(names)) return true;
  const [, kyc, w9, accountHolder] = REASON.exec(reason ?? '') ?? [];
  if (kyc === undefined) return false;
  const given = (name: string | undefined) => (name === 'none' ? undefined : name);
  return namesKey({ kyc, w9: given(w9), accountHolder: given(accountHolder) }) === namesKey(names);
}

const inOrder = (words: string[]): string => [...words].sort().join(' ');

const sameWords = (a: string[], b: string[]) => a.length === b.length && inOrder(a) === inOrder(b);

const outer = (words: string[]): string[] => [words[0] ?? '', words.at(-1) ?? ''];
