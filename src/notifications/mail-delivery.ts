import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database, Tx } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { traced } from '../kernel/tracing.ts';
import { composeMail } from './compose-mail.ts';
import { tellOfDeadMail } from './dead-letters.ts';
import type { Links } from './links.ts';
import { MailRefused, type Mailer } from './mailer.ts';
import {
  abandonMail,
  addMails,
  failMail,
  finishMail,
  hastenMails,
  LEASE_SECONDS,
  takeMails,
} from './mail-queue.ts';
import {
  beginAttempt,
  changeNotification,
  dueIds,
  failAttempt,
  lockNotifications,
  unqueuedIds,
  type NotificationRow,
} from './notification-store.ts';
import { recordDelivery } from './record-delivery.ts';

/** Messages that one instance sends at a time. */
const AT_ONCE = 4;
const ADOPT_AT_ONCE = 1000;
const INTERRUPTED = 'The service stopped during the attempt: the message may have arrived.';

interface Attempt {
  notification: NotificationRow;
  isLast: boolean;
}

/** Delivers what is queued: at least once, with a fixed Message-ID, recorded before and after each attempt. */
export class MailDelivery {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #mailer: Mailer;
  readonly #links: Links;
  readonly #logger: Logger;
  readonly #settings: { from: string; retrySeconds: number };

  constructor(deps: {
    database: Database;
    clock: Clock;
    mailer: Mailer;
    links: Links;
    logger: Logger;
    settings: { from: string; retrySeconds: number };
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#mailer = deps.mailer;
    this.#links = deps.links;
    this.#logger = deps.logger;
    this.#settings = deps.settings;
  }

  /**
   * Sends what the queue has due, and tells the admins of what it gave up. Returns how many attempts it made. Once
   * `signal` is aborted it ends after the messages that are being sent.
   */
  async deliver(signal?: AbortSignal): Promise<number> {
    let attempts = 0;
    while (!signal?.aborted) {
      const { taken, begun } = await this.#database.transaction((tx) => this.#take(tx));
      const ends = await Promise.allSettled(begun.map((attempt) => this.#attempt(attempt)));
      const broken = ends.find((end) => end.status === 'rejected');
      if (broken) throw broken.reason;
      attempts += begun.length;
      if (taken < AT_ONCE) break;
    }
    while (!signal?.aborted) {
      if (!(await this.#database.transaction((tx) => tellOfDeadMail(tx, this.#clock.now())))) break;
    }
    return attempts;
  }

  /** The same by this service's clock, which may have been moved: the queue goes by the database's. */
  async deliverDue(): Promise<number> {
    await this.#database.transaction(async (tx) => hastenMails(tx, await dueIds(tx, this.#clock.now())));
    return this.deliver();
  }

  /** Queues messages that are to be sent and are in no queue, such as those of an older version. Returns how many. */
  async adoptUnqueued(): Promise<number> {
    return this.#database.transaction(async (tx) => {
      const ids = await unqueuedIds(tx, ADOPT_AT_ONCE);
      await addMails(tx, ids);
      return ids.length;
    });
  }

  /** Takes messages and notes that an attempt begins, before anything leaves. */
  async #take(tx: Tx): Promise<{ taken: number; begun: Attempt[] }> {
    const mails = await takeMails(tx, AT_ONCE);
    const rows = await lockNotifications(
      tx,
      mails.map(({ notificationId }) => notificationId),
    );
    const at = this.#clock.now();
    const retryAt = this.#later(LEASE_SECONDS + this.#settings.retrySeconds);
    const begun: Attempt[] = [];
    for (const { notificationId, isLast } of mails) {
      const row = rows.find(({ id }) => id === notificationId);
      if (row?.status === 'sending')
        await recordDelivery(tx, row, { action: 'interrupted', at, error: INTERRUPTED });
      if (row?.status === 'queued' || row?.status === 'sending')
        begun.push({ notification: await beginAttempt(tx, row.id, retryAt), isLast });
      else await finishMail(tx, notificationId);
    }
    return { taken: mails.length, begun };
  }

  #attempt(attempt: Attempt): Promise<void> {
    const { template } = attempt.notification;
    return traced('deliver message', 'consumer', { template }, () => this.#deliverOne(attempt));
  }

  async #deliverOne({ notification, isLast }: Attempt): Promise<void> {
    try {
      crashPoint('message-taken');
      const { reader } = this.#database;
      const mail = await composeMail(notification, {
        reader,
        links: this.#links,
        from: this.#settings.from,
      });
      crashPoint('message-rendered');
      await traced('send mail', 'client', {}, () => this.#mailer.send(mail));
      crashPoint('message-handed-over');
    } catch (error) {
      this.#logger.warn('A message was not delivered.', {
        notificationId: notification.id,
        kind: notification.template,
        attempt: notification.attempts,
        ...errorFields(error),
      });
      return this.#database.transaction((tx) => this.#fail(tx, notification, isLast, error));
    }
    await this.#database.transaction(async (tx) => {
      const at = this.#clock.now();
      await changeNotification(tx, notification.id, { status: 'sent', sentAt: at, lastError: null });
      await finishMail(tx, notification.id);
      await closeAlert(tx, 'dead_letter', notification.id, at);
      await recordDelivery(tx, notification, { action: 'sent', at });
    });
    crashPoint('message-recorded');
  }

  async #fail(tx: Tx, notification: NotificationRow, isLast: boolean, error: unknown): Promise<void> {
    const permanent = error instanceof MailRefused && error.permanent;
    const lastError = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    const failed = await failAttempt(tx, notification, {
      status: permanent || isLast ? 'failed' : 'queued',
      lastError,
      nextAttemptAt: this.#later(this.#settings.retrySeconds),
    });
    // Slower than its lease: another worker has begun an attempt of its own, and what comes of that counts.
    if (!failed) return;
    if (permanent) await abandonMail(tx, notification.id);
    else await failMail(tx, notification.id, lastError);
    await recordDelivery(tx, notification, { action: 'failed', at: this.#clock.now(), error: lastError });
  }

  #later(seconds: number): Date {
    return new Date(this.#clock.now().getTime() + seconds * 1000);
  }
}
