import { betterAuth } from 'better-auth';
import { drizzleAdapter } from 'better-auth/adapters/drizzle';
import { bearer } from 'better-auth/plugins/bearer';
import type { Config } from '../config.ts';
import type { Database } from '../db/client.ts';
import type { Logger } from '../kernel/logger.ts';
import { accounts, sessions, users, verifications } from '../db/schema/index.ts';

const DAY_SECONDS = 86_400;

/**
 * Better Auth over the tables it shares with the main app. `database` must be one that may write sessions when the
 * sign-in handler is mounted; where it is not, sessions are only read, and refreshing them is the main app's affair.
 */
export function createAuth(
  config: Config,
  database: Database,
  baseUrl: string,
  origins: ReadonlySet<string>,
  logger: Logger,
) {
  return betterAuth({
    baseURL: baseUrl,
    secret: config.auth.secret,
    telemetry: { enabled: false },
    // Its own words can hold an address or a query: ours say that there was something, and how bad.
    logger: {
      level: 'warn',
      log: (level) =>
        logger[level === 'error' ? 'error' : 'warn']('Better Auth reports something.', { kind: level }),
    },
    database: drizzleAdapter(database.drizzle, {
      provider: 'pg',
      schema: { user: users, session: sessions, account: accounts, verification: verifications },
    }),
    trustedOrigins: [...origins],
    emailAndPassword: { enabled: true, disableSignUp: config.production, minPasswordLength: 12 },
    session: {
      expiresIn: 7 * DAY_SECONDS,
      updateAge: DAY_SECONDS,
      // A cached cookie would answer for a session that has been deleted.
      cookieCache: { enabled: false },
      disableSessionRefresh: !config.auth.handler,
    },
    advanced: { database: { generateId: 'uuid' }, disableOriginCheck: false },
    // Sign-in is limited by our own limiter, which all instances share.
    rateLimit: { enabled: false },
    // Without the signature a token read from the table would be a login.
    plugins: [bearer({ requireSignature: true })],
  });
}

export type Auth = ReturnType<typeof createAuth>;
