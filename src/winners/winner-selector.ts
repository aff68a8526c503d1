import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import type { EligibilitySnapshot, PaymentMethod } from '../db/schema/index.ts';
import { formatUsd } from '../documents/money-words.ts';
import type { EligibilityChecker } from '../eligibility/eligibility-checker.ts';
import { actorLabel, type CallerActor, type StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { newPayoutId } from '../kernel/ids.ts';
import { decimalFromCents, dollars, type Cents } from '../kernel/money.ts';
import { DEFAULT_PAGE, decodeCursor, invalidCursor, pageOf, type Page } from '../kernel/paging.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { ApprovalManager } from '../approvals/approval-manager.ts';
import { payoutAmounts, processingAmounts } from '../payouts/payout-amounts-rules.ts';
import { viewPayout, type PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { MemberQueue } from '../queue/member-queue.ts';
import type { QueueMember, QueuePlace } from '../queue/queue-member.ts';
import { placeFrom } from '../queue/queue-place-rules.ts';
import type { Validation } from './candidate.ts';
import { insertPayout, lockInitiation, takenTranches } from './initiation-store.ts';
import { freeTranches, NOT_IN_QUEUE, passedOver, validateMember } from './winner-rules.ts';

/** The document's Winner, amounts in dollars, with whether they can be chosen. */
export interface Candidate {
  userId: string;
  email: string;
  fullName: string;
  queuePosition: number;
  tenureStartDate: string;
  lastPaymentDate: string;
  totalPayments: number;
  lifetimeTotal: number;
  subscriptionStatus: string;
  validation: Validation;
}

export interface Initiation {
  userIds: readonly string[];
  paymentMethod?: PaymentMethod | undefined;
  overrideReason?: string | undefined;
}

interface Reward {
  rewardPerWinnerCents: Cents;
  retentionFeeCents: Cents;
}

/** How many of those passed over the snapshot names; the rest are counted. */
const NAMED_IN_SNAPSHOT = 100;

type Verdict = Awaited<ReturnType<EligibilityChecker['judge']>>;
type SettledQueue = ReturnType<MemberQueue['settled']>;

/** Who stands ahead of the chosen and was not chosen. */
interface PassedOver {
  /** The first of them, valid or not, and the first of those that are valid; in queue order. */
  first: QueueMember[];
  firstValid: QueueMember[];
  /** How many candidates stand ahead of each chosen member, chosen or not. */
  candidatesAhead: ReadonlyMap<string, number>;
}

/** Shows the queue to an admin and turns the admin's choice into payouts that wait for approval. */
export class WinnerSelector {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #reward: Reward;
  readonly #queue: MemberQueue;
  readonly #eligibility: EligibilityChecker;
  readonly #payouts: Payouts;
  readonly #approvals: ApprovalManager;

  constructor(deps: {
    database: Database;
    clock: Clock;
    reward: Reward;
    queue: MemberQueue;
    eligibility: EligibilityChecker;
    payouts: Payouts;
    approvals: ApprovalManager;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#reward = deps.reward;
    this.#queue = deps.queue;
    this.#eligibility = deps.eligibility;
    this.#payouts = deps.payouts;
    this.#approvals = deps.approvals;
  }

  /** The next `count` members who could be looked at, in queue order, valid or not. */
  async selectWinners(count: number): Promise<Candidate[]> {
    return (await this.#queue.candidates({ limit: count })).map(toCandidate);
  }

  async listCandidates(page: {
    limit?: number | undefined;
    cursor?: string | undefined;
  }): Promise<Page<Candidate>> {
    const limit = page.limit ?? DEFAULT_PAGE;
    const after = page.cursor === undefined ? undefined : placeIn(page.cursor);
    const members = await this.#queue.candidates({ after, limit: limit + 1 });
    return pageOf(members, limit, ({ place }) => [place.tenureStart, place.userId], toCandidate);
  }

  async validateWinner(userId: string): Promise<Validation> {
    const [member] = await this.#queue.find([userId]);
    return member ? validateMember(member) : NOT_IN_QUEUE;
  }

  /**
   * Creates a payout for each chosen member, all or none. Queue, validity and funding are read again under the lock.
   * Throws NOT_ELIGIBLE, NO_FUNDED_SLOT, INVALID_WINNER, QUEUE_ORDER_OVERRIDE_REQUIRED or SEPARATION_OF_DUTIES.
   */
  async createPayoutRecords(actor: CallerActor, choice: Initiation): Promise<PayoutView[]> {
    if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff initiate payouts.');
    // A UUID may be written in capitals; the database answers in small letters.
    const userIds = choice.userIds.map((userId) => userId.toLowerCase());
    if (userIds.includes(actor.userId)) {
      throw new DomainError(
        'SEPARATION_OF_DUTIES',
        'Nobody initiates a payout to themselves. Another admin can.',
      );
    }
    return this.#database.transaction(async (tx) => {
      await lockInitiation(tx);
      // Read before the funding: what is awarded in between then takes the same tranche, and the index refuses one.
      const taken = await takenTranches(tx);
      await this.#queue.settle(tx);
      const queue = this.#queue.settled(tx);
      const verdict = await this.#eligibility.judge(tx);
      assertFunded(verdict, userIds.length);
      const chosen = await chosenMembers(queue, userIds);
      const skipped = await findPassedOver(queue, chosen);
      assertOrder(skipped, choice.overrideReason);
      const tranches = freeTranches(taken, chosen.length);
      const views: PayoutView[] = [];
      for (const [index, member] of chosen.entries()) {
        const tranche = tranches[index];
        if (tranche === undefined) throw new Error('Fewer tranches than members.');
        const snapshot = {
          ...this.#snapshot(member, verdict, tranche, choice.overrideReason),
          // Of the chosen, who come in queue order, `index` stand ahead of this one.
          ...passedOverFor(member, index, skipped),
        };
        views.push(await this.#create(tx, actor, member, snapshot, choice.paymentMethod ?? 'ach'));
      }
      return views;
    });
  }

  async #create(
    tx: Tx,
    actor: StaffActor,
    member: QueueMember,
    snapshot: EligibilitySnapshot,
    paymentMethod: PaymentMethod,
  ): Promise<PayoutView> {
    const now = this.#clock.now();
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
      fundingTranche: snapshot.fundingTranche,
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
        fundingTranche: snapshot.fundingTranche,
        paymentMethod,
        overrideReason: snapshot.overrideReason,
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
    member: QueueMember,
    verdict: Verdict,
    fundingTranche: number,
    overrideReason: string | undefined,
  ): Omit<EligibilitySnapshot, 'passedOverCount' | 'passedOver'> {
    return {
      totalRevenue: dollars(verdict.revenueCents),
      companyAgeMonths: verdict.companyAgeMonths,
      queuePosition: member.queuePosition,
      tenureStartDate: member.tenureStartDate.toISOString(),
      totalPayments: member.totalPayments,
      lifetimeTotal: dollars(member.lifetimeTotalCents),
      selectionCriteria:
        'Queue order; active subscription, no payout in this tenure, KYC verified, at least 12 payments.',
      timestamp: this.#clock.now().toISOString(),
      subscriptionStatus: member.subscriptionStatus,
      potentialWinners: verdict.potentialWinners,
      awardedPayouts: verdict.awardedPayouts,
      fundingTranche,
      rewardPerWinner: dollars(this.#reward.rewardPerWinnerCents),
      ...(overrideReason === undefined ? {} : { overrideReason }),
    };
  }
}

/** Throws VALIDATION_ERROR for a cursor that this service never gave. */
function placeIn(cursor: string): QueuePlace {
  const place = placeFrom(decodeCursor(cursor, 2));
  if (!place) throw invalidCursor();
  return place;
}

function assertFunded(verdict: Verdict, wanted: number): void {
  if (!verdict.companyQualifies) {
    throw new DomainError('NOT_ELIGIBLE', verdict.reason ?? 'The company does not meet the conditions.');
  }
  if (wanted > verdict.availableSlots) {
    throw new DomainError(
      'NO_FUNDED_SLOT',
      `${wanted} payouts were asked for, but revenue funds ${verdict.availableSlots} more.`,
      { availableSlots: verdict.availableSlots },
    );
  }
}

async function chosenMembers(queue: SettledQueue, userIds: readonly string[]): Promise<QueueMember[]> {
  const found = await queue.find(userIds);
  const winners = userIds.map((userId) => {
    const member = found.find((other) => other.userId === userId);
    return { userId, member, validation: member ? validateMember(member) : NOT_IN_QUEUE };
  });
  const invalid = winners.filter(({ validation }) => !validation.isValid);
  if (invalid.length === 0) return found;
  throw new DomainError(
    'INVALID_WINNER',
    `${invalid.length === 1 ? 'A chosen member' : `${invalid.length} chosen members`} cannot win now. Nothing was created.`,
    { winners: invalid.map(({ userId, validation }) => ({ userId, ...validation })) },
  );
}

/** `chosen` in queue order. Reads no more than what is named, however far back they stand. */
async function findPassedOver(queue: SettledQueue, chosen: readonly QueueMember[]): Promise<PassedOver> {
  const before = chosen.at(-1)?.place;
  const limit = NAMED_IN_SNAPSHOT + chosen.length;
  const first = await queue.candidates({ before, limit });
  const firstValid = await queue.candidates({ before, limit, isValid: true });
  return {
    first: passedOver(chosen, first),
    firstValid: passedOver(chosen, firstValid),
    candidatesAhead: await queue.countAhead(chosen.map(({ userId }) => userId)),
  };
}

/** What the snapshot of a chosen member keeps; `chosenAhead` of those ahead were chosen with them. */
function passedOverFor(
  member: QueueMember,
  chosenAhead: number,
  { first, candidatesAhead }: PassedOver,
): Pick<EligibilitySnapshot, 'passedOverCount' | 'passedOver'> {
  return {
    passedOverCount: (candidatesAhead.get(member.userId) ?? 0) - chosenAhead,
    passedOver: first
      .filter(({ queuePosition }) => queuePosition < member.queuePosition)
      .slice(0, NAMED_IN_SNAPSHOT)
      .map((other) => {
        const { isValid, errors } = validateMember(other);
        return { userId: other.userId, queuePosition: other.queuePosition, valid: isValid, reasons: errors };
      }),
  };
}

function assertOrder({ firstValid }: PassedOver, overrideReason: string | undefined): void {
  const valid = firstValid.filter((member) => validateMember(member).isValid);
  if (valid.length === 0 || overrideReason !== undefined) return;
  throw new DomainError(
    'QUEUE_ORDER_OVERRIDE_REQUIRED',
    'Valid members further up in the queue would be passed over. Choose them, or give an overrideReason.',
    {
      passedOver: valid
        .slice(0, NAMED_IN_SNAPSHOT)
        .map(({ userId, queuePosition }) => ({ userId, queuePosition })),
    },
  );
}

const toCandidate = (member: QueueMember): Candidate => ({
  userId: member.userId,
  email: member.email,
  fullName: member.fullName,
  queuePosition: member.queuePosition,
  tenureStartDate: member.tenureStartDate.toISOString(),
  lastPaymentDate: member.lastPaymentDate.toISOString(),
  totalPayments: member.totalPayments,
  lifetimeTotal: dollars(member.lifetimeTotalCents),
  subscriptionStatus: member.subscriptionStatus,
  validation: validateMember(member),
});
