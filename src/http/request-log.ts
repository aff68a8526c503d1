import type { NextFunction, Request, Response } from 'express';
import type { Logger } from '../kernel/logger.ts';

/** One line a request: what, how it ended, how long it took. Never a query, a header or a body. */
export function requestLog(logger: Logger) {
  return (request: Request, response: Response, next: NextFunction): void => {
    const startedAt = performance.now();
    const requestId = response.getHeader('X-Request-Id');
    response.once('close', () => {
      const route = (request.route as { path?: unknown } | undefined)?.path;
      logger.info('request', {
        requestId,
        method: request.method,
        route: typeof route === 'string' ? route : '(none)',
        status: response.writableFinished ? response.statusCode : 499,
        durationMs: Math.round((performance.now() - startedAt) * 10) / 10,
      });
    });
    next();
  };
}
