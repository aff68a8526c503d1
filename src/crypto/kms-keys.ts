import type * as Kms from '@aws-sdk/client-kms';
import { DomainError } from '../kernel/errors.ts';
import type { KeyContext, MasterKeys, WrappedKey } from './key-provider.ts';

/** What KMS says of a wrapped key that it will never unwrap: changed, of another key, or bound to something else. */
const LOST = new Set(['InvalidCiphertextException', 'IncorrectKeyException']);

type Sdk = typeof Kms;

/**
 * A master key in AWS KMS, which never leaves it: KMS wraps and unwraps data keys. Credentials, region and endpoint are
 * found as every AWS program finds them (AWS_REGION, AWS_ENDPOINT_URL_KMS, the role of the machine).
 */
export class KmsKeys implements MasterKeys {
  readonly #keyId: string;
  #loaded: Promise<{ sdk: Sdk; client: Kms.KMSClient }> | undefined;
  #current: Promise<string> | undefined;

  /** `keyId`: the key's id or ARN, or an alias's name or ARN. */
  constructor(keyId: string) {
    this.#keyId = keyId;
  }

  /** The ARN of the key, which KMS alone knows for certain: an alias may lead elsewhere tomorrow. */
  currentKeyId(): Promise<string> {
    this.#current ??= this.wrap(Buffer.alloc(32), { purpose: 'key-id' }).then(({ keyId }) => keyId);
    return this.#current.catch((error: unknown) => {
      this.#current = undefined;
      throw error;
    });
  }

  holds(keyId: string): boolean {
    return keyId.startsWith('arn:');
  }

  async wrap(dataKey: Buffer, context: KeyContext): Promise<WrappedKey> {
    const answer = await this.#ask(({ sdk, client }) =>
      client.send(
        new sdk.EncryptCommand({ KeyId: this.#keyId, Plaintext: dataKey, EncryptionContext: { ...context } }),
      ),
    );
    if (!answer.KeyId || !answer.CiphertextBlob) throw unavailable(new Error('KMS gave no wrapped key.'));
    return { keyId: answer.KeyId, bytes: Buffer.from(answer.CiphertextBlob) };
  }

  async unwrap({ keyId, bytes }: WrappedKey, context: KeyContext): Promise<Buffer> {
    const answer = await this.#ask(({ sdk, client }) =>
      client.send(
        new sdk.DecryptCommand({ KeyId: keyId, CiphertextBlob: bytes, EncryptionContext: { ...context } }),
      ),
    );
    if (!answer.Plaintext) throw unavailable(new Error('KMS gave no data key.'));
    return Buffer.from(answer.Plaintext);
  }

  async #ask<T>(question: (loaded: { sdk: Sdk; client: Kms.KMSClient }) => Promise<T>): Promise<T> {
    try {
      this.#loaded ??= load(this.#keyId);
      return await question(await this.#loaded);
    } catch (error) {
      throw error instanceof Error && LOST.has(error.name) ? error : unavailable(error);
    }
  }
}

/** Loaded at the first use only: whoever keeps the keys in the environment does not pay for it. */
async function load(keyId: string): Promise<{ sdk: Sdk; client: Kms.KMSClient }> {
  const sdk = await import('@aws-sdk/client-kms');
  // An ARN names its region; otherwise AWS_REGION does.
  const region = /^arn:[^:]+:kms:([^:]+):/.exec(keyId)?.[1];
  const client = new sdk.KMSClient({
    ...(region === undefined ? {} : { region }),
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 2000, requestTimeout: 3000 },
  });
  return { sdk, client };
}

/** A key service that does not answer, or not us, says nothing about the data. */
const unavailable = (cause: unknown): DomainError =>
  new DomainError('UNAVAILABLE', 'The key service cannot be reached. Try again shortly.', undefined, {
    cause,
  });
