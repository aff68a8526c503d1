import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { addDays } from '../../src/kernel/calendar.ts';
import type { Answer, Caller } from '../support/caller.ts';
import { invariantFaults } from '../support/invariants.ts';
import { ACCOUNT_NUMBER, expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast({ funded: 100 });
  stories = new Stories(cast);
  const { sql } = cast.service;
  cast.service.subscriptions.effect = async (userId) => {
    await sql`UPDATE user_subscriptions SET status = 'canceled' WHERE user_id = ${userId}`;
  };
});
afterAll(async () => {
  expect(await invariantFaults(cast.service.sql)).toEqual([]);
  await cast.service.stop();
});

afterEach(() => vi.restoreAllMocks());

const OTHER_ACCOUNT = '55667788';

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const giveBank = ({ member, name }: Story, account: string) =>
  member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name, account));
const comeBack = (story: Story, returnCode = 'R02', by: Caller = cast.admin2) =>
  by.post(at(story, 'fail'), { reason: 'It came back.', returnCode });
const mailsOf = async ({ payoutId }: Story, template: string) =>
  (
    await cast.service
      .sql`SELECT 1 FROM notifications WHERE payout_id = ${payoutId} AND template = ${template}`
  ).length;
const attemptsOf = async ({ payoutId }: Story) =>
  (
    await cast.service.sql`SELECT status FROM payment_attempts WHERE payout_id = ${payoutId} ORDER BY number`
  ).map(({ status }) => status);

async function initiateAgain(story: Story): Promise<Story> {
  const { body } = expectOk(
    await cast.admin.post('/api/payouts/initiate', {
      userIds: [story.member.userId],
      overrideReason: 'The member is next.',
    }),
  );
  const next = { ...story, payoutId: body.data[0].payoutId };
  for (const person of [cast.admin2, cast.finance]) expectOk(await person.post(at(next, 'approve')));
  return next;
}

/** Members paid a year ago, who were removed, paid for a year and have each won again. */
async function winnersAgain(count: number): Promise<{ first: Story; second: Story }[]> {
  const firsts: Story[] = [];
  for (let made = 0; made < count; made += 1) firsts.push(await stories.completed());
  const { sql, time } = cast.service;
  time.advanceDays(370);
  expectOk(await cast.admin.post('/api/jobs/membership-removals/run'));
  const pairs: { first: Story; second: Story }[] = [];
  for (const first of firsts) {
    const { userId } = first.member;
    await sql`INSERT INTO user_payments ${sql(
      Array.from({ length: 12 }, (_, month) => ({
        user_id: userId,
        amount: '100.00',
        status: 'succeeded',
        created_at: addDays(time.now(), 1 + month * 30),
      })),
    )}`;
    await sql`UPDATE user_subscriptions SET status = 'active' WHERE user_id = ${userId}`;
  }
  time.advanceDays(400);
  for (const first of firsts) pairs.push({ first, second: await initiateAgain(first) });
  return pairs;
}

async function sendTo(story: Story, body: Record<string, unknown> = {}): Promise<void> {
  expectOk(await cast.finance.post(at(story, 'generate-instructions'), body));
  const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
  expectOk(await cast.finance2.post(at(story, 'mark-sent'), dates));
}

