import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Vault } from '../../src/crypto/envelope.ts';
import { KeyKeeper, type KeyUse } from '../../src/crypto/key-keeper.ts';
import { createMasterKeys } from '../../src/crypto/master-keys.ts';
import { Caller } from '../support/caller.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { withoutTriggers } from '../support/paid-years.ts';
import {
  ACCOUNT_NUMBER,
  expectOk,
  ROUTING_NUMBER,
  startCast,
  Stories,
  TIN,
  type Cast,
  type Story,
} from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

/** The one that test services have. */
const OLD = Buffer.alloc(32, 7).toString('base64');
const NEW = randomBytes(32).toString('base64');

let cast: Cast;
let stories: Stories;
let story: Story;
let formId: string;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  story = await stories.withBank();
  formId = await stories.giveW9(story);
});
afterAll(() => cast.service.stop());

const keeperWith = (keys: string[]) =>
  new KeyKeeper(cast.service.database, new Vault(createMasterKeys({ keys })));
const olderCount = (uses: KeyUse[]) =>
  uses.filter(({ current }) => !current).reduce((sum, { count }) => sum + count, 0);

describe('a new master key', () => {
  it('takes over every value while the service goes on, from wherever an earlier try stopped', async () => {
    // Enough for a few pages, without the way there: the same details in many versions of their own.
    const vault = new Vault(createMasterKeys({ keys: [OLD] }));
    const rows = await Promise.all(
      Array.from({ length: 450 }, async (_, index) => {
        const version = index + 2;
        const place = { table: 'bank_details', column: 'envelope', row: story.payoutId, version };
        const numbers = JSON.stringify({ routingNumber: ROUTING_NUMBER, accountNumber: ACCOUNT_NUMBER });
        const { envelope, keyId } = await vault.seal(numbers, place);
        return { version, envelope, key_id: keyId };
      }),
    );
    await cast.service.sql`
      INSERT INTO bank_details (payout_id, version, account_holder_name, account_type, routing_last4, account_last4,
        envelope, key_id, fingerprint, created_at)
      SELECT ${story.payoutId}, r.version, ${story.name}, 'checking', '0021', '6789', r.envelope, r.key_id, 'x', now()
        FROM jsonb_to_recordset(${cast.service.sql.json(rows)}) AS r(version integer, envelope text, key_id text)`;

    const keeper = keeperWith([NEW, OLD]);
    const before = olderCount(await keeper.remaining());
    expect(before).toBeGreaterThanOrEqual(453);
    // Stopped in the middle: what is done is done.
    const stop = new Error('stopped');
    await expect(
      keeper.rotate(() => {
        throw stop;
      }),
    ).rejects.toBe(stop);
    const halfway = olderCount(await keeper.remaining());
    expect(halfway).toBeLessThan(before);
    expect(halfway).toBeGreaterThan(0);

    // Under load: an instance with the old key alone still writes, and reads what is not yet taken over.
    const told: number[] = [];
    const [rotation, ...written] = await Promise.all([
      keeper.rotate((remaining) => told.push(olderCount(remaining))),
      ...Array.from({ length: 3 }, () => stories.withBank()),
    ]);
    expect(written).toHaveLength(3);
    expect(told.length).toBeGreaterThan(2);
    expect(rotation.faults).toEqual([]);
    const last = await keeper.rotate();
    expect(olderCount(last.remaining)).toBe(0);
    expect(rotation.rewrapped + last.rewrapped).toBeGreaterThanOrEqual(halfway);
    expect(await keeper.rotate()).toMatchObject({ rewrapped: 0, faults: [] });
    // The old key is needed no more.
    const check = await keeperWith([NEW]).check();
    expect(check).toMatchObject({ faults: [] });
    expect(check.checked).toBeGreaterThanOrEqual(456);
  });

  describe('that the service was started with', () => {
    let renewed: TestService;
    beforeAll(async () => {
      renewed = await startTestService({ beside: cast.service, env: { ENCRYPTION_KEY: NEW } });
    });
    afterAll(() => renewed.stop());

    it('shows what was given before', async () => {
      const finance = await renewed.newStaff('finance_manager', 'fresh');
      const bank = await finance.post(`/api/payouts/${story.payoutId}/bank-info/reveal`, {
        reason: 'A test.',
      });
      expect(bank.body).toMatchObject({ accountNumber: ACCOUNT_NUMBER, routingNumber: ROUTING_NUMBER });
      const tin = await finance.post(`/api/tax-forms/${formId}/reveal`, { reason: 'A test.' });
      expect(tin.body).toMatchObject({ tin: TIN });
    });

    it('still knows an account that failed under the old one', async () => {
      const fingerprint = `${ROUTING_NUMBER}:${ACCOUNT_NUMBER}`;
      expect(await renewed.services.fingerprints.of(fingerprint)).toBe(
        await cast.service.services.fingerprints.of(fingerprint),
      );
    });
  });
});

