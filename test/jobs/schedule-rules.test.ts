import { expect, it } from 'vitest';
import { cronExpression, slotAfter, slotAtOrBefore, type Schedule } from '../../src/jobs/schedule-rules.ts';

const daily: Schedule = { kind: 'daily', hour: 2, minute: 30 };
const hourly: Schedule = { kind: 'hourly', minute: 15 };

it('is five fields of cron', () => {
  expect(cronExpression(daily)).toBe('30 2 * * *');
  expect(cronExpression(hourly)).toBe('15 * * * *');
});

it.each<[Schedule, string, string, string]>([
  [daily, '2026-11-20T02:30:00.000Z', '2026-11-20T02:30:00.000Z', '2026-11-21T02:30:00.000Z'],
  [daily, '2026-11-20T02:29:59.999Z', '2026-11-19T02:30:00.000Z', '2026-11-20T02:30:00.000Z'],
  [daily, '2027-01-01T00:10:20.030Z', '2026-12-31T02:30:00.000Z', '2027-01-01T02:30:00.000Z'],
  [hourly, '2026-11-20T02:15:00.000Z', '2026-11-20T02:15:00.000Z', '2026-11-20T03:15:00.000Z'],
  [hourly, '2026-11-20T00:14:59.999Z', '2026-11-19T23:15:00.000Z', '2026-11-20T00:15:00.000Z'],
])('%o at %s was due at %s, and will be at %s', (schedule, now, before, after) => {
  const at = new Date(now);
  expect(slotAtOrBefore(schedule, at).toISOString()).toBe(before);
  expect(slotAfter(schedule, at).toISOString()).toBe(after);
  expect(at.toISOString()).toBe(now);
});
