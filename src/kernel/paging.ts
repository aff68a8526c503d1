import { DomainError } from './errors.ts';

export const DEFAULT_PAGE = 50;

/** A page of rows and the cursor of the next page, null on the last. */
export interface Page<T> {
  data: T[];
  nextCursor: string | null;
}

/** What a cursor holds: the sort key of the last row given. Opaque to callers. */
export type CursorKey = readonly (string | number)[];

const encodeCursor = (key: CursorKey): string => Buffer.from(JSON.stringify(key)).toString('base64url');

/** Reads a cursor of `length` parts. Throws VALIDATION_ERROR on one that this service never gave. */
export function decodeCursor(cursor: string, length: number): CursorKey {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    const sound =
      Array.isArray(key) &&
      key.length === length &&
      key.every((part) => (typeof part === 'string' ? isStorable(part) : Number.isFinite(part)));
    if (sound) return key as CursorKey;
  } catch {
    // Falls through: not JSON is as wrong as JSON of another shape.
  }
  throw invalidCursor();
}

/** PostgreSQL takes no NUL and no half of a surrogate pair. */
const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** The instant in a cursor. Throws VALIDATION_ERROR when it is none, or none that PostgreSQL reads. */
export function cursorInstant(part: string | number | undefined): Date {
  const instant = new Date(typeof part === 'string' ? part : Number.NaN);
  const year = instant.getUTCFullYear();
  if (!(year >= 1 && year <= 9999)) throw invalidCursor();
  return instant;
}

/** For a cursor that this service never gave. */
export const invalidCursor = (): DomainError =>
  new DomainError('VALIDATION_ERROR', 'cursor must be the nextCursor of an earlier answer.', {
    issues: [{ path: 'query.cursor', message: 'must be the nextCursor of an earlier answer' }],
  });

/** Cuts `limit + 1` rows that were read to a page. */
export function pageOf<Row, T>(
  rows: Row[],
  limit: number,
  key: (row: Row) => CursorKey,
  view: (row: Row) => T,
): Page<T> {
  const kept = rows.slice(0, limit);
  const last = kept.at(-1);
  return {
    data: kept.map(view),
    nextCursor: rows.length > limit && last !== undefined ? encodeCursor(key(last)) : null,
  };
}
