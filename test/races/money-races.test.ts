/** Awarding, approving and sending, raced over HTTP; what must be true is looked up by SQL after each. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Caller } from '../support/caller.ts';
import type { Story } from '../support/stories.ts';
import { counted, expectOutcomes, keyed, on, RaceTrack, said } from './race-track.ts';

let track: RaceTrack;
beforeAll(async () => {
  track = await RaceTrack.open(200);
});
afterAll(() => track.close());
afterEach(async () => {
  expect(await track.faults()).toEqual([]);
});

const attemptsOf = async ({ payoutId }: Story): Promise<string[]> =>
  (
    await track.cast.service.sql<
      { status: string }[]
    >`SELECT status FROM payment_attempts WHERE payout_id = ${payoutId} ORDER BY number`
  ).map(({ status }) => status);
const messagesOf = async ({ payoutId }: Story, template: string): Promise<number> =>
  (
    await track.cast.service
      .sql`SELECT 1 FROM notifications WHERE payout_id = ${payoutId} AND template = ${template}`
  ).length;

const sentToday = () => ({ sentDate: track.stories.today, expectedArrivalDate: track.stories.today });
const markSent = (caller: Caller, instance: number, { payoutId }: Story, key?: string): Promise<Answer> =>
  track
    .via(caller, instance)
    .post(on(payoutId, 'mark-sent'), sentToday(), key === undefined ? {} : keyed(key));

describe('the last funded slot', () => {
  it('goes to one of 20 initiates', async () => {
    const scarce = await RaceTrack.open(1);
    const { admin, admin2, service } = scarce.cast;
    try {
      const members = await Promise.all(Array.from({ length: 20 }, () => service.newMember()));
      const winners = new Set<string>();
      for (let round = 0; round < 4; round += 1) {
        if (round > 0) await service.fund(1);
        const free = members.filter(({ userId }) => !winners.has(userId));
        const answers = await Promise.all(
          Array.from({ length: 20 }, (_, index) =>
            scarce.via(index % 2 === 0 ? admin : admin2, index).post('/api/payouts/initiate', {
              userIds: [free[index % free.length]?.userId],
              overrideReason: 'A race.',
            }),
          ),
        );
        expect(counted(answers)).toEqual({ 201: 1, '422 NO_FUNDED_SLOT': 19 });
        winners.add(answers.find(({ status }) => status === 201)?.body.data[0].userId);
        expect(winners.size).toBe(round + 1);
        expect(await scarce.faults()).toEqual([]);
      }
    } finally {
      await scarce.close();
    }
  });

  it('is taken once when 20 press the same button for the same member', async () => {
    const member = await track.cast.service.newMember();
    const body = { userIds: [member.userId], overrideReason: 'A race.' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        track.via(track.cast.admin, index).post('/api/payouts/initiate', body),
      ),
    );
    expect(counted(answers)).toEqual({ 201: 1, '422 INVALID_WINNER': 19 });
  });

  it('is taken once when 20 retries carry the same key', async () => {
    const member = await track.cast.service.newMember();
    const body = { userIds: [member.userId], overrideReason: 'A race.' };
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        track.via(track.cast.admin, index).post('/api/payouts/initiate', body, keyed('race-initiate')),
      ),
    );
    const counts = counted(answers);
    expect(counts['201']).toBe(1);
    expect((counts['201 replayed'] ?? 0) + (counts['409 IDEMPOTENCY_IN_PROGRESS'] ?? 0)).toBe(19);
    const again = await track.cast.admin.post('/api/payouts/initiate', body, keyed('race-initiate'));
    expect(said(again)).toBe('201 replayed');
    expect(again.body).toEqual(answers.find((answer) => said(answer) === '201')?.body);
  });
});

describe('approvals', () => {
  it('of the same person count once, of 50', async () => {
    for (let round = 0; round < 3; round += 1) {
      const { payoutId } = await track.stories.initiated();
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          track
            .via(track.cast.finance, index)
            .post(on(payoutId, 'approve'), {}, index % 2 === 0 ? {} : keyed(`fifty-${round}-${index}`)),
        ),
      );
      expect(counted(answers)).toEqual({ 200: 1, '403 SEPARATION_OF_DUTIES': 49 });
      expect(await track.stories.statusOf(payoutId)).toBe('pending_approval');
      expect(await track.faults()).toEqual([]);
    }
  });

  it('of three people at once: two count', async () => {
    const people = [track.cast.admin2, track.cast.finance, track.cast.finance2];
    for (let round = 0; round < 4; round += 1) {
      const { payoutId } = await track.stories.initiated();
      const answers = await Promise.all(
        people.map((person, index) => track.via(person, index + round).post(on(payoutId, 'approve'))),
      );
      expect(counted(answers)).toEqual({ 200: 2, '409 INVALID_STATE': 1 });
      expect(await track.faults()).toEqual([]);
    }
  });

  it('against a rejection: the first ends it', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; pending_bank_info', '409 INVALID_STATE; 200; rejected'],
      arrange: async () => {
        const story = await track.stories.initiated();
        await track.cast.admin2.post(on(story.payoutId, 'approve'));
        return story;
      },
      first: ({ payoutId }) => track.via(track.cast.finance, 0).post(on(payoutId, 'approve')),
      second: ({ payoutId }) =>
        track.via(track.cast.finance2, 1).post(on(payoutId, 'reject'), { reason: 'No.' }),
    }));

  it('against a hold: an approved payout is held, a held one is not approved', () =>
    expectOutcomes(track, {
      outcomes: ['200; 200; requires_manual_review', '409 INVALID_STATE; 200; requires_manual_review'],
      arrange: async () => {
        const story = await track.stories.initiated();
        await track.cast.admin2.post(on(story.payoutId, 'approve'));
        return story;
      },
      first: ({ payoutId }) => track.via(track.cast.finance, 1).post(on(payoutId, 'approve')),
      second: ({ payoutId }) =>
        track.via(track.cast.finance2, 2).post(on(payoutId, 'hold'), { reason: 'Wait.' }),
    }));
});

describe('marking sent twice', () => {
  const once = async (story: Story): Promise<void> => {
    expect(await attemptsOf(story)).toEqual(['sent']);
    expect(await messagesOf(story, 'payment-sent')).toBe(1);
  };

  it('by two people: one does', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; payment_sent', '409 INVALID_STATE; 200; payment_sent'],
      arrange: () => track.stories.ready(),
      first: (story) => markSent(track.cast.finance2, 1, story),
      second: (story) => markSent(track.cast.admin2, 2, story),
      check: once,
    }));

  it('by one person with the same key: one does, the other is told what it said', () =>
    expectOutcomes(track, {
      outcomes: [
        '200; 200 replayed; payment_sent',
        '200 replayed; 200; payment_sent',
        '200; 409 IDEMPOTENCY_IN_PROGRESS; payment_sent',
        '409 IDEMPOTENCY_IN_PROGRESS; 200; payment_sent',
      ],
      rare: ['200; 200 replayed; payment_sent', '200 replayed; 200; payment_sent'],
      arrange: () => track.stories.ready(),
      first: (story, round) => markSent(track.cast.finance2, 0, story, `same-${round}`),
      second: (story, round) => markSent(track.cast.finance2, 1, story, `same-${round}`),
      check: once,
    }));

  it('by one person with different keys: one does', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; payment_sent', '409 INVALID_STATE; 200; payment_sent'],
      arrange: () => track.stories.ready(),
      first: (story, round) => markSent(track.cast.finance2, 2, story, `one-${round}`),
      second: (story, round) => markSent(track.cast.finance2, 0, story, `other-${round}`),
      check: once,
    }));
});

it('leaves an audit log that verifies', async () => {
  const { valid, firstFault } = await track.cast.service.services.audit.verify();
  expect([valid, firstFault]).toEqual([true, null]);
});
