import type { Database } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import type { AuditKeys } from './audit-keys.ts';
import type { CheckpointPlace } from './checkpoint-place.ts';
import { Milestones, NO_DIGEST, sealed, unsealed, type SignedCheckpoint } from './checkpoint-rules.ts';
import {
  allAnchors,
  allCheckpoints,
  insertCheckpoint,
  lastCheckpoint,
  lockCheckpoints,
  movedHeads,
  paymentMovedSince,
  type AnchorRow,
} from './checkpoint-store.ts';
import { anchorBytes } from './chain-rules.ts';

/** What is wrong with the checkpoints themselves. */
export interface CheckpointFault {
  number: number;
  fault: string;
}

/**
 * Signed statements of how long every chain of the audit log was and with which hash it ended, written to a place outside
 * of the database. What they cover cannot be cut off or rewritten without its showing.
 */
export class Checkpoints {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #keys: AuditKeys;
  readonly #place: CheckpointPlace;

  constructor(deps: { database: Database; clock: Clock; keys: AuditKeys; place: CheckpointPlace }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#keys = deps.keys;
    this.#place = deps.place;
  }

  /** Writes one over what has moved since the last. Returns its number, or null when nothing has. */
  async make(): Promise<number | null> {
    for (;;) {
      const outcome = await this.#database.transaction(async (tx) => {
        await lockCheckpoints(tx);
        const last = await lastCheckpoint(tx);
        const number = (last?.number ?? 0) + 1;
        const previous = last?.digest ?? NO_DIGEST;
        const { heads, ...log } = await movedHeads(tx, last?.horizon ?? '0');
        if (heads.length === 0 || (last && (await this.#holds(last.number, heads)))) return null;
        const checkpoint = { number, at: this.#clock.now().toISOString(), previous, ...log, heads };
        const { file, digest } = sealed(checkpoint, this.#keys.sign);
        // A file of this number is of an instance that died before its commit: it counts, and another follows.
        const added = await this.#place.add(number, file);
        const written = added ? { checkpoint, digest } : await this.#readGood(number, previous);
        await insertCheckpoint(tx, {
          number,
          madeAt: new Date(written.checkpoint.at),
          digest: written.digest,
          horizon: written.checkpoint.horizon,
        });
        return { number, added };
      });
      if (outcome === null || outcome.added) return outcome?.number ?? null;
    }
  }

  /** Has a payment moved since the last, or was there none yet? The hourly ones are a job's. */
  async isDue(): Promise<boolean> {
    const reader = this.#database.reader;
    const last = await lastCheckpoint(reader);
    return !last || paymentMovedSince(reader, last.horizon);
  }

  /** What all checkpoints together hold, as far as they are good, and the first that is not. */
  async collect(): Promise<{ milestones: Milestones; fault: CheckpointFault | null }> {
    const milestones = new Milestones();
    // The table first: a checkpoint that is made meanwhile is then not missed.
    const rows = await allCheckpoints(this.#database.reader);
    const known = new Map(rows.map((row) => [row.number, row.digest]));
    const numbers = await this.#place.numbers();
    const newest = Math.max(numbers.at(-1) ?? 0, rows.at(-1)?.number ?? 0);
    let previous = NO_DIGEST;
    for (let number = 1; number <= newest; number += 1) {
      const signed = numbers.includes(number) ? unsealed(await this.#place.read(number)) : undefined;
      const fault = this.#faultOf(signed, number, previous) ?? differs(signed, known.get(number));
      if (!signed || fault !== null) return { milestones, fault: { number, fault: fault ?? '' } };
      milestones.add(signed.checkpoint);
      previous = signed.digest;
    }
    return { milestones, fault: null };
  }

  /** Where chains begin whose oldest entries were removed; an anchor with a bad signature counts for nothing. */
  async anchors(): Promise<AnchorRow[]> {
    const rows = await allAnchors(this.#database.reader);
    return rows.filter((row) => this.#keys.isSigned(anchorBytes(row), row.keyId, row.signature));
  }

  #faultOf(signed: SignedCheckpoint | null | undefined, number: number, previous: string): string | null {
    if (signed === undefined) return 'The checkpoint is missing.';
    if (signed === null) return 'The checkpoint cannot be read.';
    if (!this.#keys.isSigned(signed.signed, signed.keyId, signed.signature))
      return 'The checkpoint’s signature is not ours.';
    if (signed.checkpoint.number !== number) return 'The checkpoint has another number.';
    return signed.checkpoint.previous === previous ? null : 'The checkpoint does not follow the one before.';
  }

  async #readGood(number: number, previous: string): Promise<SignedCheckpoint> {
    const signed = unsealed(await this.#place.read(number));
    const fault = this.#faultOf(signed, number, previous);
    if (!signed || fault !== null) throw new Error(`Checkpoint ${number}: ${fault}`);
    return signed;
  }

  /** A transaction that takes long keeps the horizon back: the same heads need no second checkpoint. */
  async #holds(number: number, heads: readonly (readonly unknown[])[]): Promise<boolean> {
    const last = unsealed(await this.#place.read(number));
    const held = new Set(last?.checkpoint.heads.map((head) => head.join('\0')));
    return heads.every((head) => held.has(head.join('\0')));
  }
}

const differs = (signed: SignedCheckpoint | null | undefined, digest: string | undefined): string | null =>
  digest !== undefined && signed?.digest !== digest ? 'The checkpoint is not the one that was made.' : null;
