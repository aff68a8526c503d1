import { closeAlert, raiseAlert } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import { actorLabel, systemActor, type Actor, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import type { Links } from './links.ts';
import { MailRefused, type Mailer } from './mailer.ts';
import { renderMail, type MailModels, type TemplateName } from './mail-templates.ts';
import {
  appendToTrail,
  changeNotification,
  claimDue,
  findPayeeName,
  findRecipient,
  listNotifications,
  lockNotification,
  type NotificationFilter,
  type NotificationRow,
} from './notification-store.ts';
import { enqueueForStaff } from './outbox.ts';

const SELF = systemActor('notification-service');
const BATCH = 20;
const LEASE_MS = 120_000;
/** Three retries at five-minute intervals (design document, Retry Strategy). */
const RETRIES = 3;
const RETRY_AFTER_MS = 300_000;

export interface NotificationView {
  id: string;
  template: string;
  userId: string;
  payoutId: string | null;
  status: NotificationRow['status'];
  attempts: number;
  lastError: string | null;
  nextAttemptAt: string;
  createdAt: string;
  sentAt: string | null;
}

/** Delivers what the outbox holds: at least once, with a fixed Message-ID, recorded before and after each attempt. */
export class NotificationService {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #mailer: Mailer;
  readonly #links: Links;
  readonly #logger: Logger;
  readonly #from: string;

  constructor(deps: {
    database: Database;
    clock: Clock;
    mailer: Mailer;
    links: Links;
    logger: Logger;
    from: string;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#mailer = deps.mailer;
    this.#links = deps.links;
    this.#logger = deps.logger;
    this.#from = deps.from;
  }

  /** Sends everything that is due. Returns how many attempts it made. */
  async deliverDue(): Promise<number> {
    let attempts = 0;
    for (;;) {
      const now = this.#clock.now();
      const leaseUntil = new Date(now.getTime() + LEASE_MS);
      const claimed = await this.#database.transaction((tx) => claimDue(tx, now, leaseUntil, BATCH));
      for (const notification of claimed) await this.#attempt(notification);
      attempts += claimed.length;
      if (claimed.length < BATCH) return attempts;
    }
  }

  async #attempt(notification: NotificationRow): Promise<void> {
    try {
      await this.#send(notification);
    } catch (error) {
      this.#logger.warn('A message was not delivered.', {
        notificationId: notification.id,
        kind: notification.template,
        attempt: notification.attempts,
        ...errorFields(error),
      });
      await this.#database.transaction((tx) => this.#recordFailure(tx, notification, error));
      return;
    }
    await this.#database.transaction(async (tx) => {
      const sentAt = this.#clock.now();
      await changeNotification(tx, notification.id, {
        status: 'sent',
        sentAt,
        leaseUntil: null,
        lastError: null,
      });
      await this.#record(tx, notification, 'sent', SELF);
    });
  }

  async #send(notification: NotificationRow): Promise<void> {
    const { userId, payoutId } = notification;
    const template = notification.template as TemplateName;
    const recipient = await findRecipient(this.#database.reader, userId);
    if (!recipient) throw new MailRefused('There is no such user.', true);
    const model = {
      ...notification.data,
      recipientName: recipient.name,
      link: await this.#links.linkFor(template, userId, payoutId),
      ...(payoutId === null
        ? {}
        : { payoutId, payeeName: await findPayeeName(this.#database.reader, payoutId) }),
    } as MailModels[TemplateName];
    await this.#mailer.send({
      ...renderMail(template, model),
      messageId: notification.messageId,
      to: recipient,
      from: this.#from,
      date: notification.createdAt,
    });
  }

  async #recordFailure(tx: Tx, notification: NotificationRow, error: unknown): Promise<void> {
    const now = this.#clock.now();
    const permanent = error instanceof MailRefused && error.permanent;
    const lastError = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    const again = !permanent && notification.attempts <= RETRIES;
    await changeNotification(tx, notification.id, {
      status: again ? 'queued' : 'failed',
      leaseUntil: null,
      lastError,
      nextAttemptAt: new Date(now.getTime() + RETRY_AFTER_MS),
    });
    await this.#record(tx, notification, 'failed', SELF, lastError);
    if (!again) await this.#deadLetter(tx, notification, lastError, now);
  }

  async #deadLetter(tx: Tx, notification: NotificationRow, reason: string, at: Date): Promise<void> {
    const isNew = await raiseAlert(tx, {
      severity: 'warning',
      category: 'dead_letter',
      title: 'A message could not be delivered',
      message: `The message "${notification.template}" was given up after ${notification.attempts} attempts: ${reason}`,
      details: { notificationId: notification.id, payoutId: notification.payoutId },
      subject: notification.id,
      at,
    });
    // A message about undelivered messages that cannot be delivered would go on for ever.
    if (!isNew || notification.template === 'dead-letter') return;
    const recipient = await findRecipient(tx, notification.userId);
    await enqueueForStaff(
      tx,
      { roles: ['admin'] },
      {
        template: 'dead-letter',
        ...(notification.payoutId === null ? {} : { payoutId: notification.payoutId }),
        data: {
          messageName: notification.template,
          recipient: recipient?.address ?? notification.userId,
          attempts: String(notification.attempts),
          reason,
        },
        at,
      },
    );
  }

  async list(
    filter: Omit<NotificationFilter, 'limit'> & { limit?: number | undefined },
  ): Promise<Page<NotificationView>> {
    const limit = filter.limit ?? DEFAULT_PAGE;
    const rows = await listNotifications(this.#database.reader, { ...filter, limit });
    return pageOf(rows, limit, (row) => [row.createdAt.toISOString(), row.id], viewOf);
  }

  /** Queues a message again. Throws NOT_FOUND, or NOT_RESENDABLE while it is on its way. */
  async resend(actor: CallerActor, id: string): Promise<NotificationView> {
    return this.#database.transaction(async (tx) => {
      const notification = await lockNotification(tx, id);
      if (!notification) throw notFound('notification', id);
      if (notification.status !== 'failed' && notification.status !== 'sent') {
        throw new DomainError(
          'NOT_RESENDABLE',
          'The message is still on its way. Wait until it is sent or given up.',
        );
      }
      const at = this.#clock.now();
      const row = await changeNotification(tx, id, {
        status: 'queued',
        attempts: 0,
        lastError: null,
        sentAt: null,
        nextAttemptAt: at,
        // One that arrived before would be taken for a copy of itself under the same id.
        ...(notification.status === 'sent' ? { messageId: `${id}.${at.getTime()}@payout-service` } : {}),
      });
      await closeAlert(tx, 'dead_letter', id, at);
      await this.#record(tx, notification, 'requeued', actor);
      return viewOf(row);
    });
  }

  async #record(
    tx: Tx,
    notification: NotificationRow,
    action: string,
    actor: Actor,
    error?: string,
  ): Promise<void> {
    const at = this.#clock.now();
    const details = { template: notification.template, attempt: notification.attempts };
    await recordAudit(tx, {
      actor,
      at,
      entityType: 'notification',
      entityId: notification.id,
      action,
      success: error === undefined,
      ...(error === undefined ? {} : { errorMessage: error }),
      newValues: { ...details, ...(notification.payoutId ? { payoutId: notification.payoutId } : {}) },
    });
    if (notification.payoutId === null) return;
    const entry = {
      action: `message_${action}`,
      actor: actorLabel(actor),
      timestamp: at.toISOString(),
      details,
    };
    await appendToTrail(tx, notification.payoutId, entry);
  }

  isUp(): Promise<boolean> {
    return this.#mailer.isUp();
  }
}

const viewOf = (row: NotificationRow): NotificationView => ({
  id: row.id,
  template: row.template,
  userId: row.userId,
  payoutId: row.payoutId,
  status: row.status,
  attempts: row.attempts,
  lastError: row.lastError,
  nextAttemptAt: row.nextAttemptAt.toISOString(),
  createdAt: row.createdAt.toISOString(),
  sentAt: row.sentAt?.toISOString() ?? null,
});
