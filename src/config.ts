/** The only reader of the environment: turns it into one frozen, validated Config, or reports every fault at once. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { isIsoDate, startOfDay } from './kernel/calendar.ts';
import { CRASH_POINTS, DELIVERY_CRASH_POINTS, type CrashPoint } from './kernel/crash-points.ts';
import { centsFromDecimal } from './kernel/money.ts';
import { TaxYears } from './tax/tax-years-rules.ts';

const blankIsMissing = (value: unknown) =>
  typeof value === 'string' && value.trim() === '' ? undefined : value;
const setting = <T extends z.ZodType>(schema: T) => z.preprocess(blankIsMissing, schema);

const flag = (fallback: boolean) =>
  setting(
    z
      .enum(['true', 'false', '1', '0'], 'must be true or false')
      .default(fallback ? 'true' : 'false')
      .transform((value) => value === 'true' || value === '1'),
  );

const whole = (fallback: number, min: number, max: number) =>
  setting(
    z
      .string()
      .regex(/^\d+$/, 'must be a whole number')
      .default(String(fallback))
      .transform(Number)
      .pipe(z.number().min(min).max(max)),
  );

const dollarsSetting = (fallback: string) =>
  setting(
    z
      .string()
      .regex(/^\d{1,10}(\.\d{1,2})?$/, 'must be dollars, such as 100000 or 100000.00')
      .default(fallback)
      .transform(centsFromDecimal)
      .pipe(z.number().positive('must be more than 0')),
  );

const secret = setting(z.string().min(32, 'must be at least 32 characters').optional());
const optionalText = setting(z.string().optional());
const url = setting(z.url('must be a URL').optional());
const postgresUrl = setting(
  z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .optional(),
);

const environmentSchema = z.object({
  NODE_ENV: setting(z.enum(['development', 'test', 'production']).default('development')),
  DATABASE_URL: postgresUrl,
  DATABASE_MIGRATION_URL: postgresUrl,
  DATABASE_POOL_SIZE: whole(10, 1, 200),
  DATABASE_REPLICA_URL: postgresUrl,
  REDIS_URL: setting(
    z
      .string()
      .regex(/^rediss?:\/\//, 'must start with redis:// or rediss://')
      .optional(),
  ),
  DATA_DIR: setting(z.string().default('.data')),
  HOST: setting(z.string().default('127.0.0.1')),
  PORT: whole(3002, 0, 65535),
  JWT_SECRET: secret,
  JWT_EXPIRY: setting(
    z
      .string()
      .regex(/^\d+[smhd]$/, 'must be a number and s, m, h or d, such as 7d')
      .default('7d'),
  ),
  BETTER_AUTH_SECRET: secret,
  BETTER_AUTH_URL: url,
  AUTH_HANDLER: flag(false),
  BUSINESS_LAUNCH_DATE: setting(z.string().refine(isIsoDate, 'must be a day, YYYY-MM-DD').optional()),
  PAYOUT_THRESHOLD: dollarsSetting('100000'),
  REWARD_PER_WINNER: dollarsSetting('100000').refine(
    (cents) => cents > 50_000,
    'must be more than 500 dollars',
  ),
  BANK_CHANGE_COOLOFF_HOURS: whole(72, 0, 8760),
  TAX_YEARS: setting(
    z
      .string()
      .refine(isTaxYears, 'must be JSON such as {"2027":{"threshold":2000,"backupWithholdingRate":0.24}}')
      .optional(),
  ),
  PAYER_NAME: optionalText,
  PAYER_TIN: setting(
    z
      .string()
      .regex(/^\d{2}-?\d{7}$/, 'must be an EIN, such as 12-3456789')
      .optional(),
  ),
  PAYER_ADDRESS: optionalText,
  PAYER_PHONE: optionalText,
  EMAIL_PROVIDER: setting(z.enum(['outbox', 'smtp', 'sendgrid']).default('outbox')),
  EMAIL_FROM: setting(z.email('must be an e-mail address').default('payouts@example.com')),
  SMTP_URL: setting(
    z
      .string()
      .regex(/^smtps?:\/\//, 'must start with smtp:// or smtps://')
      .optional(),
  ),
  SENDGRID_API_KEY: optionalText,
  EMAIL_RETRIES: whole(3, 0, 10),
  EMAIL_RETRY_SECONDS: whole(300, 1, 86_400),
  MEMBER_PORTAL_URL: url,
  ADMIN_DASHBOARD_URL: url,
  SUBSCRIPTION_SERVICE_URL: url,
  SUBSCRIPTION_SERVICE_TOKEN: optionalText,
  ENCRYPTION_KEY: setting(
    z
      .string()
      .refine(
        (text) => Buffer.from(text, 'base64').length === 32,
        'must be 32 bytes in base64 (openssl rand -base64 32)',
      )
      .optional(),
  ),
  ENCRYPTION_KEYS_OLD: setting(
    z
      .string()
      .transform((text) => text.split(',').map((key) => key.trim()))
      .refine(
        (keys) => keys.every((key) => Buffer.from(key, 'base64').length === 32),
        'must be keys of 32 bytes in base64, joined by commas',
      )
      .optional(),
  ),
  KMS_KEY_ID: optionalText,
  AUDIT_SIGNING_KEY: setting(
    z.string().refine(is32Bytes, 'must be 32 bytes in base64 (openssl rand -base64 32)').optional(),
  ),
  AUDIT_OLD_KEYS: setting(
    z
      .string()
      .default('')
      .transform((text) => text.split(',').filter(Boolean))
      .refine((keys) => keys.every(is32Bytes), 'must be public keys of 32 bytes in base64, parted by commas'),
  ),
  AUDIT_CHECKPOINT_DIR: optionalText,
  ENABLE_METRICS: flag(false),
  METRICS_TOKEN: setting(z.string().min(32, 'must be at least 32 characters').optional()),
  METRICS_PORT: setting(
    z
      .string()
      .regex(/^\d+$/, 'must be a whole number')
      .transform(Number)
      .pipe(z.number().min(0).max(65535))
      .optional(),
  ),
  OTEL_EXPORTER_OTLP_ENDPOINT: setting(z.url({ protocol: /^https?$/, error: 'must be a URL' }).optional()),
  STOP_DELAY_MS: setting(
    z
      .string()
      .regex(/^\d+$/, 'must be a whole number')
      .transform(Number)
      .pipe(z.number().min(0).max(5000))
      .optional(),
  ),
  LOG_LEVEL: setting(z.enum(['error', 'warn', 'info', 'debug']).default('info')),
  TRUST_PROXY: whole(0, 0, 10),
  RATE_LIMIT_MEMBER: whole(100, 0, 1_000_000),
  RATE_LIMIT_STAFF: whole(1000, 0, 1_000_000),
  RATE_LIMIT_APPROVALS: whole(10, 0, 1_000_000),
  RATE_LIMIT_ADDRESS: whole(3000, 0, 1_000_000),
  RATE_LIMIT_SIGN_IN: whole(20, 0, 1_000_000),
  STEP_UP_MINUTES: whole(15, 0, 1440),
  STAFF_IDLE_MINUTES: whole(15, 1, 1440),
  STAFF_SESSION_HOURS: whole(12, 1, 168),
  JOBS: flag(true),
  /** For `npm run crash`: a point and how often it is passed, the last time dying. */
  CRASH_POINT: setting(
    z
      .string()
      .regex(
        new RegExp(`^(${[...CRASH_POINTS, ...DELIVERY_CRASH_POINTS].join('|')}):[1-9]\\d*$`),
        'must be a crash point and a number, such as before-commit:1',
      )
      .optional(),
  ),
});

