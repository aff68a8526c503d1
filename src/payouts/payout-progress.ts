import type { Tx } from '../db/client.ts';
import { systemActor, type Actor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { canMove, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { NotificationService } from '../notifications/notification-service.ts';
import { changeAttempt } from './record-attempt.ts';
import { withoutWithholding } from './payout-amounts-rules.ts';
import { readPayeeFacts, standingOf, type Standing } from './payout-requirements.ts';
import type { PayoutPatch } from './payout-store.ts';
import type { Payouts } from './payouts.ts';
import type { Payout, PayoutCase } from './payout.ts';

const SELF = systemActor('payout-progress');
const STANDINGS: readonly PayoutStatus[] = ['approved', 'pending_bank_info', 'pending_tax_info'];

/** Moves that follow by themselves from what is there and what is missing. */
export class PayoutProgress {
  readonly #payouts: Payouts;
  readonly #notifications: NotificationService;
  readonly #clock: Clock;

  constructor(payouts: Payouts, notifications: NotificationService, clock: Clock) {
    this.#payouts = payouts;
    this.#notifications = notifications;
    this.#clock = clock;
  }

  /** Looks at what is missing and moves an approved payout to where it stands. Tells the member what is wanted. */
  async advance(tx: Tx, payout: Payout): Promise<Payout> {
    if (!STANDINGS.includes(payout.status)) return payout;
    const payee = await readPayeeFacts(tx, payout.userId);
    const standing = standingOf(payout, payee);
    if (standing === payout.status) return payout;
    if (canMove(payout.status, standing)) return this.#moveTo(tx, payout, standing);
    // An address that went while the W-9 was reviewed: back by way of approved, which the W-9 must have opened.
    if (!payee.w9) return payout;
    return this.#moveTo(tx, await this.#moveTo(tx, payout, 'approved'), standing);
  }

  async #moveTo(tx: Tx, payout: Payout, standing: Standing): Promise<Payout> {
    const moved = await this.#payouts.change(
      tx,
      payout,
      { status: standing },
      { actor: SELF, action: 'advanced' },
    );
    await this.ask(tx, moved);
    return moved;
  }

  /** Makes the live instructions void because `reason`, takes back what they withheld, and moves to what is missing. */
  async voidInstructions(
    tx: Tx,
    subject: PayoutCase,
    actor: Actor,
    reason: string,
    extra: PayoutPatch = {},
  ): Promise<Payout> {
    const { payout } = subject;
    const changed = { ...payout, ...extra };
    const standing = standingOf(changed, await readPayeeFacts(tx, payout.userId));
    await this.voidAttempt(tx, subject, reason);
    const moved = await this.#payouts.change(
      tx,
      payout,
      { ...withoutWithholding(payout), ...extra, status: standing },
      { actor, action: 'instructions_voided', entityType: 'payment', details: { reason } },
    );
    await this.ask(tx, moved);
    return moved;
  }

  /** Takes the account, which was refused, out of a payout that is to be paid yet, and asks the member for another one. */
  async takeAccount(tx: Tx, subject: PayoutCase, actor: Actor): Promise<Payout> {
    const { payout, liveAttempt } = subject;
    const none = { bankDetails: null, bankDetailsVersion: null };
    // Instructions by check hold without it.
    if (liveAttempt?.paymentMethod === 'ach')
      return this.voidInstructions(tx, subject, actor, 'the account was refused', none);
    const taken = await this.#payouts.change(tx, payout, none, { actor, action: 'bank_details_refused' });
    return this.advance(tx, await this.wantAccount(tx, taken));
  }

  /** A payment that failed is not sent again to no account: the member is asked for one. */
  async wantAccount(tx: Tx, payout: Payout): Promise<Payout> {
    const { status, paymentMethod, bankDetailsVersion } = payout;
    if (status !== 'payment_failed' || paymentMethod !== 'ach' || bankDetailsVersion !== null) return payout;
    return this.#moveTo(tx, payout, 'pending_bank_info');
  }

  async voidAttempt(tx: Tx, { liveAttempt }: PayoutCase, reason: string): Promise<void> {
    if (liveAttempt?.status !== 'ready') return;
    await changeAttempt(tx, liveAttempt, {
      status: 'voided',
      voidedAt: this.#clock.now(),
      voidReason: reason,
    });
  }

  /** Puts a payout aside for a person to look at, from whatever status allows it. */
  async hold(tx: Tx, subject: PayoutCase, actor: Actor, reason: string): Promise<Payout> {
    const { payout } = subject;
    await this.voidAttempt(tx, subject, `held: ${reason}`);
    const held = await this.#payouts.change(
      tx,
      payout,
      {
        ...withoutWithholding(payout),
        status: 'requires_manual_review',
        heldFrom: payout.status,
        holdReason: reason,
      },
      { actor, action: 'held', details: { reason, heldFrom: payout.status } },
    );
    const { payoutId } = payout;
    await alertStaff(
      tx,
      {
        severity: 'warning',
        category: 'manual_review',
        title: `Payout ${payoutId} needs a look`,
        message: `Payout ${payoutId} was held: ${reason}`,
        details: { payoutId },
        subject: payoutId,
        at: this.#clock.now(),
      },
      {
        to: { roles: ['admin', 'finance_manager'], exceptUserIds: [payout.userId] },
        payoutId,
        message: { template: 'manual-review', data: { reason } },
      },
    );
    return held;
  }

  /** Tells the member what is wanted of them, if anything is. */
  async ask(tx: Tx, payout: Payout): Promise<void> {
    if (payout.status === 'pending_bank_info') await this.#notifications.sendBankInfoRequest(tx, payout);
    if (payout.status === 'pending_tax_info') await this.#notifications.sendTaxInfoRequest(tx, payout);
  }
}
