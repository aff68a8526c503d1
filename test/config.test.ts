import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, TLSSocket } from 'node:tls';
import { Worker } from 'node:worker_threads';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { ConfigError, loadConfig, SETTING_NAMES } from '../src/config.ts';
import { Database } from '../src/db/client.ts';
import { markDemoData } from '../src/demo/demo-clock.ts';
import { StartError, startService } from '../src/start-service.ts';
import { Caller } from './support/caller.ts';
import { createDatabase, databaseUrl, dropDatabase } from './support/databases.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'payout-config-test-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const load = (env: Record<string, string | undefined> = {}) => loadConfig({ DATA_DIR: folder, ...env });

/** What is wrong with an environment; fails where nothing is. */
function faultsOf(env: Record<string, string | undefined>): readonly string[] {
  try {
    load(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).faults;
  }
  throw new Error('The configuration has no fault.');
}

/** An environment with which production starts. */
const PRODUCTION = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://service:a@db.example.com/payouts?sslmode=verify-full',
  DATABASE_MIGRATION_URL: 'postgres://owner:b@db.example.com/payouts?sslmode=verify-full',
  JWT_SECRET: 'Zk3vN8qLw5xT2rB7yH1mC6pD9sF4gJ0a',
  BETTER_AUTH_SECRET: 'aP7dR2tK9wQ4zX6nB1vM8cL3hJ5gF0sY',
  BETTER_AUTH_URL: 'https://payouts.example.com',
  ENCRYPTION_KEY: Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 73 + 11) % 256)).toString(
    'base64',
  ),
  AUDIT_SIGNING_KEY: Buffer.from(Array.from({ length: 32 }, (_, index) => (index * 37 + 5) % 256)).toString(
    'base64',
  ),
  AUDIT_CHECKPOINT_DIR: '/srv/audit-checkpoints',
  BUSINESS_LAUNCH_DATE: '2024-01-01',
  PAYER_NAME: 'Payer, Inc.',
  PAYER_TIN: '12-3456789',
  PAYER_ADDRESS: '1 Main Street, Springfield, IL 62701',
  SUBSCRIPTION_SERVICE_URL: 'https://subscriptions.example.com',
  EMAIL_PROVIDER: 'sendgrid',
  SENDGRID_API_KEY: 'a-key',
  EMAIL_FROM: 'payouts@example.com',
};

