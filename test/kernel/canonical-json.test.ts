import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson } from '../../src/kernel/canonical-json.ts';

it.each<[unknown, string]>([
  [{ b: 1, a: { d: null, c: [1, 'x', undefined] } }, '{"a":{"c":[1,"x",null],"d":null},"b":1}'],
  [{ a: undefined, b: false }, '{"b":false}'],
  [{}, '{}'],
  [[], '[]'],
  [[{ b: 0, a: '' }], '[{"a":"","b":0}]'],
  [null, 'null'],
  [undefined, 'null'],
  ['"\n', '"\\"\\n"'],
  [1.5, '1.5'],
])('%o is written as %s', (value, json) => {
  expect(canonicalJson(value)).toBe(json);
});

it('is the same for the same value, however its keys are ordered, and after it was read', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const turned = Object.fromEntries(Object.entries(value).toReversed());
      expect(canonicalJson(turned)).toBe(canonicalJson(value));
      expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value));
    }),
    { numRuns: 50 },
  );
});
