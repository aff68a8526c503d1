import type { ApprovalManager } from '../approvals/approval-manager.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Tx } from '../db/client.ts';
import type { EligibilitySnapshot, PaymentMethod } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { EligibilityChecker } from '../eligibility/eligibility-checker.ts';
import { actorLabel, type StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { newPayoutId } from '../kernel/ids.ts';
import { decimalFromCents, dollars, type Cents } from '../kernel/money.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import { payoutAmounts, processingAmounts } from '../payouts/payout-amounts-rules.ts';
import { viewPayout, type PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { QueueMember } from '../queue/queue-member.ts';
import { insertPayout } from './initiation-store.ts';

interface Reward {
  rewardPerWinnerCents: Cents;
  retentionFeeCents: Cents;
}

/** What an award rests on, judged in its own transaction. */
export type AwardVerdict = Awaited<ReturnType<EligibilityChecker['judge']>>;
export type PassedOverFacts = Pick<EligibilitySnapshot, 'passedOverCount' | 'passedOver'>;

/** A chosen member, and the numbered piece of revenue that is theirs. */
export interface Award {
  member: QueueMember;
  tranche: number;
  paymentMethod: PaymentMethod;
  overrideReason: string | undefined;
  passedOver: PassedOverFacts;
}

/** Writes a choice down: the payout, why it was made, its audit entry, the alert, and its first round of approval. */
export class PayoutAward {
  readonly #clock: Clock;
  readonly #reward: Reward;
  readonly #payouts: Payouts;
  readonly #approvals: ApprovalManager;

  constructor(clock: Clock, reward: Reward, payouts: Payouts, approvals: ApprovalManager) {
    this.#clock = clock;
    this.#reward = reward;
    this.#payouts = payouts;
    this.#approvals = approvals;
  }

  /** Who is chosen, and that it is funded, was decided in the same transaction. */
  async create(tx: Tx, actor: StaffActor, verdict: AwardVerdict, award: Award): Promise<PayoutView> {
    const { member, paymentMethod, overrideReason } = award;
    const now = this.#clock.now();
    const snapshot = this.#snapshot(award, verdict, now);
    const payoutId = newPayoutId(now);
    const amounts = payoutAmounts(this.#reward.rewardPerWinnerCents, this.#reward.retentionFeeCents, 0);
    await insertPayout(tx, {
      payoutId,
      userId: member.userId,
      queuePosition: member.queuePosition,
      amount: decimalFromCents(amounts.grossCents),
      retentionFee: decimalFromCents(amounts.retentionFeeCents),
      netAmount: decimalFromCents(amounts.netCents),
      status: 'pending_approval',
      paymentMethod,
      eligibilityCheck: snapshot,
      processing: processingAmounts(amounts),
      auditTrail: [
        {
          action: 'created',
          actor: actorLabel(actor),
          timestamp: now.toISOString(),
          details: { status: 'pending_approval' },
        },
      ],
      initiatedBy: actor.adminId,
      fundingTranche: award.tranche,
      tenureNumber: member.tenureNumber,
      requiredApprovals: this.#approvals.approvalsNeeded(amounts.grossCents),
      createdAt: now,
      updatedAt: now,
    });
    await recordAudit(tx, {
      actor,
      at: now,
      entityType: 'payout',
      entityId: payoutId,
      action: 'created',
      newValues: {
        status: 'pending_approval',
        userId: member.userId,
        queuePosition: member.queuePosition,
        grossAmount: dollars(amounts.grossCents),
        netAmount: dollars(amounts.netCents),
        retentionFee: dollars(amounts.retentionFeeCents),
        fundingTranche: award.tranche,
        paymentMethod,
        overrideReason,
      },
    });
    await alertStaff(
      tx,
      {
        severity: 'info',
        category: 'payout_created',
        title: `Payout ${payoutId} created`,
        message: `Payout ${payoutId} of ${formatUsd(amounts.grossCents)} waits for approval.`,
        details: { payoutId },
        subject: payoutId,
        at: now,
      },
      {
        to: { roles: ['admin'], exceptUserIds: [member.userId] },
        payoutId,
        message: {
          template: 'payouts-created',
          data: { payoutIds: payoutId, winnerNames: member.fullName, initiatedBy: actor.email },
        },
      },
    );
    const created = await this.#payouts.lock(tx, payoutId);
    await this.#approvals.initializeApproval(tx, created.payout, actor);
    return viewPayout(actor, created, { withTrail: true });
  }

  #snapshot(
    { member, tranche, overrideReason, passedOver }: Award,
    verdict: AwardVerdict,
    now: Date,
  ): EligibilitySnapshot {
    return {
      totalRevenue: dollars(verdict.revenueCents),
      companyAgeMonths: verdict.companyAgeMonths,
      queuePosition: member.queuePosition,
      tenureStartDate: member.tenureStartDate.toISOString(),
      totalPayments: member.totalPayments,
      lifetimeTotal: dollars(member.lifetimeTotalCents),
      selectionCriteria:
        'Queue order; active subscription, no payout in this tenure, KYC verified, at least 12 payments.',
      timestamp: now.toISOString(),
      subscriptionStatus: member.subscriptionStatus,
      potentialWinners: verdict.potentialWinners,
      awardedPayouts: verdict.awardedPayouts,
      fundingTranche: tranche,
      rewardPerWinner: dollars(this.#reward.rewardPerWinnerCents),
      ...(overrideReason === undefined ? {} : { overrideReason }),
      ...passedOver,
    };
  }
}
