import { isIPv6 } from 'node:net';
import type { Response } from 'express';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Config } from '../config.ts';
import type { Redis } from '../db/redis.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';

const QUARTER_HOUR_SECONDS = 900;
const MINUTE_SECONDS = 60;

interface Limit {
  name: string;
  points: number;
  windowSeconds: number;
  limiter: RateLimiterMemory | RateLimiterRedis;
}

/**
 * Limits by address before anybody is known, and by caller after that (specification, section 11). One instance counts in
 * memory; with REDIS_URL all of them count together. While Redis is away, addresses are counted by each instance for
 * itself; callers are not counted, may read, and change nothing.
 */
export class RateLimits {
  readonly #address: Limit | undefined;
  readonly #signIn: Limit | undefined;
  readonly #member: Limit | undefined;
  readonly #staff: Limit | undefined;
  readonly #approvals: Limit | undefined;
  readonly #logger: Logger;

  constructor(limits: Config['rateLimits'], logger: Logger, redis?: Redis) {
    this.#logger = logger;
    const counter = (name: string, points: number, windowSeconds: number, insured: boolean) =>
      // 0 turns a limit off.
      points === 0
        ? undefined
        : { name, points, windowSeconds, limiter: limiterOf(name, points, windowSeconds, redis, insured) };
    this.#address = counter('address', limits.address, QUARTER_HOUR_SECONDS, true);
    this.#signIn = counter('sign-in', limits.signIn, MINUTE_SECONDS, true);
    this.#member = counter('member', limits.member, QUARTER_HOUR_SECONDS, false);
    this.#staff = counter('staff', limits.staff, QUARTER_HOUR_SECONDS, false);
    this.#approvals = counter('approvals', limits.approvals, MINUTE_SECONDS, false);
  }

  address(ip: string, response: Response): Promise<void> {
    return this.#consume(this.#address, networkOf(ip), response, false);
  }

  signIn(ip: string, response: Response): Promise<void> {
    return this.#consume(this.#signIn, networkOf(ip), response, true);
  }

  /** `changes`: the request is no mere reading, and is refused where it cannot be counted. */
  async caller(
    actor: CallerActor,
    response: Response,
    { changes, kind }: { changes: boolean; kind?: 'approvals' | undefined },
  ): Promise<void> {
    const key = actor.kind === 'service' ? `service:${actor.subject}` : actor.userId;
    await this.#consume(actor.kind === 'member' ? this.#member : this.#staff, key, response, changes);
    if (kind === 'approvals') await this.#consume(this.#approvals, key, response, changes);
  }

  /** Counts one request and writes the headers. Throws RATE_LIMITED, and UNAVAILABLE where it must be counted and cannot. */
  async #consume(limit: Limit | undefined, key: string, response: Response, must: boolean): Promise<void> {
    if (!limit) return;
    try {
      writeHeaders(response, limit, await limit.limiter.consume(key));
    } catch (error) {
      if (error instanceof RateLimiterRes) throw refusal(response, limit, error);
      this.#logger.warn('A request could not be counted.', { kind: limit.name, ...errorFields(error) });
      if (must)
        throw new DomainError(
          'UNAVAILABLE',
          'Requests cannot be counted now. Reading goes on; try again shortly.',
        );
    }
  }
}

function limiterOf(
  name: string,
  points: number,
  duration: number,
  redis: Redis | undefined,
  insured: boolean,
): RateLimiterMemory | RateLimiterRedis {
  const inMemory = () => new RateLimiterMemory({ points, duration });
  if (!redis) return inMemory();
  return new RateLimiterRedis({
    storeClient: redis,
    keyPrefix: `payout-service:limit:${name}`,
    points,
    duration,
    rejectIfRedisNotReady: true,
    ...(insured ? { insuranceLimiter: inMemory() } : {}),
  });
}

/** One household or host has a whole /64 of IPv6 addresses to itself. */
function networkOf(ip: string): string {
  if (!isIPv6(ip) || ip.includes('.')) return ip;
  const [before = '', after] = ip.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? 0 : 8 - head.length - tail.length;
  return `${[...head, ...Array.from({ length: zeros }, () => '0'), ...tail].slice(0, 4).join(':')}::/64`;
}

/** Of the requests of a window that are too many, the first is told apart: it alone goes into the audit log. */
export class RateLimited extends DomainError {
  readonly isFirst: boolean;

  constructor(retryAfterSeconds: number, isFirst: boolean) {
    super('RATE_LIMITED', `Too many requests. Wait ${retryAfterSeconds} s.`, { retryAfterSeconds });
    this.isFirst = isFirst;
  }
}

function refusal(response: Response, limit: Limit, result: RateLimiterRes): DomainError {
  writeHeaders(response, limit, result);
  const retryAfterSeconds = Math.max(1, Math.ceil(result.msBeforeNext / 1000));
  response.setHeader('Retry-After', String(retryAfterSeconds));
  return new RateLimited(retryAfterSeconds, result.consumedPoints === limit.points + 1);
}

/** As the IETF's draft on RateLimit headers has them, and as its early versions had, which most programs know. */
function writeHeaders(response: Response, limit: Limit, result: RateLimiterRes): void {
  const remaining = Math.max(0, result.remainingPoints);
  const resetSeconds = Math.ceil(result.msBeforeNext / 1000);
  response.setHeader('RateLimit-Policy', `"${limit.name}";q=${limit.points};w=${limit.windowSeconds}`);
  response.setHeader('RateLimit', `"${limit.name}";r=${remaining};t=${resetSeconds}`);
  response.setHeader('RateLimit-Limit', String(limit.points));
  response.setHeader('RateLimit-Remaining', String(remaining));
  response.setHeader('RateLimit-Reset', String(resetSeconds));
}
