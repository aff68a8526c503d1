import { PAYMENT_METHODS } from '../db/schema/index.ts';
import { actorLabel, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import type { PayoutStatus } from '../kernel/payout-lifecycle.ts';
import type { NotificationService } from '../notifications/notification-service.ts';
import { isMismatchOf, namesKey, payeeNames } from './payee-names-rules.ts';
import { withoutWithholding } from './payout-amounts-rules.ts';
import type { PayoutProgress } from './payout-progress.ts';
import { readPayeeFacts, standingOf } from './payout-requirements.ts';
import type { PayoutView } from './payout-view.ts';
import type { Payouts } from './payouts.ts';
import type { Payout } from './payout.ts';

/** What staff do to a payout by hand, beside approving and paying it: hold, resume, cancel, note. */
export class PayoutReview {
  readonly #payouts: Payouts;
  readonly #progress: PayoutProgress;
  readonly #notifications: NotificationService;
  readonly #clock: Clock;

  constructor(payouts: Payouts, progress: PayoutProgress, notifications: NotificationService, clock: Clock) {
    this.#payouts = payouts;
    this.#progress = progress;
    this.#notifications = notifications;
    this.#clock = clock;
  }

  hold(actor: CallerActor, payoutId: string, reason: string): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'hold', async (tx, subject) => {
      await this.#progress.hold(tx, subject, actor, reason);
    });
  }

  /**
   * Back to where the payout came from: to a new round of approvals, or to what is missing by now. The note also
   * accepts the names for which the payout was held, if they still are the same.
   */
  resume(actor: CallerActor, payoutId: string, note: string): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'resume', async (tx, { payout }) => {
      const payee = await readPayeeFacts(tx, payout.userId);
      const status = resumedStatus(payout.heldFrom, () => standingOf(payout, payee));
      // Instructions may have been asked for by another method than the payout's.
      const heldFor = PAYMENT_METHODS.map((method) => payeeNames(payout, payee, method)).find((names) =>
        isMismatchOf(payout.holdReason, names),
      );
      const resumed = await this.#payouts.change(
        tx,
        payout,
        {
          status,
          heldFrom: null,
          holdReason: null,
          ...(heldFor ? { acceptedNames: namesKey(heldFor) } : {}),
          ...(status === 'pending_approval' ? { approvalRound: payout.approvalRound + 1 } : {}),
          internalNotes: this.#withNote(payout, actor, note),
        },
        { actor, action: 'resumed', details: { note } },
      );
      // Of what was wanted already when it was held they have heard.
      if (status !== payout.heldFrom) await this.#progress.ask(tx, resumed);
      await this.#progress.wantAccount(tx, resumed);
      if (status === 'pending_approval')
        await this.#notifications.sendApprovalRequest(tx, resumed, `${actorLabel(actor)} (a new round)`);
    });
  }

  cancel(actor: CallerActor, payoutId: string, reason: string): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'cancel', async (tx, subject) => {
      await this.#progress.voidAttempt(tx, subject, `cancelled: ${reason}`);
      await this.#payouts.change(
        tx,
        subject.payout,
        { ...withoutWithholding(subject.payout), status: 'cancelled', heldFrom: null, holdReason: null },
        { actor, action: 'cancelled', details: { reason } },
      );
    });
  }

  note(actor: CallerActor, payoutId: string, note: string): Promise<PayoutView> {
    return this.#payouts.act(actor, payoutId, 'notes', async (tx, { payout }) => {
      await this.#payouts.change(
        tx,
        payout,
        { internalNotes: this.#withNote(payout, actor, note) },
        { actor, action: 'noted', details: { note } },
      );
    });
  }

  #withNote(payout: Payout, actor: CallerActor, note: string): Payout['internalNotes'] {
    if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff write notes.');
    return [
      ...payout.internalNotes,
      { adminId: actor.adminId, note, timestamp: this.#clock.now().toISOString() },
    ];
  }
}

function resumedStatus(heldFrom: PayoutStatus | null, standing: () => PayoutStatus): PayoutStatus {
  if (heldFrom === 'pending_approval' || heldFrom === 'payment_failed') return heldFrom;
  return standing();
}
