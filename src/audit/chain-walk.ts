import { CHAIN_START, hashEntry, type ChainedEntry } from './chain-rules.ts';
import { chainKey, Milestones, type Milestone } from './checkpoint-rules.ts';

/** The first row that is wrong. */
export interface ChainFault {
  entityType: string;
  entityId: string;
  chainIndex: number;
  fault: string;
}

/** An entry as it lies in the table, and the head of its chain at the same moment: null where it has none. */
export interface ChainLink extends ChainedEntry {
  sequence: number;
  hash: string;
  headLength: number | null;
  headHash: string | null;
}

/** The end of what was removed of a chain. */
export interface ChainAnchor {
  entityType: string;
  entityId: string;
  length: number;
  hash: string;
}

/** Entries are written within this time of the moment that they name. */
const SLACK_MS = 15 * 60_000;

/**
 * Checks links in the order of chains, remembering only the last. It counts on after a fault, so that the result says
 * how much there is.
 */
export class ChainWalk {
  entries = 0;
  chains = 0;
  firstFault: ChainFault | null = null;
  readonly #milestones: Milestones;
  readonly #anchors: ReadonlyMap<string, ChainAnchor>;
  readonly #seen = new Set<string>();
  /** What is not in the newest checkpoint was written after it. */
  readonly #uncoveredSince: number;
  #last: ChainLink | undefined;
  #due: readonly Milestone[] = [];
  #passed = 0;

  constructor(milestones: Milestones = new Milestones(), anchors: readonly ChainAnchor[] = []) {
    this.#milestones = milestones;
    // The longest comes last and stays.
    this.#anchors = new Map(
      anchors.map((anchor) => [chainKey(anchor.entityType, anchor.entityId), anchor] as const),
    );
    this.#uncoveredSince = milestones.last ? Date.parse(milestones.last.at) - SLACK_MS : -Infinity;
  }

  take(link: ChainLink): void {
    const last = this.#last;
    const continues =
      last !== undefined && last.entityType === link.entityType && last.entityId === link.entityId;
    if (!continues) this.#begin(link);
    this.entries += 1;
    this.#last = link;
    const previous = continues ? last : undefined;
    this.#note(link, link.chainIndex, this.#entryFault(link, previous));
    this.#compare(link);
  }

  #begin(link: ChainLink): void {
    this.finish();
    this.chains += 1;
    const key = chainKey(link.entityType, link.entityId);
    this.#seen.add(key);
    const removed = this.#anchors.get(key)?.length ?? 0;
    this.#due = this.#milestones.of(link.entityType, link.entityId).filter(({ length }) => length > removed);
    this.#passed = removed;
  }

  /** Holds the entry against the checkpoints. */
  #compare(link: ChainLink): void {
    const [next] = this.#due;
    if (next === undefined) {
      const covered =
        (this.#milestones.of(link.entityType, link.entityId).at(-1)?.length ?? 0) >= link.chainIndex;
      if (!covered && Date.parse(link.createdAt) < this.#uncoveredSince)
        this.#note(
          link,
          link.chainIndex,
          `It names a time before checkpoint ${this.#milestones.last?.number}, which does not hold it.`,
        );
      return;
    }
    if (link.chainIndex < next.length) return;
    if (link.chainIndex > next.length) {
      this.#note(link, next.length, `The entry is missing: checkpoint ${next.checkpoint} holds it.`);
    } else if (link.hash !== next.hash) {
      const first = this.#passed + 1;
      this.#note(
        link,
        first,
        first === next.length
          ? `It is not the entry that checkpoint ${next.checkpoint} holds.`
          : `It, or one up to number ${next.length}, is not what checkpoint ${next.checkpoint} holds.`,
      );
    }
    this.#passed = next.length;
    this.#due = this.#due.slice(1);
  }

  /** Compares the end of the chain that was walked last with its head and with the checkpoints. */
  finish(): void {
    const last = this.#last;
    if (!last) return;
    const { chainIndex, headLength, headHash } = last;
    if (headLength === null) this.#note(last, chainIndex, 'The chain has no head.');
    else if (headLength > chainIndex)
      this.#note(last, chainIndex + 1, `The entry is missing: the chain has ${headLength}.`);
    else if (headLength < chainIndex)
      this.#note(last, headLength + 1, `The entry is not of the chain, which has ${headLength}.`);
    else if (headHash !== last.hash) this.#note(last, chainIndex, 'The head of the chain has another hash.');
    const missing = this.#due.at(-1);
    if (missing)
      this.#note(
        last,
        chainIndex + 1,
        `The entry is missing: checkpoint ${missing.checkpoint} holds ${missing.length}.`,
      );
    this.#last = undefined;
    this.#due = [];
  }

  /** Chains that checkpoints hold and of which no entry was met, unless all of it was removed in due form. */
  finishMissing(): void {
    for (const { entityType, entityId, milestones } of this.#milestones.chains()) {
      const key = chainKey(entityType, entityId);
      const held = milestones.at(-1);
      const removed = this.#anchors.get(key)?.length ?? 0;
      if (!held || this.#seen.has(key) || removed >= held.length) continue;
      this.#note(
        { entityType, entityId },
        removed + 1,
        `The entry is missing, as are all others of its chain: checkpoint ${held.checkpoint} holds ${held.length}.`,
      );
    }
  }

  /** A head of which no entry is left. */
  noteEmptyChain(chain: { entityType: string; entityId: string; length: number; hash: string }): void {
    const anchor = this.#anchors.get(chainKey(chain.entityType, chain.entityId));
    if (anchor && anchor.length === chain.length && anchor.hash === chain.hash) return;
    this.#note(chain, (anchor?.length ?? 0) + 1, 'The entry is missing, as are all others of its chain.');
  }

  #note(
    { entityType, entityId }: { entityType: string; entityId: string },
    chainIndex: number,
    fault: string | null,
  ): void {
    if (fault !== null) this.firstFault ??= { entityType, entityId, chainIndex, fault };
  }

  #entryFault(link: ChainLink, previous: ChainLink | undefined): string | null {
    const start = previous ?? this.#anchors.get(chainKey(link.entityType, link.entityId));
    const before =
      previous?.chainIndex ?? this.#anchors.get(chainKey(link.entityType, link.entityId))?.length ?? 0;
    if (link.chainIndex !== before + 1)
      return `The entry before it is missing: number ${before + 1} was due.`;
    if (link.previousHash !== (start?.hash ?? CHAIN_START)) return 'It does not follow the entry before it.';
    // The number of a row only orders lists; within a chain it can only rise.
    if (previous && link.sequence <= previous.sequence)
      return 'Its place in the table is before that of the entry before it.';
    return hashOf(link) === link.hash ? null : 'Its content is not what its hash was made of.';
  }
}

/** As `recordAudit` hashed it: everything but the hash and the number that the database gave the row. */
function hashOf({
  sequence: _sequence,
  hash: _hash,
  headLength: _length,
  headHash: _head,
  ...entry
}: ChainLink): string {
  return hashEntry(entry);
}
