/** Every setting of the environment: its form, its default and its bounds. */
import { z } from 'zod';
import { isIsoDate } from '../kernel/calendar.ts';
import { CRASH_POINTS, DELIVERY_CRASH_POINTS } from '../kernel/crash-points.ts';
import { centsFromDecimal } from '../kernel/money.ts';
import { TaxYears } from '../tax/tax-years-rules.ts';

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
const url = setting(
  z.url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' }).optional(),
);
/** A list of hosts, which the driver tries in turn, is more than a URL may have. */
const withOneHost = (text: string): string => text.replace(/^(\w+:\/\/(?:[^@/]*@)?)[^/?]*/, '$1host');

/** Other drivers' parameters, as providers put them into their URLs; ours would ask the server for settings of that name. */
const withoutOthersParameters = (text: string): string =>
  text
    .replace(
      /([?&])(?:(?:channel_binding|schema|pgbouncer|connection_limit|pool_timeout)=[^&]*(?:&|$))+/g,
      '$1',
    )
    .replace(/[?&]$/, '');

const postgresUrl = setting(
  z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')
    .refine(
      (text) => URL.canParse(withOneHost(text)),
      'is no URL: what is special in user, password or name is written as %23 and the like',
    )
    .transform(withoutOthersParameters)
    .optional(),
);

export const environmentSchema = z.object({
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

export type Environment = z.infer<typeof environmentSchema>;
