import { Temporal } from 'temporal-polyfill';

/** A day of the UTC calendar, `YYYY-MM-DD`. */
export type IsoDate = string;

const DAY_MS = 86_400_000;

export const isoDateOf = (instant: Date): IsoDate => instant.toISOString().slice(0, 10);

/** True for a real day of the calendar: `2024-02-30` is none. */
export function isIsoDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && isoDateOf(date) === text;
}

export const startOfDay = (date: IsoDate): Date => new Date(`${date}T00:00:00.000Z`);

/** Calendar months later; a day that the month lacks becomes its last (29 Feb + 12 months is 28 Feb). */
export const addMonths = (date: IsoDate, months: number): IsoDate =>
  Temporal.PlainDate.from(date).add({ months }, { overflow: 'constrain' }).toString();

export const addDays = (instant: Date, days: number): Date => new Date(instant.getTime() + days * DAY_MS);

/** Adds an ISO 8601 duration such as `P12M` or `PT36H` in UTC. Throws a RangeError when it is malformed or negative. */
export function addDuration(instant: Date, iso: string): Date {
  const duration = Temporal.Duration.from(iso);
  if (duration.sign < 0) throw new RangeError('The duration must not be negative.');
  const moved = Temporal.Instant.fromEpochMilliseconds(instant.getTime())
    .toZonedDateTimeISO('UTC')
    .add(duration);
  return new Date(moved.epochMilliseconds);
}

/** Months of 30 days, as the design document computes the company's age. */
export const thirtyDayMonthsBetween = (from: Date, to: Date): number =>
  Math.max(0, Math.floor((to.getTime() - from.getTime()) / (30 * DAY_MS)));
