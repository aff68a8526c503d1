import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Database } from '../../src/db/client.ts';
import { addDays, addMonths } from '../../src/kernel/calendar.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { MembershipManager } from '../../src/membership/membership-manager.ts';
import { SubscriptionPaused, SubscriptionRefused } from '../../src/membership/subscription-faults.ts';
import {
  HttpSubscriptionGateway,
  LocalSubscriptionGateway,
} from '../../src/membership/subscription-gateway.ts';
import { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import { startTestService } from '../support/test-service.ts';

let cast: Cast;
let stories: Stories;

/** Every test moves time on, so each has people of its own. */
async function open(): Promise<void> {
  cast = await startCast();
  stories = new Stories(cast);
  const { sql } = cast.service;
  cast.service.subscriptions.effect = async (userId) => {
    await sql`UPDATE user_subscriptions SET status = 'canceled' WHERE user_id = ${userId}`;
  };
}

const runJob = async (): Promise<{ noticed: number; due: number; removed: number; failed: number }> =>
  expectOk(await cast.admin.post('/api/jobs/membership-removals/run')).body.result;

const membershipOf = async ({ member }: Story) =>
  expectOk(await cast.viewer.get(`/api/members/${member.userId}/membership`)).body;

const mailsOf = ({ member }: Story, template: string) =>
  cast.service.sql<{ data: Record<string, string> }[]>`
    SELECT data FROM notifications WHERE user_id = ${member.userId} AND template = ${template}`;

const removalOf = async ({ payoutId }: Story) => {
  const [row] = await cast.service.sql`SELECT * FROM membership_removals WHERE payout_id = ${payoutId}`;
  return row;
};

const comeBack = async ({ payoutId }: Story) =>
  expectOk(
    await cast.finance.post(`/api/payouts/${payoutId}/fail`, { reason: 'Returned.', returnCode: 'R01' }),
  );

const machineToken = (claims: Record<string, unknown>, secret = 'jwt-secret-for-tests-0123456789abcdef') =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('subscription-service')
    .setAudience('payout-service')
    .setIssuedAt()
    .sign(new TextEncoder().encode(secret));

describe('the date of a removal', () => {
  beforeAll(open);
  afterAll(() => cast.service.stop());

  it('is 12 calendar months after completion, kept in the record and in processing', async () => {
    const story = await stories.completed();
    const { body } = await cast.viewer.get(`/api/payouts/${story.payoutId}`);
    expect(body.membershipRemovalDate).toBe('2027-11-20T00:00:00.000Z');
    expect(body.processing).toMatchObject({
      membership_removal_scheduled: '2027-11-20T00:00:00.000Z',
      removal_reason: '12 months after payout',
      membership_removed: false,
    });
    expect(await membershipOf(story)).toEqual({
      userId: story.member.userId,
      hasReceivedPayout: true,
      payoutDate: '2026-11-20T00:00:00.000Z',
      scheduledRemovalDate: '2027-11-20T00:00:00.000Z',
      isActive: true,
      canReactivate: false,
    });
  });

  it('goes by the day on which the money arrived, not by the day on which that was recorded', async () => {
    const story = await stories.sent();
    cast.service.time.advanceDays(3);
    expectOk(
      await cast.finance.post(`/api/payouts/${story.payoutId}/confirm`, { completedDate: '2026-11-21' }),
    );
    expect((await membershipOf(story)).scheduledRemovalDate).toBe('2027-11-21T00:00:00.000Z');
  });

  it('is 28 February where the payout arrived on the 29th', async () => {
    cast.service.time.setTo('2028-02-29T12:00:00Z');
    const story = await stories.completed();
    expect((await membershipOf(story)).scheduledRemovalDate).toBe('2029-02-28T00:00:00.000Z');
    cast.service.time.setTo('2029-02-27T23:59:59Z');
    await runJob();
    expect(await removalOf(story)).toMatchObject({ status: 'scheduled' });
    cast.service.time.setTo('2029-02-28T00:00:00Z');
    await runJob();
    expect(await removalOf(story)).toMatchObject({ status: 'removed' });
  });

  it('is there for staff and the member, and for no other', async () => {
    const story = await stories.initiated();
    const path = `/api/members/${story.member.userId}/membership`;
    expect((await story.member.get(path)).body).toEqual({
      userId: story.member.userId,
      hasReceivedPayout: false,
      isActive: true,
      canReactivate: false,
    });
    const other = await cast.service.newMember();
    expect((await other.get(path)).status).toBe(403);
    const nobody = await cast.viewer.get('/api/members/00000000-0000-4000-8000-000000000000/membership');
    expect(nobody.status).toBe(404);
  });
});

describe('the job', () => {
  beforeAll(open);
  afterAll(() => cast.service.stop());

  it('gives 30 days’ notice once, then removes once', async () => {
    const [first, second] = [await stories.completed(), await stories.completed()];
    cast.service.time.setTo('2027-10-20T23:00:00Z');
    expect(await runJob()).toEqual({ noticed: 0, due: 0, removed: 0, failed: 0 });
    cast.service.time.setTo('2027-10-21T03:00:00Z');
    expect(await runJob()).toEqual({ noticed: 2, due: 0, removed: 0, failed: 0 });
    expect(await runJob()).toEqual({ noticed: 0, due: 0, removed: 0, failed: 0 });
    for (const story of [first, second]) {
      expect([...(await mailsOf(story, 'removal-notice'))]).toEqual([
        { data: { removalDate: '2027-11-20' } },
      ]);
    }
    expect(cast.service.subscriptions.cancelled).toEqual([]);

    cast.service.time.setTo('2027-11-20T03:00:00Z');
    expect(await runJob()).toEqual({ noticed: 0, due: 2, removed: 2, failed: 0 });
    expect(await runJob()).toEqual({ noticed: 0, due: 0, removed: 0, failed: 0 });
    const keys = await Promise.all([first, second].map(async (story) => (await removalOf(story))?.['id']));
    expect(cast.service.subscriptions.cancelled.map(({ userId, key }) => `${userId} ${key}`).sort()).toEqual(
      [`${first.member.userId} ${keys[0]}`, `${second.member.userId} ${keys[1]}`].sort(),
    );
    for (const story of [first, second]) {
      expect([...(await mailsOf(story, 'membership-removed'))]).toEqual([
        { data: { removedDate: '2027-11-20' } },
      ]);
      const { body } = await cast.viewer.get(`/api/payouts/${story.payoutId}`);
      expect(body.processing.membership_removed).toBe(true);
      expect(body.status).toBe('completed');
      expect(await membershipOf(story)).toMatchObject({
        isActive: false,
        hasReceivedPayout: true,
        canReactivate: true,
      });
      const entries = await cast.service.sql<{ action: string; actor: string }[]>`
        SELECT action, actor FROM user_audit_logs
         WHERE entity_type = 'membership' AND entity_id = ${story.member.userId} ORDER BY sequence`;
      expect([...entries]).toEqual([
        { action: 'removal_noticed', actor: 'system:membership-manager' },
        { action: 'removal_requested', actor: 'system:membership-manager' },
        { action: 'removed', actor: 'system:membership-manager' },
      ]);
    }
  });

  it('goes on when one fails, tries that one again, and warns after three failures', async () => {
    const [failing, fine] = [await stories.completed(), await stories.completed()];
    cast.service.time.advanceDays(366);
    cast.service.subscriptions.failWith = (userId) =>
      userId === failing.member.userId ? new Error('The subscription service answered 503.') : undefined;
    expect(await runJob()).toMatchObject({ due: 2, removed: 1, failed: 1 });
    expect(await removalOf(fine)).toMatchObject({ status: 'removed' });
    expect(await removalOf(failing)).toMatchObject({
      status: 'scheduled',
      attempts: 1,
      last_error: 'The subscription service answered 503.',
    });
    const alerts = async () =>
      expectOk(await cast.viewer.get('/api/admin-alerts?category=removal_failing&open=true')).body.data;
    expect(await runJob()).toMatchObject({ due: 1, removed: 0, failed: 1 });
    expect(await alerts()).toEqual([]);
    expect(await runJob()).toMatchObject({ due: 1, removed: 0, failed: 1 });
    expect(await alerts()).toEqual([
      expect.objectContaining({ severity: 'warning', details: { payoutId: failing.payoutId } }),
    ]);
    await runJob();
    expect(await alerts()).toHaveLength(1);
    expect(await membershipOf(failing)).toMatchObject({ isActive: true, canReactivate: false });
    const failures = await cast.service.sql`
      SELECT success FROM user_audit_logs WHERE entity_id = ${failing.member.userId} AND action = 'removal_failed'`;
    expect(failures.map(({ success }) => success)).toEqual([false, false, false, false]);

    cast.service.subscriptions.failWith = undefined;
    expect(await runJob()).toMatchObject({ due: 1, removed: 1, failed: 0 });
    expect(await alerts()).toEqual([]);
    expect(await removalOf(failing)).toMatchObject({ status: 'removed', last_error: null });
  });

  it('counts no try while the subscription service is left alone, waits, and goes on', async () => {
    const stories3 = [await stories.completed(), await stories.completed(), await stories.completed()];
    cast.service.time.advanceDays(366);
    let asked = 0;
    cast.service.subscriptions.failWith = () => ((asked += 1) <= 4 ? new SubscriptionPaused() : undefined);
    const { database, time } = cast.service;
    const membership = new MembershipManager({
      database,
      clock: time,
      payouts: cast.service.services.payouts,
      gateway: cast.service.subscriptions,
      logger: silentLogger,
      pauseMs: 10,
    });
    const results = await membership.checkMembershipRemovals();
    cast.service.subscriptions.failWith = undefined;
    expect(results.map(({ removed }) => removed)).toEqual([true, true, true]);
    expect(asked).toBeGreaterThan(4);
    for (const story of stories3) expect(await removalOf(story)).toMatchObject({ attempts: 1 });
  });

  it('leaves off when it is told to, and the next run goes on', async () => {
    await Promise.all([stories.completed(), stories.completed(), stories.completed()]);
    cast.service.time.advanceDays(366);
    const stopping = new AbortController();
    const progress: unknown[] = [];
    stopping.abort();
    const { membership } = cast.service.services;
    const watch = { signal: stopping.signal, progress: (figures: unknown) => progress.push(figures) };
    expect(await membership.checkMembershipRemovals(watch)).toEqual([]);
    const going = { ...watch, signal: new AbortController().signal };
    expect(await membership.checkMembershipRemovals(going)).toHaveLength(3);
    expect(progress).toHaveLength(3);
    expect(progress.at(-1)).toEqual({ done: 3, removed: 3 });
  });

  it('removes once where two instances run it at the same time', async () => {
    const beside = await startTestService({ beside: cast.service });
    try {
      const story = await stories.completed();
      cast.service.time.advanceDays(366);
      const managers = [cast.service, beside].map(({ services }) => services.membership);
      await Promise.all(managers.map((membership) => membership.checkMembershipRemovals()));
      const calls = cast.service.subscriptions.cancelled.filter(
        ({ userId }) => userId === story.member.userId,
      );
      // Both may call, with the same key: the subscription service then does it once.
      expect(new Set(calls.map(({ key }) => key)).size).toBe(1);
      expect(await mailsOf(story, 'membership-removed')).toHaveLength(1);
      const entries = await cast.service.sql`
        SELECT 1 FROM user_audit_logs WHERE entity_id = ${story.member.userId} AND action = 'removed'`;
      expect(entries).toHaveLength(1);
    } finally {
      await beside.stop();
    }
  });
});

describe('a payout that comes back', () => {
  beforeAll(open);
  afterAll(() => cast.service.stop());

  it('suspends the removal; paid again, a year runs anew, with a notice of its own', async () => {
    const story = await stories.completed();
    cast.service.time.setTo('2027-11-01T12:00:00Z');
    expect(await runJob()).toMatchObject({ noticed: 1 });
    await comeBack(story);
    expect(await removalOf(story)).toMatchObject({ status: 'suspended' });
    expect(await membershipOf(story)).toEqual({
      userId: story.member.userId,
      hasReceivedPayout: false,
      isActive: true,
      canReactivate: false,
    });
    const { body } = await cast.viewer.get(`/api/payouts/${story.payoutId}`);
    expect(body.membershipRemovalDate).toBeNull();
    expect(body.processing.membership_removal_scheduled).toBeUndefined();
    cast.service.time.setTo('2027-11-25T12:00:00Z');
    expect(await runJob()).toEqual({ noticed: 0, due: 0, removed: 0, failed: 0 });
    expect(cast.service.subscriptions.cancelled).toEqual([]);

    // Whoever recorded the return does nothing with the next attempt.
    expectOk(await cast.finance2.post(`/api/payouts/${story.payoutId}/generate-instructions`));
    const dates = { sentDate: '2027-11-25', expectedArrivalDate: '2027-11-26' };
    expectOk(await cast.admin.post(`/api/payouts/${story.payoutId}/mark-sent`, dates));
    const done = { completedDate: '2027-11-25' };
    expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/confirm`, done));
    expect(await membershipOf(story)).toMatchObject({
      hasReceivedPayout: true,
      payoutDate: '2027-11-25T00:00:00.000Z',
      scheduledRemovalDate: '2028-11-25T00:00:00.000Z',
    });
    cast.service.time.setTo('2028-10-26T03:00:00Z');
    expect(await runJob()).toMatchObject({ noticed: 1, due: 0 });
    cast.service.time.setTo('2028-11-25T03:00:00Z');
    expect(await runJob()).toMatchObject({ due: 1, removed: 1 });
  });
});

describe('a payout that comes back while its membership is being ended', () => {
  beforeAll(open);
  afterAll(() => cast.service.stop());
  afterEach(() => {
    cast.service.subscriptions.failWith = undefined;
    cast.service.subscriptions.effect = endSubscriptions;
  });

  const endSubscriptions = async (userId: string) => {
    await cast.service.sql`UPDATE user_subscriptions SET status = 'canceled' WHERE user_id = ${userId}`;
  };
  const alertsOf = async (story: Story) =>
    expectOk(
      await cast.viewer.get('/api/admin-alerts?category=removal_after_return&open=true'),
    ).body.data.filter(
      ({ details }: { details: Record<string, string> }) => details['payoutId'] === story.payoutId,
    );
  const aYearAfter = async () => {
    const story = await stories.completed();
    cast.service.time.advanceDays(366);
    return story;
  };
  /** The answer is lost, after the subscription service has done it or before. */
  const loseAnswer = (isDone: boolean) => {
    cast.service.subscriptions.effect = async (userId) => {
      if (isDone) await endSubscriptions(userId);
      throw new Error('The answer was lost.');
    };
  };

  it('is recorded as it is, between answer and record too: the membership has ended, and admins are told', async () => {
    const story = await aYearAfter();
    cast.service.subscriptions.effect = async (userId) => {
      await endSubscriptions(userId);
      await comeBack(story);
    };
    expect(await runJob()).toMatchObject({ due: 1, removed: 1, failed: 0 });
    expect(await removalOf(story)).toMatchObject({ status: 'removed', call_started_at: null });
    expect(await membershipOf(story)).toMatchObject({ isActive: false, canReactivate: true });
    expect(await alertsOf(story)).toEqual([expect.objectContaining({ severity: 'critical' })]);
    const { body } = await cast.viewer.get(`/api/payouts/${story.payoutId}`);
    expect([body.status, body.processing.membership_removed]).toEqual(['payment_failed', true]);
  });

  it('is found out by the next run where the answer was lost', async () => {
    const story = await aYearAfter();
    loseAnswer(true);
    expect(await runJob()).toMatchObject({ due: 1, removed: 0, failed: 1 });
    await comeBack(story);
    expect(await removalOf(story)).toMatchObject({ status: 'suspended' });
    await runJob();
    expect(await removalOf(story)).toMatchObject({ status: 'removed' });
    expect(await alertsOf(story)).toHaveLength(1);
  });

  it('keeps the membership where the call did nothing', async () => {
    const story = await aYearAfter();
    loseAnswer(false);
    await runJob();
    await comeBack(story);
    await runJob();
    expect((await removalOf(story))?.['call_started_at']).not.toBeNull();
    cast.service.time.advanceDays(2);
    await runJob();
    expect(await removalOf(story)).toMatchObject({ status: 'suspended', call_started_at: null });
    expect(await membershipOf(story)).toMatchObject({ isActive: true, canReactivate: false });
    expect(await alertsOf(story)).toEqual([]);
  });

  it('leaves no doubt where the subscription service refused', async () => {
    const story = await aYearAfter();
    cast.service.subscriptions.failWith = () => new SubscriptionRefused('It answered 403.');
    await runJob();
    expect(await removalOf(story)).toMatchObject({ status: 'scheduled', call_started_at: null, attempts: 1 });
    cast.service.subscriptions.failWith = undefined;
    expect(await runJob()).toMatchObject({ removed: 1 });
  });

  it('paid again, ends the new membership 12 months later', async () => {
    const story = await aYearAfter();
    cast.service.subscriptions.effect = async (userId) => {
      await endSubscriptions(userId);
      await comeBack(story);
    };
    await runJob();
    const { sql, time } = cast.service;
    time.advanceDays(1);
    await sql`UPDATE user_subscriptions SET status = 'active' WHERE user_id = ${story.member.userId}`;
    await sql`INSERT INTO user_payments (user_id, amount, status, created_at)
      VALUES (${story.member.userId}, '100.00', 'succeeded', ${time.now()})`;
    const back = { paymentDate: stories.today };
    expectOk(await cast.admin.post(`/api/members/${story.member.userId}/reactivate`, back));
    const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
    expectOk(await cast.finance2.post(`/api/payouts/${story.payoutId}/generate-instructions`));
    expectOk(await cast.admin.post(`/api/payouts/${story.payoutId}/mark-sent`, dates));
    const done = { completedDate: stories.today };
    expectOk(await cast.finance.post(`/api/payouts/${story.payoutId}/confirm`, done));
    const due = addMonths(stories.today, 12);
    expect(await membershipOf(story)).toMatchObject({
      isActive: true,
      canReactivate: false,
      scheduledRemovalDate: `${due}T00:00:00.000Z`,
    });
    cast.service.subscriptions.effect = endSubscriptions;
    time.setTo(`${due}T03:00:00Z`);
    expect(await runJob()).toMatchObject({ due: 1, removed: 1 });
    expect(await membershipOf(story)).toMatchObject({ isActive: false, canReactivate: true });
    const rows = await sql`SELECT status FROM membership_removals WHERE payout_id = ${story.payoutId}`;
    expect(rows.map(({ status }) => status)).toEqual(['removed', 'removed']);
  });
});

describe('coming back after a removal', () => {
  let story: Story;
  let machine: Caller;
  const path = () => `/api/members/${story.member.userId}/reactivate`;

  beforeAll(async () => {
    await open();
    story = await stories.completed();
    machine = new Caller(cast.service.url, { token: await machineToken({ scope: 'membership:reactivate' }) });
  });
  afterAll(() => cast.service.stop());

  const pay = (userId: string, days: readonly string[], status = 'succeeded') => cast.service.sql`
    INSERT INTO user_payments ${cast.service.sql(
      days.map((day) => ({ user_id: userId, amount: '100.00', status, created_at: new Date(day) })),
    )}`;

  it('is refused while the membership was not removed', async () => {
    for (const who of [cast.admin, machine]) {
      const answer = await who.post(path(), { paymentDate: '2026-11-20' });
      expect([answer.status, answer.body.error.code]).toEqual([422, 'MEMBERSHIP_NOT_REMOVED']);
    }
    cast.service.time.setTo('2027-11-20T03:00:00Z');
    expect(await runJob()).toMatchObject({ removed: 1 });
  });

  it('wants a payment that succeeded on that day after the removal', async () => {
    await pay(story.member.userId, ['2027-11-20T02:00:00Z']); // an hour before the removal
    await pay(story.member.userId, ['2027-12-01T10:00:00Z'], 'failed');
    await pay(story.member.userId, ['2027-12-02T10:00:00Z'], 'refunded');
    cast.service.time.setTo('2027-12-05T10:00:00Z');
    for (const paymentDate of ['2027-11-20', '2027-12-01', '2027-12-02', '2027-12-03']) {
      const answer = await machine.post(path(), { paymentDate });
      expect([paymentDate, answer.status, answer.body.error.code]).toEqual([
        paymentDate,
        422,
        'NO_NEW_PAYMENT',
      ]);
    }
    for (const body of [{}, { paymentDate: '2027-02-30' }, { paymentDate: '2027-12-01', amount: 1 }]) {
      expect((await machine.post(path(), body)).status).toBe(400);
    }
    const nobody = '/api/members/00000000-0000-4000-8000-000000000000/reactivate';
    expect((await machine.post(nobody, { paymentDate: '2027-12-01' })).status).toBe(404);
  });

  it('is for admins and machines with the scope only', async () => {
    const body = { paymentDate: '2027-12-05' };
    for (const who of [cast.finance, cast.viewer, story.member]) {
      expect((await who.post(path(), body)).status).toBe(403);
    }
    const as = (token: string) => new Caller(cast.service.url, { token });
    expect((await as(await machineToken({ scope: 'payouts:read' })).post(path(), body)).status).toBe(403);
    const unsigned = await machineToken({ scope: 'membership:reactivate' }, 'x'.repeat(37));
    expect((await as(unsigned).post(path(), body)).status).toBe(401);
    expect((await as(await machineToken({})).post(path(), body)).status).toBe(401);
    const old = await new SignJWT({ scope: 'membership:reactivate' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('subscription-service')
      .setAudience('payout-service')
      .setIssuedAt(Math.floor(Date.now() / 1000) - 8 * 86_400)
      .sign(new TextEncoder().encode('jwt-secret-for-tests-0123456789abcdef'));
    expect((await as(old).post(path(), body)).status).toBe(401);
    // The scope is for this and nothing else.
    expect((await machine.get('/api/payouts')).status).toBe(403);
    expect((await machine.get(`/api/members/${story.member.userId}/membership`)).status).toBe(403);
  });

  it('is reported by the machine, and again changes nothing', async () => {
    await cast.service
      .sql`UPDATE user_subscriptions SET status = 'active' WHERE user_id = ${story.member.userId}`;
    await pay(story.member.userId, ['2027-12-05T09:00:00Z']);
    const answer = await machine.post(path(), { paymentDate: '2027-12-05' });
    expect([answer.status, answer.body]).toEqual([
      200,
      { userId: story.member.userId, hasReceivedPayout: false, isActive: true, canReactivate: false },
    ]);
    const again = await machine.post(path(), { paymentDate: '2027-12-05T23:00:00+02:00' });
    expect([again.status, again.body]).toEqual([200, answer.body]);
    const entries = await cast.service.sql<{ actor: string; new_values: Record<string, unknown> }[]>`
      SELECT actor, new_values FROM user_audit_logs
       WHERE entity_id = ${story.member.userId} AND action = 'reactivated'`;
    expect(entries.map(({ actor, new_values }) => [actor, new_values['paymentDate']])).toEqual([
      ['service:subscription-service', '2027-12-05T09:00:00.000Z'],
    ]);
    const another = await cast.admin.post(path(), { paymentDate: '2027-12-06' });
    expect([another.status, another.body.error.code]).toEqual([422, 'MEMBERSHIP_NOT_REMOVED']);
  });

  it('starts a new tenure at its place in the queue, in which the member can win again', async () => {
    cast.service.time.setTo('2028-12-20T12:00:00Z');
    const before = await cast.service.newMember({ tenureDays: 400 }); // since November 2027
    const after = await cast.service.newMember({ tenureDays: 370 }); // since mid December 2027
    const queue = async () =>
      expectOk(await cast.viewer.get('/api/payouts/eligible-members')).body.data.filter(
        ({ userId }: { userId: string }) =>
          [before, story.member, after].some((member) => member.userId === userId),
      );
    const candidates = await queue();
    expect(candidates.map(({ userId }: { userId: string }) => userId)).toEqual([
      before.userId,
      story.member.userId,
      after.userId,
    ]);
    expect(candidates[1]).toMatchObject({
      tenureStartDate: '2027-12-05T09:00:00.000Z',
      totalPayments: 1,
      lifetimeTotal: 100,
      validation: { isValid: false, meetsTimeRequirement: false },
    });
    const first = await cast.admin.post('/api/payouts/initiate', {
      userIds: [story.member.userId],
      overrideReason: 'Too early.',
    });
    expect([first.status, first.body.error.code]).toEqual([422, 'INVALID_WINNER']);

    const start = new Date('2027-12-05T09:00:00Z');
    await pay(
      story.member.userId,
      Array.from({ length: 11 }, (_, month) => addDays(start, 30 * (month + 1)).toISOString()),
    );
    expect((await queue())[1]).toMatchObject({ totalPayments: 12, validation: { isValid: true } });
    const body = { userIds: [story.member.userId], overrideReason: 'The test.' };
    const won = await cast.admin.post('/api/payouts/initiate', body);
    expect(won.status).toBe(201);
    expect(won.body.data[0].payoutId).not.toBe(story.payoutId);
    const twice = await cast.admin.post('/api/payouts/initiate', body);
    expect([twice.status, twice.body.error.code]).toEqual([422, 'INVALID_WINNER']);
  });

  it('can be reported by an admin as well', async () => {
    const other = await stories.completed();
    cast.service.time.advanceDays(366);
    await runJob();
    cast.service.time.advanceDays(2);
    const day = stories.today;
    await pay(other.member.userId, [cast.service.time.now().toISOString()]);
    const answer = await cast.admin.post(`/api/members/${other.member.userId}/reactivate`, {
      paymentDate: day,
    });
    expect([answer.status, answer.body.canReactivate]).toEqual([200, false]);
    const entries = await cast.service.sql`
      SELECT admin_id FROM user_audit_logs WHERE entity_id = ${other.member.userId} AND action = 'reactivated'`;
    expect([...entries]).toEqual([{ admin_id: cast.admin.adminId }]);
  });
});

describe('leaving and coming back by oneself', () => {
  beforeAll(open);
  afterAll(() => cast.service.stop());

  it('starts no tenure: a winner who does so cannot win twice', async () => {
    const story = await stories.completed();
    const { sql } = cast.service;
    await sql`UPDATE user_subscriptions SET status = 'canceled' WHERE user_id = ${story.member.userId}`;
    expect(await membershipOf(story)).toMatchObject({ isActive: false, canReactivate: false });
    await sql`INSERT INTO user_subscriptions (user_id, status) VALUES (${story.member.userId}, 'active')`;
    const refused = await cast.admin.post(`/api/members/${story.member.userId}/reactivate`, {
      paymentDate: stories.today,
    });
    expect([refused.status, refused.body.error.code]).toEqual([422, 'MEMBERSHIP_NOT_REMOVED']);
    const again = await cast.admin.post('/api/payouts/initiate', {
      userIds: [story.member.userId],
      overrideReason: 'Once more.',
    });
    expect([again.status, again.body.error.code]).toEqual([422, 'INVALID_WINNER']);
  });
});

describe('the call to the subscription service', () => {
  const requests: { method: string; path: string; headers: IncomingHttpHeaders; body: string }[] = [];
  let status = 204;
  let url: string;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      requests.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body,
      });
      if (status > 0) response.writeHead(status).end();
    });
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  beforeEach(() => {
    requests.length = 0;
    status = 204;
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  it('carries the key under which it is done once, and the token', async () => {
    const gateway = new HttpSubscriptionGateway(`${url}/v1/`, 'a-token');
    await gateway.cancelMembership('a member', 'a-key');
    expect(requests).toEqual([
      {
        method: 'POST',
        path: '/v1/memberships/a%20member/cancel',
        headers: expect.objectContaining({
          'idempotency-key': 'a-key',
          authorization: 'Bearer a-token',
          'content-type': 'application/json',
        }),
        body: JSON.stringify({ reason: '12 months after payout' }),
      },
    ]);
    await new HttpSubscriptionGateway(url, undefined).cancelMembership('a', 'b');
    expect(requests[1]?.headers.authorization).toBeUndefined();
  });

  it.each([200, 404, 409])('has done what was asked with %d', async (answer) => {
    status = answer;
    await new HttpSubscriptionGateway(url, undefined).cancelMembership('a', 'b');
    expect(requests).toHaveLength(1);
  });

  const once = { retryWaitsMs: [] };

  it.each([400, 401, 403, 422, 302])('is refused with %d, and not tried again', async (answer) => {
    status = answer;
    const gateway = new HttpSubscriptionGateway(url, undefined);
    await expect(gateway.cancelMembership('a', 'b')).rejects.toThrow(SubscriptionRefused);
    expect(requests).toHaveLength(1);
  });

  it.each([408, 429, 500, 503])('is tried twice more, with the same key, after %d', async (answer) => {
    status = answer;
    const gateway = new HttpSubscriptionGateway(url, undefined, { retryWaitsMs: [1, 1] });
    await expect(gateway.cancelMembership('a', 'b')).rejects.toThrow(`answered ${answer}`);
    expect(requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['b', 'b', 'b']);
  });

  it('fails where nobody listens, and where nobody answers', async () => {
    const nobody = new HttpSubscriptionGateway('http://127.0.0.1:1', undefined, once);
    await expect(nobody.cancelMembership('a', 'b')).rejects.toThrow();
    status = 0; // no answer
    const mute = new HttpSubscriptionGateway(url, undefined, { ...once, timeoutMs: 50 });
    await expect(mute.cancelMembership('a', 'b')).rejects.toThrow(/timed out/i);
  });

  it('pauses for 30 s after 5 failures in a row, and tries one call then', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const gateway = new HttpSubscriptionGateway(url, undefined, once);
    const call = () => gateway.cancelMembership('a', 'b');
    status = 500;
    for (let failure = 0; failure < 4; failure += 1) await expect(call()).rejects.toThrow('500');
    status = 204;
    await call(); // a success in between: the count starts anew
    status = 500;
    for (let failure = 0; failure < 5; failure += 1) await expect(call()).rejects.toThrow('500');
    expect(requests).toHaveLength(10);
    status = 204;
    await expect(call()).rejects.toThrow(SubscriptionPaused);
    vi.setSystemTime(Date.now() + 29_900);
    await expect(call()).rejects.toThrow(SubscriptionPaused);
    expect(requests).toHaveLength(10);
    vi.setSystemTime(Date.now() + 200);
    await call();
    await call();
    expect(requests).toHaveLength(12);
  });
});

describe('without a subscription service, outside production', () => {
  it('ends the subscriptions in the shared tables', async () => {
    await open();
    try {
      const story = await stories.completed();
      const other = await stories.completed();
      const mainApp = new Database({ url: cast.service.databaseUrl, poolSize: 1, role: 'payout_main_app' });
      await new LocalSubscriptionGateway(mainApp).cancelMembership(story.member.userId);
      await mainApp.close();
      expect(await membershipOf(story)).toMatchObject({ isActive: false });
      expect(await membershipOf(other)).toMatchObject({ isActive: true });
    } finally {
      await cast.service.stop();
    }
  });
});
