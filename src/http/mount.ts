import { pipeline } from 'node:stream/promises';
import { fromNodeHeaders } from 'better-auth/node';
import { Router, type NextFunction, type Request, type Response } from 'express';
import type { AuditLogger } from '../audit/audit-logger.ts';
import type { Callers } from '../auth/callers.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { permits, rolesThatMay } from '../kernel/permissions.ts';
import { currentContext } from '../kernel/request-context.ts';
import { errorReply, nameError, statusOf } from './error-reply.ts';
import { checkOrigin } from './origin-check.ts';
import type { RateLimits } from './rate-limits.ts';
import { readBody, readInput } from './request-input.ts';
import { Download, isMutation, type Route } from './route.ts';

export interface EdgeDependencies {
  callers: Callers;
  audit: AuditLogger;
  limits: RateLimits;
  clock: Clock;
  logger: Logger;
  /** `publicUrl` goes into errors; `allowedOrigins` are pages whose cookies may act. */
  site: { publicUrl: string; allowedOrigins: ReadonlySet<string> };
}

/** Mounts the routes: fixed paths before those with parameters, and 405 for other methods of a path that exists. */
export function mountRoutes(routes: readonly Route[], edge: EdgeDependencies): Router {
  const router = Router({ caseSensitive: true, strict: false });
  const paths = [...new Set(routes.map(({ path }) => path))].sort(
    (a, b) => parametersIn(a) - parametersIn(b),
  );
  for (const path of paths) {
    const onPath = routes.filter((route) => route.path === path);
    for (const route of onPath) router[route.method](path, handler(route, edge));
    const allow = onPath
      .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
      .join(', ');
    router.all(path, (_request, response) => {
      response.setHeader('Allow', allow);
      throw new DomainError('METHOD_NOT_ALLOWED', `Use ${allow} here.`);
    });
  }
  return router;
}

const parametersIn = (path: string) => path.split('/:').length - 1;

function handler(route: Route, edge: EdgeDependencies) {
  return async (request: Request, response: Response): Promise<void> => {
    const actor = await identify(request, edge);
    try {
      const answer = await run(route, edge, request, response, actor);
      await send(response, route, answer, edge);
    } catch (error) {
      const named = nameError(error);
      await recordRefusal(route, edge, request, actor, named);
      throw error;
    }
  };
}

/** Throws UNAUTHENTICATED. */
async function identify(request: Request, edge: EdgeDependencies): Promise<CallerActor> {
  const actor = await edge.callers.identify(fromNodeHeaders(request.headers));
  if (!actor) throw new DomainError('UNAUTHENTICATED', 'Sign in first.');
  return actor;
}

async function run(
  route: Route,
  edge: EdgeDependencies,
  request: Request,
  response: Response,
  actor: CallerActor,
): Promise<unknown> {
  await edge.limits.caller(actor, response, route.limit);
  const mutation = isMutation(route);
  if (mutation) checkOrigin(request, edge.site.allowedOrigins);
  assertPermitted(route, actor, request.params);
  const body = mutation ? await readBody(request, response) : {};
  const input = await readInput(route, request, body);
  return route.handle({ actor, ...input });
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

/** A refusal to somebody known is kept: every one of a mutation, and of a read what permission forbade. */
async function recordRefusal(
  route: Route,
  edge: EdgeDependencies,
  request: Request,
  actor: CallerActor,
  error: DomainError,
): Promise<void> {
  const status = statusOf(error);
  if (status >= 500 || status === 429 || (!isMutation(route) && status !== 403)) return;
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

/** The verb of the route: the last part of its path that is no parameter. */
const actionOf = (route: Route): string =>
  route.path.split('/').findLast((part) => part !== '' && !part.startsWith(':')) ?? 'request';

async function send(
  response: Response,
  route: Route,
  answer: unknown,
  edge: EdgeDependencies,
): Promise<void> {
  response.setHeader('Cache-Control', 'no-store');
  if (answer instanceof Download) {
    response.status(200).type(answer.contentType);
    response.setHeader('Content-Disposition', `attachment; filename="${answer.fileName}"`);
    if (Buffer.isBuffer(answer.content)) response.send(answer.content);
    else await pipeline(answer.content, response);
    return;
  }
  const checked = route.reply?.safeParse(answer);
  if (!checked?.success) {
    edge.logger.error('An answer did not have the form that its route promises.', {
      route: route.path,
      reason: checked?.error?.issues.map((issue) => `${issue.path.join('.')}: ${issue.code}`).join('; '),
    });
    throw new DomainError(
      'INTERNAL',
      'The answer could not be made. What was asked for may have been done: read it again.',
    );
  }
  response.status(route.status ?? 200).json(checked.data);
}

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
    response.setHeader('Cache-Control', 'no-store');
    response.removeHeader('Content-Disposition');
    response
      .status(status)
      .json(
        errorReply(named, {
          requestId: currentContext()?.requestId ?? '',
          now: edge.clock.now(),
          publicUrl: edge.site.publicUrl,
        }),
      );
  };
}
