/** Makes the OpenAPI 3.1 document from the routes. The only reader of zod-openapi, beside `openapi-extras.ts`. */
import { z } from 'zod';
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathItemObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from 'zod-openapi';
import { ERROR_CODES, type ErrorCode } from '../kernel/errors.ts';
import { PERMISSIONS, type Permission } from '../kernel/permissions.ts';
import type { StaffRole } from '../kernel/actor.ts';
import { ERROR_CATALOGUE } from './error-catalogue.ts';
import {
  describedTags,
  errorHeaders,
  extraPaths,
  fileHeaders,
  idempotencyKeyParameter,
  rateLimitedHeaders,
  replyHeaders,
  requestIdParameter,
  sharedComponents,
} from './openapi-extras.ts';
import { isMutation, type Route } from './route.ts';

const ON_EVERY_ROUTE: readonly ErrorCode[] = [
  'VALIDATION_ERROR',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'INTERNAL',
  'UNAVAILABLE',
];

const ON_MUTATIONS: readonly ErrorCode[] = [
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_IN_PROGRESS',
];

const INTRODUCTION = `Awards, approves, pays and reports member payouts.

**Signing in.** Run *Sign in with e-mail and password* below: the browser keeps the session cookie, and the other
operations work from this page. Programs send the header \`set-auth-token\` of that answer as \`Authorization: Bearer\`.

**Repeating safely.** Send mutations with an \`Idempotency-Key\`. After a timeout repeat the request with the same key:
it is done once, and you get the first answer.

**Errors** all have the same form. [Every code, and what to do about it](/docs/errors).

**Lists** give \`data\` and \`nextCursor\`; send that as \`cursor\` for the next page, until it is null.

Unknown fields and parameters are refused. Times are UTC. This document as JSON: [/openapi.json](/openapi.json).`;

/** Every code with which the route may refuse or fail, in the order of the catalogue. */
export function errorCodesOf(route: Route): ErrorCode[] {
  const codes = new Set<ErrorCode>([
    ...ON_EVERY_ROUTE,
    ...(isMutation(route) ? ON_MUTATIONS : []),
    ...(/:\w/.test(route.path) ? (['NOT_FOUND'] as const) : []),
    ...(route.stepUp ? (['STEP_UP_REQUIRED'] as const) : []),
    ...(route.errors ?? []),
  ]);
  return ERROR_CODES.filter((code) => codes.has(code));
}

const errorResponse = z
  .object({
    error: z.object({
      code: z.enum(ERROR_CODES),
      message: z.string().meta({ description: 'For people: what is wrong and what to do.' }),
      details: z
        .looseObject({
          docUrl: z.string().optional().meta({ description: 'The entry of this code at /docs/errors.' }),
        })
        .optional()
        .meta({ description: 'What a program needs to react. Which fields it has depends on the code.' }),
      timestamp: z.string().meta({ description: 'ISO 8601, UTC.' }),
      requestId: z.string().meta({ description: 'The X-Request-Id, which the log has too.' }),
    }),
  })
  .meta({ id: 'ErrorResponse', description: 'How every refusal and failure looks.' });

const componentName = (code: ErrorCode): string =>
  code.toLowerCase().replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase());

const errorExample = (serverUrl: string, code: ErrorCode) => ({
  error: {
    code,
    message: `${ERROR_CATALOGUE[code].meaning} ${ERROR_CATALOGUE[code].remedy}`,
    details: { docUrl: `${serverUrl}/docs/errors#${code}` },
    timestamp: '2026-11-20T02:00:00.000Z',
    requestId: 'b1f7f0c2-5d0e-4a57-9f39-6f8f0f4f7c11',
  },
});

/** One example, or by code where there are several: a choice of one would only clutter the page. */
const errorExamples = (serverUrl: string, codes: readonly ErrorCode[]) =>
  codes.length === 1
    ? { example: errorExample(serverUrl, codes[0]!) }
    : { examples: Object.fromEntries(codes.map((code) => [code, { value: errorExample(serverUrl, code) }])) };

/** Returns what turns codes into responses by status; a status with a single code is shared by all operations. */
function errorResponsesFor(serverUrl: string): (codes: readonly ErrorCode[]) => ZodOpenApiResponsesObject {
  const shared = new Map<string, ZodOpenApiResponseObject>();
  const responseOf = (status: number, codes: readonly ErrorCode[]): ZodOpenApiResponseObject => {
    const key = codes.join();
    const known = shared.get(key);
    if (known) return known;
    const made: ZodOpenApiResponseObject = {
      ...(codes.length === 1 && { id: componentName(codes[0]!) }),
      description: codes.map((code) => `- \`${code}\`: ${ERROR_CATALOGUE[code].meaning}`).join('\n'),
      headers: status === 429 ? rateLimitedHeaders : errorHeaders,
      content: {
        'application/json': {
          schema: errorResponse,
          ...errorExamples(serverUrl, codes),
        },
      },
      'x-error-codes': codes,
    };
    shared.set(key, made);
    return made;
  };
  return (codes) => {
    const responses: ZodOpenApiResponsesObject = {};
    for (const status of new Set(codes.map((code) => ERROR_CATALOGUE[code].status))) {
      const ofStatus = codes.filter((code) => ERROR_CATALOGUE[code].status === status);
      responses[`${status}` as '400'] = responseOf(status, ofStatus);
    }
    return responses;
  };
}

