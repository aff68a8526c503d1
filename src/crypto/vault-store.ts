/** Everything in the database that is sealed, whoever's table it is in. Private to this room. */
import { and, asc, eq, gt, ne, sql } from 'drizzle-orm';
import type { Database } from '../db/client.ts';
import { bankDetails, taxForms, vaultKeys } from '../db/schema/index.ts';
import type { Place, Sealed } from './envelope.ts';

/** A sealed value with what is known of it besides, by which `keys:check` sees that it is the right one. */
export interface SealedRow {
  id: string;
  sealed: Sealed;
  place: Place;
  /** Throws where the value is not what the row says. */
  agrees(plaintext: string): boolean;
}

export interface SealedTable {
  name: string;
  /** In the order of their ids, after `afterId`; only those under another master key, where one is named. */
  page(afterId: string, limit: number, notUnder?: string): Promise<SealedRow[]>;
  /** Puts the new envelope in the place of the old one, unless that has changed meanwhile. */
  replace(id: string, from: Sealed, to: Sealed): Promise<boolean>;
  /** How many values each master key wraps. */
  counts(): Promise<{ keyId: string; count: number }[]>;
}

export const FIRST_ID = '00000000-0000-0000-0000-000000000000';

export const fingerprintPlace: Place = {
  table: 'vault_keys',
  column: 'envelope',
  row: 'fingerprint',
  version: 1,
};

/** Outside any transaction: it is made once, and stays even where the request that needed it first fails. */
export async function keepFingerprintKey(db: Database, made: Sealed, at: Date): Promise<void> {
  await db.drizzle
    .insert(vaultKeys)
    .values({ name: fingerprintPlace.row, ...made, createdAt: at })
    .onConflictDoNothing();
}

export async function findFingerprintKey(db: Database): Promise<Sealed | undefined> {
  const [row] = await db.drizzle.select().from(vaultKeys).where(eq(vaultKeys.name, fingerprintPlace.row));
  return row;
}

export const sealedTables = (db: Database): SealedTable[] => [ownKeys(db), bankNumbers(db), w9s(db)];

const lastFour = (digits: unknown): string => String(digits).slice(-4);

function bankNumbers({ drizzle }: Database): SealedTable {
  return {
    name: 'bank_details',
    async page(afterId, limit, notUnder) {
      const rows = await drizzle
        .select()
        .from(bankDetails)
        .where(and(gt(bankDetails.id, afterId), notUnder ? ne(bankDetails.keyId, notUnder) : undefined))
        .orderBy(asc(bankDetails.id))
        .limit(limit);
      return rows.map((row) => ({
        id: row.id,
        sealed: row,
        place: { table: 'bank_details', column: 'envelope', row: row.payoutId, version: row.version },
        agrees(plaintext) {
          const numbers = JSON.parse(plaintext) as { routingNumber: string; accountNumber: string };
          return (
            lastFour(numbers.accountNumber) === row.accountLast4 &&
            lastFour(numbers.routingNumber) === row.routingLast4
          );
        },
      }));
    },
    async replace(id, from, to) {
      const rows = await drizzle
        .update(bankDetails)
        .set(to)
        .where(and(eq(bankDetails.id, id), eq(bankDetails.envelope, from.envelope)))
        .returning({ id: bankDetails.id });
      return rows.length > 0;
    },
    counts: () =>
      drizzle
        .select({ keyId: bankDetails.keyId, count: sql<number>`count(*)::integer` })
        .from(bankDetails)
        .groupBy(bankDetails.keyId),
  };
}

function w9s({ drizzle }: Database): SealedTable {
  return {
    name: 'tax_forms',
    async page(afterId, limit, notUnder) {
      const rows = await drizzle
        .select()
        .from(taxForms)
        .where(
          and(
            gt(taxForms.id, afterId),
            sql`${taxForms.envelope} IS NOT NULL`,
            notUnder ? ne(taxForms.keyId, notUnder) : undefined,
          ),
        )
        .orderBy(asc(taxForms.id))
        .limit(limit);
      return rows.map((row) => ({
        id: row.id,
        sealed: { envelope: row.envelope ?? '', keyId: row.keyId ?? '' },
        place: { table: 'tax_forms', column: 'envelope', row: row.formId, version: 1 },
        agrees(plaintext) {
          const { tin, legalName } = JSON.parse(plaintext) as { tin: string; legalName: string };
          return lastFour(tin) === row.tinLast4 && legalName === row.w9?.legalName;
        },
      }));
    },
    async replace(id, from, to) {
      const rows = await drizzle
        .update(taxForms)
        .set(to)
        .where(and(eq(taxForms.id, id), eq(taxForms.envelope, from.envelope)))
        .returning({ id: taxForms.id });
      return rows.length > 0;
    },
    async counts() {
      const rows = await drizzle
        .select({ keyId: taxForms.keyId, count: sql<number>`count(*)::integer` })
        .from(taxForms)
        .where(sql`${taxForms.envelope} IS NOT NULL`)
        .groupBy(taxForms.keyId);
      return rows.map(({ keyId, count }) => ({ keyId: keyId ?? 'none', count }));
    },
  };
}

function ownKeys({ drizzle }: Database): SealedTable {
  return {
    name: 'vault_keys',
    async page(afterId, _limit, notUnder) {
      if (afterId !== FIRST_ID) return [];
      const rows = await drizzle
        .select()
        .from(vaultKeys)
        .where(notUnder ? ne(vaultKeys.keyId, notUnder) : undefined);
      return rows.map((row) => ({
        id: row.name,
        sealed: row,
        place: { ...fingerprintPlace, row: row.name },
        agrees: (plaintext) => Buffer.from(plaintext, 'base64').length === 32,
      }));
    },
    async replace(id, from, to) {
      const rows = await drizzle
        .update(vaultKeys)
        .set({ envelope: to.envelope, keyId: to.keyId })
        .where(and(eq(vaultKeys.name, id), eq(vaultKeys.envelope, from.envelope)))
        .returning({ name: vaultKeys.name });
      return rows.length > 0;
    },
    counts: () =>
      drizzle
        .select({ keyId: vaultKeys.keyId, count: sql<number>`count(*)::integer` })
        .from(vaultKeys)
        .groupBy(vaultKeys.keyId),
  };
}
