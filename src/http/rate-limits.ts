import type { Response } from 'express';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Config } from '../config.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';

const QUARTER_HOUR_SECONDS = 900;
const MINUTE_SECONDS = 60;

type Limit = RateLimiterMemory | undefined;

/** 0 turns a limit off. */
const limiter = (points: number, durationSeconds: number): Limit =>
  points === 0 ? undefined : new RateLimiterMemory({ points, duration: durationSeconds });

/** Limits by address before anybody is known, and by caller after that (specification, section 11). */
export class RateLimits {
  readonly #address: Limit;
  readonly #signIn: Limit;
  readonly #member: Limit;
  readonly #staff: Limit;
  readonly #approvals: Limit;

  constructor(limits: Config['rateLimits']) {
    this.#address = limiter(limits.address, QUARTER_HOUR_SECONDS);
    this.#signIn = limiter(limits.signIn, MINUTE_SECONDS);
    this.#member = limiter(limits.member, QUARTER_HOUR_SECONDS);
    this.#staff = limiter(limits.staff, QUARTER_HOUR_SECONDS);
    this.#approvals = limiter(limits.approvals, MINUTE_SECONDS);
  }

  address(ip: string, response: Response): Promise<void> {
    return consume(this.#address, ip, response);
  }

  signIn(ip: string, response: Response): Promise<void> {
    return consume(this.#signIn, ip, response);
  }

  async caller(actor: CallerActor, response: Response, kind?: 'approvals'): Promise<void> {
    const key = actor.kind === 'service' ? `service:${actor.subject}` : actor.userId;
    await consume(actor.kind === 'member' ? this.#member : this.#staff, key, response);
    if (kind === 'approvals') await consume(this.#approvals, key, response);
  }
}

/** Counts one request and writes the headers. Throws RATE_LIMITED. */
async function consume(limit: Limit, key: string, response: Response): Promise<void> {
  if (!limit) return;
  try {
    writeHeaders(response, limit.points, await limit.consume(key));
  } catch (error) {
    if (!(error instanceof RateLimiterRes)) throw error;
    writeHeaders(response, limit.points, error);
    const retryAfterSeconds = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
    response.setHeader('Retry-After', String(retryAfterSeconds));
    throw new DomainError('RATE_LIMITED', `Too many requests. Wait ${retryAfterSeconds} s.`, {
      retryAfterSeconds,
    });
  }
}

function writeHeaders(response: Response, points: number, result: RateLimiterRes): void {
  response.setHeader('RateLimit-Limit', String(points));
  response.setHeader('RateLimit-Remaining', String(Math.max(0, result.remainingPoints)));
  response.setHeader('RateLimit-Reset', String(Math.ceil(result.msBeforeNext / 1000)));
}
