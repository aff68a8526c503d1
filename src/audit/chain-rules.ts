import { createHash } from 'node:crypto';

/** What an entry's hash covers: everything in the row but the hash itself. */
export interface ChainedEntry {
  id: string;
  entityType: string;
  entityId: string;
  chainIndex: number;
  previousHash: string;
  createdAt: string;
  actor: string;
  userId: string | null;
  adminId: number | null;
  action: string;
  success: boolean;
  errorMessage: string | null;
  oldValues: unknown;
  newValues: unknown;
  metadata: unknown;
  ipAddress: string | null;
  userAgent: string | null;
  requestId: string | null;
}

/** The hash before the first entry of a chain. */
export const CHAIN_START = '0'.repeat(64);

/** SHA-256 in hex over the entry's canonical JSON, which holds the hash of the entry before. */
export const hashEntry = (entry: ChainedEntry): string =>
  createHash('sha256').update(canonicalJson(entry)).digest('hex');

/** JSON with sorted keys and without `undefined`: the same value gives the same bytes before and after `jsonb`. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${fields.join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
