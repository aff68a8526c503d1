import type { Request } from 'express';
import { DomainError } from '../kernel/errors.ts';

/**
 * A mutation that rides on a cookie must come from a page that we know: browsers send `Origin` with every one. A caller
 * that is no browser sends neither header, and no page can make a browser leave them out.
 */
export function checkOrigin(request: Request, allowedOrigins: ReadonlySet<string>): void {
  if (request.headers.authorization !== undefined || request.headers.cookie === undefined) return;
  const { origin } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const foreignOrigin = origin !== undefined && !allowedOrigins.has(origin);
  const foreignSite = origin === undefined && site !== undefined && site !== 'same-origin' && site !== 'none';
  if (foreignOrigin || foreignSite) {
    throw new DomainError('FORBIDDEN', 'The request comes from a page of another site. Only the dashboard and portal may send it.');
  }
}
