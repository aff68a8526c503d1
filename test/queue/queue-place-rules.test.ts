import { expect, it } from 'vitest';
import { placeFrom } from '../../src/queue/queue-place-rules.ts';

const userId = '00000000-0000-4000-8000-000000000001';

it.each(['2026-11-20T12:00:00.123456Z', '2024-02-29T23:59:59.999999Z', '0001-01-01T00:00:00.000000Z'])(
  'a place is read as it was written: %s',
  (tenureStart) => {
    expect(placeFrom([tenureStart, userId])).toEqual({ tenureStart, userId });
  },
);

it.each([
  ['2026-11-31T12:00:00.000000Z', userId],
  ['2025-02-29T12:00:00.000000Z', userId],
  ['2026-13-01T12:00:00.000000Z', userId],
  ['2026-11-20T24:00:00.000000Z', userId],
  ['0000-01-01T00:00:00.000000Z', userId],
  ['2026-11-20T12:00:00.123Z', userId],
  ['x2026-11-20T12:00:00.123456Z', userId],
  ['2026-11-20T12:00:00.123456Zx', userId],
  ['2026-11-20T12:00:00.123456Z', 'nobody'],
  ['2026-11-20T12:00:00.123456Z', 7],
  [7, userId],
  ['2026-11-20T12:00:00.123456Z'],
  [],
])('is none: %s %s', (...values) => {
  expect(placeFrom(values)).toBeUndefined();
});
