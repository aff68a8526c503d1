import { pipeline } from 'node:stream/promises';
import { Router, type NextFunction, type Request, type Response } from 'express';
import type { Caller, Callers } from '../auth/callers.ts';
import type { IdempotencyKeys, StoredAnswer } from '../idempotency/idempotency.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { PERMISSIONS, permits, rolesThatMay } from '../kernel/permissions.ts';
import { currentContext } from '../kernel/request-context.ts';
import { errorReply, nameError, statusOf } from './error-reply.ts';
import { checkOrigin } from './origin-check.ts';
import { RateLimited, type RateLimits } from './rate-limits.ts';
import { readBody, readInput } from './request-input.ts';
import { Download, isMutation, type Route, type RouteSubject } from './route.ts';

/** Keeps refusals; the audit room does. */
export interface RefusalRecorder {
  recordRefusal(refusal: {
    actor: CallerActor;
    action: string;
    subject?: RouteSubject;
    code: string;
    message: string;
    method: string;
    path: string;
  }): Promise<void>;
}

export interface EdgeDependencies {
  callers: Callers;
  audit: RefusalRecorder;
  limits: RateLimits;
  idempotency: IdempotencyKeys;
  clock: Clock;
  logger: Logger;
  /** `publicUrl` goes into errors; `allowedOrigins` are pages whose cookies may act. */
  site: { publicUrl: string; allowedOrigins: ReadonlySet<string> };
}

/** Mounts the routes: fixed paths before those with parameters, and 405 for other methods of a path that exists. */
export function mountRoutes(routes: readonly Route[], edge: EdgeDependencies): Router {
  assertInTable(routes);
  const router = Router({ caseSensitive: true, strict: false });
  const paths = [...new Set(routes.map(({ path }) => path))].sort(
    (a, b) => parametersIn(a) - parametersIn(b),
  );
  for (const path of paths) {
    const onPath = routes.filter((route) => route.path === path);
    const here = router.route(path);
    for (const route of onPath) here[route.method](handler(route, edge));
    const allow = onPath
      .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
      .join(', ');
    here.all((_request, response) => {
      response.setHeader('Allow', allow);
      throw new DomainError('METHOD_NOT_ALLOWED', `Use ${allow} here.`);
    });
  }
  return router;
}

/** A route whose permission is not in the table would be open to nobody, or to everybody: there is no start with one. */
function assertInTable(routes: readonly Route[]): void {
  const unknown = routes.filter(({ needs }) => !Object.hasOwn(PERMISSIONS, needs));
  if (unknown.length === 0) return;
  const names = unknown.map(({ method, path, needs }) => `${method.toUpperCase()} ${path} (${needs})`);
  throw new Error(`The table of permissions lacks what these routes need: ${names.join(', ')}.`);
}

const parametersIn = (path: string) => path.split('/:').length - 1;

function handler(route: Route, edge: EdgeDependencies) {
  return async (request: Request, response: Response): Promise<void> => {
    crashPoint('request-received');
    const caller = await identify(request, edge);
    const { actor } = caller;
    crashPoint('caller-known');
    const refuse = (error: DomainError) => recordRefusal(route, edge, request, actor, error);
    try {
      const input = await admit(route, edge, request, response, caller);
      crashPoint('input-read');
      const key = keyOf(route, request);
      if (key === undefined) await send(response, route, await route.handle({ actor, ...input }), edge);
      else await sendOnce(response, route, edge, { actor, input, key, request, refuse });
    } catch (error) {
      await refuse(nameError(error));
      throw error;
    }
  };
}

interface Keyed {
  actor: CallerActor;
  input: Awaited<ReturnType<typeof readInput>>;
  key: string;
  request: Request;
  refuse: (error: DomainError) => Promise<void>;
}

/** Does a mutation once for its Idempotency-Key, and gives the first answer again to whoever repeats it. */
async function sendOnce(
  response: Response,
  route: Route,
  edge: EdgeDependencies,
  keyed: Keyed,
): Promise<void> {
  const { actor, input, request } = keyed;
  const kept: DomainError[] = [];
  const effect = async () => {
    // Of a try that was undone nothing is told.
    kept.length = 0;
    return jsonAnswer(route, await route.handle({ actor, ...input }), edge);
  };
  const refused = (error: DomainError) => {
    kept.push(error);
    return { status: statusOf(error), body: bytesOf(replyFor(error, edge)) };
  };
  const keyedRequest = {
    caller: actor.kind === 'service' ? `service:${actor.subject}` : `user:${actor.userId}`,
    route: `${request.method} ${request.path}`,
    key: keyed.key,
    body: input.body,
    permanent: route.keepsKey === true,
  };
  const answer = await (route.idempotency === 'recorded'
    ? edge.idempotency.onceRecorded(keyedRequest, effect)
    : edge.idempotency.once(keyedRequest, effect, refused));
  for (const error of kept) await keyed.refuse(error);
  if (answer.replayed) response.setHeader('Idempotency-Replayed', 'true');
  sendBytes(response, answer);
}

/** The key of a mutation, if it has one. An answer that shows a number is never stored, so there it counts for nothing. */
function keyOf(route: Route, request: Request): string | undefined {
  const key = request.get('idempotency-key');
  if (key === undefined || !isMutation(route) || route.idempotency === 'never') return undefined;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  const message = 'must be 1 to 255 visible ASCII characters';
  throw new DomainError('VALIDATION_ERROR', `Idempotency-Key ${message}.`, {
    issues: [{ path: 'header.idempotency-key', message }],
  });
}

/** Throws UNAUTHENTICATED. */
async function identify(request: Request, edge: EdgeDependencies): Promise<Caller> {
  const caller = await edge.callers.identify(request.headers);
  if (!caller) throw new DomainError('UNAUTHENTICATED', 'Sign in first.');
  return caller;
}

