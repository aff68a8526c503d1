import type { Redis } from '../db/redis.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';

/**
 * Says which instance is to try a slot. It only spares the others the question: whether a slot is run, and that it is
 * run once, the row in `job_runs` decides, so that a Redis which forgets or is away does no harm. One that is elected and
 * cannot, as its clock is ahead, leaves the slot to the next look, a minute later. Without a Redis every instance tries.
 */
export interface JobElection {
  isElected(job: string, slot: Date): Promise<boolean>;
}

/** Long enough for the clocks' differences and a claim, short enough that a slot whose instance died is tried again. */
const HOLD_MS = 30_000;

/** One lock for each slot of a job. */
export class RedisJobElection implements JobElection {
  readonly #redis: Redis;
  readonly #logger: Logger;

  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
  }

  async isElected(job: string, slot: Date): Promise<boolean> {
    try {
      const key = `payout-service:job:${job}:${slot.toISOString()}`;
      return (await this.#redis.set(key, '1', 'PX', HOLD_MS, 'NX')) === 'OK';
    } catch (error) {
      this.#logger.debug('Redis did not elect; the row decides.', errorFields(error));
      return true;
    }
  }
}
