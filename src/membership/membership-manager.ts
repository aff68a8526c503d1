import { setTimeout as sleep } from 'node:timers/promises';
import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database, Tx } from '../db/client.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { addDays, isoDateOf, startOfDay, type IsoDate } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { inParallel } from '../kernel/in-parallel.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import type { Payouts } from '../payouts/payouts.ts';
import {
  countAttempt,
  findPaymentOn,
  forgetCall,
  hasLiveSubscription,
  listDue,
  listToNotice,
  listUnclear,
  lockLastRemoval,
  markReturned,
  readStanding,
  suspendRemoval,
  takeAttemptBack,
  upsertRemoval,
  type RemovalRow,
} from './membership-store.ts';
import { removalDateFor } from './membership-rules.ts';
import { auditRemoval, recordFailure, recordNotice, recordRemoval } from './removal-record.ts';
import { PAUSE_MS, SubscriptionPaused, SubscriptionRefused } from './subscription-faults.ts';
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

/** Who watches a long run: it may be told to stop, and tells how far it is. */
export interface RunWatch {
  signal: AbortSignal;
  progress: (figures: Record<string, unknown>) => void;
}

const NOBODY: RunWatch = { signal: new AbortController().signal, progress: () => {} };
const NOTICE_DAYS = 30;
const BATCH = 500;
/** Removals at a time: enough to wait for many answers at once, and to leave connections for those who wait for us. */
const AT_A_TIME = 6;
/** How often a run waits for a subscription service that fails, before it leaves the rest to the next run. */
const MOST_PAUSES = 10;
/** By then the shared tables show whether a call that was not answered ended a membership. */
const UNCLEAR_DAYS = 1;

/** Ends winners' memberships 12 calendar months after their payout, and takes them back when they pay again. */
export class MembershipManager {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #payouts: Payouts;
  readonly #gateway: SubscriptionGateway;
  readonly #logger: Logger;
  readonly #pauseMs: number;

