/** Does to the audit log what a superuser with the triggers off can do, and looks whether the verification names it. */
import { randomUUID } from 'node:crypto';
import { sql, type SQL } from 'drizzle-orm';
import { AuditKeys } from '../../src/audit/audit-keys.ts';
import { AuditLogger } from '../../src/audit/audit-logger.ts';
import { readChainLinks } from '../../src/audit/audit-store.ts';
import { CHAIN_START, hashEntry } from '../../src/audit/chain-rules.ts';
import type { ChainLink } from '../../src/audit/chain-walk.ts';
import { CheckpointFolder } from '../../src/audit/checkpoint-place.ts';
import { Checkpoints } from '../../src/audit/checkpoints.ts';
import { recordAudit } from '../../src/audit/record-audit.ts';
import { Database, type Tx } from '../../src/db/client.ts';
import { systemActor } from '../../src/kernel/actor.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/logger.ts';

export interface Outcome {
  kind: string;
  detail: string;
  found: boolean;
  named: boolean;
}

const ROUNDS = 4;
const CHAINS = 14;

const chainOf = ({ entityType, entityId }: { entityType: string; entityId: string }) =>
  `${entityType} ${entityId}`;

/** Undoes the transaction that it is thrown in. */
class Undo extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome) {
    super('undone');
    this.outcome = outcome;
  }
}

export class TamperedLog {
  readonly #database: Database;
  readonly #audit: AuditLogger;
  readonly #checkpoints: Checkpoints;
  readonly #clock: Clock & { advanceDays(days: number): void };
  readonly #random: () => number;
  #links: ChainLink[] = [];
  /** Lengths at each checkpoint, by chain. */
  readonly #milestones = new Map<string, number[]>();