/** `/api/payouts/:id` as OpenAPI writes it: `/api/payouts/{id}`. */
export const openApiPath = (path: string): string => path.replace(/:(\w+)/g, '{$1}');

/** Does the route refuse an empty body? */
export const needsBody = (route: Route): boolean => isMutation(route) && !route.body.safeParse({}).success;

const capitalized = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** `post /api/payouts/:id/approve` becomes `postPayoutsByIdApprove`, which stays while the address does. */
function operationIdOf({ method, path }: Pick<Route, 'method' | 'path'>): string {
  const segments = path.split('/').filter((segment) => segment !== '' && segment !== 'api');
  const words = segments.flatMap((segment) =>
    segment.startsWith(':') ? ['By', segment.slice(1)] : segment.split(/[^A-Za-z0-9]+/),
  );
  return method + words.map(capitalized).join('');
}

/** The permission's table row. */
const grantOf = (permission: Permission): { staff: readonly StaffRole[]; own?: boolean; scope?: string } =>
  PERMISSIONS[permission];

function whoMay(permission: Permission): string {
  const { staff, own, scope } = grantOf(permission);
  const callers = [
    ...staff.map((role) => `\`${role}\``),
    ...(own
      ? [staff.length > 0 ? 'a person for what is their own' : 'only the person whose data it is']
      : []),
    ...(scope === undefined ? [] : [`a machine with the scope \`${scope}\``]),
  ];
  return `**Who may:** ${callers.join(', ')}. Permission \`${permission}\`.`;
}

const descriptionOf = (route: Route): string =>
  [
    route.description,
    whoMay(route.needs),
    route.stepUp ? 'Wants a sign-in of the last `STEP_UP_MINUTES`.' : undefined,
    route.limit === 'approvals' ? 'Approvals have a tighter rate limit of their own.' : undefined,
  ]
    .filter((part) => part !== undefined)
    .join('\n\n');

function successOf(route: Route): ZodOpenApiResponseObject {
  const files = route.files ?? [];
  const example = route.example?.reply;
  return {
    description: route.status === 201 ? 'Created.' : files.length > 0 && !route.reply ? 'The file.' : 'Done.',
    headers: files.length > 0 ? fileHeaders : replyHeaders,
    content: {
      ...(route.reply && {
        'application/json': { schema: route.reply, ...(example !== undefined && { example }) },
      }),
      ...Object.fromEntries(
        files.map((mediaType) => [
          mediaType,
          { schema: { type: 'string', ...(!mediaType.startsWith('text/') && { format: 'binary' }) } },
        ]),
      ),
    },
  };
}

function operationOf(
  route: Route,
  errors: (codes: readonly ErrorCode[]) => ZodOpenApiResponsesObject,
): ZodOpenApiOperationObject {
  const example = route.example?.body;
  const mutation = isMutation(route);
  return {
    tags: [route.tag],
    operationId: operationIdOf(route),
    summary: route.summary,
    description: descriptionOf(route),
    security: [
      { sessionCookie: [] },
      { sessionToken: [] },
      ...(grantOf(route.needs).scope === undefined ? [] : [{ machineToken: [] }]),
    ],
    requestParams: { path: route.params, query: route.query },
    parameters: [...(mutation ? [idempotencyKeyParameter] : []), requestIdParameter],
    ...(mutation && {
      requestBody: {
        required: needsBody(route),
        content: {
          'application/json': { schema: route.body, ...(example !== undefined && { example }) },
        },
      },
    }),
    responses: { [`${route.status ?? 200}` as '200']: successOf(route), ...errors(errorCodesOf(route)) },
    'x-permission': route.needs,
  };
}

/** Returns the document as plain JSON. `serverUrl` is the address at which callers reach the service. */
export function createOpenApiDocument(
  routes: readonly Route[],
  options: { serverUrl: string; version: string },
): object {
  const serverUrl = options.serverUrl.replace(/\/+$/, '');
  const errors = errorResponsesFor(serverUrl);
  const { '/api/auth/sign-in/email': signIn, ...otherExtras } = extraPaths(errors);
  const paths: Record<string, ZodOpenApiPathItemObject> = { '/api/auth/sign-in/email': signIn! };
  for (const route of routes) {
    const path = openApiPath(route.path);
    paths[path] = { ...paths[path], [route.method]: operationOf(route, errors) };
  }
  return createDocument(
    {
      openapi: '3.1.0',
      info: {
        title: 'Payout Service',
        version: options.version,
        description: INTRODUCTION,
        license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
      },
      servers: [{ url: serverUrl }],
      tags: describedTags(routes.map((route) => route.tag)),
      paths: { ...paths, ...otherExtras },
      components: sharedComponents,
    },
    {
      // OpenAPI 3.1 wants the plural; and Swagger UI sends a parameter's single example when one tries it out.
      override: ({ jsonSchema }) => {
        if (!('example' in jsonSchema)) return;
        jsonSchema.examples ??= [jsonSchema['example']];
        delete jsonSchema['example'];
      },
    },
  );
}
