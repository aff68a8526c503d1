import { createHash, timingSafeEqual } from 'node:crypto';
import { Router, type NextFunction, type Request, type Response } from 'express';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { DomainError } from '../kernel/errors.ts';
import { refuseAllButGet } from './error-reply.ts';

/** What the rest of the house has to tell, brought up to date when it is asked for. */
interface Figures {
  register(registry: Registry): void;
  read(): Promise<void>;
}

/** Figures for Prometheus: requests, this process, and what `figures` reads. Asked for with METRICS_TOKEN where it is set. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #token: string | undefined;
  readonly #figures: Figures | undefined;

  constructor(token: string | undefined, figures?: Figures) {
    this.#token = token;
    this.#figures = figures;
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: 'payout_service_http_request_duration_seconds',
      help: 'How long requests took, by route and status.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers: [this.#registry],
    });
    const running = new Gauge({
      name: 'payout_service_http_requests_running',
      help: 'Requests that are being answered.',
      registers: [this.#registry],
    });
    this.observe = (request, response, next) => {
      const end = this.#requests.startTimer();
      running.inc();
      response.once('close', () => {
        running.dec();
        const route = (request.route as { path?: unknown } | undefined)?.path;
        // Only routes and methods that exist: a stranger must not be able to make labels.
        end({
          method: METHODS.has(request.method) ? request.method : '(other)',
          route: typeof route === 'string' ? route : '(none)',
          status: String(response.statusCode),
        });
      });
      next();
    };
    figures?.register(this.#registry);
  }

  /** Times every request; goes before all else. */
  readonly observe: (request: Request, response: Response, next: NextFunction) => void;

  /** Names of everything that is told, for the test of dashboard and alerts. */
  get names(): string[] {
    return this.#registry.getMetricsAsArray().map(({ name }) => name);
  }

  routes(): Router {
    const router = Router();
    router.get('/metrics', async (request, response) => {
      this.#assertToken(request.get('authorization'));
      await this.#figures?.read();
      response
        .type(this.#registry.contentType)
        .setHeader('Cache-Control', 'no-store')
        .send(await this.#registry.metrics());
    });
    router.all('/metrics', refuseAllButGet);
    return router;
  }

  #assertToken(authorization: string | undefined): void {
    if (this.#token === undefined) return;
    const digest = (text: string) => createHash('sha256').update(text).digest();
    if (timingSafeEqual(digest(authorization ?? ''), digest(`Bearer ${this.#token}`))) return;
    throw new DomainError('UNAUTHENTICATED', 'Send METRICS_TOKEN as Authorization: Bearer.');
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
