import { closeAlert, raiseAlert } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import { systemActor, type CallerActor } from '../kernel/actor.ts';
import { addDays, isoDateOf, startOfDay, type IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { enqueueFor } from '../notifications/outbox.ts';
import type { Payouts } from '../payouts/payouts.ts';
import {
  countAttempt,
  findPaymentOn,
  listDue,
  listToNotice,
  lockLastRemoval,
  markAttemptFailed,
  markNoticed,
  markRemoved,
  markReturned,
  readStanding,
  suspendRemoval,
  upsertRemoval,
  type RemovalRow,
} from './membership-store.ts';
import { removalDateFor } from './membership-rules.ts';
import type { SubscriptionGateway } from './subscription-gateway.ts';

/** The document's RemovalResult; dates are days. */
export interface RemovalResult {
  userId: string;
  payoutId: string;
  removalDate: IsoDate;
  removed: boolean;
  reason?: string;
}

/** The document's MembershipStatus; instants in ISO 8601. */
export interface MembershipStatus {
  userId: string;
  hasReceivedPayout: boolean;
  payoutDate?: string;
  scheduledRemovalDate?: string;
  isActive: boolean;
  canReactivate: boolean;
}

const SELF = systemActor('membership-manager');
const NOTICE_DAYS = 30;
const FAILURES_BEFORE_ALERT = 3;

/** Ends winners' memberships 12 calendar months after their payout, and takes them back when they pay again. */
export class MembershipManager {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #payouts: Payouts;
  readonly #gateway: SubscriptionGateway;
  readonly #logger: Logger;

  constructor(deps: {
    database: Database;
    clock: Clock;
    payouts: Payouts;
    gateway: SubscriptionGateway;
    logger: Logger;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#payouts = deps.payouts;
    this.#gateway = deps.gateway;
    this.#logger = deps.logger;
  }

  async scheduleMembershipRemoval(
    tx: Tx,
    userId: string,
    payoutId: string,
    completedDate: IsoDate,
  ): Promise<IsoDate> {
    const dueDate = removalDateFor(completedDate);
    await upsertRemoval(tx, { payoutId, userId, dueDate, createdAt: this.#clock.now() });
    return dueDate;
  }

  /** For a payout that came back. */
  suspendRemoval(tx: Tx, payoutId: string): Promise<void> {
    return suspendRemoval(tx, payoutId);
  }

  /** Writes to members whose membership ends within 30 days, once each. Returns how many. */
  async sendRemovalNotices(): Promise<number> {
    const now = this.#clock.now();
    let noticed = 0;
    for (const removal of await listToNotice(this.#database.reader, isoDateOf(addDays(now, NOTICE_DAYS)))) {
      await this.#database.transaction(async (tx) => {
        if (!(await markNoticed(tx, removal.id, now))) return;
        noticed += 1;
        const data = { removalDate: removal.dueDate };
        await enqueueFor(tx, removal.userId, {
          template: 'removal-notice',
          payoutId: removal.payoutId,
          data,
          at: now,
        });
        await this.#audit(tx, removal, 'removal_noticed');
      });
    }
    return noticed;
  }

  /** The daily job: removes every due membership, each by itself, going on when one fails. */
  async checkMembershipRemovals(): Promise<RemovalResult[]> {
    const results: RemovalResult[] = [];
    for (const removal of await listDue(this.#database.reader, isoDateOf(this.#clock.now()))) {
      results.push(await this.removeMembership(removal));
    }
    return results;
  }

  /** Recorded before and after the call; the removal's id is the idempotency key of the call. */
  async removeMembership(removal: RemovalRow): Promise<RemovalResult> {
    const result = { userId: removal.userId, payoutId: removal.payoutId, removalDate: removal.dueDate };
    const due = await this.#database.transaction((tx) => countAttempt(tx, removal.id));
    if (!due) return { ...result, removed: false, reason: 'No longer due.' };
    try {
      await this.#gateway.cancelMembership(removal.userId, removal.id);
    } catch (error) {
      this.#logger.warn('A membership could not be removed; it stays due.', {
        payoutId: removal.payoutId,
        ...errorFields(error),
      });
      await this.#recordFailure(due, error instanceof Error ? error.message : 'unknown');
      return { ...result, removed: false, reason: 'The subscription service did not end it; it stays due.' };
    }
    await this.#database.transaction((tx) => this.#recordRemoval(tx, due));
    return { ...result, removed: true };
  }

  async #recordRemoval(tx: Tx, removal: RemovalRow): Promise<void> {
    const at = this.#clock.now();
    if (!(await markRemoved(tx, removal.id, at))) return;
    const { payout } = await this.#payouts.lock(tx, removal.payoutId);
    const processing = { ...payout.processing, membership_removed: true };
    await this.#payouts.change(tx, payout, { processing }, { actor: SELF, action: 'membership_removed' });
    await this.#audit(tx, removal, 'removed');
    await closeAlert(tx, 'removal_failing', removal.payoutId, at);
    const data = { removedDate: isoDateOf(at) };
    await enqueueFor(tx, removal.userId, {
      template: 'membership-removed',
      payoutId: removal.payoutId,
      data,
      at,
    });
  }

  async #recordFailure(removal: RemovalRow, reason: string): Promise<void> {
    await this.#database.transaction(async (tx) => {
      await markAttemptFailed(tx, removal.id, reason.slice(0, 300));
      await this.#audit(tx, removal, 'removal_failed', false);
      if (removal.attempts < FAILURES_BEFORE_ALERT) return;
      await raiseAlert(tx, {
        severity: 'warning',
        category: 'removal_failing',
        title: 'A membership cannot be ended',
        message: `The membership for payout ${removal.payoutId} could not be ended ${removal.attempts} times. It stays due.`,
        details: { payoutId: removal.payoutId },
        subject: removal.payoutId,
        at: this.#clock.now(),
      });
    });
  }

  /**
   * A removed member has paid again: their new tenure starts with that payment. Reporting it again changes nothing.
   * Throws NOT_FOUND, MEMBERSHIP_NOT_REMOVED or NO_NEW_PAYMENT.
   */
  async reactivateMembership(
    actor: CallerActor,
    userId: string,
    paymentDate: Date,
  ): Promise<MembershipStatus> {
    return this.#database.transaction(async (tx) => {
      if (!(await readStanding(tx, userId))) throw notFound('user', userId);
      const removal = await lockLastRemoval(tx, userId);
      const day = isoDateOf(paymentDate);
      if (!removal?.removedAt) throw notRemoved();
      if (removal.returnedAt) {
        if (isoDateOf(removal.returnedAt) !== day) throw notRemoved();
        return this.#status(tx, userId);
      }
      const paidAt = await findPaymentOn(tx, userId, day, removal.removedAt);
      if (!paidAt) {
        throw new DomainError(
          'NO_NEW_PAYMENT',
          `There is no succeeded payment of ${day} after the removal. Report it once it has succeeded.`,
        );
      }
      await markReturned(tx, removal.id, paidAt);
      await this.#audit(tx, removal, 'reactivated', true, actor, { paymentDate: paidAt.toISOString() });
      return this.#status(tx, userId);
    });
  }

  /** Throws NOT_FOUND for an unknown user. */
  getMembershipStatus(userId: string): Promise<MembershipStatus> {
    return this.#status(this.#database.reader, userId);
  }

  async #status(reader: Parameters<typeof readStanding>[0], userId: string): Promise<MembershipStatus> {
    const standing = await readStanding(reader, userId);
    if (!standing) throw notFound('user', userId);
    const { isActive, payout, removal } = standing;
    // What was won in an earlier tenure does not count in a new one.
    const inTenure =
      payout && !(removal?.payoutId === payout.payoutId && removal.returnedAt) ? payout : undefined;
    const scheduled = removal?.status === 'scheduled' ? removal.dueDate : undefined;
    return {
      userId,
      hasReceivedPayout: inTenure !== undefined,
      ...(inTenure?.completedDate ? { payoutDate: startOfDay(inTenure.completedDate).toISOString() } : {}),
      ...(scheduled ? { scheduledRemovalDate: startOfDay(scheduled).toISOString() } : {}),
      isActive,
      canReactivate: removal?.status === 'removed' && removal.returnedAt === null,
    };
  }

  async #audit(
    tx: Tx,
    removal: RemovalRow,
    action: string,
    success = true,
    actor: CallerActor | typeof SELF = SELF,
    values: Record<string, unknown> = {},
  ): Promise<void> {
    await recordAudit(tx, {
      actor,
      at: this.#clock.now(),
      entityType: 'membership',
      entityId: removal.userId,
      action,
      success,
      newValues: {
        payoutId: removal.payoutId,
        dueDate: removal.dueDate,
        attempts: removal.attempts,
        ...values,
      },
    });
  }
}

const notRemoved = () =>
  new DomainError(
    'MEMBERSHIP_NOT_REMOVED',
    'The membership was never removed, or the member is active again already.',
  );
