/** Who wraps data keys: the environment's master keys, AWS KMS, or several of them while they change. */
import { createHash } from 'node:crypto';
import { gcmDecrypt, gcmEncrypt } from './gcm.ts';
import { KmsKeys } from './kms-keys.ts';
import type { KeyContext, MasterKeys, WrappedKey } from './key-provider.ts';

/** Master keys from the configuration: 32 bytes each in base64. The first wraps; the others still unwrap. */
export class EnvironmentKeys implements MasterKeys {
  readonly #current: string;
  readonly #keys: ReadonlyMap<string, Buffer>;

  constructor(masterKeys: readonly string[]) {
    const keys = masterKeys.map((text) => Buffer.from(text, 'base64'));
    const [current] = keys;
    if (!current || keys.some((key) => key.length !== 32))
      throw new Error('A master key must be 32 bytes in base64.');
    this.#keys = new Map(keys.map((key) => [keyIdOf(key), key]));
    this.#current = keyIdOf(current);
  }

  async currentKeyId(): Promise<string> {
    return this.#current;
  }

  holds(keyId: string): boolean {
    return this.#keys.has(keyId);
  }

  async wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey> {
    const keyId = this.#current;
    return { keyId, bytes: gcmEncrypt(this.#key(keyId), dataKey, bound(context)) };
  }

  async unwrap({ keyId, bytes }: WrappedKey, context: KeyContext): Promise<Buffer> {
    return gcmDecrypt(this.#key(keyId), bytes, bound(context));
  }

  #key(keyId: string): Buffer {
    const key = this.#keys.get(keyId);
    if (!key) throw new Error(`There is no master key ${keyId}.`);
    return key;
  }
}

/** Several providers at once: the first wraps, and each unwraps what is its own. For moving from one to another. */
class KeyRing implements MasterKeys {
  readonly #first: MasterKeys;
  readonly #all: readonly MasterKeys[];

  constructor(first: MasterKeys, ...others: MasterKeys[]) {
    this.#first = first;
    this.#all = [first, ...others];
  }

  currentKeyId(): Promise<string> {
    return this.#first.currentKeyId();
  }

  holds(keyId: string): boolean {
    return this.#all.some((provider) => provider.holds(keyId));
  }

  wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey> {
    return this.#first.wrap(dataKey, context);
  }

  async unwrap(wrapped: WrappedKey, context: KeyContext): Promise<Buffer> {
    const provider = this.#all.find((candidate) => candidate.holds(wrapped.keyId));
    if (!provider) throw new Error(`No provider holds the master key ${wrapped.keyId}.`);
    return provider.unwrap(wrapped, context);
  }
}

export interface MasterKeySettings {
  /** ENCRYPTION_KEY, then those of ENCRYPTION_KEYS_OLD. */
  keys: readonly string[];
  /** KMS_KEY_ID: with it, the keys above only unwrap. */
  kmsKeyId?: string | undefined;
}

export function createMasterKeys({ keys, kmsKeyId }: MasterKeySettings): MasterKeys {
  const environment = keys.length > 0 ? [new EnvironmentKeys(keys)] : [];
  const [first, ...others] = kmsKeyId === undefined ? environment : [new KmsKeys(kmsKeyId), ...environment];
  if (!first) throw new Error('Neither ENCRYPTION_KEY nor KMS_KEY_ID is set.');
  return new KeyRing(first, ...others);
}

const keyIdOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 12);

const bound = (context: KeyContext): Buffer =>
  Buffer.from(JSON.stringify(Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))), 'utf8');
