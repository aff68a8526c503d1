import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';
import { currentTracer } from '../kernel/tracing.ts';

/** W3C Trace Context, version 00. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace that the caller says it is part of, or a new one. */
export const traceIdOf = (request: Request): string =>
  // As random as the last seven bytes must be (Trace Context, level 2); of UUIDs Node keeps some in store.
  TRACEPARENT.exec(request.get('traceparent') ?? '')?.[1] ?? randomUUID().replaceAll('-', '');

/** A span for the request, below the caller's, where there is tracing. */
export function traceRequest(request: Request, response: Response, next: NextFunction): void {
  const tracer = currentTracer();
  if (!tracer) return next();
  const parent = request.get('traceparent');
  const { method } = request;
  const facts = { 'http.request.method': method };
  tracer.within({ name: method, kind: 'server', facts, parent }, (span) => {
    response.once('close', () => {
      const route = (request.route as { path?: unknown } | undefined)?.path;
      const status = response.statusCode;
      span.end({
        // Only routes that exist: a path can hold what belongs into no trace.
        name: typeof route === 'string' ? `${method} ${route}` : method,
        facts: {
          'http.response.status_code': status,
          ...(typeof route === 'string' ? { 'http.route': route } : {}),
        },
        ...(status >= 500 ? { error: new Error('The request failed.') } : {}),
      });
    });
    next();
  });
}
