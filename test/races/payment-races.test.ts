/** What may happen while a payment is prepared and sent, raced over HTTP against it. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Caller } from '../support/caller.ts';
import type { Story } from '../support/stories.ts';
import { counted, expectOutcomes, on, RaceTrack, said } from './race-track.ts';

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
const markSent = (caller: Caller, instance: number, { payoutId }: Story): Promise<Answer> =>
  track.via(caller, instance).post(on(payoutId, 'mark-sent'), sentToday());

describe('while the money leaves', () => {
  it('a change of bank details voids the instructions or comes too late', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; payment_sent', '409 INVALID_STATE; 200; approved'],
      arrange: () => track.stories.ready(),
      first: (story) => markSent(track.cast.finance2, 0, story),
      second: ({ member, name }) =>
        track
          .via(member, 1)
          .post(`/api/members/${member.userId}/bank-info`, track.stories.bankInfo(name, '999900001111')),
      check: async (story, outcome) =>
        expect(await attemptsOf(story)).toEqual([outcome.endsWith('approved') ? 'voided' : 'sent']),
    }));

  it('an approved W-9 voids the instructions that withheld, or comes too late for them', () => {
    const forms = new Map<string, string>();
    return expectOutcomes(track, {
      outcomes: ['200; 200; payment_sent', '409 INVALID_STATE; 200; approved'],
      arrange: async () => {
        const story = await track.stories.withBank();
        const { member, name, payoutId } = story;
        const form = await member.post(`/api/members/${member.userId}/tax-info`, track.stories.w9(name));
        forms.set(payoutId, form.body.formId);
        await track.cast.finance.post(on(payoutId, 'generate-instructions'), {
          applyBackupWithholding: true,
          reason: 'The W-9 is not approved.',
        });
        return story;
      },
      first: (story) => markSent(track.cast.finance2, 1, story),
      second: ({ payoutId }) =>
        track.via(track.cast.finance, 2).post(`/api/tax-forms/${forms.get(payoutId)}/approve`),
      check: async ({ payoutId }, outcome) => {
        const { body } = await track.cast.viewer.get(`/api/payouts/${payoutId}`);
        expect(body.netAmount).toBe(outcome.endsWith('payment_sent') ? 75_700 : 99_700);
      },
    });
  });

  it('a cancellation stops it or comes too late', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; payment_sent', '409 INVALID_STATE; 200; cancelled'],
      arrange: () => track.stories.ready(),
      first: (story) => markSent(track.cast.finance2, 2, story),
      second: ({ payoutId }) =>
        track.via(track.cast.admin, 0).post(on(payoutId, 'cancel'), { reason: 'Stop.' }),
    }));

  it('a cancellation of what was sent is refused, whenever it comes', () =>
    expectOutcomes(track, {
      outcomes: ['409 INVALID_STATE; 200; completed'],
      arrange: () => track.stories.sent(),
      first: ({ payoutId }) =>
        track.via(track.cast.admin, 0).post(on(payoutId, 'cancel'), { reason: 'Stop.' }),
      second: ({ payoutId }) =>
        track
          .via(track.cast.finance, 1)
          .post(on(payoutId, 'confirm'), { completedDate: track.stories.today }),
      check: async (story) => expect(await messagesOf(story, 'payment-confirmed')).toBe(1),
    }));

  it('a failure comes before the confirmation, or as a return after it', () =>
    expectOutcomes(track, {
      outcomes: ['200; 200; payment_failed', '200; 409 INVALID_STATE; payment_failed'],
      arrange: () => track.stories.sent(),
      first: ({ payoutId }) =>
        track
          .via(track.cast.finance2, 1)
          .post(on(payoutId, 'fail'), { reason: 'It came back.', returnCode: 'R01' }),
      second: ({ payoutId }) =>
        track
          .via(track.cast.finance, 2)
          .post(on(payoutId, 'confirm'), { completedDate: track.stories.today }),
      check: async (story) => {
        expect(await attemptsOf(story)).toEqual(['failed']);
        expect(await messagesOf(story, 'payment-failed')).toBe(1);
      },
    }));

  it('confirming twice ends it once', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; completed', '409 INVALID_STATE; 200; completed'],
      arrange: () => track.stories.sent(),
      first: ({ payoutId }) =>
        track
          .via(track.cast.finance, 1)
          .post(on(payoutId, 'confirm'), { completedDate: track.stories.today }),
      second: ({ payoutId }) =>
        track.via(track.cast.admin2, 2).post(on(payoutId, 'confirm'), { completedDate: track.stories.today }),
      check: async (story) => expect(await messagesOf(story, 'payment-confirmed')).toBe(1),
    }));
});

describe('before the money leaves', () => {
  const generate = (caller: Caller, instance: number, { payoutId }: Story): Promise<Answer> =>
    track.via(caller, instance).post(on(payoutId, 'generate-instructions'));

  it('two people generate one set of instructions', () =>
    expectOutcomes(track, {
      outcomes: ['200; 409 INVALID_STATE; ready_for_payment', '409 INVALID_STATE; 200; ready_for_payment'],
      arrange: () => track.stories.payable(),
      first: (story) => generate(track.cast.finance, 0, story),
      second: (story) => generate(track.cast.finance2, 1, story),
      check: async (story) => expect(await attemptsOf(story)).toEqual(['ready']),
    }));

  it('a hold voids new instructions or comes before them', () =>
    expectOutcomes(track, {
      outcomes: ['200; 200; requires_manual_review', '200; 409 INVALID_STATE; requires_manual_review'],
      arrange: () => track.stories.payable(),
      first: ({ payoutId }) => track.via(track.cast.admin, 2).post(on(payoutId, 'hold'), { reason: 'Wait.' }),
      second: (story) => generate(track.cast.finance, 0, story),
      check: async (story, outcome) =>
        expect(await attemptsOf(story)).toEqual(outcome.startsWith('200; 200') ? ['voided'] : []),
    }));

  it('a failed payment is tried again or cancelled', () =>
    expectOutcomes(track, {
      outcomes: ['200; 200; cancelled', '409 INVALID_STATE; 200; cancelled'],
      arrange: async () => {
        const story = await track.stories.ready();
        await track.cast.finance2.post(on(story.payoutId, 'fail'), { reason: 'The bank was closed.' });
        return story;
      },
      first: (story) => generate(track.cast.finance, 1, story),
      second: ({ payoutId }) =>
        track.via(track.cast.admin, 2).post(on(payoutId, 'cancel'), { reason: 'Enough.' }),
    }));

  /** Approved and without bank details, with a W-9 to review. */
  const withW9 = async (): Promise<Story & { formId: string }> => {
    const story = await track.stories.approved();
    const form = await giveW9(story, 0);
    return { ...story, formId: form.body.formId };
  };
  const giveW9 = ({ member, name }: Story, instance: number): Promise<Answer> =>
    track.via(member, instance).post(`/api/members/${member.userId}/tax-info`, track.stories.w9(name));
  const bankInfo = ({ member, name }: Story) =>
    [`/api/members/${member.userId}/bank-info`, track.stories.bankInfo(name)] as const;

  it('bank details and the approval of the W-9 both count', () => {
    const forms = new Map<string, string>();
    return expectOutcomes(track, {
      outcomes: ['200; 200; approved'],
      arrange: async () => {
        const { formId, ...story } = await withW9();
        forms.set(story.payoutId, formId);
        return story;
      },
      first: (story) => track.via(story.member, 0).post(...bankInfo(story)),
      second: ({ payoutId }) =>
        track.via(track.cast.finance, 1).post(`/api/tax-forms/${forms.get(payoutId)}/approve`),
    });
  });

  it('the approval of a W-9 is seen by bank details that were taken at the same moment', async () => {
    const story = await withW9();
    const answers = await track.whileOpen(story.member, ...bankInfo(story), () =>
      track.cast.finance.post(`/api/tax-forms/${story.formId}/approve`),
    );
    expect(answers.map(said)).toEqual(['200', '200']);
    expect(await track.stories.statusOf(story.payoutId)).toBe('approved');
  });

  it('the approval of a W-9 is seen by a payout that was resumed at the same moment', async () => {
    const story = await track.stories.withBank();
    const { payoutId } = story;
    const form = await giveW9(story, 0);
    await track.cast.admin.post(on(payoutId, 'hold'), { reason: 'Wait.' });
    const answers = await track.whileOpen(track.cast.admin, on(payoutId, 'resume'), { note: 'On.' }, () =>
      track.cast.finance.post(`/api/tax-forms/${form.body.formId}/approve`),
    );
    expect(answers.map(said)).toEqual(['200', '200']);
    expect(await track.stories.statusOf(payoutId)).toBe('approved');
  });

  it('the approval of a W-9 voids a second attempt that withheld, made at the same moment', async () => {
    const story = await track.stories.withBank();
    const { payoutId } = story;
    const withheld = { applyBackupWithholding: true, reason: 'The W-9 is not approved.' };
    await track.cast.finance.post(on(payoutId, 'generate-instructions'), withheld);
    await track.cast.admin.post(on(payoutId, 'fail'), { reason: 'The bank was closed.' });
    const form = await giveW9(story, 0);
    const answers = await track.whileOpen(
      track.cast.finance,
      on(payoutId, 'generate-instructions'),
      withheld,
      () => track.cast.finance2.post(`/api/tax-forms/${form.body.formId}/approve`),
    );
    expect(answers.map(said)).toEqual(['200', '200']);
    expect(await track.stories.statusOf(payoutId)).toBe('approved');
  });

  it('of two W-9s at once the later one is to be reviewed', async () => {
    const story = await track.stories.approved();
    const answers = await track.whileOpen(
      story.member,
      `/api/members/${story.member.userId}/tax-info`,
      track.stories.w9(story.name),
      () => giveW9(story, 1),
    );
    expect(answers.map(said)).toEqual(['201', '201']);
  });

  it('ten rejected W-9s at once leave nobody waiting for a connection', async () => {
    const members = await Promise.all(Array.from({ length: 10 }, () => track.stories.approved()));
    const forms = await Promise.all(
      members.map(({ member, name }) =>
        member.post(`/api/members/${member.userId}/tax-info`, track.stories.w9(name)),
      ),
    );
    const answers = await Promise.all(
      forms.map(({ body }) =>
        track.cast.finance.post(`/api/tax-forms/${body.formId}/reject`, { reason: 'Not readable.' }),
      ),
    );
    expect(counted(answers)).toEqual({ 200: 10 });
  });
});

it('leaves an audit log that verifies', async () => {
  const { valid, firstFault } = await track.cast.service.services.audit.verify();
  expect([valid, firstFault]).toEqual([true, null]);
});
