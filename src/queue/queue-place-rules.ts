import { UUID_PATTERN } from '../kernel/ids.ts';
import type { QueuePlace } from './queue-member.ts';

const MICROSECONDS_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** The place that a cursor names; undefined where it is none that PostgreSQL reads. */
export function placeFrom([tenureStart, userId]: readonly unknown[]): QueuePlace | undefined {
  if (typeof tenureStart !== 'string' || typeof userId !== 'string') return undefined;
  if (!MICROSECONDS_PATTERN.test(tenureStart) || !UUID_PATTERN.test(userId)) return undefined;
  const instant = new Date(tenureStart);
  // The 31st of a month that has 30 days rolls over in JavaScript and is refused by PostgreSQL.
  const isReal =
    !Number.isNaN(instant.getTime()) && instant.toISOString().slice(0, 23) === tenureStart.slice(0, 23);
  return isReal && instant.getUTCFullYear() > 0 ? { tenureStart, userId } : undefined;
}
