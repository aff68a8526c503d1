import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { sql } from 'drizzle-orm';
import type { Database, Tx } from '../db/client.ts';
import { auditAnchors } from '../db/schema/index.ts';
import { canonicalJson } from '../kernel/canonical-json.ts';
import type { AuditKeys } from './audit-keys.ts';
import { readChainLinks, type ChainPlace } from './audit-store.ts';
import { anchorBytes } from './chain-rules.ts';
import type { ChainLink } from './chain-walk.ts';

const BATCH = 5000;
/** How long entries are kept at least (specification, section 12). The database says it again. */
const KEPT_YEARS = 7;

type ChainEnd = Pick<ChainLink, 'entityType' | 'entityId' | 'hash'> & { length: number };

/**
 * Exports what has been kept for seven years and removes it, as a role that the service never has. Of each chain the
 * oldest entries go, and an anchor stays: the number and hash of the last one removed, signed.
 */
export class AuditArchive {
  readonly #database: Database;
  readonly #keys: AuditKeys;

  /** `database`: connected as `payout_archivist`. */
  constructor(database: Database, keys: AuditKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  /**
   * Writes the entries of before `before` to a new file `path`, one a line, and its signature to `path.sig`; then removes
   * them. Returns how many. Throws where `before` is not long enough ago, and where the file is there already.
   */
  async run(before: Date, path: string, now: Date): Promise<number> {
    const latest = new Date(now);
    latest.setUTCFullYear(latest.getUTCFullYear() - KEPT_YEARS);
    if (before > latest)
      throw new Error(`Entries are kept ${KEPT_YEARS} years: name a day before ${latest.toISOString()}.`);
    return this.#database.transaction(async (tx) => {
      const file = await open(path, 'wx', 0o600);
      try {
        const { ends, digest, count } = await exportTo(file, tx, before);
        await file.sync();
        if (count === 0) return 0;
        await this.#writeSignature(path, digest);
        for (const end of ends) await this.#anchor(tx, end, digest, now);
        const removed = await tx.execute(sql`
          DELETE FROM user_audit_logs l USING audit_anchors a
           WHERE a.export_digest = ${digest} AND a.entity_type = l.entity_type AND a.entity_id = l.entity_id
             AND l.chain_index <= a.length`);
        if (removed.count !== count)
          throw new Error(`${removed.count} entries would go, and ${count} were exported.`);
        return count;
      } finally {
        await file.close();
      }
    });
  }

  async #anchor(tx: Tx, end: ChainEnd, exportDigest: string, signedAt: Date): Promise<void> {
    const anchor = { ...end, exportDigest, signedAt };
    await tx.insert(auditAnchors).values({ ...anchor, ...this.#keys.sign(anchorBytes(anchor)) });
  }

  async #writeSignature(path: string, digest: string): Promise<void> {
    const file = await open(`${path}.sig`, 'wx', 0o600);
    try {
      await file.writeFile(
        `${canonicalJson({ sha256: digest, ...this.#keys.sign(Buffer.from(digest, 'utf8')) })}\n`,
      );
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** The oldest entries of each chain, up to the first that is not old enough. */
async function exportTo(
  file: FileHandle,
  tx: Tx,
  before: Date,
): Promise<{ ends: ChainEnd[]; digest: string; count: number }> {
  const hash = createHash('sha256');
  const ends: ChainEnd[] = [];
  let count = 0;
  let after: ChainPlace | undefined;
  let closed = '';
  for (;;) {
    const links = await readChainLinks(tx, after, BATCH);
    for (const link of links) {
      const { headLength: _length, headHash: _head, ...entry } = link;
      const key = `${link.entityType} ${link.entityId}`;
      if (closed === key) continue;
      if (new Date(link.createdAt) >= before) {
        closed = key;
        continue;
      }
      const line = `${canonicalJson(entry)}\n`;
      hash.update(line);
      await file.write(line);
      count += 1;
      const end = {
        entityType: link.entityType,
        entityId: link.entityId,
        length: link.chainIndex,
        hash: link.hash,
      };
      const last = ends.at(-1);
      if (last && last.entityType === end.entityType && last.entityId === end.entityId) ends.pop();
      ends.push(end);
    }
    after = links.at(-1);
    if (links.length < BATCH) return { ends, digest: hash.digest('hex'), count };
  }
}