describe('the check of everything sealed', () => {
  const tampered = async (statement: string) => {
    const { sql } = cast.service;
    const kept =
      await sql`SELECT id, envelope, version, key_id FROM bank_details WHERE payout_id = ${story.payoutId}`;
    await withoutTriggers(sql, async (tx) => void (await tx.unsafe(statement)));
    const { faults } = await keeperWith([NEW]).check();
    await withoutTriggers(sql, async (tx) => {
      await tx`UPDATE bank_details SET version = version + 10000 WHERE payout_id = ${story.payoutId}`;
      for (const row of kept)
        await tx`UPDATE bank_details SET envelope = ${row['envelope']}, version = ${row['version']}, account_last4 = '6789'
          WHERE id = ${row['id']}`;
    });
    return faults;
  };
  const one = (version: number) => `payout_id = '${story.payoutId}' AND version = ${version}`;

  it('finds a value of another version, one that was cut, and one that is not what its row says', async () => {
    await withoutTriggers(cast.service.sql, async (tx) => {
      await tx`DELETE FROM bank_details WHERE payout_id = ${story.payoutId} AND version > 5`;
    });
    expect(
      await tampered(`UPDATE bank_details SET envelope =
      (SELECT envelope FROM bank_details WHERE ${one(2)}) WHERE ${one(3)}`),
    ).toEqual([`bank_details ${story.payoutId} version 3`]);
    expect(await tampered(`UPDATE bank_details SET version = 99 WHERE ${one(4)}`)).toEqual([
      `bank_details ${story.payoutId} version 99`,
    ]);
    expect(
      await tampered(`UPDATE bank_details SET envelope = left(envelope, -2) WHERE ${one(4)}`),
    ).toHaveLength(1);
    expect(await tampered(`UPDATE bank_details SET account_last4 = '0000' WHERE ${one(5)}`)).toHaveLength(1);
    expect((await keeperWith([NEW]).check()).faults).toEqual([]);
  });

  it('finds everything where the master key is another', async () => {
    const stranger = keeperWith([randomBytes(32).toString('base64')]);
    const { checked, faults } = await stranger.check();
    expect(faults).toHaveLength(checked);
    const rotation = await stranger.rotate();
    expect(rotation).toMatchObject({ rewrapped: 0 });
    expect(rotation.faults).toHaveLength(checked);
    expect((await keeperWith([NEW]).check()).faults).toEqual([]);
  });
});

describe('full numbers', () => {
  it('are shown five times an hour to one person, of both kinds together, whichever instance is asked', async () => {
    const finance = await cast.service.newStaff('finance_manager', 'curious');
    const target = await stories.withBank();
    const form = await stories.giveW9(target);
    const beside = await startTestService({ beside: cast.service });
    try {
      const paths = [`/api/payouts/${target.payoutId}/bank-info/reveal`, `/api/tax-forms/${form}/reveal`];
      const there = new Caller(beside.url, { token: finance.token });
      const answers = await Promise.all(
        Array.from({ length: 9 }, (_, index) =>
          (index % 3 === 0 ? there : finance).post(paths[index % 2] ?? '', { reason: 'A test.' }),
        ),
      );
      expect(answers.map(({ status }) => status).toSorted()).toEqual([
        200, 200, 200, 200, 200, 429, 429, 429, 429,
      ]);
      const refused = answers.find(({ status }) => status === 429);
      expect(refused?.body.error.code).toBe('RATE_LIMITED');
      expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(3500);
      expect(JSON.stringify(refused?.body)).not.toContain('6789');
      // Somebody else still may, and in an hour this one may again.
      expectOk(await cast.finance2.post(paths[0] ?? '', { reason: 'A test.' }));
      cast.service.time.setTo(new Date(cast.service.time.now().getTime() + 3_600_001).toISOString());
      expectOk(await finance.post(paths[1] ?? '', { reason: 'A test.' }));
      const alerts = await cast.service.sql`
        SELECT 1 FROM admin_alerts WHERE category = 'secret_revealed' AND (details ->> 'adminId')::integer = ${finance.adminId}`;
      expect(alerts).toHaveLength(6);
    } finally {
      await beside.stop();
    }
  });
});

describe('the commands for keys', () => {
  it('say what to do on a database that has no tables', async () => {
    const name = `payout_bare_${randomBytes(5).toString('hex')}`;
    const folder = mkdtempSync(join(tmpdir(), 'payout-keys-'));
    await createDatabase(inject('clusterUrl'), name);
    try {
      const { status, stdout, stderr } = spawnSync('node', ['scripts/run.mjs', 'scripts/keys-check.ts'], {
        encoding: 'utf8',
        env: {
          PATH: process.env['PATH'] ?? '',
          DATABASE_URL: databaseUrl(inject('clusterUrl'), name),
          DATA_DIR: folder,
          ENCRYPTION_KEY: OLD,
        },
      });
      const line = 'The database lacks tables of this version: run npm run db:migrate first.\n';
      expect([status, stdout, stderr]).toEqual([1, '', line]);
    } finally {
      await dropDatabase(inject('clusterUrl'), name);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
