import type { Tx } from '../db/client.ts';
import type { ApprovalEntry } from '../db/schema/index.ts';
import type { CallerActor, StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import type { Cents } from '../kernel/money.ts';
import type { NotificationService } from '../notifications/notification-service.ts';
import type { PayoutProgress } from '../payouts/payout-progress.ts';
import type { PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { Payout, PayoutCase } from '../payouts/payout.ts';
import { approvalsNeeded, approvedHash } from './approval-rules.ts';
import { insertApproval } from './approval-store.ts';

/** What an approver says. `version` is the one that they saw. */
export interface ApprovalDecision {
  approved: boolean;
  reason?: string | undefined;
  version?: number | undefined;
}

/** The document's ApprovalStatus; people by their adminId. */
export interface ApprovalStatus {
  isComplete: boolean;
  isApproved: boolean;
  requiredApprovals: number;
  currentApprovals: number;
  completedApprovals: ApprovalEntry[];
}

/** Four eyes on every payout of $100,000 or more. */
export class ApprovalManager {
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

  /** `amount` in cents. */
  approvalsNeeded(amountCents: Cents): number {
    return approvalsNeeded(amountCents);
  }

  /** Every payout needs at least one. */
  requiresApproval(amountCents: Cents): boolean {
    return approvalsNeeded(amountCents) > 0;
  }

  /** Opens the first round: asks all who may decide. */
  initializeApproval(tx: Tx, payout: Payout, initiator: StaffActor): Promise<void> {
    return this.#notifications.sendApprovalRequest(tx, payout, initiator.email);
  }

  /**
   * Records one person's decision. The last approval moves the payout on at once; any rejection ends it.
   * Throws what `Payouts.act` throws.
   */
  submitApproval(actor: CallerActor, payoutId: string, decision: ApprovalDecision): Promise<PayoutView> {
    const action = decision.approved ? 'approve' : 'reject';
    return this.#payouts.act(
      actor,
      payoutId,
      action,
      async (tx, subject) => {
        if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff decide on payouts.');
        const payout = await this.#record(tx, actor, subject, decision);
        if (payout.status !== 'approved') return;
        await this.#notifications.sendWinnerNotification(tx, payout);
        await this.#progress.advance(tx, payout);
      },
      { version: decision.version },
    );
  }

  /** How far the current round is. Throws NOT_FOUND. */
  async checkApprovalStatus(actor: CallerActor, payoutId: string): Promise<ApprovalStatus> {
    const { payout } = await this.#payouts.find(actor, payoutId);
    const completedApprovals = payout.approvalWorkflow.filter(({ round }) => round === payout.approvalRound);
    const currentApprovals = completedApprovals.filter(({ decision }) => decision === 'approved').length;
    const isApproved = currentApprovals >= payout.requiredApprovals;
    return {
      isComplete: isApproved || completedApprovals.some(({ decision }) => decision === 'rejected'),
      isApproved,
      requiredApprovals: payout.requiredApprovals,
      currentApprovals,
      completedApprovals,
    };
  }

  async #record(tx: Tx, actor: StaffActor, subject: PayoutCase, given: ApprovalDecision): Promise<Payout> {
    const { payout, approvals } = subject;
    const decision = given.approved ? ('approved' as const) : ('rejected' as const);
    const now = this.#clock.now();
    await insertApproval(tx, {
      payoutId: payout.payoutId,
      round: payout.approvalRound,
      adminId: actor.adminId,
      decision,
      reason: given.reason ?? null,
      decidedAt: now,
      approvedHash: approvedHash(payout),
    });
    const reason = given.reason === undefined ? {} : { reason: given.reason };
    const entry = {
      adminId: actor.adminId,
      decision,
      ...reason,
      timestamp: now.toISOString(),
      round: payout.approvalRound,
    };
    const count =
      approvals.filter((approval) => approval.decision === 'approved').length + (given.approved ? 1 : 0);
    const complete = given.approved && count >= payout.requiredApprovals;
    return this.#payouts.change(
      tx,
      payout,
      {
        approvalWorkflow: [...payout.approvalWorkflow, entry],
        ...(given.approved
          ? complete
            ? { status: 'approved' as const, approvedAt: now }
            : {}
          : { status: 'rejected' as const }),
      },
      {
        actor,
        action: decision,
        entityType: 'approval',
        details: {
          decision,
          ...reason,
          round: payout.approvalRound,
          approvals: `${count} of ${payout.requiredApprovals}`,
        },
      },
    );
  }
}
