/** What the OpenAPI document says beyond the routes: the parts they share, and the few addresses that are no Route. */
import { z } from 'zod';
import type {
  ZodOpenApiComponentsObject,
  ZodOpenApiPathsObject,
  ZodOpenApiResponseObject,
  ZodOpenApiResponsesObject,
} from 'zod-openapi';
import type { ErrorCode } from '../kernel/errors.ts';

const SIGN_IN_TAG = 'Sign-in';
const SERVICE_TAG = 'Service';

/** By tag in lower case. A tag that is missing here still gets a sentence, so that a new room needs no change. */
const TAG_DESCRIPTIONS: Record<string, string> = {
  'sign-in': 'Where a session comes from, outside production.',
  eligibility: 'How many payouts revenue funds, and whether the company is old enough to pay them.',
  winners: 'The queue of members, and choosing who is paid next.',
  payouts: 'The record of each payout and its moves.',
  approvals: 'Decisions about a payout, each by another pair of eyes.',
  payments: 'Instructions, sending, confirmation, failure and receipts.',
  members: 'What a member sees and submits.',
  membership: 'Removal after a payout, and the return.',
  tax: 'W-9s, 1099s and withholding.',
  'tax forms': 'W-9s, 1099s and their corrections.',
  reports: 'Counts and sums for finance.',
  audit: 'Who did what, in a chain that shows tampering.',
  notifications: 'Messages sent, failed and waiting.',
  links: 'The signed links in messages.',
  alerts: 'What staff should look at.',
  jobs: 'The scheduled jobs and their runs.',
  demo: 'For demo data only.',
  service: 'For those who run it. These need no sign-in.',
};

const tagDescription = (tag: string): string =>
  TAG_DESCRIPTIONS[tag.toLowerCase()] ?? `Routes about ${tag.toLowerCase()}.`;

/** The tags in the order of the document: signing in first, the service's own state last. */
export const describedTags = (routeTags: readonly string[]): { name: string; description: string }[] =>
  [...new Set([SIGN_IN_TAG, ...routeTags, SERVICE_TAG])].map((name) => ({
    name,
    description: tagDescription(name),
  }));

const headerRef = (name: string) => ({ $ref: `#/components/headers/${name}` });

/** On every error. */
export const errorHeaders = { 'X-Request-Id': headerRef('RequestId') };

/** On every answer that is no error. */
export const replyHeaders = {
  ...errorHeaders,
  RateLimit: headerRef('RateLimit'),
  'RateLimit-Policy': headerRef('RateLimitPolicy'),
  'RateLimit-Limit': headerRef('RateLimitLimit'),
  'RateLimit-Remaining': headerRef('RateLimitRemaining'),
  'RateLimit-Reset': headerRef('RateLimitReset'),
};

export const rateLimitedHeaders = { ...replyHeaders, 'Retry-After': headerRef('RetryAfter') };
export const fileHeaders = { ...replyHeaders, 'Content-Disposition': headerRef('ContentDisposition') };

export const requestIdParameter = { $ref: '#/components/parameters/RequestId' };
export const idempotencyKeyParameter = { $ref: '#/components/parameters/IdempotencyKey' };

const requestIdText = 'Taken from the request or made; in every log line and error.';

// The optional parameters have no example on purpose: "Try it out" would send it, and the second call would be
// refused for a key used before.
export const sharedComponents: ZodOpenApiComponentsObject = {
  securitySchemes: {
    sessionCookie: {
      type: 'apiKey',
      in: 'cookie',
      name: 'better-auth.session_token',
      description:
        'The session cookie of Better Auth; over HTTPS its name has the prefix `__Secure-`. A browser sends it by ' +
        'itself after signing in, so on the docs page run the sign-in operation and fill in nothing here. ' +
        'With the cookie, mutations check the Origin header.',
    },
    sessionToken: {
      type: 'http',
      scheme: 'bearer',
      description:
        'The same session without a cookie: the signed token from the `set-auth-token` header of the sign-in.',
    },
    machineToken: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description:
        'For another service: HS256 over JWT_SECRET with `aud: payout-service`, `sub`, `iat` and `scope`, at most ' +
        'JWT_EXPIRY old.',
    },
  },
  parameters: {
    RequestId: {
      name: 'X-Request-Id',
      in: 'header',
      description: `Your id for this request. ${requestIdText}`,
      schema: { type: 'string' },
    },
    IdempotencyKey: {
      name: 'Idempotency-Key',
      in: 'header',
      description:
        'A new value, such as a UUID, for each thing that you want done. Repeating the request with the same key ' +
        'and body gives the first answer again and does nothing twice.',
      schema: { type: 'string' },
    },
  },
  headers: {
    RequestId: { description: requestIdText, schema: { type: 'string' } },
    RateLimit: {
      description: 'What is left of a limit (r) for how many seconds (t), as the IETF draft has it.',
      schema: { type: 'string' },
      example: '"staff";r=998;t=871',
    },
    RateLimitPolicy: {
      description: 'The limit itself: requests (q) in a window of seconds (w).',
      schema: { type: 'string' },
      example: '"staff";q=1000;w=900',
    },
    RateLimitLimit: { description: 'Requests allowed in the window.', schema: { type: 'integer' } },
    RateLimitRemaining: { description: 'Requests left in the window.', schema: { type: 'integer' } },
    RateLimitReset: { description: 'Seconds until the window ends.', schema: { type: 'integer' } },
    RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer' } },
    ContentDisposition: { description: 'The name of the file.', schema: { type: 'string' } },
  },
};

