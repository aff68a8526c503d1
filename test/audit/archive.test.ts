/** Checkpoints by themselves, and what goes after seven years. */
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, unlink, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { AuditArchive } from '../../src/audit/audit-archive.ts';
import { AuditKeys } from '../../src/audit/audit-keys.ts';
import { AuditLogger } from '../../src/audit/audit-logger.ts';
import { CheckpointFolder } from '../../src/audit/checkpoint-place.ts';
import { Checkpoints } from '../../src/audit/checkpoints.ts';
import { recordAudit } from '../../src/audit/record-audit.ts';
import { Database } from '../../src/db/client.ts';
import { systemActor } from '../../src/kernel/actor.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

let service: TestService;
let folder: string;
let archivist: Database;
let checkpoints: Checkpoints;
let audit: AuditLogger;
const keys = new AuditKeys(Buffer.alloc(32, 9).toString('base64'));
const NOW = '2026-11-20T12:00:00.000Z';

beforeAll(async () => {
  service = await startTestService();
  folder = await mkdtemp(join(tmpdir(), 'payout-service-archive-'));
  archivist = new Database({ url: service.databaseUrl, poolSize: 1, role: 'payout_archivist' });
  const place = new CheckpointFolder(join(folder, 'checkpoints'));
  const { database, time: clock } = service;
  checkpoints = new Checkpoints({ database, clock, keys, place });
  audit = new AuditLogger({ database, clock, logger: silentLogger, checkpoints });
  for (const day of ['2018-01-01', '2018-02-01', '2019-03-01', '2024-01-01']) {
    service.time.setTo(`${day}T12:00:00.000Z`);
    for (const entityId of ['PO-2018-AAAAAAAA', 'PO-2018-BBBBBBBB']) await write(entityId);
    if (day < '2019-04-01') await write('PO-2018-GONEGONE');
    await checkpoints.make();
  }
  service.time.setTo(NOW);
});
afterAll(async () => {
  await archivist.close();
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

const write = (entityId: string) =>
  service.database.transaction((tx) =>
    recordAudit(tx, {
      actor: systemActor('archive-test'),
      at: service.time.now(),
      entityType: 'payout',
      entityId,
      action: 'noted',
      newValues: { reason: 'Long ago.' },
    }),
  );
/** A checkpoint's horizon is the oldest transaction that runs on the server, be it another test's. */
const everyOtherHasEnded = async () => {
  const [row] = await service.sql`
    SELECT pg_snapshot_xmin(pg_current_snapshot()) > max(moved_in) AS "hasEnded" FROM audit_chains`;
  return row?.['hasEnded'] === true;
};
const rows = async () => Number((await service.sql`SELECT count(*) FROM user_audit_logs`)[0]?.['count']);
const fileOf = (number: number) =>
  join(folder, 'checkpoints', `${String(number).padStart(8, '0')}.checkpoint`);

describe('a checkpoint', () => {
  it('is written when something has moved, and once', async () => {
    expect(await checkpoints.make()).toBeNull();
    expect(await readdir(join(folder, 'checkpoints'))).toHaveLength(4);
    await write('PO-2026-CCCCCCCC');
    expect(await checkpoints.make()).toBe(5);
  });

  it('is due at once after a payment, and not without one', async () => {
    expect(await checkpoints.isDue()).toBe(false);
    await service.database.transaction((tx) =>
      recordAudit(tx, { actor: systemActor('x'), at: service.time.now(), entityType: 'payment', entityId: 'PO-2026-CCCCCCCC', action: 'sent' }),
    );
    expect(await checkpoints.isDue()).toBe(true);
    await vi.waitUntil(everyOtherHasEnded, { timeout: 20_000 });
    expect(await checkpoints.make()).toBe(6);
    expect(await checkpoints.isDue()).toBe(false);
  }); // prettier-ignore

  it('of an instance that died before it had said so counts, and another follows', async () => {
    await service.sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`DELETE FROM audit_checkpoints WHERE number = 6`;
    });
    await write('PO-2026-CCCCCCCC');
    expect(await checkpoints.make()).toBe(7);
    expect((await audit.verify()).valid).toBe(true);
  });

  it.each<[string, (file: string, text: string) => Promise<unknown>, string]>([
    ['is missing', (file) => unlink(file), 'missing'],
    ['was changed', (file, text) => writeFile(file, text.replace('"length":', '"length": ').replace('PO-2018-A', 'PO-2018-X')), 'signature'],
    ['is signed by another key', (file, text) => {
      const [signed = ''] = text.split('\n');
      const other = new AuditKeys(Buffer.alloc(32, 1).toString('base64')).sign(Buffer.from(signed, 'utf8'));
      return writeFile(file, `${signed}\n${JSON.stringify(other)}\n`);
    }, 'signature'],
    ['is cut', (file, text) => writeFile(file, text.slice(0, 50)), 'cannot be read'],
  ])('that %s is named', async (_what, change, fault) => {
    const file = fileOf(2);
    const text = await readFile(file, 'utf8');
    await chmod(file, 0o600);
    await change(file, text);
    try {
      const { valid, firstFault } = await audit.verify();
      expect(valid).toBe(false);
      expect(firstFault).toMatchObject({ entityType: 'audit', entityId: 'checkpoint', chainIndex: 2 });
      expect(firstFault?.fault).toContain(fault);
    } finally {
      await writeFile(file, text);
    }
    expect((await audit.verify()).valid).toBe(true);
  }); // prettier-ignore

  it('counts after the key has changed, as long as the old public key is known', async () => {
    const seed = Buffer.alloc(32, 2).toString('base64');
    const place = new CheckpointFolder(join(folder, 'checkpoints'));
    const { database, time: clock } = service;
    const withKeys = (old: string[]) =>
      new Checkpoints({ database, clock, keys: new AuditKeys(seed, old), place }).collect();
    expect((await withKeys([keys.publicKey])).fault).toBeNull();
    expect((await withKeys([])).fault?.number).toBe(1);
  });
});

