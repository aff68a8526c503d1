import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allNamesMatch,
  isMismatchOf,
  mismatchReason,
  namesKey,
  namesMatch,
  nameWords,
} from '../../src/payouts/payee-names-rules.ts';

const letters = [...'abcdefghijklmnopqrstuvwxyzéñüößłøçāığšž'];
const word = fc
  .array(fc.constantFrom(...letters), { minLength: 2, maxLength: 8 })
  .map((list) => list.join(''));
const words = fc.uniqueArray(word, {
  minLength: 2,
  maxLength: 4,
  selector: (name) => nameWords(name).join(),
});
const anyText = fc.string({ unit: 'grapheme', maxLength: 30 });

describe('two names', () => {
  it('match themselves, unless there is nothing in them', () => {
    fc.assert(
      fc.property(anyText, (name) => {
        expect(namesMatch(name, name)).toBe(nameWords(name).length > 0);
      }),
    );
  });

  it('match whichever is asked about first', () => {
    const name = fc.oneof(
      anyText,
      words.map((list) => list.join(' ')),
    );
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(namesMatch(a, b)).toBe(namesMatch(b, a));
      }),
    );
    // Few letters, so that many of the pairs do match.
    const close = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }).map((list) => list.join(' '));
    fc.assert(
      fc.property(close, close, (a, b) => {
        expect(namesMatch(a, b)).toBe(namesMatch(b, a));
      }),
    );
  });

  it('match in any case', () => {
    fc.assert(
      fc.property(words, (list) => {
        const name = list.join(' ');
        expect(namesMatch(name, name.toUpperCase())).toBe(true);
      }),
    );
  });

  it('match with and without accents', () => {
    fc.assert(
      fc.property(words, (list) => {
        const name = list.join(' ');
        const plain = name.normalize('NFD').replace(/\p{M}/gu, '');
        expect(namesMatch(name, plain)).toBe(true);
        expect(namesMatch(name, name.normalize('NFD'))).toBe(true);
      }),
    );
  });

  it('match in any order', () => {
    const shuffled = words.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        expect(namesMatch(list.join(' '), other.join(' '))).toBe(true);
      }),
    );
  });

  it('match with any punctuation between the words', () => {
    const mark = fc.constantFrom(' ', ', ', '. ', '-', ' - ', '/', '\u00a0', '  ');
    fc.assert(
      fc.property(words, mark, (list, between) => {
        expect(namesMatch(list.join(' '), `${list.join(between)}.`)).toBe(true);
      }),
    );
  });

  it('match whatever stands between the first and the last', () => {
    const middles = fc.array(word, { maxLength: 3 });
    fc.assert(
      fc.property(word, word, middles, middles, (first, last, some, others) => {
        expect(namesMatch([first, ...some, last].join(' '), [first, ...others, last].join(' '))).toBe(true);
      }),
    );
  });

  it('do not match when they have no word in common', () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        const known = new Set(a.flatMap(nameWords));
        fc.pre(!b.flatMap(nameWords).some((name) => known.has(name)));
        expect(namesMatch(a.join(' '), b.join(' '))).toBe(false);
      }),
    );
  });

  it.each([
    ['María José García López', 'Maria Jose Garcia Lopez'],
    ['Łukasz Nuñez-Öztürk', 'LUKASZ NUNEZ OZTURK'],
    ["Sinéad O'Connor", 'Sinead OConnor'],
    ['Sinéad O’Connor', "sinead o'connor"],
    ['Smith, John', 'John Smith'],
    ['John Q. Smith', 'John Smith'],
    ['John Q. Smith', 'John Quincy Smith'],
    ['Nguyễn Thị Ánh', 'Anh Nguyen'],
    ['Jürgen Groß', 'JÜRGEN GROSS'],
    ['Acme Rewards, Inc.', 'ACME REWARDS INC'],
    ['王小明', '王小明'],
    ['Søren Đorđe Ægir Œuvre Þórr Guðni', 'soren dorde aegir oeuvre thorr gudni'],
    ['Ana  --  Ruiz', 'ana ruiz'],
  ])('%s and %s match', (a, b) => {
    expect(namesMatch(a, b)).toBe(true);
  });

  it.each([
    ['John Smith', 'Jane Smith'],
    ['John Smith', 'John Smythe'],
    ['John Smith', 'John'],
    ['John Q. Smith', 'Jane Q. Smith'],
    ['Grace Hopper', 'Grace Hopper Smith'],
    ['Grace Hopper Smith', 'Grace Hopper'],
    ['Grace', 'Grace Brewster Grace'],
    ['Mary Ann Lee', 'Mary Lee Ann Jones'],
    ['John Smith', ''],
    ['', 'John Smith'],
    ['', ''],
    ['...', '...'],
  ])('%j and %j do not', (a, b) => {
    expect(namesMatch(a, b)).toBe(false);
  });
});

