/** The outside world in tests: mail, the subscription service, the clock. Everything else is real. */
import type { Clock } from '../../src/kernel/clock.ts';
import { addDays } from '../../src/kernel/calendar.ts';
import type { SubscriptionGateway } from '../../src/membership/subscription-gateway.ts';
import type { Mail, Mailer } from '../../src/notifications/mailer.ts';

/** A Friday noon; every test starts at it. */
export const TEST_NOW = new Date('2026-11-20T12:00:00.000Z');

export class TestTime implements Clock {
  #now = TEST_NOW;

  now(): Date {
    return new Date(this.#now);
  }

  advanceDays(days: number): void {
    this.#now = addDays(this.#now, days);
  }

  setTo(instant: string): void {
    this.#now = new Date(instant);
  }
}

export class FakeMailer implements Mailer {
  readonly kind = 'outbox';
  readonly sent: Mail[] = [];
  /** What the next sendings do; nothing is success. */
  failWith: ((mail: Mail) => Error | undefined) | undefined;
  /** What sendings that begin now wait for. */
  heldUpBy: Promise<unknown> | undefined;
  /** How many wait. */
  heldUp = 0;

  async send(mail: Mail): Promise<void> {
    if (this.heldUpBy) {
      this.heldUp += 1;
      await this.heldUpBy;
      this.heldUp -= 1;
    }
    const failure = this.failWith?.(mail);
    if (failure) throw failure;
    this.sent.push(mail);
  }

  isUp(): Promise<boolean> {
    return Promise.resolve(true);
  }

  close(): void {}
}

export class FakeSubscriptions implements SubscriptionGateway {
  readonly cancelled: { userId: string; key: string }[] = [];
  failWith: ((userId: string) => Error | undefined) | undefined;
  /** What cancelling does to the shared tables. */
  effect: ((userId: string) => Promise<void>) | undefined;

  async cancelMembership(userId: string, key: string): Promise<void> {
    const failure = this.failWith?.(userId);
    if (failure) throw failure;
    this.cancelled.push({ userId, key });
    await this.effect?.(userId);
  }
}
