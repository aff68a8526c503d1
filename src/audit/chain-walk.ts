import { CHAIN_START, hashEntry } from './chain-rules.ts';
import type { AuditRow, ChainLink } from './audit-store.ts';

/** The first row that is wrong. */
export interface ChainFault {
  entityType: string;
  entityId: string;
  chainIndex: number;
  fault: string;
}

/**
 * Checks links in the order of chains, remembering only the last. It counts on after a fault, so that the result says
 * how much there is.
 */
export class ChainWalk {
  entries = 0;
  chains = 0;
  firstFault: ChainFault | null = null;
  #last: ChainLink | undefined;

  take(link: ChainLink): void {
    const { entry } = link;
    const last = this.#last?.entry;
    const continues =
      last !== undefined && last.entityType === entry.entityType && last.entityId === entry.entityId;
    if (!continues) {
      this.finish();
      this.chains += 1;
    }
    this.entries += 1;
    this.#last = link;
    this.#note(entry, entry.chainIndex, entryFault(entry, continues ? last : undefined));
  }

  /** Compares the end of the chain that was walked last with its head. */
  finish(): void {
    if (!this.#last) return;
    const { entry, headLength, headHash } = this.#last;
    if (headLength === null) this.#note(entry, entry.chainIndex, 'The chain has no head.');
    else if (headLength > entry.chainIndex)
      this.#note(entry, entry.chainIndex + 1, `The entry is missing: the chain has ${headLength}.`);
    else if (headLength < entry.chainIndex)
      this.#note(entry, headLength + 1, `The entry is not of the chain, which has ${headLength}.`);
    else if (headHash !== entry.hash)
      this.#note(entry, entry.chainIndex, 'The head of the chain has another hash.');
    this.#last = undefined;
  }

  noteEmptyChain(chain: { entityType: string; entityId: string }): void {
    this.#note(chain, 1, 'The entry is missing, as are all others of its chain.');
  }

  #note(
    { entityType, entityId }: { entityType: string; entityId: string },
    chainIndex: number,
    fault: string | null,
  ): void {
    if (fault !== null) this.firstFault ??= { entityType, entityId, chainIndex, fault };
  }
}

function entryFault(entry: AuditRow, previous: AuditRow | undefined): string | null {
  const expected = (previous?.chainIndex ?? 0) + 1;
  if (entry.chainIndex !== expected) return `The entry before it is missing: number ${expected} was due.`;
  if (entry.previousHash !== (previous?.hash ?? CHAIN_START))
    return 'It does not follow the entry before it.';
  return hashOf(entry) === entry.hash ? null : 'Its content is not what its hash was made of.';
}

/** As `recordAudit` hashed it: everything but the hash and the number that the database gave the row. */
function hashOf({ sequence: _sequence, hash: _hash, createdAt, ...entry }: AuditRow): string {
  return hashEntry({ ...entry, createdAt: createdAt.toISOString() });
}
