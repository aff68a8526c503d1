import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonFault, parseStrictJson } from '../../src/http/strict-json-rules.ts';

const faultOf = (text: string): string => {
  try {
    parseStrictJson(text);
  } catch (error) {
    expect(error).toBeInstanceOf(JsonFault);
    return `${(error as JsonFault).path} ${(error as JsonFault).message}`;
  }
  return 'taken';
};

describe('strict JSON', () => {
  it('reads what JSON.parse reads, to the same value', () => {
    const plain = fc
      .jsonValue({ maxDepth: 5 })
      .filter((value) => !/__proto__|constructor|prototype/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(plain, fc.constantFrom(0, 2, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        const fault = faultOf(text);
        // A number beyond what is exact, or text that cannot be stored, is all that may be refused.
        if (fault === 'taken') expect(parseStrictJson(text)).toEqual(JSON.parse(text));
        else expect(fault).toMatch(/too large|too long|cannot be stored/);
      }),
      { numRuns: 300 },
    );
  });

  it('takes nothing that JSON.parse does not take', () => {
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 2 }),
        fc.nat(),
        fc.constantFrom('', ',', '}', '"', '0', '\u0001', '\\'),
        (value, at, put) => {
          const whole = JSON.stringify(value);
          const cut = at % (whole.length + 1);
          const text = whole.slice(0, cut) + put + whole.slice(cut + 1);
          if (faultOf(text) === 'taken') expect(() => JSON.parse(text) as unknown).not.toThrow();
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', 'body.a is there twice'],
    ['{"a":1,"\\u0061":2}', 'body.a is there twice'],
    ['[{"b":{"c":1,"c":1}}]', 'body.0.b.c is there twice'],
    ['{"__proto__":1}', 'body.__proto__ is not known'],
    ['{"\\u005f_proto__":1}', 'body.__proto__ is not known'],
    ['{"a":{"constructor":1}}', 'body.a.constructor is not known'],
    ['{"a":1e999}', 'body.a is a number that is too large'],
    ['{"a":-1e999}', 'body.a is a number that is too large'],
    ['{"a":9007199254740993}', 'body.a is a number that is too large'],
    ['{"a":0.1234567890123456789012345678901}', 'body.a is a number that is too long'],
    [`{"a":${'9'.repeat(400)}}`, 'body.a is a number that is too long'],
    ['{"a":"\\u0000"}', 'body.a contains characters that cannot be stored'],
    ['{"a":"\\ud800"}', 'body.a contains characters that cannot be stored'],
    ['{"\\udfff":1}', 'body.\udfff contains characters that cannot be stored'],
    [`${'['.repeat(13)}1${']'.repeat(13)}`, `body${'.0'.repeat(13)} is nested too deeply`],
    ['[01]', 'body is not valid JSON'],
    ['[1.]', 'body is not valid JSON'],
    ['[.5]', 'body is not valid JSON'],
    ['[+1]', 'body is not valid JSON'],
    ['["a\nb"]', 'body is not valid JSON'],
    ['', 'body is not valid JSON'],
    ['{"a" 1}', 'body is not valid JSON'],
    ['{,}', 'body is not valid JSON'],
    ['[1,]', 'body is not valid JSON'],
    ['truex', 'body is not valid JSON'],
    ['\ufeff{}', 'body is not valid JSON'],
  ])('refuses %j', (text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  it('reads amounts, negative ones and exponents as they are', () => {
    expect(parseStrictJson('[0, -0.5, 99700.25, 1e3, 9007199254740991]')).toEqual([
      0, -0.5, 99700.25, 1000, 9007199254740991,
    ]);
  });
});
