import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHAIN_START, hashEntry, type ChainedEntry } from '../../src/audit/chain-rules.ts';
import { redact } from '../../src/audit/redaction-rules.ts';
import { canonicalJson } from '../../src/kernel/canonical-json.ts';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const values = fc.option(fc.dictionary(text, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 }), { nil: null });
const optionalText = fc.option(text, { nil: null });

/** Every field of an entry, so that a new one that the hash should cover does not compile without a generator. */
const FIELDS: { [Field in keyof ChainedEntry]: fc.Arbitrary<ChainedEntry[Field]> } = {
  id: fc.uuid(),
  entityType: text,
  entityId: text,
  chainIndex: fc.integer({ min: 1, max: 1_000_000 }),
  previousHash: fc.constantFrom(CHAIN_START, 'ab'.repeat(32)),
  createdAt: fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
  actor: text,
  userId: fc.option(fc.uuid(), { nil: null }),
  adminId: fc.option(fc.nat(), { nil: null }),
  action: text,
  success: fc.boolean(),
  errorMessage: optionalText,
  oldValues: values,
  newValues: values,
  metadata: values,
  ipAddress: optionalText,
  userAgent: optionalText,
  requestId: optionalText,
};
const entries = fc.record(FIELDS);

/** The same value with its keys in the opposite order, at every depth. */
function reordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reordered);
  if (value === null || typeof value !== 'object') return value;
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value).reverse()) copy[key] = reordered(item);
  return copy;
}

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the hash of an audit entry', () => {
  it.each(Object.keys(FIELDS) as (keyof ChainedEntry)[])('changes with %s', (field) => {
    fc.assert(
      fc.property(entries, FIELDS[field], (entry, other) => {
        fc.pre(!isDeepStrictEqual(throughJson(entry[field]), throughJson(other)));
        expect(hashEntry({ ...entry, [field]: other })).not.toBe(hashEntry(entry));
      }),
    );
  });

  it('stays the same through a JSON column and another order of keys', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        expect(hashEntry(throughJson(entry) as ChainedEntry)).toBe(hashEntry(entry));
        expect(hashEntry(reordered(entry) as ChainedEntry)).toBe(hashEntry(entry));
      }),
    );
  });

  it('cannot be had by moving text from one field to the next', () => {
    fc.assert(
      fc.property(entries, fc.string({ minLength: 1 }), (entry, moved) => {
        const there = { ...entry, actor: `${entry.actor}${moved}` };
        const here = { ...entry, action: `${moved}${entry.action}` };
        expect(hashEntry(there)).not.toBe(hashEntry(here));
      }),
    );
  });

  it('is SHA-256 over canonical JSON', () => {
    expect(hashEntry({ id: 'x' } as ChainedEntry)).toMatch(/^[0-9a-f]{64}$/);
    expect(CHAIN_START).toMatch(/^0{64}$/);
  });
});

describe('canonical JSON', () => {
  it('is JSON of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(throughJson(value));
      }),
    );
  });

  it('sorts keys and leaves undefined out', () => {
    expect(canonicalJson({ b: 1, a: [{ d: undefined, c: null }, undefined] })).toBe(
      '{"a":[{"c":null},null],"b":1}',
    );
  });
});

describe('redaction', () => {
  const plainDate = new Date('2026-11-20T02:00:00.000Z');

  it('gives what is hashed as it is stored', () => {
    const redacted = redact({ dueDate: plainDate, note: { at: plainDate, gone: undefined } });
    expect(canonicalJson(redacted)).toBe(canonicalJson(throughJson(redacted)));
    expect(redacted).toEqual({ dueDate: plainDate.toISOString(), note: { at: plainDate.toISOString() } });
  });

  it('hides what the list does not name, and numbers that are not masked', () => {
    expect(
      redact({ tin: '123456789', accountNumber: '000123456789', routingNumber: '****0021', reason: 'x' }),
    ).toEqual({
      tin: '[hidden]',
      accountNumber: '[hidden]',
      routingNumber: '****0021',
      reason: 'x',
    });
  });
});