describe('without any setting', () => {
  it('everything has the default that the document or the specification names', () => {
    const config = load();
    expect(config).toMatchObject({
      production: false,
      dataDirectory: folder,
      host: '127.0.0.1',
      port: 3002,
      database: { url: undefined, migrationUrl: undefined },
      jwt: { expirySeconds: 7 * 86_400 },
      business: {
        payoutThresholdCents: 10_000_000,
        rewardPerWinnerCents: 10_000_000,
        retentionFeeCents: 30_000,
        bankChangeCooloffHours: 72,
      },
      email: { provider: 'outbox' },
      rateLimits: { member: 100, staff: 1000, approvals: 10, address: 3000, signIn: 20 },
      metrics: { enabled: false },
      logLevel: 'info',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('secrets are made once, and kept in the data folder for nobody else to read', () => {
    const first = load();
    const file = join(folder, 'secrets.json');
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(Buffer.from(first.masterKeys.keys[0] ?? '', 'base64')).toHaveLength(32);
    for (const secret of [first.jwt.secret, first.auth.secret])
      expect(secret.length).toBeGreaterThanOrEqual(32);
    expect(new Set([first.jwt.secret, first.auth.secret, ...first.masterKeys.keys]).size).toBe(3);
    const second = load();
    expect(second).toEqual(first);
    const another = mkdtempSync(join(tmpdir(), 'payout-config-test-'));
    try {
      expect(load({ DATA_DIR: another }).jwt.secret).not.toBe(first.jwt.secret);
    } finally {
      rmSync(another, { recursive: true, force: true });
    }
  });

  it('spaces around a setting do not count, and other drivers’ parameters of a URL are left out', () => {
    const config = load({
      PORT: ' 3003 ',
      PAYOUT_THRESHOLD: '50000 ',
      ENABLE_METRICS: ' true',
      DATABASE_URL:
        ' postgres://a:b@db.example.com/payouts?channel_binding=require&schema=public&sslmode=require ',
    });
    expect(config).toMatchObject({ port: 3003, business: { payoutThresholdCents: 5_000_000 } });
    expect(config.database.url).toBe('postgres://a:b@db.example.com/payouts?sslmode=require');
  });

  it('production is as strict about settings with spaces around them', () => {
    const spaced = (settings: Record<string, string>) => faultsOf({ ...PRODUCTION, ...settings });
    expect(faultsOf({ NODE_ENV: 'production ' }).length).toBeGreaterThan(10);
    expect(spaced({ EMAIL_PROVIDER: 'outbox ' })).toEqual([expect.stringContaining('EMAIL_PROVIDER')]);
    expect(spaced({ RATE_LIMIT_MEMBER: ' 0 ' })).toEqual([expect.stringContaining('RATE_LIMIT_MEMBER')]);
    expect(spaced({ ENABLE_METRICS: 'true ' })).toEqual([expect.stringContaining('METRICS_TOKEN')]);
  });

  it('a list of hosts is taken as it is', () => {
    const url = 'postgres://a:b@db1.example.com:5432,db2.example.com:5433/payouts';
    expect(load({ DATABASE_URL: `${url}?schema=public` }).database.url).toBe(url);
  });

  it.each<[Record<string, string>, string]>([
    [{ DATABASE_URL: 'postgres://a:b#c@db/payouts' }, 'DATABASE_URL is no URL'],
    [{ BETTER_AUTH_URL: 'localhost:3002' }, 'BETTER_AUTH_URL must be a URL that begins with http'],
    [{ MEMBER_PORTAL_URL: 'javascript:alert(1)' }, 'MEMBER_PORTAL_URL must be a URL'],
    [{ EMAIL_PROVIDER: 'smtp' }, 'SMTP_URL is missing'],
    [{ EMAIL_PROVIDER: 'sendgrid' }, 'SENDGRID_API_KEY is missing'],
  ])('%j is told before anything is opened', (settings, fault) => {
    expect(faultsOf(settings)).toEqual([expect.stringContaining(fault)]);
  });

  it('a secret that is given wins over the one that is kept', () => {
    const kept = load();
    const given = load({ JWT_SECRET: PRODUCTION.JWT_SECRET });
    expect(given.jwt.secret).toBe(PRODUCTION.JWT_SECRET);
    expect(given.auth.secret).toBe(kept.auth.secret);
  });

  it('a file of secrets that cannot be read is told, not overwritten', () => {
    const file = join(folder, 'secrets.json');
    writeFileSync(file, 'not JSON');
    expect(faultsOf({})).toEqual([expect.stringContaining(file)]);
    expect(readFileSync(file, 'utf8')).toBe('not JSON');
  });

  it('a data folder that takes no files is told', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(faultsOf({ DATA_DIR: join(file, 'data') })).toEqual([expect.stringContaining('set DATA_DIR')]);
  });

  it('instances that start in the same moment agree about the secrets', { timeout: 60_000 }, async () => {
    const together = 2;
    const folders = Array.from({ length: 100 }, (_, nth) => join(folder, String(nth)));
    const gate = new SharedArrayBuffer(4 * folders.length);
    const found = await Promise.all(
      Array.from({ length: together }, async () => {
        const workerData = { folders, together, gate };
        const [secrets] = (await once(
          new Worker(new URL('support/secrets-race.mjs', import.meta.url), { workerData }),
          'message',
        )) as [string[]];
        return secrets;
      }),
    );
    for (const other of found) expect(other).toEqual(found[0]);
    expect(new Set(found[0]).size).toBe(folders.length);
    for (const one of folders) expect(readdirSync(one)).toEqual(['secrets.json']);
  });

  it('what is blank counts as missing', () => {
    const blank = Object.fromEntries(SETTING_NAMES.map((name) => [name, '  ']));
    expect(loadConfig({ ...blank, DATA_DIR: folder })).toEqual(load());
  });
});

describe('faults', () => {
  it('are all told at once, each with the name of its setting', () => {
    const faults = faultsOf({
      NODE_ENV: 'staging',
      PORT: 'eighty',
      DATABASE_URL: 'mysql://localhost',
      JWT_SECRET: 'short',
      JWT_EXPIRY: '7 days',
      BUSINESS_LAUNCH_DATE: '2024-02-30',
      PAYOUT_THRESHOLD: '-1',
      REWARD_PER_WINNER: '500',
      EMAIL_PROVIDER: 'pigeon',
      EMAIL_FROM: 'nobody',
      ENCRYPTION_KEY: 'AAAA',
      RATE_LIMIT_MEMBER: '1.5',
      TAX_YEARS: '{"2027":2000}',
      PAYER_TIN: '123',
      ENABLE_METRICS: 'perhaps',
      LOG_LEVEL: 'loud',
    });
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual([
      'NODE_ENV',
      'DATABASE_URL',
      'PORT',
      'JWT_SECRET',
      'JWT_EXPIRY',
      'BUSINESS_LAUNCH_DATE',
      'PAYOUT_THRESHOLD',
      'REWARD_PER_WINNER',
      'TAX_YEARS',
      'PAYER_TIN',
      'EMAIL_PROVIDER',
      'EMAIL_FROM',
      'ENCRYPTION_KEY',
      'ENABLE_METRICS',
      'LOG_LEVEL',
      'RATE_LIMIT_MEMBER',
    ]);
    expect(existsSync(join(folder, 'secrets.json'))).toBe(false);
  });

  it('are read by people: a line each, and never the secret itself', () => {
    const text = (() => {
      try {
        load({ JWT_SECRET: 'hunter2', PORT: '99999', LOG_LEVEL: 'loud' });
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    })();
    expect(text.split('\n')).toHaveLength(4);
    expect(text).toContain('The configuration has 3 faults:');
    expect(text).toContain('LOG_LEVEL must be one of error, warn, info, debug');
    expect(text).not.toContain('hunter2');
  });

  it.each([
    'not JSON',
    '[]',
    '{"2027":{}}',
    '{"27":{"threshold":1}}',
    '{"2027":{"threshold":2000,"rate":1}}',
  ])('in TAX_YEARS are found at the start: %s', (text) => {
    expect(faultsOf({ TAX_YEARS: text })).toEqual([expect.stringMatching(/^TAX_YEARS must be JSON/)]);
  });

  it.each([
    ['30s', 30],
    ['15m', 900],
    ['2h', 7200],
    ['7d', 604_800],
  ])('are none in JWT_EXPIRY %s', (text, seconds) => {
    expect(load({ JWT_EXPIRY: text }).jwt.expirySeconds).toBe(seconds);
  });
});

describe('production', () => {
  it('needs no master key of its own where KMS_KEY_ID names one, and reads with several', () => {
    const keyId = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
    const old = [7, 8].map((byte) => Buffer.alloc(32, byte).toString('base64'));
    const settings = { ...PRODUCTION, ENCRYPTION_KEY: undefined, KMS_KEY_ID: keyId };
    expect(load(settings).masterKeys).toEqual({ keys: [], kmsKeyId: keyId });
    const both = load({ ...PRODUCTION, ENCRYPTION_KEYS_OLD: old.join(', ') }).masterKeys;
    expect(both).toEqual({ keys: [PRODUCTION.ENCRYPTION_KEY, ...old], kmsKeyId: undefined });
  });

  it('starts with everything that it needs, and keeps no file of secrets', () => {
    const config = load(PRODUCTION);
    expect(config.production).toBe(true);
    expect(config.auth.handler).toBe(false);
    expect(load({ ...PRODUCTION, AUTH_HANDLER: 'true' }).auth.handler).toBe(true);
    expect(config.database).toMatchObject({
      url: PRODUCTION.DATABASE_URL,
      migrationUrl: PRODUCTION.DATABASE_MIGRATION_URL,
    });
    expect(existsSync(join(folder, 'secrets.json'))).toBe(false);
  });

  it('lists everything that is missing at once', () => {
    const names = faultsOf({ NODE_ENV: 'production' }).map((fault) => fault.split(' ')[0]);
    for (const name of [
      'DATABASE_URL',
      'JWT_SECRET',
      'BETTER_AUTH_SECRET',
      'BETTER_AUTH_URL',
      'ENCRYPTION_KEY',
      'AUDIT_SIGNING_KEY',
      'AUDIT_CHECKPOINT_DIR',
      'BUSINESS_LAUNCH_DATE',
      'PAYER_NAME',
      'PAYER_TIN',
      'PAYER_ADDRESS',
      'SUBSCRIPTION_SERVICE_URL',
      'EMAIL_PROVIDER',
      'EMAIL_FROM',
    ]) {
      expect(names).toContain(name);
    }
    expect(existsSync(join(folder, 'secrets.json'))).toBe(false);
  });

  const url = (query: string) => `postgres://service:a@db.example.com/payouts${query}`;

  it.each<[string, Record<string, string | undefined>, string]>([
    ['the embedded database', { DATABASE_URL: undefined }, 'DATABASE_URL is missing'],
    ['a blank database', { DATABASE_URL: ' ' }, 'DATABASE_URL is missing'],
    ['a missing JWT secret', { JWT_SECRET: undefined }, 'JWT_SECRET is missing'],
    ['a short JWT secret', { JWT_SECRET: 'Zk3vN8qLw5xT2rB' }, 'JWT_SECRET must be at least 32'],
    ['a weak JWT secret', { JWT_SECRET: 'abcabcabcabcabcabcabcabcabcabcabcabc' }, 'JWT_SECRET is weak'],
    ['a blank auth secret', { BETTER_AUTH_SECRET: '' }, 'BETTER_AUTH_SECRET is missing'],
    ['a weak auth secret', { BETTER_AUTH_SECRET: 'x'.repeat(40) }, 'BETTER_AUTH_SECRET is weak'],
    ['one secret for both', { BETTER_AUTH_SECRET: PRODUCTION.JWT_SECRET }, 'JWT_SECRET must differ'],
    ['a missing encryption key', { ENCRYPTION_KEY: undefined }, 'ENCRYPTION_KEY is missing'],
    [
      'a weak encryption key',
      { ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') },
      'ENCRYPTION_KEY is weak',
    ],
    [
      'a short old encryption key',
      { ENCRYPTION_KEYS_OLD: `${Buffer.alloc(32, 7).toString('base64')}, c2hvcnQ=` },
      'ENCRYPTION_KEYS_OLD must be keys of 32 bytes',
    ],
    ['a short encryption key', { ENCRYPTION_KEY: 'c2hvcnQ=' }, 'ENCRYPTION_KEY must be 32 bytes'],
    ['a connection without TLS', { DATABASE_URL: url('') }, 'DATABASE_URL must use sslmode=verify-full'],
    ['unverified TLS', { DATABASE_URL: url('?sslmode=require') }, 'DATABASE_URL must use sslmode'],
    [
      'a second sslmode, which would win',
      { DATABASE_URL: url('?sslmode=verify-full&sslmode=disable') },
      'DATABASE_URL must use sslmode',
    ],
    [
      'an ssl, which would win',
      { DATABASE_URL: url('?ssl=allow&sslmode=verify-full') },
      'DATABASE_URL must use sslmode',
    ],
    [
      'no owner for migrations',
      { DATABASE_MIGRATION_URL: undefined },
      'DATABASE_MIGRATION_URL must name the owner',
    ],
    [
      'the same URL for migrations',
      { DATABASE_MIGRATION_URL: PRODUCTION.DATABASE_URL },
      'DATABASE_MIGRATION_URL must name the owner',
    ],
    [
      'the same user for migrations, written otherwise',
      { DATABASE_MIGRATION_URL: url('?sslmode=verify-full&application_name=x') },
      'DATABASE_MIGRATION_URL must name the owner',
    ],
    ['mail into a folder', { EMAIL_PROVIDER: 'outbox' }, 'EMAIL_PROVIDER must be smtp or sendgrid'],
    [
      'mail into a folder by default',
      { EMAIL_PROVIDER: undefined },
      'EMAIL_PROVIDER must be smtp or sendgrid',
    ],
    ['mail into a folder by a blank', { EMAIL_PROVIDER: '' }, 'EMAIL_PROVIDER must be smtp or sendgrid'],
    ['SMTP without a server', { EMAIL_PROVIDER: 'smtp' }, 'SMTP_URL is missing'],
    ['SendGrid without a key', { SENDGRID_API_KEY: undefined }, 'SENDGRID_API_KEY is missing'],
    ['mail from nobody', { EMAIL_FROM: ' ' }, 'EMAIL_FROM is missing'],
    ['unsigned checkpoints', { AUDIT_SIGNING_KEY: '' }, 'AUDIT_SIGNING_KEY is missing'],
    [
      'checkpoints signed by a short key',
      { AUDIT_SIGNING_KEY: 'AAAA' },
      'AUDIT_SIGNING_KEY must be 32 bytes',
    ],
    [
      'checkpoints signed by a weak key',
      { AUDIT_SIGNING_KEY: Buffer.alloc(32).toString('base64') },
      'AUDIT_SIGNING_KEY is weak',
    ],
    ['checkpoints nowhere', { AUDIT_CHECKPOINT_DIR: undefined }, 'AUDIT_CHECKPOINT_DIR is missing'],
    [
      'no subscription service',
      { SUBSCRIPTION_SERVICE_URL: undefined },
      'SUBSCRIPTION_SERVICE_URL is missing',
    ],
    ['a crash on purpose', { CRASH_POINT: 'before-commit:1' }, 'CRASH_POINT must not be set'],
    ['no member limit', { RATE_LIMIT_MEMBER: '0' }, 'RATE_LIMIT_MEMBER must not be 0'],
    ['no staff limit', { RATE_LIMIT_STAFF: '00' }, 'RATE_LIMIT_STAFF must not be 0'],
    ['no approvals limit', { RATE_LIMIT_APPROVALS: '0' }, 'RATE_LIMIT_APPROVALS must not be 0'],
    ['no address limit', { RATE_LIMIT_ADDRESS: '0' }, 'RATE_LIMIT_ADDRESS must not be 0'],
    ['no sign-in limit', { RATE_LIMIT_SIGN_IN: '0' }, 'RATE_LIMIT_SIGN_IN must not be 0'],
  ])('refuses %s', (_what, changes, fault) => {
    const faults = faultsOf({ ...PRODUCTION, ...changes });
    expect(faults.filter((text) => text.startsWith(fault))).toHaveLength(1);
  });

  it('is stricter than other environments: limits may be off there', () => {
    expect(load({ RATE_LIMIT_MEMBER: '0' }).rateLimits.member).toBe(0);
  });
});

/** PostgreSQL's TLS before the test server, which has none: in production the service takes nothing less. */
function startTlsProxy(target: URL): Promise<Server> {
  const secureContext = createSecureContext(selfSigned());
  const server = createServer((socket) => {
    socket.once('data', () => {
      // The client's SSLRequest; 'S' is yes.
      socket.write('S');
      const inside = new TLSSocket(socket, { isServer: true, secureContext });
      const outside = connect(Number(target.port), target.hostname);
      inside.on('error', () => outside.destroy()).pipe(outside);
      outside.on('error', () => inside.destroy()).pipe(inside);
    });
    socket.on('error', () => {});
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

/** A certificate made for this run: X.509 in DER (RFC 5280), as short as it can be. */
function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = (tag: number, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
    return Buffer.concat([Buffer.from([tag, ...length]), body]);
  };
  const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
  const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'));
  const commonName = der(0x30, oid('550403'), der(0x0c, Buffer.from('localhost')));
  const name = der(0x30, der(0x31, commonName));
  const time = (text: string) => der(0x17, Buffer.from(text));
  const body = der(
    0x30,
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    name,
    der(0x30, time('240101000000Z'), time('490101000000Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  const cert = der(0x30, body, ecdsaWithSha256, signature).toString('base64');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert}\n-----END CERTIFICATE-----\n`,
  };
}

describe('a start in production', () => {
  const clusterUrl = inject('clusterUrl');
  const database = `payout_production_${process.pid}_${randomBytes(4).toString('hex')}`;
  const login = `${database}_login`;
  let sql: postgres.Sql;
  let proxy: Server;
  let env: Record<string, string>;
  const rejectUnauthorized = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];

  beforeAll(async () => {
    // The proxy's certificate is nobody's: it stands in for one of an authority.
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    await createDatabase(clusterUrl, database, inject('templateDatabase'));
    sql = postgres(databaseUrl(clusterUrl, database), { max: 1, onnotice: () => {} });
    await sql.unsafe(`CREATE ROLE ${login} LOGIN PASSWORD 'a-password' IN ROLE payout_service`);
    proxy = await startTlsProxy(new URL(clusterUrl));
    const { port } = proxy.address() as AddressInfo;
    env = {
      ...PRODUCTION,
      DATABASE_URL: `postgres://${login}:a-password@127.0.0.1:${port}/${database}?sslmode=verify-full`,
      DATABASE_MIGRATION_URL: databaseUrl(clusterUrl, database),
      PORT: '0',
      JOBS: 'false',
      LOG_LEVEL: 'error',
    };
  });
  afterAll(async () => {
    await sql.end();
    proxy.close();
    await dropDatabase(clusterUrl, database);
    const cluster = postgres(clusterUrl, { max: 1 });
    await cluster.unsafe(`DROP ROLE ${login}`);
    await cluster.end();
    if (rejectUnauthorized === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = rejectUnauthorized;
  });

  it('serves people whom the main app signed in, with the least rights', async () => {
    const service = await startService({ ...env, DATA_DIR: folder });
    try {
      const [user] = await sql<{ id: string }[]>`
        INSERT INTO users (email, first_name) VALUES ('viewer@example.com', 'Vera') RETURNING id`;
      const userId = user?.id ?? '';
      await sql`INSERT INTO admin_users (user_id, role) VALUES (${userId}, 'viewer')`;
      await sql`INSERT INTO sessions (user_id, token, expires_at)
        VALUES (${userId}, 'a-session', now() + interval '1 day')`;
      const signature = createHmac('sha256', PRODUCTION.BETTER_AUTH_SECRET)
        .update('a-session')
        .digest('base64');
      const viewer = new Caller(service.url, { token: encodeURIComponent(`a-session.${signature}`) });
      expect((await viewer.get('/ready')).body).toMatchObject({ ready: true });
      expect((await viewer.get('/api/payouts')).body).toEqual({ data: [], nextCursor: null });
      expect((await new Caller(service.url, { token: 'a-session' }).get('/api/payouts')).status).toBe(401);
      expect((await viewer.post('/api/auth/sign-in/email', { email: 'a', password: 'b' })).status).toBe(404);
      expect((await viewer.get('/dev/outbox')).status).toBe(404);
      const [role] = await sql<{ count: number }[]>`
        SELECT count(*)::integer AS count FROM pg_stat_activity
         WHERE datname = ${database} AND application_name = 'payout-service' AND usename <> ${login}`;
      expect(role?.count).toBe(0);
    } finally {
      await service.stop();
    }
  });

  it('does not happen on demo data', async () => {
    const owner = new Database({ url: databaseUrl(clusterUrl, database), poolSize: 1 });
    await markDemoData(owner);
    await owner.close();
    const starting = startService({ ...env, DATA_DIR: folder });
    await expect(starting).rejects.toThrow(StartError);
    await expect(starting).rejects.toThrow('holds demo data');
  });

  it('does not happen with faulty settings, before anything is opened', async () => {
    const starting = startService({ ...env, DATA_DIR: folder, JWT_SECRET: 'short', RATE_LIMIT_STAFF: '0' });
    await expect(starting).rejects.toThrow(/2 faults[^]*JWT_SECRET[^]*RATE_LIMIT_STAFF/);
  });
});

describe('.env.example', () => {
  it('names every setting, and no other', () => {
    const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
    const names = [...text.matchAll(/^#? ?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name);
    expect([...names].sort()).toEqual([...SETTING_NAMES].sort());
  });

  it('is a valid environment as it stands', () => {
    const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
    const given = [...text.matchAll(/^([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name, value]) => [name, value]);
    expect(load(Object.fromEntries(given) as Record<string, string>)).toEqual(load());
    const examples = [...text.matchAll(/^# ([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name, value]) => [
      name,
      value,
    ]);
    expect(() =>
      load({ ...(Object.fromEntries(examples) as Record<string, string>), DATA_DIR: folder }),
    ).not.toThrow();
  });
});
