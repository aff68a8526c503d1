import { setTimeout as wait } from 'node:timers/promises';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { MailDelivery } from './mail-delivery.ts';
import type { MailQueueKeeper } from './mail-queue-keeper.ts';

const PAUSE_MS = 1000;
/** How often messages are looked for that no queue holds. */
const ADOPT_EVERY_MS = 60_000;

/** Looks for due messages again and again, in every instance; the queue gives each to one of them. */
export class DeliveryLoop {
  readonly #delivery: MailDelivery;
  readonly #keeper: MailQueueKeeper;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;

  constructor(delivery: MailDelivery, keeper: MailQueueKeeper, logger: Logger) {
    this.#delivery = delivery;
    this.#keeper = keeper;
    this.#logger = logger;
  }

  /** Throws when the queue's tables are not those that this version needs. */
  async start(): Promise<void> {
    if (this.#work) return;
    await this.#keeper.start();
    this.#work = this.#run();
  }

  /** Ends after the messages that are being sent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
    await this.#keeper.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let adoptedAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      try {
        if (performance.now() - adoptedAt >= ADOPT_EVERY_MS) {
          await this.#delivery.adoptUnqueued();
          adoptedAt = performance.now();
        }
        await this.#delivery.deliver(signal);
      } catch (error) {
        this.#logger.warn('Messages could not be looked for; trying again.', errorFields(error));
      }
      await wait(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