describe('an account to which one payout of a member failed', () => {
  let pairs: { first: Story; second: Story }[];
  const next = () => pairs.pop() as { first: Story; second: Story };
  beforeAll(async () => {
    pairs = await winnersAgain(16);
  });

  /** The second payout has no account any more; its member was asked for another, and cannot give this one. */
  async function expectTaken(second: Story): Promise<void> {
    expect(await read(second)).toMatchObject({ status: 'pending_bank_info', bankDetails: null });
    expect(refusal(await cast.finance.post(at(second, 'generate-instructions')))).toEqual([
      422,
      'BANK_INFO_MISSING',
    ]);
    expect(refusal(await giveBank(second, ACCOUNT_NUMBER))).toEqual([422, 'BANK_DETAILS_REFUSED']);
  }

  it('is taken from another that waits for its payment', async () => {
    const { first, second } = next();
    expect(expectOk(await giveBank(second, ACCOUNT_NUMBER)).body.status).toBe('approved');
    const asked = await mailsOf(second, 'bank-info-wanted');
    expectOk(await comeBack(first));
    await expectTaken(second);
    expect(await mailsOf(second, 'bank-info-wanted')).toBe(asked + 1);
  });

  it('is taken from instructions, which are void', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    expectOk(await cast.finance.post(at(second, 'generate-instructions')));
    expectOk(await comeBack(first));
    await expectTaken(second);
    expect(await attemptsOf(second)).toEqual(['voided']);
  });

  it('leaves instructions by check in force, and the payment that is under way', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second, { paymentMethod: 'check' });
    expectOk(await comeBack(first));
    expect(await read(second)).toMatchObject({ status: 'payment_sent' });
    const { first: other, second: ready } = next();
    expectOk(await giveBank(ready, ACCOUNT_NUMBER));
    expectOk(await cast.finance.post(at(ready, 'generate-instructions'), { paymentMethod: 'check' }));
    expectOk(await comeBack(other));
    expect(await read(ready)).toMatchObject({ status: 'ready_for_payment', bankDetails: null });
  });

  it('is taken from one that failed for another reason, and its member is asked', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second);
    expectOk(await comeBack(second, 'R01'));
    const asked = await mailsOf(second, 'bank-info-wanted');
    expectOk(await comeBack(first));
    await expectTaken(second);
    expect(await mailsOf(second, 'bank-info-wanted')).toBe(asked + 1);
  });

  it('is taken from one that is held, which asks for another when it is resumed', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    expectOk(await cast.admin.post(at(second, 'hold'), { reason: 'To look.' }));
    expectOk(await comeBack(first));
    expect(await read(second)).toMatchObject({ status: 'requires_manual_review', bankDetails: null });
    const asked = await mailsOf(second, 'bank-info-wanted');
    expectOk(await cast.admin.post(at(second, 'resume'), { note: 'It is well.' }));
    await expectTaken(second);
    expect(await mailsOf(second, 'bank-info-wanted')).toBe(asked + 1);
  });

  it('is asked of the payout that lost it, and another goes to whichever waits', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second);
    expectOk(await comeBack(first));
    expect((await read(second)).status).toBe('payment_sent');
    const { body } = expectOk(await giveBank(second, OTHER_ACCOUNT));
    expect(body).toMatchObject({ payoutId: first.payoutId, status: 'approved' });
    expect(await read(first)).toMatchObject({ bankDetails: { accountNumber: '****7788' } });
    // The second comes back as well; the account that the member has given since is no change for it.
    expectOk(await comeBack(second));
    expect(expectOk(await giveBank(second, OTHER_ACCOUNT)).body).toMatchObject({ payoutId: second.payoutId });
  });

  it.each([
    ['sent', false],
    ['completed', true],
  ])(
    'is taken from a payment that was %s to it, once that comes back too, whatever the reason',
    async (_, done) => {
      const { first, second } = next();
      expectOk(await giveBank(second, ACCOUNT_NUMBER));
      await sendTo(second);
      if (done) expectOk(await cast.finance.post(at(second, 'confirm'), { completedDate: stories.today }));
      expectOk(await comeBack(first));
      expectOk(await comeBack(second, 'R01'));
      await expectTaken(second);
      const [mail] = await cast.service.sql`SELECT data FROM notifications
      WHERE payout_id = ${second.payoutId} AND template = 'payment-failed'`;
      expect(mail?.['data'].nextStep).toMatch(/another account/);
    },
  );

  it('is nowhere in force when both payments come back at once, one of them for another reason', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second);
    const answers = await Promise.all([comeBack(first), comeBack(second, 'R01', cast.admin)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await expectTaken(second);
  });

  it('is taken from a payout whose check was stopped meanwhile', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second, { paymentMethod: 'check' });
    expectOk(await comeBack(first));
    const stopped = { reason: 'It was lost.', stopPaymentReference: 'STOP-1' };
    expectOk(await cast.admin2.post(at(second, 'fail'), stopped));
    expect(await read(second)).toMatchObject({ status: 'payment_failed', bankDetails: null });
  });

  it.each([
    ['waits for its instructions', false],
    ['has them', true],
  ])('is taken from a payout that %s, where an earlier version left it there', async (_, isReady) => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    if (isReady) expectOk(await cast.finance.post(at(second, 'generate-instructions')));
    // As an earlier version does, which looks at no other payout.
    vi.spyOn(cast.service.services.payouts, 'lockOpenOf').mockResolvedValueOnce([]);
    expectOk(await comeBack(first));
    if (isReady) {
      const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
      expect(refusal(await cast.finance2.post(at(second, 'mark-sent'), dates))).toEqual([
        409,
        'INSTRUCTIONS_STALE',
      ]);
    }
    const refused = await cast.finance.post(at(second, 'generate-instructions'));
    expect(refusal(refused)).toEqual([422, 'BANK_INFO_MISSING']);
    await expectTaken(second);
  });

  it('is not paid by plain SQL either', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    expectOk(await cast.finance.post(at(second, 'generate-instructions')));
    const sending = cast.service.sql.begin(async (tx) => {
      await tx`UPDATE bank_details SET refused_at = now() WHERE payout_id = ${first.payoutId}`;
      await tx`UPDATE payment_attempts SET status = 'sent', sent_by = ${cast.finance2.adminId ?? 0}, sent_at = now()
        WHERE payout_id = ${second.payoutId}`;
    });
    await expect(sending).rejects.toMatchObject({
      constraint_name: 'attempt_refused',
      message: 'A payment to this account has failed.',
    });
  });

  it('is taken from one that failed and is held, which asks for another when it is resumed', async () => {
    const { first, second } = next();
    expectOk(await giveBank(second, ACCOUNT_NUMBER));
    await sendTo(second);
    expectOk(await comeBack(second, 'R01'));
    expectOk(await cast.admin.post(at(second, 'hold'), { reason: 'To look.' }));
    expectOk(await comeBack(first));
    expectOk(await cast.admin.post(at(second, 'resume'), { note: 'It is well.' }));
    await expectTaken(second);
    expect(await mailsOf(second, 'bank-info-wanted')).toBe(2);
  });

  it('is never in force afterwards, whenever the member gives it', async () => {
    const { first, second } = next();
    const [given, returned] = await Promise.all([giveBank(second, ACCOUNT_NUMBER), comeBack(first)]);
    expect([200, 422]).toContain(given.status);
    expect(returned.status).toBe(200);
    await expectTaken(second);
  });
});

