import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import { acknowledgeAlert, findAlert, listAlerts, type AlertFilter, type AlertRow } from './alert-store.ts';

/** What staff see of an alert. Times are ISO 8601. */
export type AlertView = Omit<AlertRow, 'occurrenceKey' | 'createdAt' | 'acknowledgedAt' | 'closedAt'> & {
  createdAt: string;
  acknowledgedAt: string | null;
  closedAt: string | null;
};

/** Shows alerts to staff and notes who has taken them on. */
export class AlertDesk {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Newest first. */
  async list(filter: Omit<AlertFilter, 'limit'> & { limit?: number | undefined }): Promise<Page<AlertView>> {
    const limit = filter.limit ?? DEFAULT_PAGE;
    const rows = await listAlerts(this.#database.reader, { ...filter, limit });
    return pageOf(rows, limit, ({ createdAt, id }) => [createdAt.toISOString(), id], viewAlert);
  }

  /** The first to acknowledge an alert stays named; a second time changes nothing. Throws NOT_FOUND or FORBIDDEN. */
  async acknowledge(actor: CallerActor, id: string): Promise<AlertView> {
    if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff acknowledge alerts.');
    return this.#database.transaction(async (tx) => {
      const at = this.#clock.now();
      const acknowledged = await acknowledgeAlert(tx, id, actor.adminId, at);
      if (acknowledged) {
        const { severity, category } = acknowledged;
        await recordAudit(tx, {
          actor,
          at,
          entityType: 'alert',
          entityId: id,
          action: 'acknowledged',
          newValues: { severity, category, acknowledgedAt: at.toISOString() },
        });
      }
      const alert = acknowledged ?? (await findAlert(tx, id));
      if (!alert) throw notFound('alert', id);
      return viewAlert(alert);
    });
  }
}

const viewAlert = ({
  occurrenceKey: _key,
  createdAt,
  acknowledgedAt,
  closedAt,
  ...alert
}: AlertRow): AlertView => ({
  ...alert,
  createdAt: createdAt.toISOString(),
  acknowledgedAt: acknowledgedAt?.toISOString() ?? null,
  closedAt: closedAt?.toISOString() ?? null,
});
