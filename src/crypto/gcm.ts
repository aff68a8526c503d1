import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';

/** AES-256-GCM: iv (12) + tag (16) + ciphertext. */
export function gcmEncrypt(key: Buffer, plaintext: Buffer, additionalData: Buffer): Buffer {
  const iv = randomBytes(12);
  const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(additionalData);
  const content = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), content]);
}

/** Throws unless key, bytes and additional data are those of the encryption. */
export function gcmDecrypt(key: Buffer, bytes: Buffer, additionalData: Buffer): Buffer {
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(additionalData).setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
}