describe('another account for a member’s next payout', () => {
  it('is a change of what they gave last: it is told to them, and new instructions wait', async () => {
    const story = await stories.withBank();
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'A mistake.' }));
    cast.service.time.advanceDays(1);
    const next = await initiateAgain(story);
    expectOk(await giveBank(next, OTHER_ACCOUNT));
    expect(await mailsOf(next, 'bank-details-changed')).toBe(1);
    await stories.giveW9(next);
    expect(refusal(await cast.finance.post(at(next, 'generate-instructions')))).toEqual([
      422,
      'COOLOFF_ACTIVE',
    ]);
    cast.service.time.advanceDays(3);
    expectOk(await cast.finance.post(at(next, 'generate-instructions')));
  });

  it('stays one when the payout is cancelled on suspicion and the same is given again', async () => {
    const story = await stories.withBank();
    cast.service.time.advanceDays(1);
    expectOk(await giveBank(story, OTHER_ACCOUNT));
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'It looks odd.' }));
    cast.service.time.advanceDays(1);
    const next = await initiateAgain(story);
    expectOk(await giveBank(next, OTHER_ACCOUNT));
    await stories.giveW9(next);
    const early = await cast.finance.post(at(next, 'generate-instructions'));
    expect(refusal(early)).toEqual([422, 'COOLOFF_ACTIVE']);
    // Three days after it was given first.
    cast.service.time.advanceDays(2);
    expectOk(await cast.finance.post(at(next, 'generate-instructions')));
  });

  it('is none where it is the same', async () => {
    const story = await stories.withBank();
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'A mistake.' }));
    cast.service.time.advanceDays(1);
    const next = await initiateAgain(story);
    expectOk(await giveBank(next, ACCOUNT_NUMBER));
    expect(await mailsOf(next, 'bank-details-changed')).toBe(0);
    await stories.giveW9(next);
    expectOk(await cast.finance.post(at(next, 'generate-instructions')));
  });
});