describe('after seven years', () => {
  const file = () => join(folder, 'archive.jsonl');
  const archive = (before: string) =>
    new AuditArchive(archivist, keys).run(new Date(before), file(), new Date(NOW));

  it('nothing goes before its time, whoever asks', async () => {
    await expect(archive('2024-02-01')).rejects.toThrow('7 years');
    const asArchivist = postgres(service.databaseUrl, { max: 1, onnotice: () => {}, connection: { role: 'payout_archivist' } });
    try {
      await expect(asArchivist`DELETE FROM user_audit_logs WHERE created_at < '2019-01-01'`).rejects.toThrow('only added to');
      await expect(asArchivist`UPDATE user_audit_logs SET actor = 'x'`).rejects.toThrow('permission denied');
      await expect(asArchivist`TRUNCATE user_audit_logs`).rejects.toThrow('permission denied');
    } finally {
      await asArchivist.end();
    }
    const asService = postgres(service.databaseUrl, { max: 1, onnotice: () => {}, connection: { role: 'payout_service' } });
    try {
      await expect(asService`INSERT INTO audit_anchors SELECT * FROM audit_anchors`).rejects.toThrow('permission denied');
      const [role] = await asService`SELECT pg_has_role('payout_service', 'payout_archivist', 'MEMBER') AS member`;
      expect(role).toEqual({ member: false });
    } finally {
      await asService.end();
    }
  }); // prettier-ignore

  it('the oldest entries go into a signed file, and verification goes on from the anchors', async () => {
    const before = await rows();
    expect(await archive('2019-11-01')).toBe(9);
    expect(await rows()).toBe(before - 9);
    const text = await readFile(file(), 'utf8');
    const seal = JSON.parse(await readFile(`${file()}.sig`, 'utf8')) as { sha256: string; keyId: string; signature: string };
    expect(text.trimEnd().split('\n')).toHaveLength(9);
    expect(createHash('sha256').update(text).digest('hex')).toBe(seal.sha256);
    expect(keys.isSigned(Buffer.from(seal.sha256), seal.keyId, seal.signature)).toBe(true);
    const result = await audit.verify();
    expect([result.firstFault, result.valid]).toEqual([null, true]);
    await write('PO-2018-AAAAAAAA');
    await write('PO-2018-GONEGONE');
    expect((await audit.verify()).valid).toBe(true);
  }); // prettier-ignore

  it('an anchor that nobody signed covers nothing up', async () => {
    await service.sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`UPDATE audit_anchors SET signature = reverse(signature) WHERE entity_id = 'PO-2018-BBBBBBBB'`;
    });
    const { firstFault } = await audit.verify();
    expect(firstFault).toMatchObject({ entityId: 'PO-2018-BBBBBBBB', chainIndex: 4 });
  });
});
