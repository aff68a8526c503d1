import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDays,
  addDuration,
  addMonths,
  isIsoDate,
  isoDateOf,
  startOfDay,
  thirtyDayMonthsBetween,
} from '../../src/kernel/calendar.ts';

const isLeap = (year: number) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
const daysIn = (year: number, month: number) =>
  [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]!;
const iso = (year: number, month: number, day: number) =>
  `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;

const dates = fc
  .tuple(
    fc.integer({ min: 1900, max: 2200 }),
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 1, max: 31 }),
  )
  .map(([year, month, day]) => ({ year, month, day: Math.min(day, daysIn(year, month)) }));

describe('calendar months later', () => {
  it('is the same day, or the last of a month that lacks it', () => {
    fc.assert(
      fc.property(dates, fc.integer({ min: 0, max: 240 }), ({ year, month, day }, months) => {
        const count = year * 12 + (month - 1) + months;
        const [thenYear, thenMonth] = [Math.floor(count / 12), (count % 12) + 1];
        const expected = iso(thenYear, thenMonth, Math.min(day, daysIn(thenYear, thenMonth)));
        expect(addMonths(iso(year, month, day), months)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['2024-02-29', 12, '2025-02-28'],
    ['2024-02-29', 48, '2028-02-29'],
    ['2096-02-29', 48, '2100-02-28'],
    ['2026-01-31', 1, '2026-02-28'],
    ['2026-12-31', 2, '2027-02-28'],
    ['2026-03-06', 12, '2027-03-06'],
  ])('%s and %i months are %s', (date, months, expected) => {
    expect(addMonths(date, months)).toBe(expected);
  });
});

describe('a day of the calendar', () => {
  it('is every day that there is, and its first moment is in UTC', () => {
    fc.assert(
      fc.property(dates, ({ year, month, day }) => {
        const date = iso(year, month, day);
        expect(isIsoDate(date)).toBe(true);
        expect(startOfDay(date).toISOString()).toBe(`${date}T00:00:00.000Z`);
        expect(isoDateOf(startOfDay(date))).toBe(date);
        expect(isoDateOf(new Date(startOfDay(date).getTime() + 86_399_999))).toBe(date);
      }),
    );
  });

  it('is none that the month lacks', () => {
    fc.assert(
      fc.property(dates, fc.integer({ min: 1, max: 40 }), ({ year, month }, beyond) => {
        expect(isIsoDate(iso(year, month, daysIn(year, month) + beyond))).toBe(false);
      }),
    );
  });

  it.each([
    '',
    '2026-1-1',
    '2026-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
    '2026-01-01T00:00:00Z',
    ' 2026-01-01',
    '2026/01/01',
  ])('is not %j', (text) => {
    expect(isIsoDate(text)).toBe(false);
  });
});

describe('time that goes by', () => {
  it('in days is 24 hours each', () => {
    expect(addDays(new Date('2026-03-08T01:30:00Z'), 30).toISOString()).toBe('2026-04-07T01:30:00.000Z');
  });

  it.each([
    ['P12M', '2027-01-31T10:00:00.000Z'],
    ['P1M', '2026-02-28T10:00:00.000Z'],
    ['PT36H', '2026-02-01T22:00:00.000Z'],
    ['P1W', '2026-02-07T10:00:00.000Z'],
    ['PT0S', '2026-01-31T10:00:00.000Z'],
  ])('as the duration %s', (duration, expected) => {
    expect(addDuration(new Date('2026-01-31T10:00:00Z'), duration).toISOString()).toBe(expected);
  });

  it.each(['', 'P', '-P1D', '12M', 'P1.5M', 'tomorrow'])('not as %j', (duration) => {
    expect(() => addDuration(new Date(0), duration)).toThrow(RangeError);
  });

  it('in months of 30 days is whole ones, and none backwards (design document, Eligibility)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.integer({ min: 0, max: 86_399_999 }),
        (days, rest) => {
          const from = new Date('2020-05-05T05:05:05Z');
          const to = new Date(addDays(from, days).getTime() + rest);
          expect(thirtyDayMonthsBetween(from, to)).toBe((days - (days % 30)) / 30);
          expect(thirtyDayMonthsBetween(to, from)).toBe(0);
        },
      ),
    );
  });
});
