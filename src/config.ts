/** The only reader of the environment: turns it into one frozen, validated Config, or reports every fault at once. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { constants, copyFileSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { z } from 'zod';
import { environmentSchema, type Environment } from './config/environment.ts';
import { productionFaults } from './config/production-faults.ts';
import { startOfDay } from './kernel/calendar.ts';
import type { CrashPoint } from './kernel/crash-points.ts';

/** The names of all settings, for the test that holds `.env.example` against them. */
export const SETTING_NAMES: readonly string[] = Object.keys(environmentSchema.shape);

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
export function loadConfig(given: Record<string, string | undefined>): Config {
  const env = withoutSpaces(given);
  const production = env['NODE_ENV'] === 'production';
  const parsed = environmentSchema.safeParse(env);
  const faults = parsed.success
    ? []
    : parsed.error.issues.map((issue) => `${issue.path.join('.')} ${faultText(issue)}`);
  faults.push(...mailFaults(env));
  if (production) faults.push(...productionFaults(env));
  if (!parsed.success || faults.length > 0) throw new ConfigError(faults);
  const dataDirectory = resolve(parsed.data.DATA_DIR);
  const secrets = production
    ? (parsed.data as Required<Environment>)
    : { ...keptSecrets(dataDirectory), ...withoutMissing(parsed.data) };
  return shape(parsed.data, { dataDirectory, ...secrets });
}

/** The main app's, which must be the same to the letter. */
const AS_THEY_ARE = ['JWT_SECRET', 'BETTER_AUTH_SECRET'];

/** Spaces around a setting do not count, for whoever looks at it. */
const withoutSpaces = (env: Record<string, string | undefined>): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, AS_THEY_ARE.includes(name) ? value : value?.trim()]),
  );

function mailFaults(env: Record<string, string | undefined>): string[] {
  const provider = env['EMAIL_PROVIDER'];
  if (provider === 'smtp' && !env['SMTP_URL']) return ['SMTP_URL is missing: EMAIL_PROVIDER is smtp'];
  if (provider === 'sendgrid' && !env['SENDGRID_API_KEY'])
    return ['SENDGRID_API_KEY is missing: EMAIL_PROVIDER is sendgrid'];
  return [];
}

const faultText = (issue: z.core.$ZodIssue): string =>
  issue.code === 'invalid_value' && 'values' in issue && issue.message.startsWith('Invalid')
    ? `must be one of ${issue.values.join(', ')}`
    : issue.message;

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
    if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) {
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
  // Written aside and given its name whole: of instances that start at once, the first wins and the others read all of it.
  const aside = `${file}.${randomUUID()}`;
  try {
    mkdirSync(dataDirectory, { recursive: true });
    writeFileSync(aside, JSON.stringify(made, null, 2), { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError([`${dataDirectory} takes no files (${code}): make it writable, or set DATA_DIR`]);
  }
  try {
    nameIt(aside, file);
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return read();
  } finally {
    rmSync(aside);
  }
}

/** Throws EEXIST where there is one by that name. Some file systems know no second name; there it is copied. */
function nameIt(aside: string, file: string): void {
  try {
    linkSync(aside, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    copyFileSync(aside, file, constants.COPYFILE_EXCL);
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
