import { closeAlert, openSubjects } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import { actorLabel, type Actor } from '../kernel/actor.ts';
import { isoDateOf, thirtyDayMonthsBetween } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { dollars } from '../kernel/money.ts';
import { formatUsd } from '../documents/money-words.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { MemberQueue } from '../queue/member-queue.ts';
import type { QueueTotals } from '../queue/queue-member.ts';
import {
  judgeEligibility,
  nextCheckAfter,
  type EligibilityFigures,
  type EligibilityTerms,
  type EligibilityVerdict,
} from './eligibility-rules.ts';
import { insertCheck, readAwarded } from './eligibility-store.ts';

/** The document's EligibilityResult, amounts in dollars, with what section 5 adds. */
export interface EligibilityResult {
  isEligible: boolean;
  totalRevenue: number;
  companyAgeMonths: number;
  potentialWinners: number;
  eligibleMemberCount: number;
  awardedPayouts: number;
  availableSlots: number;
  nextCheckDate: string;
  reason?: string;
}

/** Finds out whether payouts can be issued. It never creates one. */
export class EligibilityChecker {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #terms: EligibilityTerms;
  readonly #queue: MemberQueue;

  constructor(database: Database, clock: Clock, terms: EligibilityTerms, queue: MemberQueue) {
    this.#database = database;
    this.#clock = clock;
    this.#terms = terms;
    this.#queue = queue;
  }

  /** The state at this moment; nothing is recorded. */
  async checkEligibility(): Promise<EligibilityResult> {
    return this.#resultOf(await this.#queue.totals());
  }

  /** How many payouts these totals fund that nobody was awarded. */
  slotsIn(totals: QueueTotals): number {
    return judgeEligibility(figuresOf(totals), this.#terms, this.#clock.now()).availableSlots;
  }

  /** Revenue in dollars. */
  async getTotalRevenue(): Promise<number> {
    return dollars((await this.#queue.totals()).revenueCents);
  }

  /** Months of 30 days since the launch. */
  getCompanyAge(): number {
    return thirtyDayMonthsBetween(this.#terms.launchDate, this.#clock.now());
  }

  /** `revenue` in dollars. */
  calculatePotentialWinners(revenue: number): number {
    return Math.floor(Math.round(revenue * 100) / this.#terms.rewardPerWinnerCents);
  }

  /**
   * Judges inside a transaction that has settled the queue, for a decision that is about to be taken. What is awarded is
   * counted in the payouts themselves.
   */
  async judge(tx: Tx): Promise<EligibilityVerdict & { revenueCents: number; awardedPayouts: number }> {
    const { revenueCents } = await this.#queue.settled(tx).totals();
    const figures = { revenueCents, ...(await readAwarded(tx)) };
    return { ...judgeEligibility(figures, this.#terms, this.#clock.now()), ...figures };
  }

  /** The daily check: records its result, raises an alert and writes to the admins when payouts can be issued. */
  async recordCheck(actor: Actor): Promise<EligibilityResult> {
    return this.#database.transaction(async (tx) => {
      const now = this.#clock.now();
      await this.#queue.settle(tx);
      const totals = await this.#queue.settled(tx).totals();
      const result = this.#resultOf(totals);
      await insertCheck(tx, now, actorLabel(actor), { ...result });
      await recordAudit(tx, {
        actor,
        at: now,
        entityType: 'eligibility',
        entityId: isoDateOf(now),
        action: 'checked',
        newValues: { ...result },
      });
      await this.#alertOnShortfall(tx, result, figuresOf(totals), now);
      await this.#alert(tx, result, now);
      return result;
    });
  }

  #resultOf(totals: QueueTotals): EligibilityResult {
    const now = this.#clock.now();
    const figures = figuresOf(totals);
    const verdict = judgeEligibility(figures, this.#terms, now);
    return {
      isEligible: verdict.isEligible,
      totalRevenue: dollars(figures.revenueCents),
      companyAgeMonths: verdict.companyAgeMonths,
      potentialWinners: verdict.potentialWinners,
      eligibleMemberCount: totals.candidates,
      awardedPayouts: figures.awardedPayouts,
      availableSlots: verdict.availableSlots,
      nextCheckDate: nextCheckAfter(now).toISOString(),
      ...(verdict.reason ? { reason: verdict.reason } : {}),
    };
  }

  /** One alert tells of what is funded by now; when more is, another takes its place, and the admins hear of it. */
  async #alert(tx: Tx, result: EligibilityResult, at: Date): Promise<void> {
    const funded = result.awardedPayouts + result.availableSlots;
    const open = await openSubjects(tx, 'payout_eligible');
    const told = result.isEligible ? open.find((subject) => Number(subject) >= funded) : undefined;
    for (const subject of open) if (subject !== told) await closeAlert(tx, 'payout_eligible', subject, at);
    if (!result.isEligible || told !== undefined) return;
    const alert = {
      severity: 'info',
      category: 'payout_eligible',
      title: 'Payouts can be issued',
      message: `Revenue funds ${result.availableSlots} more payouts; ${result.eligibleMemberCount} members are in the queue.`,
      details: { ...result },
      subject: String(funded),
      at,
    } as const;
    const data = {
      totalRevenue: formatUsd(Math.round(result.totalRevenue * 100)),
      availableSlots: String(result.availableSlots),
      checkedAt: at.toISOString(),
    };
    await alertStaff(tx, alert, { message: { template: 'payouts-available', data } });
  }

  /** Counted in money, as live payouts may have been initiated under another reward. */
  async #alertOnShortfall(
    tx: Tx,
    result: EligibilityResult,
    { revenueCents, awardedCents }: EligibilityFigures,
    at: Date,
  ): Promise<void> {
    if (revenueCents >= awardedCents) return closeAlert(tx, 'revenue_shortfall', 'all', at);
    await alertStaff(tx, {
      severity: 'warning',
      category: 'revenue_shortfall',
      title: 'Refunds took revenue below what is awarded',
      message: `Payouts of ${formatUsd(awardedCents)} are awarded, but revenue is ${formatUsd(revenueCents)}. No more can be initiated.`,
      details: { ...result },
      subject: 'all',
      at,
    });
  }
}

const figuresOf = ({ revenueCents, livePayouts, liveGrossCents }: QueueTotals): EligibilityFigures => ({
  revenueCents,
  awardedPayouts: livePayouts,
  awardedCents: liveGrossCents,
});
