import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rm } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { join } from 'node:path';
import { hashPassword } from 'better-auth/crypto';
import postgres from 'postgres';
import { createApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { Database } from '../../src/db/client.ts';
import { addDays } from '../../src/kernel/calendar.ts';
import { MovableClock } from '../../src/kernel/clock.ts';
import { createLogger } from '../../src/kernel/logger.ts';
import type { StaffRole } from '../../src/kernel/actor.ts';
import { Health } from '../../src/http/health.ts';
import { Metrics } from '../../src/http/metrics.ts';
import { createServices, type Services } from '../../src/services.ts';
import { RoundRobin } from '../../scripts/cluster/round-robin.ts';
import { Caller } from './caller.ts';
import { makeTestFolder } from './cluster.ts';
import { createDatabase, databaseUrl, dropDatabase } from './databases.ts';
import { FakeMailer, FakeSubscriptions, TestTime } from './fakes.ts';

export const PASSWORD = 'correct-horse-battery';
const AUTH_SECRET = 'auth-secret-for-tests-0123456789abcdef';
/** For another process on a test's database, too. */
export const SECRETS = {
  JWT_SECRET: 'jwt-secret-for-tests-0123456789abcdef',
  BETTER_AUTH_SECRET: AUTH_SECRET,
  ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
};
let passwordHash: Promise<string> | undefined;

export interface MemberOptions {
  firstName?: string;
  lastName?: string;
  payments?: number;
  /** Days since the first payment; 30 for each payment unless said. */
  tenureDays?: number;
  subscription?: string | null;
  kyc?: string | null;
  legalName?: string | null;
  address?: boolean;
}

/** A service on a database of its own, listening on a free port, with staff to act. */
export class TestService {
  readonly url: string;
  readonly services: Services;
  readonly time: TestTime;
  readonly mailer: FakeMailer;
  readonly subscriptions: FakeSubscriptions;
  /** Connected as the owner, for arranging and looking. */
  readonly sql: postgres.Sql;
  readonly database: Database;
  /** Everything that was logged. */
  readonly logLines: string[];
  readonly databaseUrl: string;
  /** Its data and its checkpoints; another instance beside it has the same. */
  readonly folder: string;
  readonly #close: () => Promise<void>;
  #members = 0;

  constructor(
    parts: Omit<TestService, 'signIn' | 'newStaff' | 'newMember' | 'fund' | 'stop' | 'stranger'> & {
      close: () => Promise<void>;
    },
  ) {
    this.url = parts.url;
    this.services = parts.services;
    this.time = parts.time;
    this.mailer = parts.mailer;
    this.subscriptions = parts.subscriptions;
    this.sql = parts.sql;
    this.database = parts.database;
    this.logLines = parts.logLines;
    this.databaseUrl = parts.databaseUrl;
    this.folder = parts.folder;
    this.#close = parts.close;
  }

  stop(): Promise<void> {
    return this.#close();
  }

  get stranger(): Caller {
    return new Caller(this.url);
  }

  /** Signs in as people do. */
  async signIn(email: string, adminId?: number): Promise<Caller> {
    const answer = await fetch(`${this.url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    const body = (await answer.json()) as { user?: { id: string } };
    const token = answer.headers.get('set-auth-token');
    if (!token || !body.user)
      throw new Error(`${email} could not sign in: ${answer.status} ${JSON.stringify(body)}`);
    return new Caller(this.url, {
      token,
      email,
      userId: body.user.id,
      ...(adminId === undefined ? {} : { adminId }),
    });
  }

  async newStaff(role: StaffRole, name: string = role): Promise<Caller> {
    const email = `${name}-${randomBytes(4).toString('hex')}@example.com`;
    const userId = await this.#newUser(email, 'Staff', name);
    const [row] = await this.sql<{ id: number }[]>`
      INSERT INTO admin_users (user_id, role) VALUES (${userId}, ${role}) RETURNING id`;
    return this.#signedIn(email, userId, row?.id);
  }

  /** A member who could win, unless the options say otherwise. Earlier ones come first in the queue. */
  async newMember(options: MemberOptions = {}): Promise<Caller> {
    this.#members += 1;
    const { firstName = 'Ada', lastName = `Albright ${letters(this.#members)}`, payments = 12 } = options;
    const email = `member${this.#members}-${randomBytes(4).toString('hex')}@example.com`;
    const userId = await this.#newUser(email, firstName, lastName);
    const start = addDays(this.time.now(), -(options.tenureDays ?? 400));
    const startMs = start.getTime() + this.#members * 60_000;
    if (payments > 0) {
      await this.sql`INSERT INTO user_payments ${this.sql(
        Array.from({ length: payments }, (_, index) => ({
          user_id: userId,
          amount: '100.00',
          status: 'succeeded',
          created_at: addDays(new Date(startMs), index * 30),
        })),
      )}`;
    }
    const subscription = options.subscription === undefined ? 'active' : options.subscription;
    if (subscription !== null) {
      await this
        .sql`INSERT INTO user_subscriptions (user_id, status, created_at) VALUES (${userId}, ${subscription}, ${start})`;
    }
    const kyc = options.kyc === undefined ? 'verified' : options.kyc;
    if (kyc !== null) {
      const legalName = options.legalName === undefined ? `${firstName} ${lastName}` : options.legalName;
      await this
        .sql`INSERT INTO kyc_verification (user_id, status, legal_name, verified_at) VALUES (${userId}, ${kyc}, ${legalName}, ${start})`;
    }
    if (options.address !== false) {
      await this.sql`INSERT INTO user_addresses (user_id, line1, city, state, postal_code, is_primary)
        VALUES (${userId}, ${`${this.#members} Main Street`}, 'Springfield', 'IL', '62701', true)`;
    }
    return this.#signedIn(email, userId);
  }

  /** With a session as a sign-in leaves it; hashing the password for each would take half of the tests' time. */
  async #signedIn(email: string, userId: string, adminId?: number): Promise<Caller> {
    const token = randomBytes(24).toString('hex');
    await this.sql`INSERT INTO sessions (user_id, token, expires_at)
      VALUES (${userId}, ${token}, now() + interval '7 days')`;
    const signature = createHmac('sha256', AUTH_SECRET).update(token).digest('base64');
    return new Caller(this.url, {
      token: `${token}.${signature}`,
      email,
      userId,
      ...(adminId === undefined ? {} : { adminId }),
    });
  }

  async #newUser(email: string, firstName: string, lastName: string): Promise<string> {
    const userId = uuidOfNoVersion();
    const password = await (passwordHash ??= hashPassword(PASSWORD));
    await this
      .sql`INSERT INTO users (id, email, name, first_name, last_name) VALUES (${userId}, ${email}, ${`${firstName} ${lastName}`}, ${firstName}, ${lastName})`;
    await this
      .sql`INSERT INTO accounts (user_id, account_id, provider_id, password) VALUES (${userId}, ${userId}, 'credential', ${password})`;
    return userId;
  }

  /** Brings in revenue for that many payouts, from somebody who is in no queue. */
  async fund(payouts: number): Promise<void> {
    const userId = await this.#newUser(
      `revenue-${randomBytes(4).toString('hex')}@example.com`,
      'Revenue',
      'Source',
    );
    await this.sql`INSERT INTO user_payments (user_id, amount, status, created_at)
      VALUES (${userId}, ${`${payouts * 100_000}.00`}, 'succeeded', ${addDays(this.time.now(), -100)})`;
  }
}

/** The main app may make its ids as it likes: PostgreSQL takes what RFC 9562 knows no version and no variant of. */
const uuidOfNoVersion = (): string => randomUUID().replace(/-4(...)-./, '-0$1-0');

/** Names without digits, so that they are names. */
const letters = (number: number): string =>
  String(number).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '');

export interface TestServiceOptions {
  env?: Record<string, string>;
  demo?: boolean;
  /** Another instance on the database of this one. */
  beside?: Pick<TestService, 'databaseUrl'> & Partial<TestService>;
  /** The server to make the database on, outside vitest; within it, the one that the tests share. */
  cluster?: { url: string; templateDatabase: string } | undefined;
  /** A clock of its own, also beside another instance. */
  time?: TestTime;
}

/**
 * Starts a service for a test file; stop it when done. With TEST_INSTANCES=3 it is three of them behind a balancer, for
 * tests that look at nothing but what is answered and stored.
 */
export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const cluster = options.cluster ?? (await sharedCluster());
  const name = `payout_test_${process.pid}_${randomBytes(5).toString('hex')}`;
  const url = options.beside?.databaseUrl ?? databaseUrl(cluster.url, name);
  if (!options.beside) await createDatabase(cluster.url, name, cluster.templateDatabase);
  const folder = options.beside?.folder ?? (await makeTestFolder());
  const config = loadConfig({
    NODE_ENV: 'test',
    ...SECRETS,
    DATABASE_URL: url,
    DATA_DIR: join(folder, 'data'),
    AUDIT_CHECKPOINT_DIR: join(folder, 'checkpoints'),
    BUSINESS_LAUNCH_DATE: '2024-01-01',
    RATE_LIMIT_MEMBER: '0',
    RATE_LIMIT_STAFF: '0',
    RATE_LIMIT_APPROVALS: '0',
    RATE_LIMIT_ADDRESS: '0',
    RATE_LIMIT_SIGN_IN: '0',
    STEP_UP_MINUTES: '0',
    ...options.env,
  });
  const logLines: string[] = [];
  const logger = createLogger('debug', lineSink(logLines));
  const time = options.time ?? options.beside?.time ?? new TestTime();
  const clock = new MovableClock(time);
  const database = new Database({ url, poolSize: 8, role: 'payout_service' });
  const mainApp = new Database({ url, poolSize: 3, role: 'payout_main_app' });
  const mailer = options.beside?.mailer ?? new FakeMailer();
  const subscriptions = options.beside?.subscriptions ?? new FakeSubscriptions();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const serviceUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const services = createServices({
    config,
    logger,
    clock,
    database,
    mainApp,
    publicUrl: serviceUrl,
    mailer,
    gateway: subscriptions,
  });
  const health = new Health({
    database,
    callers: services.callers,
    clock,
    logger,
    email: services.mailer,
    scheduler: { expected: false, isRunning: false },
  });
  server.on(
    'request',
    createApp(services, {
      config,
      clock,
      logger,
      health,
      publicUrl: serviceUrl,
      demo: options.demo ?? false,
      metrics: config.metrics.enabled ? new Metrics(config.metrics.token, services.figures) : undefined,
    }),
  );
  const sql = postgres(url, { max: 3, onnotice: () => {} });
  const close = async () => {
    await closeServer(server);
    await Promise.all([database.close(), mainApp.close(), sql.end(), services.renderer.stop()]);
    if (!options.beside) await dropDatabase(cluster.url, name);
    if (!options.beside?.folder) await rm(folder, { recursive: true, force: true });
  };
  const parts = {
    url: serviceUrl,
    services,
    time,
    mailer,
    subscriptions,
    sql,
    database,
    logLines,
    databaseUrl: url,
    folder,
    close,
  };
  const service = new TestService(parts);
  const instances = Number(process.env['TEST_INSTANCES'] ?? '1');
  if (options.beside || instances === 1) return service;
  const others = await Promise.all(
    Array.from({ length: instances - 1 }, () => startTestService({ ...options, beside: service })),
  );
  const balancer = new RoundRobin();
  for (const { url: target } of [service, ...others]) await balancer.add(target);
  return new TestService({
    ...parts,
    url: await balancer.listen(0),
    close: async () => {
      await balancer.close();
      for (const other of others) await other.stop();
      await close();
    },
  });
}

async function sharedCluster(): Promise<{ url: string; templateDatabase: string }> {
  const { inject } = await import('vitest');
  return { url: inject('clusterUrl'), templateDatabase: inject('templateDatabase') };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function lineSink(lines: string[]): NodeJS.WritableStream {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString('utf8'));
      done();
    },
  });
}
