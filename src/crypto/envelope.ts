import { randomBytes } from 'node:crypto';
import { DomainError } from '../kernel/errors.ts';
import { gcmDecrypt, gcmEncrypt } from './gcm.ts';
import type { KeyContext, MasterKeys } from './key-provider.ts';

/** The row and column in which a ciphertext is kept. */
export interface Home {
  table: string;
  column: string;
  row: string;
}

/** Where a ciphertext belongs. It is bound to it: moved elsewhere, or put back later, it does not decrypt. */
export interface Place extends Home {
  version: number;
}

/** Ciphertext with all that is needed to read it but the master key. Base64url parts joined by dots. */
export interface Sealed {
  envelope: string;
  keyId: string;
}

/** A value that cannot be decrypted: wrong key, another place, or changed bytes. */
export class DecryptionError extends Error {
  constructor(place: Place, options?: ErrorOptions) {
    super(
      `${place.table}.${place.column} of ${place.row} (version ${place.version}) cannot be decrypted.`,
      options,
    );
    this.name = 'DecryptionError';
  }
}

const FORMAT = 'v1';

/** A data key for one value, got before the transaction: the master key may be a network away, and this seals at once. */
export class DataKey {
  readonly #key: Buffer;
  readonly #home: Home;
  readonly #wrapped: string;
  readonly #keyId: string;

  constructor(parts: { key: Buffer; home: Home; wrapped: Buffer; keyId: string }) {
    this.#key = parts.key;
    this.#home = parts.home;
    this.#wrapped = parts.wrapped.toString('base64url');
    this.#keyId = parts.keyId;
  }

  /** Once: a second value needs a key of its own. */
  seal(plaintext: string, version: number): Sealed {
    const content = gcmEncrypt(
      this.#key,
      Buffer.from(plaintext, 'utf8'),
      valueData({ ...this.#home, version }),
    );
    this.#key.fill(0);
    return {
      envelope: [FORMAT, this.#wrapped, content.toString('base64url')].join('.'),
      keyId: this.#keyId,
    };
  }
}

/**
 * Envelope encryption: AES-256-GCM under a data key made for this one value, itself wrapped under the master key.
 * Rotating the master key re-wraps the data keys and leaves the ciphertexts alone. Everything throws UNAVAILABLE while a
 * key service cannot be asked.
 */
export class Vault {
  readonly #masterKeys: MasterKeys;

  constructor(masterKeys: MasterKeys) {
    this.#masterKeys = masterKeys;
  }

  currentKeyId(): Promise<string> {
    return this.#masterKeys.currentKeyId();
  }

  async newKey(home: Home): Promise<DataKey> {
    const key = randomBytes(32);
    const { bytes, keyId } = await this.#masterKeys.wrap(key, contextOf(home));
    return new DataKey({ key, home, wrapped: bytes, keyId });
  }

  async seal(plaintext: string, place: Place): Promise<Sealed> {
    return (await this.newKey(place)).seal(plaintext, place.version);
  }

  /** Throws a DecryptionError unless the envelope was sealed for this very place and has not been changed. */
  async open(sealed: Sealed, place: Place): Promise<string> {
    const { dataKey, content } = await this.#unwrapped(sealed, place);
    try {
      return decrypted(dataKey, content, place);
    } finally {
      dataKey.fill(0);
    }
  }

  /** The same ciphertext with its data key under the current master key. Throws as `open` does: what is lost stays. */
  async rewrap(sealed: Sealed, place: Place): Promise<Sealed> {
    const { dataKey, content } = await this.#unwrapped(sealed, place);
    try {
      decrypted(dataKey, content, place);
      const { bytes, keyId } = await this.#masterKeys.wrap(dataKey, contextOf(place));
      return {
        envelope: [FORMAT, bytes.toString('base64url'), content.toString('base64url')].join('.'),
        keyId,
      };
    } finally {
      dataKey.fill(0);
    }
  }

  async #unwrapped(sealed: Sealed, place: Place): Promise<{ dataKey: Buffer; content: Buffer }> {
    try {
      const [format, wrapped, content, ...more] = sealed.envelope.split('.');
      if (format !== FORMAT || !wrapped || !content || more.length > 0) throw new Error('unknown format');
      const dataKey = await this.#masterKeys.unwrap(
        { keyId: sealed.keyId, bytes: Buffer.from(wrapped, 'base64url') },
        contextOf(place),
      );
      return { dataKey, content: Buffer.from(content, 'base64url') };
    } catch (error) {
      throw error instanceof DomainError ? error : new DecryptionError(place, { cause: error });
    }
  }
}

function decrypted(dataKey: Buffer, content: Buffer, place: Place): string {
  try {
    return gcmDecrypt(dataKey, content, valueData(place)).toString('utf8');
  } catch (error) {
    throw new DecryptionError(place, { cause: error });
  }
}

/** The key is bound to the row, the value to its version too: the version may only be known in the transaction. */
const contextOf = ({ table, column, row }: Home): KeyContext => ({ format: FORMAT, table, column, row });

const valueData = ({ table, column, row, version }: Place): Buffer =>
  Buffer.from(JSON.stringify([FORMAT, table, column, row, version]), 'utf8');