/** Everything between knowing who calls and doing what they ask: limits, origin, permission, input. */
async function admit(
  route: Route,
  edge: EdgeDependencies,
  request: Request,
  response: Response,
  caller: Caller,
): Promise<Awaited<ReturnType<typeof readInput>>> {
  const mutation = isMutation(route);
  await edge.limits.caller(caller.actor, response, { changes: mutation, kind: route.limit });
  if (mutation) checkOrigin(request, edge.site.allowedOrigins);
  if (caller.barred !== undefined) throw new DomainError('FORBIDDEN', caller.barred);
  assertPermitted(route, caller.actor, request.params);
  if (route.stepUp) edge.callers.assertRecent(caller);
  return readInput(route, request, mutation ? await readBody(request, response) : {});
}

/** Whose data it is stands in the address where it names a user; otherwise the service finds out. */
function assertPermitted(route: Route, actor: CallerActor, params: Request['params']): void {
  const userId = params['userId'];
  const owner = typeof userId === 'string' ? userId.toLowerCase() : 'unknown';
  if (permits(route.needs, actor, owner)) return;
  const roles = rolesThatMay(route.needs);
  if (actor.kind === 'staff' && roles.length === 0) {
    throw new DomainError(
      'SEPARATION_OF_DUTIES',
      'Nobody but the member submits that member’s data. The member can, signed in as themselves.',
    );
  }
  throw new DomainError(
    'FORBIDDEN',
    roles.length > 0 ? `Only ${roles.join(' or ')} may do this.` : 'Only the member themselves may do this.',
  );
}

/** A refusal to somebody known is kept. Limits bound how many there can be. */
async function recordRefusal(
  route: Route,
  edge: EdgeDependencies,
  request: Request,
  actor: CallerActor,
  error: DomainError,
): Promise<void> {
  if (statusOf(error) >= 500 || isNoRefusal(route, request, actor, error)) return;
  const params = Object.fromEntries(
    Object.entries(request.params).map(([name, value]) => [name, String(value)]),
  );
  const subject = route.subject?.(params);
  await edge.audit.recordRefusal({
    actor,
    action: actionOf(route),
    ...(subject ? { subject } : {}),
    code: error.code,
    message: error.message,
    method: request.method,
    path: route.path,
  });
}

/** That one has no payout yet is an answer. Beyond a limit the first request of the window stands for all. */
function isNoRefusal(route: Route, request: Request, actor: CallerActor, error: DomainError): boolean {
  if (error instanceof RateLimited) return !error.isFirst;
  const userId = request.params['userId'];
  const isOwn =
    actor.kind !== 'service' && typeof userId === 'string' && userId.toLowerCase() === actor.userId;
  return !isMutation(route) && error.code === 'NOT_FOUND' && isOwn;
}

/** The verb of the route: the last part of its path that is no parameter. */
const actionOf = (route: Route): string =>
  route.path.split('/').findLast((part) => part !== '' && !part.startsWith(':')) ?? 'request';

async function send(
  response: Response,
  route: Route,
  answer: unknown,
  edge: EdgeDependencies,
): Promise<void> {
  if (!(answer instanceof Download)) return sendBytes(response, jsonAnswer(route, answer, edge));
  response.setHeader('Cache-Control', 'no-store');
  response.status(200).type(answer.contentType);
  response.setHeader('Content-Disposition', `attachment; filename="${answer.fileName}"`);
  if (Buffer.isBuffer(answer.content)) finish(response, answer.content);
  else await pipeline(answer.content, response);
}

/** What the route promises, and nothing else. Throws INTERNAL, before anything is committed under a key. */
function jsonAnswer(route: Route, answer: unknown, edge: EdgeDependencies): StoredAnswer {
  const checked = route.reply?.safeParse(answer);
  if (checked?.success) return { status: route.status ?? 200, body: bytesOf(checked.data) };
  edge.logger.error('An answer did not have the form that its route promises.', {
    route: route.path,
    reason: checked?.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`).join('; '),
  });
  throw new DomainError(
    'INTERNAL',
    'The answer could not be made. Read again whether what you asked for was done.',
  );
}

const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), 'utf8');

function sendBytes(response: Response, { status, body }: StoredAnswer): void {
  response.setHeader('Cache-Control', 'no-store');
  crashPoint('before-answer');
  finish(response.status(status).type('application/json'), body);
  crashPoint('after-answer');
}

/** Not by Express's `send`, which answers 304 to `If-None-Match: *` although nothing here may be kept. */
const finish = (response: Response, bytes: Buffer): void => {
  response.setHeader('Content-Length', bytes.length);
  response.end(bytes);
};

const replyFor = (error: DomainError, { clock, site }: Pick<EdgeDependencies, 'clock' | 'site'>) =>
  errorReply(error, {
    requestId: currentContext()?.requestId ?? '',
    now: clock.now(),
    publicUrl: site.publicUrl,
  });

/** The last handler: every error leaves in the one form of the document. */
export function errorHandler(edge: Pick<EdgeDependencies, 'clock' | 'logger' | 'site'>) {
  return (error: unknown, _request: Request, response: Response, _next: NextFunction): void => {
    const named = nameError(error);
    const status = statusOf(named);
    if (status >= 500)
      edge.logger.error('A request failed.', { code: named.code, ...errorFields(named.cause ?? error) });
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (status === 503) response.setHeader('Retry-After', '5');
    const retryAfter = named.details?.['retryAfterSeconds'];
    if (typeof retryAfter === 'number') response.setHeader('Retry-After', String(retryAfter));
    response.setHeader('Cache-Control', 'no-store');
    response.removeHeader('Content-Disposition');
    response.status(status).json(replyFor(named, edge));
  };
}
