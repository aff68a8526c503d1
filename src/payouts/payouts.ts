import { closeAlert, type AlertCategory } from '../alerts/raise-alert.ts';
import { recordAudit, type AuditEntityType } from '../audit/record-audit.ts';
import type { Database, Reader, Tx } from '../db/client.ts';
import { actorLabel, type Actor, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import type { PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import { isVisibleToPayee, refusalOf, type PayoutAction } from './payout-actions-rules.ts';
import {
  changePayout,
  findCase,
  findIdForBankInfo,
  findLatestId,
  listCases,
  lockCase,
  lockOpenCasesOf,
  type PayoutFilter,
  type PayoutPatch,
} from './payout-store.ts';
import { viewPayout, type PayoutView } from './payout-view.ts';
import type { Payout, PayoutCase } from './payout.ts';

/** What a change of a payout is recorded as, in its own trail and in the audit log. */
export interface ChangeRecord {
  actor: Actor;
  action: string;
  entityType?: AuditEntityType;
  /** Goes into both records; never a full number. */
  details?: Record<string, unknown>;
}

/** Alerts about a payout that last as long as it is in a status. */
const ALERTS_WHILE: Partial<Record<PayoutStatus, readonly AlertCategory[]>> = {
  pending_approval: ['payout_created', 'approval_overdue'],
  payment_sent: ['payment_delayed'],
  completed: ['payment_completed'],
  requires_manual_review: ['manual_review'],
};

/** Work done under the payout's lock. An error that it returns, rather than throws, is told after the commit. */
export type PayoutWork<T> = (tx: Tx, subject: PayoutCase) => Promise<DomainError | T>;

/** The record of payouts: the one way to lock, change and show them. */
export class Payouts {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** As `actFor`; answers with the payout as the actor may see it afterwards. */
  act(
    actor: CallerActor,
    payoutId: string,
    action: PayoutAction,
    work: PayoutWork<void>,
    expected: { version?: number | undefined } = {},
  ): Promise<PayoutView> {
    const thenView: PayoutWork<PayoutView> = async (tx, subject) =>
      (await work(tx, subject)) ?? viewPayout(actor, await this.lock(tx, payoutId), { withTrail: true });
    return this.actFor(actor, payoutId, action, thenView, expected);
  }

  /**
   * Does `work` to a payout in one transaction, if this actor may do this action to it now.
   * Throws NOT_FOUND, FORBIDDEN, STALE_VERSION, INVALID_STATE or SEPARATION_OF_DUTIES, in that order.
   */
  async actFor<T>(
    actor: CallerActor,
    payoutId: string,
    action: PayoutAction,
    work: PayoutWork<T>,
    expected: { version?: number | undefined } = {},
  ): Promise<T> {
    const outcome = await this.#database.transaction(async (tx) => {
      const subject = await this.lock(tx, payoutId);
      this.#assertMay(actor, subject, action, expected.version);
      return work(tx, subject);
    });
    if (!(outcome instanceof DomainError)) return outcome;
    outcome.keepsEffects = true;
    throw outcome;
  }

  #assertMay(
    actor: CallerActor,
    subject: PayoutCase,
    action: PayoutAction,
    version: number | undefined,
  ): void {
    if (!isVisibleTo(actor, subject.payout)) throw notFound('payout', subject.payout.payoutId);
    const refusal = refusalOf(action, actor, subject);
    if (refusal?.code === 'FORBIDDEN') throw new DomainError(refusal.code, refusal.message);
    if (version !== undefined && version !== subject.payout.version) {
      throw new DomainError(
        'STALE_VERSION',
        'The payout has changed since you saw it. Read it again before you decide.',
        {
          currentVersion: subject.payout.version,
        },
      );
    }
    if (refusal) throw new DomainError(refusal.code, refusal.message);
  }

  /** Locks the payout until the transaction ends. Throws NOT_FOUND. */
  async lock(tx: Tx, payoutId: string): Promise<PayoutCase> {
    const subject = await lockCase(tx, payoutId);
    if (!subject) throw notFound('payout', payoutId);
    crashPoint('payout-locked');
    return subject;
  }

  lockOpenOf(tx: Tx, userId: string, statuses: readonly PayoutStatus[]): Promise<PayoutCase[]> {
    return lockOpenCasesOf(tx, userId, statuses);
  }

  /** Changes a payout by compare-and-set, with an entry in its own trail and in the audit log; closes the alerts that this ends. */
  async change(tx: Tx, payout: Payout, patch: PayoutPatch, record: ChangeRecord): Promise<Payout> {
    const at = this.#clock.now();
    const status = patch.status !== undefined && patch.status !== payout.status ? patch.status : undefined;
    const details = { ...record.details, ...(status ? { status } : {}) };
    const entry = {
      action: record.action,
      actor: actorLabel(record.actor),
      timestamp: at.toISOString(),
      details,
    };
    const changed = await changePayout(
      tx,
      payout,
      { ...patch, auditTrail: [...payout.auditTrail, entry] },
      at,
    );
    crashPoint('effect-written');
    await recordAudit(tx, {
      actor: record.actor,
      at,
      entityType: record.entityType ?? 'payout',
      entityId: payout.payoutId,
      action: record.action,
      oldValues: { status: payout.status, version: payout.version },
      newValues: { status: changed.status, version: changed.version, ...record.details },
    });
    if (status) {
      for (const category of ALERTS_WHILE[payout.status] ?? [])
        await closeAlert(tx, category, payout.payoutId, at);
    }
    return changed;
  }

  /** Throws NOT_FOUND where there is none, or none that the caller may see. */
  async get(actor: CallerActor, payoutId: string): Promise<PayoutView> {
    return viewPayout(actor, await this.find(actor, payoutId), { withTrail: true });
  }

  /** As `get`, with all that decides about the payout. */
  async find(
    actor: CallerActor,
    payoutId: string,
    reader: Reader = this.#database.reader,
  ): Promise<PayoutCase> {
    const subject = await findCase(reader, payoutId);
    if (!subject || !isVisibleTo(actor, subject.payout)) throw notFound('payout', payoutId);
    return subject;
  }

  /** The member's newest payout; staff also see one that is not approved yet. Throws NOT_FOUND. */
  async findLatestOf(
    actor: CallerActor,
    userId: string,
    reader: Reader = this.#database.reader,
  ): Promise<PayoutCase> {
    const payoutId = await findLatestId(reader, userId, actor.kind === 'staff' && actor.userId !== userId);
    const subject = payoutId && (await findCase(reader, payoutId));
    if (!subject) throw new DomainError('NOT_FOUND', 'The member has no payout.');
    return subject;
  }

  /** Of a member with two payouts it is the one that waits for bank details. Throws NOT_FOUND where none was approved. */
  async idForBankInfo(userId: string): Promise<string> {
    const payoutId = await findIdForBankInfo(this.#database.reader, userId);
    if (payoutId === undefined) throw new DomainError('NOT_FOUND', 'The member has no payout.');
    return payoutId;
  }

  async list(
    actor: CallerActor,
    filter: Omit<PayoutFilter, 'limit'> & { limit?: number | undefined },
  ): Promise<Page<PayoutView>> {
    const limit = filter.limit ?? DEFAULT_PAGE;
    const rows = await listCases(this.#database.reader, { ...filter, limit });
    return pageOf(
      rows,
      limit,
      ({ payout }) => [payout.createdAt.toISOString(), payout.payoutId],
      (subject) => viewPayout(actor, subject, { withTrail: false }),
    );
  }
}

const isVisibleTo = (actor: CallerActor, payout: Payout): boolean =>
  actor.kind === 'staff' ||
  (actor.kind === 'member' && actor.userId === payout.userId && isVisibleToPayee(payout));