  constructor(deps: {
    database: Database;
    clock: Clock;
    payouts: Payouts;
    gateway: SubscriptionGateway;
    logger: Logger;
    pauseMs?: number;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#payouts = deps.payouts;
    this.#gateway = deps.gateway;
    this.#logger = deps.logger;
    this.#pauseMs = deps.pauseMs ?? PAUSE_MS;
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
  async suspendRemoval(tx: Tx, payoutId: string): Promise<void> {
    await suspendRemoval(tx, payoutId);
    await closeAlert(tx, 'removal_failing', payoutId, this.#clock.now());
  }

  /** Writes to members whose membership ends within 30 days, once each. Returns how many. */
  async sendRemovalNotices({ signal }: RunWatch = NOBODY): Promise<number> {
    const now = this.#clock.now();
    const until = isoDateOf(addDays(now, NOTICE_DAYS));
    let noticed = 0;
    for (;;) {
      const batch = await listToNotice(this.#database.reader, isoDateOf(now), until, BATCH);
      const before = noticed;
      const notice = async (removal: RemovalRow) => {
        if (await this.#database.transaction((tx) => recordNotice(tx, removal, now))) noticed += 1;
      };
      await inParallel(batch, AT_A_TIME, notice, signal);
      // Where nothing was ours, another instance is at it.
      if (batch.length < BATCH || noticed === before || signal.aborted) return noticed;
    }
  }

  /** The daily job: removes every due membership, each by itself, going on when one fails. */
  async checkMembershipRemovals(watch: RunWatch = NOBODY): Promise<RemovalResult[]> {
    await this.#settleUnclear();
    const today = isoDateOf(this.#clock.now());
    const results: RemovalResult[] = [];
    let removed = 0;
    const pauses = new Pauses(this.#pauseMs, watch.signal);
    let last: RemovalRow | undefined;
    do {
      const batch = await listDue(this.#database.reader, today, last, BATCH);
      const remove = async (removal: RemovalRow) => {
        const result = await this.#removeUnlessPaused(removal, pauses);
        if (result.removed) removed += 1;
        watch.progress({ done: results.push(result), removed });
      };
      await inParallel(batch, AT_A_TIME, remove, watch.signal);
      last = batch.length === BATCH ? batch.at(-1) : undefined;
    } while (last && !watch.signal.aborted);
    return results;
  }

  async #removeUnlessPaused(removal: RemovalRow, pauses: Pauses): Promise<RemovalResult> {
    for (;;) {
      const result = await this.removeMembership(removal).catch((error: unknown) => {
        // One that cannot be recorded keeps nobody else; the next run asks again, with the same key.
        this.#logger.error('A removal could not be recorded.', {
          payoutId: removal.payoutId,
          ...errorFields(error),
        });
        const { userId, payoutId, dueDate: removalDate } = removal;
        return { userId, payoutId, removalDate, removed: false, reason: 'It could not be recorded.' };
      });
      if (result.reason !== PAUSED || !(await pauses.wait())) return result;
    }
  }

  /** Recorded before and after the call; the removal's id is the idempotency key of the call. */
  async removeMembership(removal: RemovalRow): Promise<RemovalResult> {
    const result = { userId: removal.userId, payoutId: removal.payoutId, removalDate: removal.dueDate };
    const startedAt = this.#clock.now();
    const due = await this.#database.transaction(async (tx) => {
      const counted = await countAttempt(tx, removal.id, isoDateOf(startedAt), startedAt);
      if (counted) await auditRemoval(tx, counted, 'removal_requested', startedAt);
      return counted;
    });
    if (!due) return { ...result, removed: false, reason: 'No longer due.' };
    try {
      await this.#gateway.cancelMembership(removal.userId, removal.id);
    } catch (error) {
      return { ...result, removed: false, reason: await this.#failed(due, error) };
    }
    await this.#database.transaction((tx) =>
      recordRemoval(tx, this.#payouts, due, startedAt, this.#clock.now()),
    );
    return { ...result, removed: true };
  }

  async #failed(removal: RemovalRow, error: unknown): Promise<string> {
    if (error instanceof SubscriptionPaused) {
      await this.#database.transaction((tx) => takeAttemptBack(tx, removal.id));
      return PAUSED;
    }
    this.#logger.warn('A membership could not be removed; it stays due.', {
      payoutId: removal.payoutId,
      ...errorFields(error),
    });
    const failure = {
      reason: error instanceof Error ? error.message : 'unknown',
      isUnclear: !(error instanceof SubscriptionRefused),
    };
    await this.#database.transaction((tx) => recordFailure(tx, removal, failure, this.#clock.now()));
    return 'The subscription service did not end it; it stays due.';
  }

  /**
   * Payouts that came back after the subscription service was asked, and before its answer was recorded: the shared
   * tables say what it did.
   */
  async #settleUnclear(): Promise<void> {
    const now = this.#clock.now();
    for (const removal of await listUnclear(this.#database.reader, isoDateOf(now), BATCH)) {
      const { callStartedAt } = removal;
      if (!callStartedAt) continue;
      await this.#database.transaction(async (tx) => {
        if (!(await hasLiveSubscription(tx, removal.userId))) {
          await recordRemoval(tx, this.#payouts, removal, callStartedAt, now);
        } else if (callStartedAt < addDays(now, -UNCLEAR_DAYS)) await forgetCall(tx, removal.id);
      });
    }
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
      if (!removal?.removedAt) throw notRemoved('The membership was never removed after a payout.');
      if (removal.returnedAt) {
        const since = isoDateOf(removal.returnedAt);
        if (since !== day) throw notRemoved(`The member is active again already, since ${since}.`);
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
      const values = { paymentDate: paidAt.toISOString() };
      const at = this.#clock.now();
      await auditRemoval(tx, removal, 'reactivated', at, { actor, values });
      await closeAlert(tx, 'removal_after_return', removal.id, at);
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
    const { isActive, payout, scheduled, removed } = standing;
    // What was won in an earlier tenure does not count in a new one.
    const inTenure =
      payout && !(removed?.payoutId === payout.payoutId && removed.returnedAt) ? payout : undefined;
    return {
      userId,
      hasReceivedPayout: inTenure !== undefined,
      ...(inTenure?.completedDate ? { payoutDate: startOfDay(inTenure.completedDate).toISOString() } : {}),
      ...(scheduled ? { scheduledRemovalDate: startOfDay(scheduled.dueDate).toISOString() } : {}),
      isActive,
      canReactivate: removed !== undefined && removed.returnedAt === null,
    };
  }
}

const PAUSED = 'The subscription service fails; nothing was asked of it. It stays due.';

/** Waits of a run, which all its removals share. */
class Pauses {
  readonly #ms: number;
  readonly #signal: AbortSignal;
  #left = MOST_PAUSES;
  #current: Promise<boolean> | undefined;

  constructor(ms: number, signal: AbortSignal) {
    this.#ms = ms;
    this.#signal = signal;
  }

  /** False when there has been enough waiting. */
  wait(): Promise<boolean> {
    return (this.#current ??= this.#pause().finally(() => (this.#current = undefined)));
  }

  async #pause(): Promise<boolean> {
    if (this.#left === 0 || this.#signal.aborted) return false;
    this.#left -= 1;
    await sleep(this.#ms, undefined, { signal: this.#signal }).catch(() => undefined);
    return !this.#signal.aborted;
  }
}

const notRemoved = (message: string) => new DomainError('MEMBERSHIP_NOT_REMOVED', message);
