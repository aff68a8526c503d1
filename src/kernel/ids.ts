import { randomBytes } from 'node:crypto';

/** Crockford's base32: no I, L, O or U, so that an id survives being read out over the telephone. */
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export const PAYOUT_ID_PATTERN = /^PO-\d{4}-[0-9A-HJKMNP-TV-Z]{8}$/;
export const FORM_ID_PATTERN = /^(W9|1099)-\d{4}-[0-9A-HJKMNP-TV-Z]{8}$/;
export const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function randomCrockford(length: number): string {
  // 256 is a multiple of 32, so that taking the low five bits is not biased.
  return Array.from(randomBytes(length), (byte) => CROCKFORD[byte & 31]).join('');
}

export const newPayoutId = (now: Date): string => `PO-${now.getUTCFullYear()}-${randomCrockford(8)}`;
export const newFormId = (kind: 'W9' | '1099', year: number): string =>
  `${kind}-${year}-${randomCrockford(8)}`;
