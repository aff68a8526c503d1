/** The seam to the subscription service: one act, with two adapters. */
import {
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  circuitBreaker,
  handleAll,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { and, eq, inArray } from 'drizzle-orm';
import type { Database } from '../db/client.ts';
import { userSubscriptions } from '../db/schema/index.ts';

export interface SubscriptionGateway {
  /**
   * Cancels every live subscription of a member. Done again with the same key it changes nothing.
   * Throws when it is not certain that the membership has ended.
   */
  cancelMembership(userId: string, idempotencyKey: string): Promise<void>;
}

const CALL_TIMEOUT_MS = 10_000;
const FAILURES_BEFORE_PAUSE = 5;
const PAUSE_MS = 30_000;

/**
 * `POST {url}/memberships/{userId}/cancel` with an Idempotency-Key and a bearer token. 2xx is done, and so is 404 (there
 * is no such membership) and 409 (ended already); anything else is a failure and is tried again by the next run.
 * After 5 failures in a row nothing is sent for 30 s (design document, Retry Strategy).
 */
export class HttpSubscriptionGateway implements SubscriptionGateway {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #breaker: CircuitBreakerPolicy = circuitBreaker(handleAll, {
    halfOpenAfter: PAUSE_MS,
    breaker: new ConsecutiveBreaker(FAILURES_BEFORE_PAUSE),
  });
  readonly #policy = wrap(this.#breaker, timeout(CALL_TIMEOUT_MS, TimeoutStrategy.Aggressive));

  constructor(url: string, token: string | undefined) {
    this.#url = url.replace(/\/$/, '');
    this.#token = token;
  }

  async cancelMembership(userId: string, idempotencyKey: string): Promise<void> {
    await this.#policy.execute(async ({ signal }) => {
      const answer = await fetch(`${this.#url}/memberships/${encodeURIComponent(userId)}/cancel`, {
        method: 'POST',
        signal,
        headers: {
          'content-type': 'application/json',
          'idempotency-key': idempotencyKey,
          ...(this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
        },
        body: JSON.stringify({ reason: '12 months after payout' }),
      });
      await answer.arrayBuffer();
      if (answer.ok || answer.status === 404 || answer.status === 409) return;
      throw new Error(`The subscription service answered ${answer.status}.`);
    });
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
