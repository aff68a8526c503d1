import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DecryptionError, Vault, type Place } from '../../src/crypto/envelope.ts';
import { gcmDecrypt, gcmEncrypt } from '../../src/crypto/gcm.ts';
import { createMasterKeys, EnvironmentKeys } from '../../src/crypto/master-keys.ts';
import { DomainError } from '../../src/kernel/errors.ts';
import { startKmsServer, type KmsServer } from '../support/kms-server.ts';

const newKey = () => randomBytes(32).toString('base64');
const place: Place = { table: 'bank_details', column: 'envelope', row: 'PO-2026-AAAAAAAA', version: 2 };
const ARN = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

describe('a sealed value', () => {
  let vault: Vault;
  beforeAll(() => {
    vault = new Vault(new EnvironmentKeys([newKey()]));
  });

  it('is three parts: the format, the wrapped key, and the content', async () => {
    const { envelope, keyId } = await vault.seal('Grüße', place);
    expect(envelope).toMatch(/^v1(\.[\w-]+){2}$/);
    expect(keyId).toMatch(/^[0-9a-f]{12}$/);
    expect(keyId).toBe(await vault.currentKeyId());
  });

  it('has a key that is bound to its row, and a value that is bound to its version too', async () => {
    const provider = new EnvironmentKeys([newKey()]);
    const { envelope, keyId } = await new Vault(provider).seal('secret', place);
    const bytes = Buffer.from(envelope.split('.')[1] ?? '', 'base64url');
    const context = { row: place.row, table: place.table, column: place.column, format: 'v1' };
    expect(await provider.unwrap({ keyId, bytes }, context)).toHaveLength(32);
    for (const name of Object.keys(context))
      await expect(provider.unwrap({ keyId, bytes }, { ...context, [name]: 'x' })).rejects.toThrow();
  });

  it('opens where it was sealed, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), async (text) => {
        expect(await vault.open(await vault.seal(text, place), place)).toBe(text);
      }),
      { numRuns: 30 },
    );
  });

  it.each<[string, Partial<Place>]>([
    ['another table', { table: 'tax_forms' }],
    ['another column', { column: 'other' }],
    ['another row', { row: 'PO-2026-BBBBBBBB' }],
    ['another version of the same row: an older one put back', { version: 3 }],
  ])('does not open in %s', async (_what, change) => {
    const sealed = await vault.seal('000123456789', place);
    await expect(vault.open(sealed, { ...place, ...change })).rejects.toThrow(DecryptionError);
  });

  it('does not open when any of its bytes was changed, or a part of another took its place', async () => {
    const sealed = await vault.seal('000123456789', place);
    const other = await vault.seal('999123456789', { ...place, version: 1 });
    const parts = sealed.envelope.split('.');
    const others = other.envelope.split('.');
    const swapped = [[parts[0], others[1], parts[2]], [parts[0], parts[1], others[2]]]; // prettier-ignore
    for (const mixed of swapped)
      await expect(vault.open({ ...sealed, envelope: mixed.join('.') }, place)).rejects.toThrow(
        DecryptionError,
      );
    for (const part of [1, 2]) {
      const bytes = Buffer.from(parts[part] ?? '', 'base64url');
      for (let index = 0; index < bytes.length; index += 1) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
        const envelope = parts.with(part, changed.toString('base64url')).join('.');
        await expect(vault.open({ ...sealed, envelope }, place)).rejects.toThrow(DecryptionError);
      }
    }
    for (const envelope of ['', 'v1', 'v1..', `v2.${parts[1]}.${parts[2]}`, `${sealed.envelope}.x`])
      await expect(vault.open({ ...sealed, envelope }, place)).rejects.toThrow(DecryptionError);
  });

  it('does not open by the beginning of its tag', () => {
    const [key, data] = [randomBytes(32), Buffer.from('place')];
    const whole = gcmEncrypt(key, Buffer.alloc(0), data);
    expect(gcmDecrypt(key, whole, data)).toHaveLength(0);
    for (const length of [4, 8, 12, 15])
      expect(() => gcmDecrypt(key, whole.subarray(0, 12 + length), data)).toThrow();
  });

  it('is another one every time, under a data key of its own', async () => {
    const sealed = await Promise.all(Array.from({ length: 20 }, () => vault.seal('000123456789', place)));
    const parts = sealed.flatMap(({ envelope }) => envelope.split('.').slice(1));
    expect(new Set(parts).size).toBe(40);
  });

  it('tells nothing of itself when it does not open', async () => {
    const sealed = await vault.seal('000123456789', place);
    const error: unknown = await vault
      .open(sealed, { ...place, version: 1 })
      .catch((thrown: unknown) => thrown);
    expect(String(error)).toBe(
      'DecryptionError: bank_details.envelope of PO-2026-AAAAAAAA (version 1) cannot be decrypted.',
    );
  });
});

