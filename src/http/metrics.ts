import { timingSafeEqual } from 'node:crypto';
import { Router, type NextFunction, type Request, type Response } from 'express';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { DomainError } from '../kernel/errors.ts';
import { refuseAllButGet } from './error-reply.ts';

/** Requests by route and status, and the process itself, for Prometheus. Read with METRICS_TOKEN where it is set. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #token: string | undefined;

  constructor(token: string | undefined) {
    this.#token = token;
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: 'payout_service_http_request_duration_seconds',
      help: 'How long requests took, by route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers: [this.#registry],
    });
  }

  /** Times every request; goes before all else. */
  observe = (request: Request, response: Response, next: NextFunction): void => {
    const end = this.#requests.startTimer();
    response.once('close', () => {
      const route = (request.route as { path?: unknown } | undefined)?.path;
      // Only routes that exist: a stranger must not be able to make labels.
      end({
        method: request.method,
        route: typeof route === 'string' ? route : '(none)',
        status: String(response.statusCode),
      });
    });
    next();
  };

  routes(): Router {
    const router = Router();
    router.get('/metrics', async (request, response) => {
      this.#assertToken(request.get('authorization'));
      response.type(this.#registry.contentType).send(await this.#registry.metrics());
    });
    router.all('/metrics', refuseAllButGet);
    return router;
  }

  #assertToken(authorization: string | undefined): void {
    if (this.#token === undefined) return;
    const [given, wanted] = [Buffer.from(authorization ?? ''), Buffer.from(`Bearer ${this.#token}`)];
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) return;
    throw new DomainError('UNAUTHENTICATED', 'Send METRICS_TOKEN as Authorization: Bearer.');
  }
}
