import { createHash } from 'node:crypto';
import { canonicalJson } from '../kernel/canonical-json.ts';

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

/** What an anchor's signature covers: where a chain begins after its oldest entries were exported and removed. */
export const anchorBytes = (anchor: {
  entityType: string;
  entityId: string;
  length: number;
  hash: string;
  exportDigest: string;
  signedAt: Date;
}): Buffer => {
  const { entityType, entityId, length, hash, exportDigest, signedAt } = anchor;
  return Buffer.from(
    canonicalJson({ entityType, entityId, length, hash, exportDigest, signedAt: signedAt.toISOString() }),
    'utf8',
  );
};
