import type { Database } from '../db/client.ts';
import type { PaymentMethod } from '../db/schema/index.ts';
import type { EligibilityChecker } from '../eligibility/eligibility-checker.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';
import { dollars } from '../kernel/money.ts';
import { DEFAULT_PAGE, decodeCursor, invalidCursor, pageOf, type Page } from '../kernel/paging.ts';
import type { PayoutView } from '../payouts/payout-view.ts';
import type { MemberQueue } from '../queue/member-queue.ts';
import type { QueueMember, QueuePlace } from '../queue/queue-member.ts';
import { placeFrom } from '../queue/queue-place-rules.ts';
import type { Validation } from './candidate.ts';
import { freeTranches, lockInitiation } from './initiation-store.ts';
import type { AwardVerdict, PassedOverFacts, PayoutAward } from './payout-award.ts';
import { NOT_IN_QUEUE, passedOver, validateMember } from './winner-rules.ts';

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

/** How many of those passed over the snapshot names; the rest are counted. */
const NAMED_IN_SNAPSHOT = 100;

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
  readonly #queue: MemberQueue;
  readonly #eligibility: EligibilityChecker;
  readonly #award: PayoutAward;

  constructor(database: Database, queue: MemberQueue, eligibility: EligibilityChecker, award: PayoutAward) {
    this.#database = database;
    this.#queue = queue;
    this.#eligibility = eligibility;
    this.#award = award;
  }

  /** The next `count` members who could be looked at, in queue order, valid or not. */
  async selectWinners(count: number): Promise<Candidate[]> {
    return (await this.#queue.candidates({ limit: count })).map(toCandidate);
  }

  /** With how many payouts are funded and not awarded, of the same moment. */
  async listCandidates(page: {
    limit?: number | undefined;
    cursor?: string | undefined;
  }): Promise<Page<Candidate> & { availableSlots: number }> {
    const limit = page.limit ?? DEFAULT_PAGE;
    const after = page.cursor === undefined ? undefined : placeIn(page.cursor);
    const { members, totals } = await this.#queue.candidatesAndTotals({ after, limit: limit + 1 });
    return {
      ...pageOf(members, limit, ({ place }) => [place.tenureStart, place.userId], toCandidate),
      availableSlots: this.#eligibility.slotsIn(totals),
    };
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
      const tranches = await freeTranches(tx, userIds.length);
      await this.#queue.settle(tx);
      const queue = this.#queue.settled(tx);
      const verdict = await this.#eligibility.judge(tx);
      assertFunded(verdict, userIds.length);
      const chosen = await chosenMembers(queue, userIds);
      const skipped = await findPassedOver(queue, chosen);
      assertOrder(skipped, choice.overrideReason);
      const views: PayoutView[] = [];
      for (const [index, member] of chosen.entries()) {
        const tranche = tranches[index];
        if (tranche === undefined) throw new Error('Fewer tranches than members.');
        const award = {
          member,
          tranche,
          paymentMethod: choice.paymentMethod ?? 'ach',
          overrideReason: choice.overrideReason,
          // Of the chosen, who come in queue order, `index` stand ahead of this one.
          passedOver: passedOverFor(member, index, skipped),
        };
        views.push(await this.#award.create(tx, actor, verdict, award));
      }
      return views;
    });
  }
}

/** Throws VALIDATION_ERROR for a cursor that this service never gave. */
function placeIn(cursor: string): QueuePlace {
  const place = placeFrom(decodeCursor(cursor, 2));
  if (!place) throw invalidCursor();
  return place;
}

function assertFunded(verdict: AwardVerdict, wanted: number): void {
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
): PassedOverFacts {
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