describe('several names', () => {
  it('match when each matches every other; one that is not there counts for nothing', () => {
    expect(allNamesMatch(['John Smith', undefined, 'SMITH JOHN'])).toBe(true);
    expect(allNamesMatch(['John Smith', undefined, 'Jane Smith'])).toBe(false);
    expect(allNamesMatch([undefined])).toBe(true);
    // Matching is not transitive: both of these match the third.
    expect(allNamesMatch(['John Allen', 'Allen Smith', 'John Allen Smith'])).toBe(false);
  });
});

describe('the key of accepted names', () => {
  const key = (kyc: string, w9?: string, accountHolder?: string) => namesKey({ kyc, w9, accountHolder });

  it('stays while only spelling changes, and changes with a name', () => {
    expect(key('María García')).toBe(key('MARIA GARCIA', ''));
    expect(key('John Smith', 'Jane Smith')).not.toBe(key('John Smith', 'Jean Smith'));
    expect(key('Grace Hopper', 'HOPPER, Gracé')).toBe(key('Hopper Grace', 'Grace Hopper'));
    expect(key('John', 'Smith')).not.toBe(key('John Smith'));
    expect(key('John', undefined, 'Smith')).not.toBe(key('John', 'Smith'));
  });
});

describe('the reason for which a payout is held', () => {
  const names = (kyc: string, w9?: string, accountHolder?: string) => ({ kyc, w9, accountHolder });
  const held = mismatchReason(names('Ada Lovelace', undefined, 'Bob Stranger'));

  it('stays that of the same names, however they are written by then', () => {
    expect(isMismatchOf(held, names('Ada Lovelace', undefined, 'Bob Stranger'))).toBe(true);
    expect(isMismatchOf(held, names('LOVELACE, Áda', undefined, 'Stranger Bob'))).toBe(true);
  });

  it('is none of other names, or of the same in other places', () => {
    for (const others of [
      names('Ada Lovelace', 'None', 'Bob Stranger'),
      names('Ada Lovelace', 'Ada Lovelace', 'Bob Stranger'),
      names('Ada Lovelace', undefined, 'Rob Stranger'),
      names('Bob Stranger', undefined, 'Ada Lovelace'),
      names('Ada Lovelace', 'Bob Stranger'),
    ])
      expect(isMismatchOf(held, others)).toBe(false);
  });

  it('is what was written for those names, with line breaks and words of ours in them too; no other is', () => {
    const odd = names('A. W-9: B', 'C\nD', 'E. Bank account: F');
    expect(isMismatchOf(mismatchReason(odd), odd)).toBe(true);
    const none = names('Ada Lovelace', 'none', 'Bob');
    expect(isMismatchOf(mismatchReason(none), none)).toBe(true);
    const broken = names('Ada\nLovelace', 'C\nD', 'Bob');
    expect(isMismatchOf(mismatchReason(broken), broken)).toBe(true);
    for (const reason of [null, '', 'KYC_NOT_VERIFIED: lost', `${held} `])
      expect(isMismatchOf(reason, names('Ada Lovelace', undefined, 'Bob Stranger'))).toBe(false);
  });
});
