/** The seam to the subscription service: one act, with two adapters. The contract is docs/subscription-service.md. */
import {
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
  handleWhen,
  isBrokenCircuitError,
  IterableBackoff,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
  type IPolicy,
} from 'cockatiel';
import { and, eq, inArray } from 'drizzle-orm';
import type { Database } from '../db/client.ts';
import { userSubscriptions } from '../db/schema/index.ts';
import { PAUSE_MS, SubscriptionPaused, SubscriptionRefused } from './subscription-faults.ts';

export interface SubscriptionGateway {
  /**
   * Cancels every live subscription of a member. Done again with the same key it changes nothing.
   * Throws when it is not certain that the membership has ended: SubscriptionRefused where it certainly has not,
   * SubscriptionPaused where nothing was asked.
   */
  cancelMembership(userId: string, idempotencyKey: string): Promise<void>;
  /** Of the circuit breaker, where there is one. */
  readonly breakerState?: BreakerState;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

const CALL_TIMEOUT_MS = 10_000;
const FAILURES_BEFORE_PAUSE = 5;
const RETRY_WAITS_MS = [1000, 4000] as const;

/** Refusals that a second try may turn: all others of 4xx say that the request is wrong. */
const mayTurn = (status: number) => status >= 500 || status === 408 || status === 425 || status === 429;

export interface CallTimes {
  timeoutMs: number;
  retryWaitsMs: readonly number[];
  pauseMs: number;
}

/**
 * `POST {url}/memberships/{userId}/cancel`. Each try goes through the circuit breaker: after 5 failures in a row nothing
 * is sent for 30 s (design document, Retry Strategy).
 */
export class HttpSubscriptionGateway implements SubscriptionGateway {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #policy: IPolicy<{ signal: AbortSignal }>;
  readonly #breaker: CircuitBreakerPolicy;

  constructor(url: string, token: string | undefined, times: Partial<CallTimes> = {}) {
    this.#url = url.replace(/\/$/, '');
    this.#token = token;
    const waits = times.retryWaitsMs ?? RETRY_WAITS_MS;
    const breaker: CircuitBreakerPolicy = circuitBreaker(handleAll, {
      halfOpenAfter: times.pauseMs ?? PAUSE_MS,
      breaker: new ConsecutiveBreaker(FAILURES_BEFORE_PAUSE),
    });
    this.#breaker = breaker;
    const unlessFinal = handleWhen(
      (error) => !(error instanceof SubscriptionRefused) && !isBrokenCircuitError(error),
    );
    this.#policy = wrap(
      retry(unlessFinal, {
        maxAttempts: waits.length,
        backoff: new IterableBackoff(waits),
      }),
      breaker,
      timeout(times.timeoutMs ?? CALL_TIMEOUT_MS, TimeoutStrategy.Aggressive),
    );
  }

  get breakerState(): BreakerState {
    const { state } = this.#breaker;
    return state === CircuitState.Closed ? 'closed' : state === CircuitState.HalfOpen ? 'half-open' : 'open';
  }

  async cancelMembership(userId: string, idempotencyKey: string): Promise<void> {
    try {
      await this.#policy.execute(({ signal }) => this.#call(userId, idempotencyKey, signal));
    } catch (error) {
      throw isBrokenCircuitError(error) ? new SubscriptionPaused() : error;
    }
  }

  async #call(userId: string, idempotencyKey: string, signal: AbortSignal): Promise<void> {
    const answer = await fetch(`${this.#url}/memberships/${encodeURIComponent(userId)}/cancel`, {
      method: 'POST',
      signal,
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
        ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
      },
      body: JSON.stringify({ reason: '12 months after payout' }),
    });
    await answer.arrayBuffer();
    if (answer.ok || answer.status === 404 || answer.status === 409) return;
    const message = `The subscription service answered ${answer.status}.`;
    throw mayTurn(answer.status) ? new Error(message) : new SubscriptionRefused(message);
  }
}

/** Outside production, with no subscription service: ends the subscriptions in the shared tables. */
export class LocalSubscriptionGateway implements SubscriptionGateway {
  readonly #mainApp: Database;

  constructor(mainApp: Database) {
    this.#mainApp = mainApp;
  }

  async cancelMembership(userId: string): Promise<void> {
    await this.#mainApp.transaction(async (tx) => {
      await tx
        .update(userSubscriptions)
        .set({ status: 'canceled' })
        .where(
          and(
            eq(userSubscriptions.userId, userId),
            inArray(userSubscriptions.status, ['active', 'trialing']),
          ),
        );
    });
  }
}
