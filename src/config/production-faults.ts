/** What production must not start without, or with. Gives a line for each fault; `env` is the environment as it came. */
export function productionFaults(env: Record<string, string | undefined>): string[] {
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
