import { closeAlert } from '../alerts/raise-alert.ts';
import type { Tx } from '../db/client.ts';
import type { ApprovalEntry } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { CallerActor, StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import type { Cents } from '../kernel/money.ts';
import { enqueueFor, enqueueForStaff } from '../notifications/outbox.ts';
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
  readonly #clock: Clock;

  constructor(payouts: Payouts, progress: PayoutProgress, clock: Clock) {
    this.#payouts = payouts;
    this.#progress = progress;
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

  /** Opens the first round: writes to all who may decide. */
  async initializeApproval(tx: Tx, payout: Payout, initiator: StaffActor, winnerName: string): Promise<void> {
    const message = { payoutId: payout.payoutId, at: this.#clock.now() };
    await enqueueForStaff(
      tx,
      { roles: ['admin'] },
      {
        ...message,
        template: 'payouts-created',
        data: { payoutIds: payout.payoutId, winnerNames: winnerName, initiatedBy: initiator.email },
      },
    );
    await this.askForApproval(tx, payout, initiator.email);
  }

  /** Writes to all who may decide, but for the initiator and the payee. */
  async askForApproval(tx: Tx, payout: Payout, initiatedBy: string): Promise<void> {
    await enqueueForStaff(
      tx,
      {
        roles: ['admin', 'finance_manager'],
        exceptAdminIds: [payout.initiatedBy],
        exceptUserIds: [payout.userId],
      },
      {
        template: 'approval-wanted',
        payoutId: payout.payoutId,
        data: { grossAmount: formatUsd(payout.grossCents), initiatedBy },
        at: this.#clock.now(),
      },
    );
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
        if (payout.status === 'pending_approval') return;
        await closeAlert(tx, 'approval_overdue', payoutId, this.#clock.now());
        if (payout.status !== 'approved') return;
        await enqueueFor(tx, payout.userId, {
          template: 'winner',
          payoutId,
          data: {
            grossAmount: formatUsd(payout.grossCents),
            retentionFee: formatUsd(payout.retentionFeeCents),
          },
          at: this.#clock.now(),
        });
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
