import { setTimeout as wait } from 'node:timers/promises';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { NotificationService } from './notification-service.ts';

const PAUSE_MS = 1000;

/** Looks for due messages again and again, in every instance; the rows' leases keep two from sending the same one. */
export class DeliveryLoop {
  readonly #notifications: NotificationService;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #work: Promise<void> | undefined;

  constructor(notifications: NotificationService, logger: Logger) {
    this.#notifications = notifications;
    this.#logger = logger;
  }

  start(): void {
    this.#work ??= this.#run();
  }

  /** Ends after the message that is being sent. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#notifications.deliverDue();
      } catch (error) {
        this.#logger.warn('Messages could not be looked for; trying again.', errorFields(error));
      }
      await wait(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
