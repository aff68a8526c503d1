/** Stands in for AWS KMS: the JSON of Encrypt and Decrypt as the API reference has it, with real AES-GCM below. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface KmsServer {
  url: string;
  /** Names of the operations that were asked for. */
  asked: string[];
  /** While set, every request fails with this status and error. */
  failure: { status: number; type: string } | undefined;
  stop(): Promise<void>;
}

interface KmsRequest {
  KeyId: string;
  Plaintext?: string;
  CiphertextBlob?: string;
  EncryptionContext?: Record<string, string>;
}

export async function startKmsServer(keyArns: readonly string[]): Promise<KmsServer> {
  const keys = new Map(keyArns.map((arn) => [arn, randomBytes(32)]));
  const state: KmsServer = { url: '', asked: [], failure: undefined, stop: async () => {} };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const operation = String(request.headers['x-amz-target']);
      state.asked.push(operation);
      const reply = (status: number, body: unknown) =>
        response
          .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
          .end(JSON.stringify(body));
      if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256'))
        return reply(400, { __type: 'MissingAuthenticationTokenException' });
      if (state.failure) return reply(state.failure.status, { __type: state.failure.type });
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as KmsRequest;
      const key = keys.get(body.KeyId);
      if (!key) return reply(400, { __type: 'NotFoundException' });
      const context = JSON.stringify(Object.entries(body.EncryptionContext ?? {}).sort());
      try {
        reply(200, answer(operation, body, key, context));
      } catch {
        reply(400, { __type: 'InvalidCiphertextException' });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  state.stop = () =>
    new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  return state;
}

function answer(operation: string, body: KmsRequest, key: Buffer, context: string) {
  if (operation === 'TrentService.Encrypt') {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
    const content = Buffer.concat([
      cipher.update(Buffer.from(body.Plaintext ?? '', 'base64')),
      cipher.final(),
    ]);
    const blob = Buffer.concat([iv, cipher.getAuthTag(), content]).toString('base64');
    return { KeyId: body.KeyId, CiphertextBlob: blob, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' };
  }
  if (operation !== 'TrentService.Decrypt') throw new Error(`Not here: ${operation}`);
  const blob = Buffer.from(body.CiphertextBlob ?? '', 'base64');
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12))
    .setAAD(Buffer.from(context))
    .setAuthTag(blob.subarray(12, 28));
  const plaintext = Buffer.concat([decipher.update(blob.subarray(28)), decipher.final()]);
  return { KeyId: body.KeyId, Plaintext: plaintext.toString('base64') };
}
