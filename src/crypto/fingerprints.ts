import { createHmac, randomBytes } from 'node:crypto';
import type { Database } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Vault } from './envelope.ts';
import { findFingerprintKey, fingerprintPlace, keepFingerprintKey } from './vault-store.ts';

/**
 * Tells the same number from another without holding it: HMAC-SHA-256 under a key of its own, made once and kept sealed.
 * It outlives every master key, or an account that failed once would be forgotten when the master key is changed.
 */
export class Fingerprints {
  readonly #database: Database;
  readonly #vault: Vault;
  readonly #clock: Clock;
  #key: Promise<Buffer> | undefined;

  constructor(database: Database, vault: Vault, clock: Clock) {
    this.#database = database;
    this.#vault = vault;
    this.#clock = clock;
  }

  async of(value: string): Promise<string> {
    return createHmac('sha256', await this.load())
      .update(value)
      .digest('hex');
  }

  /** At the start it shows whether the master key is the one of this database. Throws a DecryptionError when it is not. */
  load(): Promise<Buffer> {
    this.#key ??= this.#read();
    return this.#key.catch((error: unknown) => {
      this.#key = undefined;
      throw error;
    });
  }

  async #read(): Promise<Buffer> {
    const kept = (await findFingerprintKey(this.#database)) ?? (await this.#make());
    return Buffer.from(await this.#vault.open(kept, fingerprintPlace), 'base64');
  }

  async #make() {
    const made = await this.#vault.seal(randomBytes(32).toString('base64'), fingerprintPlace);
    await keepFingerprintKey(this.#database, made, this.#clock.now());
    // Of two instances that start at once, the first to write wins.
    const kept = await findFingerprintKey(this.#database);
    if (!kept) throw new Error('The key of fingerprints was not kept.');
    return kept;
  }
}
