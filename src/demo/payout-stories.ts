import type { StaffActor } from '../kernel/actor.ts';
import { addDays, isoDateOf } from '../kernel/calendar.ts';
import type { MovableClock } from '../kernel/clock.ts';
import type { Services } from '../services.ts';
import type { W9Submission } from '../tax/w9-desk.ts';
import type { DemoPeople } from './main-app-data.ts';

type Member = DemoPeople['members'][number];

/** Brings payouts into each state by doing what people would have done, on the days on which they would have. */
export class PayoutStories {
  readonly #services: Services;
  readonly #clock: MovableClock;
  readonly #people: DemoPeople;
  readonly #now: Date;

  constructor(services: Services, clock: MovableClock, people: DemoPeople, now: Date) {
    this.#services = services;
    this.#clock = clock;
    this.#people = people;
    this.#now = now;
  }

  /** One payout in each of the 11 states, one approval overdue, one W-9 to review. */
  async tellAll(): Promise<void> {
    const { review, payments } = this.#services;
    const [admin, admin2, finance] = [this.#staff(0), this.#staff(1), this.#staff(2)];
    await this.#initiate(7, 5);
    await this.#initiate(6, 0);
    await this.#approved(8, 2);
    await this.#withBank(9, 3);
    await this.#submitW9(this.#member(9), 2);
    await this.#payable(10, 4);
    await this.#ready(11, 4);
    await this.#sent(12, 6);
    await this.#completed(13, 12);
    const failed = await this.#sent(14, 9);
    this.#daysAgo(3);
    await payments.handlePaymentFailure(finance, failed, {
      reason: 'The bank returned it: insufficient details.',
      returnCode: 'R17',
    });
    const rejected = await this.#initiate(15, 8);
    await this.#services.approvals.submitApproval(admin2, rejected, {
      approved: false,
      reason: 'The queue position is disputed.',
    });
    const cancelled = await this.#approved(16, 7);
    await review.cancel(admin, cancelled, 'The member declined the payout.');
    const held = await this.#approved(17, 6);
    await review.hold(admin2, held, 'The member reported a stolen phone.');
    this.#daysAgo(0);
    await this.#services.jobs.runNow(admin, 'delay-checks');
  }

  #staff(index: number): StaffActor {
    const person = this.#people.staff[index];
    if (!person) throw new Error('The demo data have too few staff.');
    return person;
  }

  #member(number: number): Member {
    const member = this.#people.members[number - 1];
    if (!member) throw new Error('The demo data have too few members.');
    return member;
  }

  #daysAgo(days: number): string {
    const then = addDays(this.#now, -days);
    this.#clock.setOffsetMs(then.getTime() - this.#now.getTime());
    return isoDateOf(then);
  }

  async #initiate(number: number, daysAgo: number): Promise<string> {
    this.#daysAgo(daysAgo);
    const [payout] = await this.#services.winners.createPayoutRecords(this.#staff(0), {
      userIds: [this.#member(number).actor.userId],
      overrideReason: 'Demo data: the first five stay to be selected.',
    });
    if (!payout) throw new Error('No payout was created.');
    return payout.payoutId;
  }

  async #approved(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#initiate(number, daysAgo);
    await this.#services.approvals.submitApproval(this.#staff(1), payoutId, { approved: true });
    await this.#services.approvals.submitApproval(this.#staff(2), payoutId, { approved: true });
    return payoutId;
  }

  async #withBank(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#approved(number, daysAgo);
    const { actor } = this.#member(number);
    await this.#services.bankDetails.submit(actor, actor.userId, {
      accountHolderName: nameOf(this.#member(number)),
      routingNumber: '021000021',
      accountNumber: String(4_000_000_000 + number * 7_919),
      accountType: 'checking',
    });
    return payoutId;
  }

  async #submitW9(member: Member, daysAgo: number): Promise<string> {
    const signedDate = this.#daysAgo(daysAgo);
    const { formId } = await this.#services.w9Desk.submit(
      member.actor,
      member.actor.userId,
      w9Of(member, signedDate),
    );
    return formId;
  }

  async #payable(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#withBank(number, daysAgo);
    const formId = await this.#submitW9(this.#member(number), daysAgo);
    await this.#services.w9Desk.approve(this.#staff(2), formId);
    return payoutId;
  }

  async #ready(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#payable(number, daysAgo);
    this.#daysAgo(daysAgo - 1);
    await this.#services.payments.generatePaymentInstructions(this.#staff(2), payoutId, {});
    return payoutId;
  }

  async #sent(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#ready(number, daysAgo);
    const sentDate = this.#daysAgo(daysAgo - 2);
    const expectedArrivalDate = isoDateOf(addDays(this.#now, 5 - daysAgo));
    await this.#services.payments.markPaymentSent(this.#staff(3), payoutId, {
      sentDate,
      expectedArrivalDate,
      trackingNumber: `DEMO-${number}`,
    });
    return payoutId;
  }

  async #completed(number: number, daysAgo: number): Promise<string> {
    const payoutId = await this.#sent(number, daysAgo);
    const completedDate = this.#daysAgo(daysAgo - 4);
    await this.#services.payments.confirmPaymentComplete(this.#staff(2), payoutId, {
      completedDate,
      confirmationNumber: `OK-${number}`,
    });
    return payoutId;
  }
}

const nameOf = (member: Member): string => `${member.firstName} ${member.lastName}`;

const w9Of = (member: Member, signedDate: string): W9Submission => ({
  legalName: nameOf(member),
  taxClassification: 'individual',
  address: { line1: `${member.number} Main Street`, city: 'Springfield', state: 'IL', postalCode: '62701' },
  tinType: 'ssn',
  tin: `123-45-${String(1000 + member.number)}`,
  certification: { signedName: nameOf(member), signedDate, notSubjectToBackupWithholding: true },
});
