/** Zod pieces that several rooms' routes share. */
import { z } from 'zod';
import { isIsoDate } from '../kernel/calendar.ts';
import { FORM_ID_PATTERN, PAYOUT_ID_PATTERN } from '../kernel/ids.ts';

export const payoutId = z
  .string()
  .regex(PAYOUT_ID_PATTERN, 'must be a payout id, such as PO-2026-7K3M9QXA')
  .meta({ description: 'The id of a payout.', example: 'PO-2026-7K3M9QXA' });

export const formId = z
  .string()
  .regex(FORM_ID_PATTERN, 'must be the id of a tax form, such as W9-2026-7K3M9QXA')
  .meta({ description: 'The id of a tax form.', example: 'W9-2026-7K3M9QXA' });

/** Any that PostgreSQL takes: those of the main app need not be of a version that RFC 9562 knows, as `z.uuid` wants. */
export const userId = z
  .guid('must be the UUID of a user')
  .toLowerCase()
  .meta({ description: 'The UUID of a user.', example: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11' });

export const payoutParams = z.strictObject({ id: payoutId });
export const memberParams = z.strictObject({ userId });
export const formParams = z.strictObject({ formId });

/** One line of text that people wrote: trimmed, without control characters. */
export const line = (max: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !/\p{Cc}/u.test(text), 'must not contain control characters');

/** Text of several lines. */
export const paragraph = (max: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(max, `must be at most ${max} characters`)
    .refine((text) => !/[^\P{Cc}\n\r\t]/u.test(text), 'must not contain control characters');

export const isoDate = z
  .string()
  .refine(isIsoDate, 'must be a day of the calendar, YYYY-MM-DD')
  .meta({ description: 'A day of the UTC calendar.', example: '2026-11-20' });

/** An instant in an answer. */
export const instant = z
  .string()
  .meta({ description: 'ISO 8601, UTC.', example: '2026-11-20T02:00:00.000Z' });

/** An amount in an answer: dollars with at most two decimals. */
export const money = z.number().meta({ description: 'US dollars, at most two decimals.', example: 99700 });

const DAY_MS = 86_400_000;
// PostgreSQL reads no year 0, and none of five digits in the form that JavaScript writes.
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

const dayOrInstant = z.union([isoDate, z.iso.datetime({ offset: true })]).refine((text) => {
  const ms = Date.parse(text);
  return ms >= FIRST_MS && ms <= LAST_MS;
}, 'must lie in the years 1 to 9999');

/** A day or an instant in a query: a day means its first moment. */
export const moment = dayOrInstant
  .transform((text) => new Date(text))
  .meta({ description: 'A day, or an instant of ISO 8601.', example: '2026-01-01' });

/** The end of a span in a query, not itself in it: a day means all of that day, so its end. */
export const until = dayOrInstant
  .transform((text) => new Date(Math.min(Date.parse(text) + (isIsoDate(text) ? DAY_MS : 0), LAST_MS)))
  .meta({
    description: 'A day (all of it is in) or an instant of ISO 8601 (not in).',
    example: '2026-12-31',
  });

export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(1, 'must be at least 1').max(200, 'must be at most 200'))
    .optional()
    .meta({ description: 'How many rows at the most, 1 to 200; 50 unless said.', example: '50' }),
  cursor: z
    .string()
    .max(500)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be the nextCursor of an earlier answer')
    .optional()
    .meta({ description: 'The nextCursor of the page before.' }),
};

export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({
    data: z.array(item),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: 'Give it as cursor for the next page; null on the last.' }),
  });
