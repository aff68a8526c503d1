import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import type { Actor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { countDue, countKept, deleteDue, type DueKind } from './retention-store.ts';

/** What the job found and did, as GET /api/jobs shows it. */
export interface RetentionReport extends Record<string, unknown> {
  deletedBankDetails: number;
  deletedW9s: number;
  /** Older than seven years and kept: the books, and the log. */
  kept: Record<string, number>;
}

const STEP = 200;

/**
 * Deletes full numbers for which nobody has to answer any more: seven whole calendar years after the year in which their
 * payout ended, or a W-9 last counted. The IRS asks for four years (Publication 15, Recordkeeping; W-9 instructions) and
 * the design document for seven. Payouts, payments, 1099s and the audit log hold no full number, and are kept.
 */
export class Retention {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** What may be deleted now; nothing is. */
  due(): Promise<Record<DueKind, number>> {
    return countDue(this.#database.reader);
  }

  /** In steps, each with its entries in the audit log; `isOver` ends it between two. */
  async apply(actor: Actor, isOver: () => boolean = () => false): Promise<RetentionReport> {
    const counts = { bank_details: 0, w9: 0 };
    while (!isOver()) {
      const deleted = await this.#step(actor);
      for (const { kind } of deleted) counts[kind] += 1;
      if (deleted.length === 0) break;
    }
    return {
      deletedBankDetails: counts.bank_details,
      deletedW9s: counts.w9,
      kept: await countKept(this.#database.reader),
    };
  }

  #step(actor: Actor) {
    return this.#database.transaction(async (tx) => {
      const deleted = await deleteDue(tx, STEP);
      for (const { kind, subject } of deleted) {
        const [entityId = subject, version] = subject.split(' version ');
        await recordAudit(tx, {
          actor,
          at: this.#clock.now(),
          entityType: kind === 'w9' ? 'tax_form' : 'payout',
          entityId,
          action: kind === 'w9' ? 'w9_deleted' : 'bank_info_deleted',
          ...(version === undefined ? {} : { oldValues: { bankDetailsVersion: Number(version) } }),
          newValues: { reason: 'Kept for seven years.' },
        });
      }
      return deleted;
    });
  }
}