const json = (description: string, schema: z.ZodType, example: unknown): ZodOpenApiResponseObject => ({
  description,
  content: { 'application/json': { schema, example } },
});

const health = z
  .looseObject({
    status: z.enum(['healthy', 'degraded', 'unhealthy']),
    timestamp: z.string(),
    checks: z.looseObject({
      database: z.enum(['up', 'down']),
      email: z.enum(['up', 'down']),
      scheduler: z.enum(['running', 'stopped']),
    }),
  })
  .meta({ id: 'Health' });

const readiness = z
  .looseObject({
    ready: z.boolean(),
    services: z.looseObject({ database: z.boolean(), migrations: z.boolean() }),
  })
  .meta({ id: 'Readiness' });

const signInReply = z
  .looseObject({
    token: z
      .string()
      .meta({ description: 'Unsigned, so no login. The header set-auth-token has the signed one.' }),
    user: z.looseObject({ id: z.string(), email: z.string(), name: z.string() }),
  })
  .meta({ id: 'SignIn' });

const betterAuthError = z.looseObject({ code: z.string().optional(), message: z.string().optional() }).meta({
  id: 'BetterAuthError',
  description: 'The form of errors of Better Auth, which answers this address.',
});

const healthExample = (status: 'healthy' | 'unhealthy') => ({
  status,
  timestamp: '2026-11-20T02:00:00.000Z',
  checks: { database: status === 'healthy' ? 'up' : 'down', email: 'up', scheduler: 'running' },
});

/** The addresses that are no Route value, described by hand. */
export const extraPaths = (
  errors: (codes: readonly ErrorCode[]) => ZodOpenApiResponsesObject,
): ZodOpenApiPathsObject => ({
  '/api/auth/sign-in/email': {
    post: {
      tags: [SIGN_IN_TAG],
      operationId: 'signInByEmail',
      summary: 'Sign in with e-mail and password',
      description:
        'Sets the session cookie, and gives the signed token for `Authorization: Bearer` in a header. Answered ' +
        'outside production only, or with `AUTH_HANDLER=true`: in production the main app signs people in.',
      security: [],
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: z.object({ email: z.email(), password: z.string() }).meta({ id: 'SignInBody' }),
            example: { email: 'admin@example.com', password: 'demo-password-1234' },
          },
        },
      },
      responses: {
        200: {
          ...json('Signed in.', signInReply, {
            redirect: false,
            token: 'o0hGZ3kQ2cNfV8Yw1sB4tR7uX9aE6mLd',
            user: {
              id: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11',
              email: 'admin@example.com',
              name: 'Ada Admin',
            },
          }),
          headers: {
            'set-auth-token': {
              description: 'The signed token, to send as Bearer.',
              schema: { type: 'string' },
            },
          },
        },
        400: json('The body is not of the form it should be.', betterAuthError, {
          code: 'INVALID_EMAIL',
          message: 'Invalid email',
        }),
        401: json('E-mail or password is wrong.', betterAuthError, {
          code: 'INVALID_EMAIL_OR_PASSWORD',
          message: 'Invalid email or password',
        }),
        403: json('The request came from a page of another origin.', betterAuthError, {
          code: 'INVALID_ORIGIN',
          message: 'Invalid origin',
        }),
        ...errors(['RATE_LIMITED']),
      },
    },
  },
  '/health': {
    get: {
      tags: [SERVICE_TAG],
      operationId: 'getHealth',
      summary: 'Is the service well?',
      security: [],
      responses: {
        200: json('Healthy, or degraded and still serving.', health, healthExample('healthy')),
        503: json('Unhealthy.', health, healthExample('unhealthy')),
      },
    },
  },
  '/ready': {
    get: {
      tags: [SERVICE_TAG],
      operationId: 'getReadiness',
      summary: 'May requests be sent to it?',
      security: [],
      responses: {
        200: json('Ready.', readiness, { ready: true, services: { database: true, migrations: true } }),
        503: json('Not ready.', readiness, { ready: false, services: { database: true, migrations: false } }),
      },
    },
  },
});