  /** `url`: a superuser's. `random`: numbers from 0 to 1. */
  constructor(deps: {
    url: string;
    folder: string;
    clock: Clock & { advanceDays(days: number): void };
    random: () => number;
  }) {
    this.#database = new Database({ url: deps.url, poolSize: 2 });
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#checkpoints = new Checkpoints({
      database: this.#database,
      clock: deps.clock,
      keys: new AuditKeys(Buffer.alloc(32, 5).toString('base64')),
      place: new CheckpointFolder(deps.folder),
    });
    this.#audit = new AuditLogger({
      database: this.#database,
      clock: deps.clock,
      logger: silentLogger,
      checkpoints: this.#checkpoints,
    });
  }

  /** Entries in many chains, with a checkpoint now and then. */
  async fill(): Promise<void> {
    const types = ['payout', 'payment', 'tax_form'] as const;
    for (let round = 0; round < ROUNDS; round += 1) {
      for (let chain = 0; chain < CHAINS; chain += 1) {
        for (let entry = 0; entry <= chain % 3; entry += 1) {
          await this.#database.transaction((tx) =>
            recordAudit(tx, {
              actor: systemActor('tampering'),
              at: this.#clock.now(),
              entityType: types[chain % 3] ?? 'payout',
              entityId: `PO-2026-0000${String(chain).padStart(4, '0')}`,
              action: 'noted',
              oldValues: { status: 'approved', version: entry },
              newValues: { status: 'approved', version: entry + 1, reason: `Entry ${round} ${entry}.` },
            }),
          );
        }
      }
      await this.#checkpoints.make();
      this.#links = await readChainLinks(this.#database.reader, undefined, 10_000);
      for (const link of this.#links) {
        const known = this.#milestones.get(chainOf(link)) ?? [];
        if (link.headLength !== null && known.at(-1) !== link.headLength) known.push(link.headLength);
        this.#milestones.set(chainOf(link), known);
      }
      this.#clock.advanceDays(1);
    }
  }

  get rows(): number {
    return this.#links.length;
  }

  async isWhole(): Promise<boolean> {
    return (await this.#audit.verify()).valid === true;
  }

  /**
   * Does one random thing, verifies, and puts all back. `place` is where the first wrong row is, as far as anybody can
   * tell: a chain that was made anew is wrong since its last milestone, and a moved row may show in another chain.
   */
  async attempt(): Promise<Outcome> {
    const tamperings = [this.#edit, this.#rewrite, this.#delete, this.#cut, this.#swap, this.#insert, this.#forge, this.#truncate]; // prettier-ignore
    const tampering = this.#pick(tamperings);
    try {
      await this.#database.enclose(async (tx) => {
        await tx.execute(sql`SET LOCAL session_replication_role = replica`);
        const { kind, detail, place } = await tampering(tx, this.#pick(this.#links));
        const { valid, firstFault } = await this.#audit.verify();
        const named =
          firstFault !== null &&
          place.chains.includes(chainOf(firstFault)) &&
          firstFault.chainIndex >= place.from &&
          firstFault.chainIndex <= place.to;
        throw new Undo({ kind, detail: `${detail}: ${JSON.stringify(firstFault)}`, found: !valid, named });
      });
    } catch (error) {
      if (error instanceof Undo) return error.outcome;
      throw error;
    }
    throw new Error('Nothing was undone.');
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }

  #chain(link: ChainLink): ChainLink[] {
    return this.#links.filter((other) => chainOf(other) === chainOf(link));
  }

  /** After the last checkpoint before this entry: from there on a chain that was made anew is wrong. */
  #since(link: ChainLink, index = link.chainIndex): number {
    const passed = (this.#milestones.get(chainOf(link)) ?? []).filter((length) => length < index);
    return (passed.at(-1) ?? 0) + 1;
  }

  #end(link: ChainLink, index = link.chainIndex): number {
    return this.#milestones.get(chainOf(link))?.find((length) => length >= index) ?? index;
  }

  #edit = async (tx: Tx, link: ChainLink) => {
    const edits: Record<string, SQL> = {
      actor: sql`actor = actor || 'x'`,
      action: sql`action = 'approved'`,
      admin_id: sql`admin_id = coalesce(admin_id, 0) + 1`,
      user_id: sql`user_id = gen_random_uuid()`,
      success: sql`success = NOT success`,
      error_message: sql`error_message = coalesce(error_message, '') || 'x'`,
      old_values: sql`old_values = old_values || '{"version": 99}'`,
      new_values: sql`new_values = NULL`,
      metadata: sql`metadata = '{"role": "admin"}'`,
      ip_address: sql`ip_address = '203.0.113.9'`,
      user_agent: sql`user_agent = 'x'`,
      request_id: sql`request_id = 'x'`,
      id: sql`id = gen_random_uuid()`,
      created_at: sql`created_at = created_at + interval '1 microsecond'`,
      previous_hash: sql`previous_hash = reverse(previous_hash) || 'x'`,
      hash: sql`hash = reverse(hash) || 'x'`,
      entity_id: sql`entity_id = 'PO-2026-99999999'`,
      chain_index: sql`chain_index = chain_index + 1000`,
    };
    const column = this.#pick(Object.keys(edits));
    await tx.execute(sql`UPDATE user_audit_logs SET ${edits[column]} WHERE id = ${link.id}`);
    const elsewhere = column === 'entity_id' ? [`${link.entityType} PO-2026-99999999`] : [];
    const far = column === 'chain_index' ? 1000 : 1;
    return {
      kind: 'edited',
      detail: `${column} of ${chainOf(link)} ${link.chainIndex}`,
      place: { chains: [chainOf(link), ...elsewhere], from: link.chainIndex, to: link.chainIndex + far },
    };
  };

  /** An edit by somebody who makes all hashes after it good again. */
  #rewrite = async (tx: Tx, link: ChainLink) => {
    await tx.execute(sql`UPDATE user_audit_logs SET new_values = '{"amount": 1}' WHERE id = ${link.id}`);
    await this.#rehash(tx, link);
    return {
      kind: 'rewritten',
      detail: `${chainOf(link)} from ${link.chainIndex}`,
      place: { chains: [chainOf(link)], from: this.#since(link), to: this.#end(link) },
    };
  };

  #delete = async (tx: Tx, link: ChainLink) => {
    await tx.execute(sql`DELETE FROM user_audit_logs WHERE id = ${link.id}`);
    return {
      kind: 'deleted',
      detail: `${chainOf(link)} ${link.chainIndex}`,
      place: { chains: [chainOf(link)], from: link.chainIndex, to: link.chainIndex + 1 },
    };
  };

  /** The end of a chain, or all of it, with its head made to fit. */
  #cut = async (tx: Tx, link: ChainLink) => {
    const length = link.chainIndex - 1;
    await tx.execute(sql`DELETE FROM user_audit_logs WHERE entity_type = ${link.entityType}
      AND entity_id = ${link.entityId} AND chain_index > ${length}`);
    const hash = this.#chain(link).find(({ chainIndex }) => chainIndex === length)?.hash;
    await (hash === undefined
      ? tx.execute(sql`DELETE FROM audit_chains WHERE ${this.#ofChain(link)}`)
      : tx.execute(
          sql`UPDATE audit_chains SET length = ${length}, hash = ${hash} WHERE ${this.#ofChain(link)}`,
        ));
    return {
      kind: 'cut',
      detail: `${chainOf(link)} after ${length}`,
      place: { chains: [chainOf(link)], from: link.chainIndex, to: link.chainIndex },
    };
  };

  /** Two entries change places; half of the time all hashes are made good again. */
  #swap = async (tx: Tx, link: ChainLink) => {
    const chain = this.#chain(link);
    const other = this.#pick(chain.filter(({ id }) => id !== link.id)) ?? this.#pick(this.#links);
    if (chainOf(other) !== chainOf(link)) return this.#delete(tx, link);
    await tx.execute(sql`UPDATE user_audit_logs SET chain_index = -1 WHERE id = ${link.id}`);
    await tx.execute(sql`UPDATE user_audit_logs SET chain_index = ${link.chainIndex} WHERE id = ${other.id}`);
    await tx.execute(sql`UPDATE user_audit_logs SET chain_index = ${other.chainIndex} WHERE id = ${link.id}`);
    const first = Math.min(link.chainIndex, other.chainIndex);
    const clever = this.#random() < 0.5;
    if (clever) await this.#rehash(tx, link);
    return {
      kind: clever ? 'reordered and rehashed' : 'reordered',
      detail: `${chainOf(link)} ${link.chainIndex} and ${other.chainIndex}`,
      place: { chains: [chainOf(link)], from: clever ? this.#since(link, first) : first, to: Math.max(link.chainIndex, other.chainIndex) + 1 }, // prettier-ignore
    };
  };

  /** A row between others; half of the time all hashes are made good again. */
  #insert = async (tx: Tx, link: ChainLink) => {
    await tx.execute(sql`UPDATE user_audit_logs SET chain_index = -chain_index
      WHERE ${this.#ofChain(link)} AND chain_index >= ${link.chainIndex}`);
    await tx.execute(sql`UPDATE user_audit_logs SET chain_index = 1 - chain_index
      WHERE ${this.#ofChain(link)} AND chain_index < 0`);
    await this.#copy(tx, link, link.chainIndex, link.entityId);
    const clever = this.#random() < 0.5;
    if (clever) await this.#rehash(tx, link);
    return {
      kind: clever ? 'inserted and rehashed' : 'inserted',
      detail: `${chainOf(link)} at ${link.chainIndex}`,
      place: {
        chains: [chainOf(link)],
        from: clever ? this.#since(link) : link.chainIndex,
        to: clever ? this.#end(link) : link.chainIndex + 1,
      },
    };
  };

  /** A new chain, whole in itself, of a time that a checkpoint covers. */
  #forge = async (tx: Tx, link: ChainLink) => {
    const entityId = `PO-2026-FORGED${Math.floor(this.#random() * 100)}`;
    await this.#copy(tx, link, 1, entityId);
    const forged = { ...link, entityId };
    // Nearer to the checkpoint it could be an entry that was being written just then.
    await tx.execute(sql`UPDATE user_audit_logs SET created_at = created_at - interval '1 hour'
      WHERE ${this.#ofChain(forged)}`);
    await tx.execute(sql`INSERT INTO audit_chains (entity_type, entity_id, length, hash)
      VALUES (${link.entityType}, ${entityId}, 1, 'x')`);
    await this.#rehash(tx, forged);
    return {
      kind: 'forged',
      detail: chainOf(forged),
      place: { chains: [chainOf(forged)], from: 1, to: 1 },
    };
  };

  #truncate = async (tx: Tx) => {
    await tx.execute(sql`TRUNCATE user_audit_logs`);
    const clever = this.#random() < 0.5;
    if (clever) await tx.execute(sql`TRUNCATE audit_chains`);
    return {
      kind: clever ? 'truncated with heads' : 'truncated',
      detail: 'all',
      place: { chains: [...this.#milestones.keys()], from: 1, to: 1 },
    };
  };

  #ofChain({ entityType, entityId }: ChainLink): SQL {
    return sql`entity_type = ${entityType} AND entity_id = ${entityId}`;
  }

  async #copy(tx: Tx, link: ChainLink, chainIndex: number, entityId: string): Promise<void> {
    await tx.execute(sql`
      INSERT INTO user_audit_logs (id, actor, entity_type, entity_id, action, success, metadata, created_at,
                                   chain_index, previous_hash, hash)
      SELECT ${randomUUID()}::uuid, actor, entity_type, ${entityId}, 'approved', true, metadata, created_at,
             ${chainIndex}::integer, previous_hash, hash FROM user_audit_logs WHERE id = ${link.id}`);
  }

  /** Makes every hash of the chain, its order in the table and its head fit what now stands in it. */
  async #rehash(tx: Tx, { entityType, entityId }: ChainLink): Promise<void> {
    const rows = (await readChainLinks(tx, { entityType, entityId, chainIndex: 0 }, 1000)).filter(
      (row) => row.entityType === entityType && row.entityId === entityId,
    );
    let previousHash = CHAIN_START;
    for (const [index, row] of rows.entries()) {
      const { sequence: _s, hash: _h, headLength: _l, headHash: _hh, ...entry } = row;
      const hash = hashEntry({ ...entry, previousHash });
      // As an attacker may count rows anew, their numbers shall not be what tells.
      await tx.execute(sql`UPDATE user_audit_logs SET previous_hash = ${previousHash}, hash = ${hash},
        sequence = DEFAULT WHERE id = ${row.id}`);
      previousHash = hash;
      await tx.execute(sql`UPDATE audit_chains SET length = ${index + 1}, hash = ${hash}
        WHERE entity_type = ${entityType} AND entity_id = ${entityId}`);
    }
  }
}
