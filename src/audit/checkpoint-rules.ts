/** What a checkpoint is made of, and what several of them together say of the log. */
import { createHash } from 'node:crypto';
import { canonicalJson } from '../kernel/canonical-json.ts';

/** The head of a chain: entity type, entity id, number of entries, hash of the last. */
export type Head = readonly [entityType: string, entityId: string, length: number, hash: string];

export interface Checkpoint {
  number: number;
  /** When it was made, by the service's clock. */
  at: string;
  /** The digest of the checkpoint before; of zeros for the first. */
  previous: string;
  /** Rows and chains in the whole log. */
  entries: number;
  chains: number;
  /** From this transaction on, heads may have moved without being in here. */
  horizon: string;
  /** The heads that have moved since the checkpoint before. */
  heads: readonly Head[];
}

/** A checkpoint as it lies in its place: two lines, what was signed and the signature. */
export interface SignedCheckpoint {
  checkpoint: Checkpoint;
  digest: string;
  signed: Buffer;
  keyId: string;
  signature: string;
}

export const NO_DIGEST = '0'.repeat(64);

const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

export function sealed(
  checkpoint: Checkpoint,
  sign: (bytes: Buffer) => { keyId: string; signature: string },
): { file: Buffer; digest: string } {
  const signed = Buffer.from(canonicalJson(checkpoint), 'utf8');
  const file = Buffer.concat([signed, Buffer.from(`\n${canonicalJson(sign(signed))}\n`, 'utf8')]);
  return { file, digest: digestOf(signed) };
}

/** Null where the file is no checkpoint. Whether the signature is good is for whoever holds the keys to say. */
export function unsealed(file: Buffer): SignedCheckpoint | null {
  const end = file.indexOf('\n');
  if (end < 0) return null;
  try {
    const signed = file.subarray(0, end);
    const checkpoint = JSON.parse(signed.toString('utf8')) as Checkpoint;
    const seal = JSON.parse(file.subarray(end + 1).toString('utf8')) as { keyId: string; signature: string };
    const whole = Number.isInteger(checkpoint.number) && Array.isArray(checkpoint.heads);
    return whole
      ? { checkpoint, digest: digestOf(signed), signed, keyId: seal.keyId, signature: seal.signature }
      : null;
  } catch {
    return null;
  }
}

export interface Milestone {
  length: number;
  hash: string;
  checkpoint: number;
}

export const chainKey = (entityType: string, entityId: string): string => `${entityType}\0${entityId}`;

/** What checkpoints hold of every chain, oldest first. */
export class Milestones {
  readonly #chains = new Map<string, Milestone[]>();
  /** The newest checkpoint. */
  last: { number: number; at: string } | null = null;

  add({ number, at, heads }: Checkpoint): void {
    this.last = { number, at };
    for (const [entityType, entityId, length, hash] of heads) {
      const key = chainKey(entityType, entityId);
      const known = this.#chains.get(key);
      if (!known) this.#chains.set(key, [{ length, hash, checkpoint: number }]);
      else if (known.at(-1)?.length !== length || known.at(-1)?.hash !== hash)
        known.push({ length, hash, checkpoint: number });
    }
  }

  of(entityType: string, entityId: string): readonly Milestone[] {
    return this.#chains.get(chainKey(entityType, entityId)) ?? [];
  }

  /** Entries that they cover. */
  get entries(): number {
    let sum = 0;
    for (const milestones of this.#chains.values()) sum += milestones.at(-1)?.length ?? 0;
    return sum;
  }

  *chains(): Generator<{ entityType: string; entityId: string; milestones: readonly Milestone[] }> {
    for (const [key, milestones] of this.#chains) {
      const at = key.indexOf('\0');
      yield { entityType: key.slice(0, at), entityId: key.slice(at + 1), milestones };
    }
  }
}