describe('several master keys', () => {
  it('open what any of them sealed; the first one seals; a missing one opens nothing', async () => {
    const [old, present] = [newKey(), newKey()];
    const sealed = await new Vault(new EnvironmentKeys([old])).seal('secret', place);
    const both = new Vault(createMasterKeys({ keys: [present, old] }));
    expect(await both.open(sealed, place)).toBe('secret');
    const renewed = await both.rewrap(sealed, place);
    expect(renewed.keyId).toBe(await both.currentKeyId());
    expect(renewed.keyId).not.toBe(sealed.keyId);
    expect(renewed.envelope.split('.')[2]).toBe(sealed.envelope.split('.')[2]);
    const alone = new Vault(new EnvironmentKeys([present]));
    expect(await alone.open(renewed, place)).toBe('secret');
    await expect(alone.open(sealed, place)).rejects.toThrow(DecryptionError);
    await expect(both.rewrap(sealed, { ...place, version: 9 })).rejects.toThrow(DecryptionError);
  });

  it('are each asked for what is theirs alone', async () => {
    const [old, present] = [newKey(), newKey()];
    const idOf = (key: string) => new EnvironmentKeys([key]).currentKeyId();
    const ring = createMasterKeys({ keys: [present, old] });
    for (const key of [old, present]) expect(ring.holds(await idOf(key))).toBe(true);
    expect(ring.holds(await idOf(newKey()))).toBe(false);
    const lost = { keyId: 'nobody', bytes: Buffer.alloc(60) };
    await expect(ring.unwrap(lost, {})).rejects.toThrow('No provider holds the master key nobody.');
    await expect(new EnvironmentKeys([old]).unwrap(lost, {})).rejects.toThrow(
      'There is no master key nobody.',
    );
  });

  it('must be 32 bytes each, and there must be one', () => {
    expect(() => new EnvironmentKeys([newKey(), 'c2hvcnQ='])).toThrow('32 bytes');
    expect(() => new EnvironmentKeys([])).toThrow('32 bytes');
    expect(() => new EnvironmentKeys([newKey(), newKey()])).not.toThrow();
    expect(() => new EnvironmentKeys(['c2hvcnQ='])).toThrow('32 bytes');
    expect(() => createMasterKeys({ keys: [] })).toThrow('ENCRYPTION_KEY');
  });
});

describe('a master key in AWS KMS', () => {
  let kms: KmsServer;
  const before = { ...process.env };
  beforeAll(async () => {
    kms = await startKmsServer([ARN]);
    // As an operator sets them: the SDK finds them by itself.
    Object.assign(process.env, {
      AWS_ENDPOINT_URL_KMS: kms.url,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
  });
  afterAll(async () => {
    for (const name of ['AWS_ENDPOINT_URL_KMS', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    await kms.stop();
  });

  it('wraps and unwraps data keys, bound to their place by the encryption context', async () => {
    const vault = new Vault(createMasterKeys({ keys: [], kmsKeyId: ARN }));
    const sealed = await vault.seal('000123456789', place);
    expect(sealed.keyId).toBe(ARN);
    expect(await vault.currentKeyId()).toBe(ARN);
    expect(await vault.open(sealed, place)).toBe('000123456789');
    expect(kms.asked).toContain('TrentService.Encrypt');
    expect(kms.asked).toContain('TrentService.Decrypt');
    for (const change of [{ row: 'PO-2026-BBBBBBBB' }, { version: 3 }, { table: 'tax_forms' }])
      await expect(vault.open(sealed, { ...place, ...change })).rejects.toThrow(DecryptionError);
  });

  it('takes over from one of the environment, which then only reads', async () => {
    const key = newKey();
    const sealed = await new Vault(createMasterKeys({ keys: [key] })).seal('secret', place);
    const both = new Vault(createMasterKeys({ keys: [key], kmsKeyId: ARN }));
    const renewed = await both.rewrap(sealed, place);
    expect(renewed.keyId).toBe(ARN);
    expect(await new Vault(createMasterKeys({ keys: [], kmsKeyId: ARN })).open(renewed, place)).toBe(
      'secret',
    );
  });

  it.each([
    [500, 'KMSInternalException'],
    [400, 'ThrottlingException'],
    [400, 'AccessDeniedException'],
    [400, 'DisabledException'],
  ])('that does not serve (%s %s) is unavailable, which says nothing of the value', async (status, type) => {
    const vault = new Vault(createMasterKeys({ keys: [], kmsKeyId: ARN }));
    const sealed = await vault.seal('secret', place);
    kms.failure = { status, type };
    try {
      for (const attempt of [() => vault.open(sealed, place), () => vault.seal('other', place)]) {
        const error: unknown = await attempt().catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(DomainError);
        expect(error).toMatchObject({ code: 'UNAVAILABLE' });
      }
    } finally {
      kms.failure = undefined;
    }
    expect(await vault.open(sealed, place)).toBe('secret');
  });
});
