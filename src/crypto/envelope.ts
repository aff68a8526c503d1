import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from 'node:crypto';

/** Where a ciphertext belongs. It is bound to it: moved elsewhere, it does not decrypt. */
export interface Place {
  table: string;
  column: string;
  row: string;
  version: number;
}

/** Ciphertext with all that is needed to read it but the master key. Base64url parts joined by dots. */
export interface Sealed {
  envelope: string;
  keyId: string;
}

/** A value that cannot be decrypted: wrong key, another place, or changed bytes. */
class DecryptionError extends Error {
  constructor(place: Place, options?: ErrorOptions) {
    super(
      `${place.table}.${place.column} of ${place.row} (version ${place.version}) cannot be decrypted.`,
      options,
    );
    this.name = 'DecryptionError';
  }
}

const FORMAT = 'v1';
const ALGORITHM = 'aes-256-gcm';

/**
 * Envelope encryption: AES-256-GCM under a data key made for this one value, itself wrapped under the master key.
 * Rotating the master key re-wraps the data keys and leaves the ciphertexts alone.
 */
export class Vault {
  readonly currentKeyId: string;
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #fingerprintKey: Buffer;

  /** `masterKeys`: 32 bytes each in base64; the first is the one to encrypt under. */
  constructor(masterKeys: readonly string[]) {
    const keys = masterKeys.map((text) => Buffer.from(text, 'base64'));
    const [current] = keys;
    if (!current || keys.some((key) => key.length !== 32))
      throw new Error('A master key must be 32 bytes in base64.');
    this.#keys = new Map(keys.map((key) => [keyIdOf(key), key]));
    this.currentKeyId = keyIdOf(current);
    this.#fingerprintKey = Buffer.from(
      hkdfSync('sha256', current, Buffer.alloc(0), 'payout-service fingerprint', 32),
    );
  }

  seal(plaintext: string, place: Place): Sealed {
    const dataKey = randomBytes(32);
    const wrapped = encrypt(this.#key(this.currentKeyId, place), dataKey, aad(place, 'key'));
    const content = encrypt(dataKey, Buffer.from(plaintext, 'utf8'), aad(place, 'value'));
    dataKey.fill(0);
    return {
      envelope: [FORMAT, wrapped.toString('base64url'), content.toString('base64url')].join('.'),
      keyId: this.currentKeyId,
    };
  }

  /** Throws a DecryptionError unless the envelope was sealed for this very place and has not been changed. */
  open(sealed: Sealed, place: Place): string {
    try {
      const [format, wrapped, content] = sealed.envelope.split('.');
      if (format !== FORMAT || !wrapped || !content) throw new Error('unknown format');
      const dataKey = decrypt(
        this.#key(sealed.keyId, place),
        Buffer.from(wrapped, 'base64url'),
        aad(place, 'key'),
      );
      return decrypt(dataKey, Buffer.from(content, 'base64url'), aad(place, 'value')).toString('utf8');
    } catch (error) {
      throw error instanceof DecryptionError ? error : new DecryptionError(place, { cause: error });
    }
  }

  /** Tells the same number from another without holding it: HMAC-SHA-256 under a key derived from the master key. */
  fingerprint(value: string): string {
    return createHmac('sha256', this.#fingerprintKey).update(value).digest('hex');
  }

  #key(keyId: string, place: Place): Buffer {
    const key = this.#keys.get(keyId);
    if (!key) throw new DecryptionError(place);
    return key;
  }
}

const keyIdOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 12);

const aad = (place: Place, part: 'key' | 'value'): Buffer =>
  Buffer.from(JSON.stringify([FORMAT, part, place.table, place.column, place.row, place.version]), 'utf8');

/** iv (12) + tag (16) + ciphertext. */
function encrypt(key: Buffer, plaintext: Buffer, additionalData: Buffer): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(additionalData);
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), content]);
}

function decrypt(key: Buffer, bytes: Buffer, additionalData: Buffer): Buffer {
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(additionalData).setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
}
