/** Column types that the tables share. */
import { customType, numeric, timestamp } from 'drizzle-orm/pg-core';

/** An instant, `timestamptz`. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/** Dollars and cents, `numeric(12,2)`; the driver gives it as text. */
export const money = (name: string) => numeric(name, { precision: 12, scale: 2 });

export const bytea = customType<{ data: Buffer; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  fromDriver: (value) => Buffer.from(value),
});

/** The number of a transaction, as text. */
export const xid8 = customType<{ data: string; driverData: string }>({ dataType: () => 'xid8' });
