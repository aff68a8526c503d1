import { randomUUID } from 'node:crypto';
import { toNodeHandler } from 'better-auth/node';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import helmet from 'helmet';
import type { Config } from './config.ts';
import type { Redis } from './db/redis.ts';
import { cors } from './http/cors.ts';
import { docsPages } from './http/docs-pages.ts';
import type { Health } from './http/health.ts';
import type { Metrics } from './http/metrics.ts';
import { errorHandler, mountRoutes, type EdgeDependencies } from './http/mount.ts';
import { createOpenApiDocument } from './http/openapi.ts';
import { allowedOrigins, toleratePrograms } from './http/origin-check.ts';
import { outboxPages } from './http/outbox-pages.ts';
import { RateLimits } from './http/rate-limits.ts';
import { requestLog } from './http/request-log.ts';
import { traceIdOf, traceRequest } from './http/request-trace.ts';
import type { Clock } from './kernel/clock.ts';
import { DomainError } from './kernel/errors.ts';
import type { Logger } from './kernel/logger.ts';
import { runInContext } from './kernel/request-context.ts';
import { allRoutes } from './routes.ts';
import { outboxOf, type Services } from './services.ts';

export const SERVICE_VERSION = '0.1.0';

export interface AppOptions {
  config: Config;
  clock: Clock;
  logger: Logger;
  health: Health;
  publicUrl: string;
  /** Does the database hold demo data? */
  demo: boolean;
  /** Where metrics are wanted. With a port of their own they are answered there (`createMetricsApp`). */
  metrics?: Metrics | undefined;
  /** Where instances count requests together. */
  redis?: Redis | undefined;
  /** Says when the database is away, and asking it would only make the caller wait. */
  watch?: { readonly isUp: boolean };
}

/** The whole of HTTP. Built, but listening to nothing. */
export function createApp(services: Services, options: AppOptions): Express {
  const { config, clock, logger, publicUrl } = options;
  const edge: EdgeDependencies = {
    callers: services.callers,
    audit: services.audit,
    limits: new RateLimits(config.rateLimits, logger, options.redis),
    idempotency: services.idempotency,
    clock,
    logger,
    site: { publicUrl, allowedOrigins: allowedOrigins(config, publicUrl) },
  };
  const routes = allRoutes(services, { demo: options.demo });
  const app = express();
  app.disable('x-powered-by');
  // Answers are not to be kept by anybody, so nobody can ask whether theirs is still good.
  app.disable('etag');
  app.set('trust proxy', config.trustProxyHops);
  const { metrics } = options;
  if (metrics) app.use(metrics.observe);
  app.use(requestContext);
  app.use(requestLog(logger));
  app.use(helmet());
  app.use(options.health.routes());
  if (metrics && config.metrics.port === undefined) app.use(metrics.routes());
  app.use('/api', cors(edge.site.allowedOrigins), whileDatabaseIsUp(options.watch));
  app.use(addressLimit(edge.limits));
  if (config.auth.handler)
    app.all('/api/auth/*splat', signInLimit(edge.limits), toleratePrograms, toNodeHandler(services.auth));
  app.use(mountRoutes(routes, edge));
  app.use(docsPages(createOpenApiDocument(routes, { serverUrl: publicUrl, version: SERVICE_VERSION })));
  if (!config.production && config.email.provider === 'outbox') app.use(outboxPages(outboxOf(config)));
  app.use((request: Request) => {
    throw new DomainError('NOT_FOUND', `There is nothing at ${request.path.slice(0, 200)}. See /docs.`);
  });
  app.use(errorHandler(edge));
  return app;
}

/** What METRICS_PORT answers: the figures, and nothing else. */
export function createMetricsApp(metrics: Metrics, options: AppOptions): Express {
  const { clock, logger, publicUrl } = options;
  const app = express();
  app.disable('x-powered-by');
  app.use(requestContext);
  app.use(helmet());
  app.use(metrics.routes());
  app.use(() => {
    throw new DomainError('NOT_FOUND', 'There is nothing but /metrics here.');
  });
  app.use(errorHandler({ clock, logger, site: { publicUrl, allowedOrigins: new Set() } }));
  return app;
}

function requestContext(request: Request, response: Response, next: NextFunction): void {
  const given = request.get('x-request-id') ?? '';
  const requestId = /^[A-Za-z0-9._:-]{1,128}$/.test(given) ? given : randomUUID();
  response.setHeader('X-Request-Id', requestId);
  const context = {
    requestId,
    traceId: traceIdOf(request),
    ipAddress: request.ip,
    userAgent: request.get('user-agent')?.slice(0, 500),
  };
  runInContext(context, () => traceRequest(request, response, next));
}

function whileDatabaseIsUp(watch: AppOptions['watch']) {
  return (_request: Request, _response: Response, next: NextFunction): void => {
    if (watch?.isUp === false)
      throw new DomainError('UNAVAILABLE', 'The database cannot be reached. Try again shortly.');
    next();
  };
}

function addressLimit(limits: RateLimits) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    await limits.address(request.ip ?? 'unknown', response);
    next();
  };
}

function signInLimit(limits: RateLimits) {
  return async (request: Request, response: Response, next: NextFunction): Promise<void> => {
    if (request.method === 'POST' && request.path.includes('/sign-in')) {
      await limits.signIn(request.ip ?? 'unknown', response);
    }
    next();
  };
}