function is32Bytes(text: string): boolean {
  return Buffer.from(text, 'base64').length === 32;
}

function isTaxYears(text: string): boolean {
  try {
    return new TaxYears(text) instanceof TaxYears;
  } catch {
    return false;
  }
}

/** The names of all settings, for the test that holds `.env.example` against them. */
export const SETTING_NAMES: readonly string[] = Object.keys(environmentSchema.shape);

type Environment = z.infer<typeof environmentSchema>;

export type Config = ReturnType<typeof shape>;

/** Every fault of the environment, one a line. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

const GENERATED = ['JWT_SECRET', 'BETTER_AUTH_SECRET', 'ENCRYPTION_KEY'] as const;

/** Reads and validates. Outside production, secrets that are missing are made once and kept in the data folder. */
export function loadConfig(env: Record<string, string | undefined>): Config {
  const production = env['NODE_ENV'] === 'production';
  const parsed = environmentSchema.safeParse(env);
  const faults = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join('.')} ${faultText(issue)}`);
  if (production) faults.push(...productionFaults(env));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  const dataDirectory = resolve(parsed.data.DATA_DIR);
  const secrets = production
    ? (parsed.data as Required<Environment>)
    : { ...keptSecrets(dataDirectory), ...withoutMissing(parsed.data) };
  return shape(parsed.data, { dataDirectory, ...secrets });
}

const faultText = (issue: z.core.$ZodIssue): string =>
  issue.code === 'invalid_value' && 'values' in issue && issue.message.startsWith('Invalid')
    ? `must be one of ${issue.values.join(', ')}`
    : issue.message;

function productionFaults(env: Record<string, string | undefined>): string[] {
  const given = (name: string) => (env[name] ?? '').trim() !== '';
  const faults: string[] = [];
  const required = [
    ['DATABASE_URL', 'is missing: production never runs on the embedded database'],
    ['JWT_SECRET', 'is missing'],
    ['BETTER_AUTH_SECRET', 'is missing'],
    ['BETTER_AUTH_URL', 'is missing: the address at which people sign in'],
    ['BUSINESS_LAUNCH_DATE', 'is missing'],
    ['AUDIT_SIGNING_KEY', 'is missing: checkpoints of the audit log are signed'],
    ['AUDIT_CHECKPOINT_DIR', 'is missing: checkpoints of the audit log lie outside of the database'],
    ['PAYER_NAME', 'is missing: 1099s name the payer'],
    ['PAYER_TIN', 'is missing: 1099s name the payer'],
    ['PAYER_ADDRESS', 'is missing: 1099s name the payer'],
    ['SUBSCRIPTION_SERVICE_URL', 'is missing: memberships end through the subscription service'],
  ] as const;
  for (const [name, fault] of required) if (!given(name)) faults.push(`${name} ${fault}`);
  for (const name of ['JWT_SECRET', 'BETTER_AUTH_SECRET']) {
    const value = env[name] ?? '';
    if (value.length >= 32 && new Set(value).size < 10)
      faults.push(`${name} is weak: use a random one (openssl rand -base64 48)`);
  }
  const owner = userIn(env['DATABASE_MIGRATION_URL']);
  if (given('DATABASE_URL') && (owner === undefined || owner === userIn(env['DATABASE_URL']))) {
    faults.push(
      'DATABASE_MIGRATION_URL must name the owner, another user than DATABASE_URL: the service never runs as the owner',
    );
  }
  if (/^(true|1)$/.test(env['ENABLE_METRICS'] ?? '') && !given('METRICS_TOKEN') && !given('METRICS_PORT')) {
    faults.push(
      'METRICS_TOKEN or METRICS_PORT is missing: with ENABLE_METRICS alone anybody could read them',
    );
  }
  if (given('JWT_SECRET') && env['JWT_SECRET'] === env['BETTER_AUTH_SECRET']) {
    faults.push('JWT_SECRET must differ from BETTER_AUTH_SECRET');
  }
  if (given('CRASH_POINT')) faults.push('CRASH_POINT must not be set in production');
  if (!given('ENCRYPTION_KEY') && !given('KMS_KEY_ID'))
    faults.push('ENCRYPTION_KEY is missing: the master key, unless KMS_KEY_ID names one in AWS KMS');
  const key = Buffer.from(env['ENCRYPTION_KEY'] ?? '', 'base64');
  if (key.length === 32 && new Set(key).size < 10)
    faults.push('ENCRYPTION_KEY is weak: use a random one (openssl rand -base64 32)');
  const auditKey = Buffer.from(env['AUDIT_SIGNING_KEY'] ?? '', 'base64');
  if (auditKey.length === 32 && new Set(auditKey).size < 10)
    faults.push('AUDIT_SIGNING_KEY is weak: use a random one (openssl rand -base64 32)');
  if (given('DATABASE_URL') && !isVerifiedTls(env['DATABASE_URL'] ?? '')) {
    faults.push('DATABASE_URL must use sslmode=verify-full in production');
  }
  if (given('DATABASE_REPLICA_URL') && !isVerifiedTls(env['DATABASE_REPLICA_URL'] ?? '')) {
    faults.push('DATABASE_REPLICA_URL must use sslmode=verify-full in production');
  }
  if (!given('EMAIL_PROVIDER') || env['EMAIL_PROVIDER'] === 'outbox')
    faults.push('EMAIL_PROVIDER must be smtp or sendgrid in production');
  if (env['EMAIL_PROVIDER'] === 'smtp' && !given('SMTP_URL')) faults.push('SMTP_URL is missing');
  if (env['EMAIL_PROVIDER'] === 'sendgrid' && !given('SENDGRID_API_KEY'))
    faults.push('SENDGRID_API_KEY is missing');
  if (!given('EMAIL_FROM')) faults.push('EMAIL_FROM is missing');
  for (const name of [
    'RATE_LIMIT_MEMBER',
    'RATE_LIMIT_STAFF',
    'RATE_LIMIT_APPROVALS',
    'RATE_LIMIT_ADDRESS',
    'RATE_LIMIT_SIGN_IN',
  ]) {
    if (/^0+$/.test(env[name] ?? '')) faults.push(`${name} must not be 0 in production`);
  }
  return faults;
}

/** The user whom a connection's URL names; undefined where it is no URL. */
const userIn = (url: string | undefined): string | undefined =>
  url !== undefined && URL.canParse(url) ? new URL(url).username : undefined;

/** Every `sslmode` counts, as the driver takes the last of several; `ssl` would win over it. */
function isVerifiedTls(url: string): boolean {
  const query = URL.canParse(url) ? new URL(url).searchParams : new URLSearchParams();
  const modes = query.getAll('sslmode');
  return modes.length > 0 && modes.every((mode) => mode === 'verify-full') && !query.has('ssl');
}

const withoutMissing = (values: Environment): Partial<Environment> =>
  Object.fromEntries(GENERATED.flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])));

type Secrets = Record<(typeof GENERATED)[number] | 'DATABASE_PASSWORD', string>;

/** Makes the secrets of a development machine once; later starts read them back. */
function keptSecrets(dataDirectory: string): Secrets {
  const file = join(dataDirectory, 'secrets.json');
  const read = (): Secrets => JSON.parse(readFileSync(file, 'utf8')) as Secrets;
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigError([`${file} cannot be read: mend it, or delete it together with the data folder`]);
    }
  }
  const random = () => randomBytes(32).toString('base64');
  const made: Secrets = {
    JWT_SECRET: random(),
    BETTER_AUTH_SECRET: random(),
    ENCRYPTION_KEY: random(),
    DATABASE_PASSWORD: randomBytes(24).toString('hex'),
  };
  mkdirSync(dataDirectory, { recursive: true });
  try {
    // 'wx': of two instances that start at once, the first to write wins and the other reads.
    writeFileSync(file, JSON.stringify(made, null, 2), { mode: 0o600, flag: 'wx' });
    return made;
  } catch {
    return read();
  }
}

function shape(
  env: Environment,
  kept: {
    dataDirectory: string;
    JWT_SECRET: string;
    BETTER_AUTH_SECRET: string;
    ENCRYPTION_KEY: string | undefined;
    DATABASE_PASSWORD?: string;
  },
) {
  const production = env.NODE_ENV === 'production';
  return Object.freeze({
    production,
    dataDirectory: kept.dataDirectory,
    host: env.HOST,
    port: env.PORT,
    database: {
      url: env.DATABASE_URL,
      migrationUrl: env.DATABASE_MIGRATION_URL ?? env.DATABASE_URL,
      poolSize: env.DATABASE_POOL_SIZE,
      replicaUrl: env.DATABASE_REPLICA_URL,
      embeddedPassword: kept.DATABASE_PASSWORD,
    },
    jwt: { secret: kept.JWT_SECRET, expirySeconds: secondsOf(env.JWT_EXPIRY) },
    auth: {
      secret: kept.BETTER_AUTH_SECRET,
      url: env.BETTER_AUTH_URL,
      handler: !production || env.AUTH_HANDLER,
      stepUpMinutes: env.STEP_UP_MINUTES,
      staffIdleMinutes: env.STAFF_IDLE_MINUTES,
      staffSessionHours: env.STAFF_SESSION_HOURS,
    },
    business: {
      launchDate: startOfDay(env.BUSINESS_LAUNCH_DATE ?? '2023-01-01'),
      payoutThresholdCents: env.PAYOUT_THRESHOLD,
      rewardPerWinnerCents: env.REWARD_PER_WINNER,
      retentionFeeCents: 30_000,
      bankChangeCooloffHours: env.BANK_CHANGE_COOLOFF_HOURS,
    },
    tax: {
      years: env.TAX_YEARS,
      payer: {
        name: env.PAYER_NAME ?? 'Demo Payer, Inc.',
        tin: env.PAYER_TIN ?? '12-3456789',
        address: env.PAYER_ADDRESS ?? '1 Demo Street, Springfield, IL 62701',
        phone: env.PAYER_PHONE,
      },
    },
    email: {
      provider: env.EMAIL_PROVIDER,
      from: env.EMAIL_FROM,
      smtpUrl: env.SMTP_URL,
      sendgridApiKey: env.SENDGRID_API_KEY,
      requireTls: env.NODE_ENV !== 'development',
      retry: { limit: env.EMAIL_RETRIES, delaySeconds: env.EMAIL_RETRY_SECONDS },
    },
    memberPortalUrl: env.MEMBER_PORTAL_URL ?? 'http://localhost:3000/payout',
    adminDashboardUrl: env.ADMIN_DASHBOARD_URL ?? 'http://localhost:3000/admin/payouts',
    subscriptionService: { url: env.SUBSCRIPTION_SERVICE_URL, token: env.SUBSCRIPTION_SERVICE_TOKEN },
    masterKeys: {
      // With KMS alone, production has none.
      keys: [kept.ENCRYPTION_KEY, ...(env.ENCRYPTION_KEYS_OLD ?? [])].filter((key) => key !== undefined),
      kmsKeyId: env.KMS_KEY_ID,
    },
    redisUrl: env.REDIS_URL,
    audit: {
      // Outside production one follows from a secret that is kept.
      signingKey:
        env.AUDIT_SIGNING_KEY ??
        createHash('sha256').update(`audit checkpoints ${kept.JWT_SECRET}`).digest('base64'),
      oldKeys: env.AUDIT_OLD_KEYS,
      checkpointDirectory: env.AUDIT_CHECKPOINT_DIR ?? join(kept.dataDirectory, 'audit-checkpoints'),
    },
    metrics: { enabled: env.ENABLE_METRICS, token: env.METRICS_TOKEN, port: env.METRICS_PORT },
    tracesUrl: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    stopDelayMs: env.STOP_DELAY_MS ?? (production ? 2000 : 0),
    logLevel: env.LOG_LEVEL,
    trustProxyHops: env.TRUST_PROXY,
    rateLimits: {
      member: env.RATE_LIMIT_MEMBER,
      staff: env.RATE_LIMIT_STAFF,
      approvals: env.RATE_LIMIT_APPROVALS,
      address: env.RATE_LIMIT_ADDRESS,
      signIn: env.RATE_LIMIT_SIGN_IN,
    },
    jobs: env.JOBS,
    crashPoint: crashPointOf(env.CRASH_POINT),
  });
}

function crashPointOf(setting: string | undefined): { point: CrashPoint; passes: number } | undefined {
  const [point, passes] = setting?.split(':') ?? [];
  return point === undefined ? undefined : { point: point as CrashPoint, passes: Number(passes) };
}

function secondsOf(expiry: string): number {
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[expiry.slice(-1) as 's' | 'm' | 'h' | 'd'];
  return Number(expiry.slice(0, -1)) * unit;
}
