import type { NextFunction, Request, Response } from 'express';
import type { Config } from '../config.ts';
import { DomainError } from '../kernel/errors.ts';

/**
 * A mutation that rides on a cookie must come from a page that we know: browsers send `Origin` with every one. A caller
 * that is no browser sends neither header, and no page can make a browser leave them out. An `Authorization` beside the
 * cookie excuses nothing: where it holds no session (a page can make a browser send `Basic`), the cookie is what counts.
 */
export function checkOrigin(request: Request, allowedOrigins: ReadonlySet<string>): void {
  if (request.headers.cookie === undefined) return;
  const { origin } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const foreignOrigin = origin !== undefined && !allowedOrigins.has(origin);
  const foreignSite = origin === undefined && site !== undefined && site !== 'same-origin' && site !== 'none';
  if (foreignOrigin || foreignSite) {
    throw new DomainError(
      'FORBIDDEN',
      'The request comes from a page of another site. Only the dashboard and portal may send it.',
    );
  }
}

/** Pages whose cookies may act: this service's own, the dashboard, and the members' portal. */
export function allowedOrigins(config: Config, publicUrl: string): ReadonlySet<string> {
  const { port } = new URL(publicUrl);
  const own = config.production ? [] : [`http://localhost:${port}`, `http://127.0.0.1:${port}`];
  return new Set([
    ...own,
    ...[publicUrl, config.adminDashboardUrl, config.memberPortalUrl].map((url) => new URL(url).origin),
  ]);
}

/**
 * Node's fetch sends `Sec-Fetch-Mode` alone, and Better Auth then takes the caller for a browser that hides its origin.
 * A browser that sends it always sends `Sec-Fetch-Site` too, so without that and without a cookie it is none.
 */
export function toleratePrograms(request: Request, _response: Response, next: NextFunction): void {
  const { headers } = request;
  if (
    headers['sec-fetch-site'] === undefined &&
    headers.origin === undefined &&
    headers.cookie === undefined
  ) {
    delete headers['sec-fetch-mode'];
  }
  next();
}
