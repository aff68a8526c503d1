import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 and SubjectPublicKeyInfo (RFC 8410). */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** The Ed25519 key that signs checkpoints and anchors, and the older public ones that still count. */
export class AuditKeys {
  readonly #private: KeyObject;
  readonly #public = new Map<string, KeyObject>();
  readonly keyId: string;
  /** Raw, in base64: what AUDIT_OLD_KEYS takes after a new key has come. */
  readonly publicKey: string;

  /** `seed` and `oldPublicKeys`: 32 bytes each, in base64. */
  constructor(seed: string, oldPublicKeys: readonly string[] = []) {
    this.#private = createPrivateKey({
      key: Buffer.concat([PRIVATE_PREFIX, Buffer.from(seed, 'base64')]),
      format: 'der',
      type: 'pkcs8',
    });
    const own = createPublicKey(this.#private);
    const raw = own.export({ format: 'der', type: 'spki' }).subarray(PUBLIC_PREFIX.length);
    this.publicKey = raw.toString('base64');
    this.keyId = idOf(raw);
    this.#public.set(this.keyId, own);
    for (const text of oldPublicKeys) {
      const key = Buffer.from(text, 'base64');
      const spki = Buffer.concat([PUBLIC_PREFIX, key]);
      this.#public.set(idOf(key), createPublicKey({ key: spki, format: 'der', type: 'spki' }));
    }
  }

  sign = (bytes: Buffer): { keyId: string; signature: string } => ({
    keyId: this.keyId,
    signature: sign(null, bytes, this.#private).toString('base64'),
  });

  /** False for a signature by a key that is none of ours, too. */
  isSigned(bytes: Buffer, keyId: string, signature: string): boolean {
    const key = this.#public.get(keyId);
    return key !== undefined && verify(null, bytes, key, Buffer.from(signature, 'base64'));
  }
}

const idOf = (raw: Buffer): string => createHash('sha256').update(raw).digest('hex').slice(0, 16);
