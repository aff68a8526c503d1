import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Caller } from '../support/caller.ts';
import { ACCOUNT_NUMBER, expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast({ funded: 100 });
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const fail = (story: Story, evidence: Record<string, unknown> = {}, by: Caller = cast.admin2) =>
  by.post(at(story, 'fail'), { reason: 'It came back.', ...evidence });
const attemptsOf = ({ payoutId }: Story) => cast.service.sql`SELECT * FROM payment_attempts
  WHERE payout_id = ${payoutId} ORDER BY number`;
const giveBank = ({ member, name }: Story, account: string, holder = name) =>
  member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(holder, account));
const removalOf = async ({ payoutId }: Story) =>
  (await cast.service.sql`SELECT status FROM membership_removals WHERE payout_id = ${payoutId}`)[0];

/** The next payment, by two who did not record the failure. */
async function sendAgain(story: Story, body: Record<string, unknown> = {}): Promise<void> {
  expectOk(await cast.finance.post(at(story, 'generate-instructions'), body));
  expectOk(
    await cast.finance2.post(at(story, 'mark-sent'), {
      sentDate: stories.today,
      expectedArrivalDate: stories.today,
    }),
  );
}

async function sentCheck(): Promise<Story> {
  const story = await stories.payable();
  await sendAgain(story, { paymentMethod: 'check' });
  return story;
}

const confirm = (story: Story, completedDate = stories.today) =>
  cast.finance.post(at(story, 'confirm'), { completedDate });

describe('evidence', () => {
  it('is not needed for a payment that never left', async () => {
    const story = await stories.ready();
    expect((await fail(story)).body).toMatchObject({ status: 'payment_failed' });
    expect(await attemptsOf(story)).toMatchObject([
      {
        status: 'failed',
        failed_by: cast.admin2.adminId,
        failure_reason: 'It came back.',
        return_code: null,
      },
    ]);
  });

  it('of an ACH payment is its return code', async () => {
    const story = await stories.sent();
    for (const evidence of [{}, { stopPaymentReference: 'STOP-1' }]) {
      const answer = await fail(story, evidence);
      expect(refusal(answer)).toEqual([422, 'FAILURE_NOT_PROVEN']);
      expect(answer.body.error.details).toMatchObject({ needs: 'returnCode' });
    }
    expect((await read(story)).status).toBe('payment_sent');
    expect((await fail(story, { returnCode: 'R01' })).body).toMatchObject({ status: 'payment_failed' });
    expect(await attemptsOf(story)).toMatchObject([{ status: 'failed', return_code: 'R01' }]);
  });

  it('of a check is the reference of its stop payment', async () => {
    const story = await sentCheck();
    for (const evidence of [{}, { returnCode: 'R01' }]) {
      const answer = await fail(story, evidence);
      expect(refusal(answer)).toEqual([422, 'FAILURE_NOT_PROVEN']);
      expect(answer.body.error.details).toMatchObject({ needs: 'stopPaymentReference' });
    }
    expect((await read(story)).status).toBe('payment_sent');
    const answer = await fail(story, { stopPaymentReference: 'STOP-1' });
    expect(answer.body).toMatchObject({ status: 'payment_failed' });
    expect(await attemptsOf(story)).toMatchObject([{ status: 'failed', stop_payment_reference: 'STOP-1' }]);
  });

  it('is a known return code, and goes with a reason', async () => {
    const story = await stories.sent();
    for (const returnCode of ['R00', 'R86', 'R1', 'r01', 'C01', '', 1]) {
      const answer = await fail(story, { returnCode });
      expect([returnCode, ...refusal(answer)]).toEqual([returnCode, 400, 'VALIDATION_ERROR']);
    }
    const answer = await cast.admin2.post(at(story, 'fail'), { returnCode: 'R01' });
    expect(refusal(answer)).toEqual([400, 'VALIDATION_ERROR']);
    expect((await read(story)).status).toBe('payment_sent');
  });
});

describe('a return that concerns the account', () => {
  it.each(['R02', 'R03', 'R04', 'R13', 'R16', 'R20'])('%s asks the member for another one', async (code) => {
    const story = await stories.sent();
    expect((await fail(story, { returnCode: code })).body).toMatchObject({
      status: 'pending_bank_info',
      bankDetails: null,
    });
    const [mail] = await cast.service.sql`SELECT data FROM notifications
      WHERE user_id = ${story.member.userId} AND template = 'payment-failed'`;
    expect(mail?.['data'].nextStep).toMatch(/another account/);
  });

  it.each(['R01', 'R29'])('is not %s', async (code) => {
    const story = await stories.sent();
    const { body } = await fail(story, { returnCode: code });
    expect(body).toMatchObject({ status: 'payment_failed', bankDetails: { accountNumber: '****6789' } });
  });

  it('refuses these details from then on, under any name, after others too', async () => {
    const story = await stories.sent();
    expectOk(await fail(story, { returnCode: 'R03' }));
    for (const holder of [story.name, story.name.toUpperCase()]) {
      expect(refusal(await giveBank(story, ACCOUNT_NUMBER, holder))).toEqual([422, 'BANK_DETAILS_REFUSED']);
    }
    expect(expectOk(await giveBank(story, '55667788')).body).toMatchObject({ status: 'approved' });
    expect(refusal(await giveBank(story, ACCOUNT_NUMBER))).toEqual([422, 'BANK_DETAILS_REFUSED']);
    expect((await read(story)).bankDetails).toMatchObject({ accountNumber: '****7788' });
    // The numbers are new, so that the cool-off of a change applies.
    const early = await cast.finance.post(at(story, 'generate-instructions'));
    expect(refusal(early)).toEqual([422, 'COOLOFF_ACTIVE']);
    await sendAgain(story, { callbackVerification: 'Called.' });
    expect(refusal(await giveBank(story, ACCOUNT_NUMBER))).toEqual([409, 'INVALID_STATE']);
  });

  it('refuses them for the member’s next payout as well', async () => {
    const story = await stories.sent();
    expectOk(await fail(story, { returnCode: 'R03' }));
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'The member has moved.' }));
    cast.service.time.advanceDays(1);
    const made = expectOk(
      await cast.admin.post('/api/payouts/initiate', {
        userIds: [story.member.userId],
        overrideReason: 'The member is back.',
      }),
    );
    const next: Story = { ...story, payoutId: made.body.data[0].payoutId };
    for (const person of [cast.admin2, cast.finance]) expectOk(await person.post(at(next, 'approve')));
    expect(refusal(await giveBank(next, ACCOUNT_NUMBER))).toEqual([422, 'BANK_DETAILS_REFUSED']);
    expect((await giveBank(next, '55667788')).status).toBe(200);
  });

  it('does not bar another member with the same account', async () => {
    const story = await stories.sent();
    expectOk(await fail(story, { returnCode: 'R02' }));
    const other = await stories.approved();
    expect((await giveBank(other, ACCOUNT_NUMBER)).status).toBe(200);
  });

  it('is told to the member even if the payment had not left', async () => {
    const story = await stories.ready();
    expect((await fail(story, { returnCode: 'R03' })).body).toMatchObject({ status: 'pending_bank_info' });
    const mails = await cast.service.sql`SELECT 1 FROM notifications
      WHERE user_id = ${story.member.userId} AND template = 'payment-failed'`;
    expect(mails).toHaveLength(1);
  });

  it('is none for a check', async () => {
    const story = await sentCheck();
    const evidence = { returnCode: 'R03', stopPaymentReference: 'STOP-1' };
    expect((await fail(story, evidence)).body).toMatchObject({ status: 'payment_failed' });
  });
});

describe('the third failure', () => {
  it('goes to manual review, and back to payment_failed', async () => {
    const story = await stories.sent();
    expect((await fail(story, { returnCode: 'R01' })).body.status).toBe('payment_failed');
    await sendAgain(story);
    expect((await fail(story, { returnCode: 'R01' })).body.status).toBe('payment_failed');
    await sendAgain(story);
    expect((await fail(story, { returnCode: 'R01' })).body).toMatchObject({
      status: 'requires_manual_review',
      heldFrom: 'payment_failed',
      holdReason: expect.stringMatching(/^THIRD_FAILURE/),
    });
    const resumed = await cast.finance.post(at(story, 'resume'), { note: 'The bank has mended it.' });
    expect(resumed.body).toMatchObject({ status: 'payment_failed' });
    expect((await cast.finance.post(at(story, 'generate-instructions'))).status).toBe(200);
  });

  it('that concerns the account leads back to asking for another one', async () => {
    const story = await stories.ready();
    expectOk(await fail(story));
    expectOk(await cast.finance.post(at(story, 'generate-instructions')));
    expectOk(await fail(story));
    await sendAgain(story);
    expect((await fail(story, { returnCode: 'R04' })).body).toMatchObject({
      status: 'requires_manual_review',
      bankDetails: null,
    });
    const resumed = await cast.finance.post(at(story, 'resume'), { note: 'Ask again.' });
    expect(resumed.body).toMatchObject({ status: 'pending_bank_info' });
    expect(refusal(await giveBank(story, ACCOUNT_NUMBER))).toEqual([422, 'BANK_DETAILS_REFUSED']);
  });
});

describe('a completed payment', () => {
  it('that comes back by ACH loses its receipt, its removal date and what was withheld', async () => {
    const story = await stories.withBank();
    await sendAgain(story, { applyBackupWithholding: true, reason: 'No W-9.' });
    expectOk(await confirm(story));
    expect(await read(story)).toMatchObject({ netAmount: 75700, status: 'completed' });
    expect((await story.member.pdf(at(story, 'receipt'))).status).toBe(200);
    expect(await removalOf(story)).toMatchObject({ status: 'scheduled' });
    const liability = async () =>
      expectOk(await cast.finance.get('/api/reports/withholding/2026')).body as Record<string, unknown>;
    const before = JSON.stringify(await liability());
    expect(before).toContain('24000');

    for (const evidence of [{}, { stopPaymentReference: 'STOP-1' }]) {
      expect(refusal(await fail(story, evidence))).toEqual([422, 'FAILURE_NOT_PROVEN']);
    }
    const { body } = expectOk(await fail(story, { returnCode: 'R10' }));
    expect(body).toMatchObject({
      status: 'payment_failed',
      netAmount: 99700,
      taxWithholding: null,
      receiptUrl: null,
      membershipRemovalDate: null,
      scheduledDate: null,
      processing: { tax_withholding: 0, net_amount: 99700, removal_suspended: true },
    });
    expect(body.processing).not.toHaveProperty('membership_removal_scheduled');
    for (const reader of [story.member, cast.finance]) {
      expect((await reader.pdf(at(story, 'receipt'))).status).toBe(404);
    }
    expect(await removalOf(story)).toMatchObject({ status: 'suspended' });
    expect(JSON.stringify(await liability())).not.toContain('24000');
  });

  it('has its removal and its receipt again once it was paid again', async () => {
    const story = await stories.completed();
    expectOk(await fail(story, { returnCode: 'R10' }));
    cast.service.time.advanceDays(1);
    await sendAgain(story);
    const { body } = expectOk(await confirm(story));
    expect(body).toMatchObject({ status: 'completed', processing: { membership_removed: false } });
    expect(body.processing).not.toHaveProperty('removal_suspended');
    expect(await removalOf(story)).toMatchObject({ status: 'scheduled' });
    expect((await story.member.pdf(at(story, 'receipt'))).status).toBe(200);
  });

  it('by check cannot fail', async () => {
    const story = await sentCheck();
    expectOk(await confirm(story));
    for (const evidence of [{}, { stopPaymentReference: 'STOP-1' }, { returnCode: 'R01' }]) {
      expect(refusal(await fail(story, evidence))).toEqual([422, 'FAILURE_NOT_PROVEN']);
    }
    expect((await read(story)).status).toBe('completed');
    expect((await story.member.pdf(at(story, 'receipt'))).status).toBe(200);
  });
});

describe('attempts', () => {
  it('are numbered and kept, each made and sent by people without a hand in the failure before', async () => {
    const story = await stories.sent();
    expectOk(await fail(story, { returnCode: 'R01' }));
    const generate = (person: Caller) => person.post(at(story, 'generate-instructions'));
    expect(refusal(await generate(cast.admin2))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    expectOk(await generate(cast.finance2));
    const send = (person: Caller) =>
      person.post(at(story, 'mark-sent'), { sentDate: stories.today, expectedArrivalDate: stories.today });
    expect(refusal(await send(cast.admin2))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    expect(refusal(await send(cast.finance2))).toEqual([403, 'SEPARATION_OF_DUTIES']);
    expectOk(await send(cast.finance));
    expectOk(await fail(story, { returnCode: 'R09' }, cast.finance));
    // Whoever recorded an earlier failure may act again.
    expectOk(await generate(cast.admin2));
    const rows = await attemptsOf(story);
    expect(rows.map((row) => [row['number'], row['status'], row['return_code'], row['failed_by']])).toEqual([
      [1, 'failed', 'R01', cast.admin2.adminId],
      [2, 'failed', 'R09', cast.finance.adminId],
      [3, 'ready', null, null],
    ]);
    expect(rows.map((row) => row['previous_failure_by'])).toEqual([
      null,
      cast.admin2.adminId,
      cast.finance.adminId,
    ]);
  });

  it('that many report as failed at once fail once', async () => {
    const story = await stories.sent();
    const answers = await Promise.all(Array.from({ length: 8 }, () => fail(story, { returnCode: 'R01' })));
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array<number>(7).fill(409),
    ]);
  });

  it('that are confirmed and failed at once end in one way, which all records tell', async () => {
    for (let round = 0; round < 3; round += 1) {
      const story = await stories.sent();
      await Promise.all([confirm(story), fail(story, { returnCode: 'R01' })]);
      const { status } = await read(story);
      const [attempt] = await attemptsOf(story);
      // A completed payment that fails by ACH is a return; either order ends in failure.
      expect([status, attempt?.['status']]).toEqual(['payment_failed', 'failed']);
      expect((await removalOf(story))?.['status'] ?? 'none').not.toBe('scheduled');
    }
  });
});

describe('dates', () => {
  const day = (offset: number) =>
    new Date(cast.service.time.now().getTime() + offset * 86_400_000).toISOString().slice(0, 10);
  const send = (story: Story, sentDate: string, expectedArrivalDate: string) =>
    cast.finance2.post(at(story, 'mark-sent'), { sentDate, expectedArrivalDate });

  it('of a sending lie between the instructions and today, and arrival not before it', async () => {
    const story = await stories.ready();
    cast.service.time.advanceDays(3);
    for (const [sent, expected] of [
      [day(-4), day(0)], // before the instructions
      [day(1), day(2)], // in the future
      [day(0), day(-1)], // arrives before it was sent
      ['2026-02-30', day(0)],
      ['20.11.2026', day(0)],
      [`${day(0)}T00:00:00Z`, day(0)],
    ] as const) {
      const answer = await send(story, sent, expected);
      expect([sent, expected, ...refusal(answer)]).toEqual([sent, expected, 400, 'VALIDATION_ERROR']);
      expect(answer.body.error.details.issues[0].path).toMatch(/^body\.(sentDate|expectedArrivalDate)$/);
    }
    expect(await read(story)).toMatchObject({ status: 'ready_for_payment' });
    const { body } = expectOk(await send(story, day(-3), day(-3)));
    expect(body).toMatchObject({
      status: 'payment_sent',
      scheduledDate: `${day(-3)}T00:00:00.000Z`,
      processing: { sentDate: day(-3), expectedArrivalDate: day(-3) },
    });
  });

  it('of a completion lie between the sending and today', async () => {
    const story = await stories.ready();
    cast.service.time.advanceDays(3);
    expectOk(await send(story, day(-2), day(2)));
    for (const date of [day(-3), day(1), '2026-13-01', '']) {
      const answer = await confirm(story, date);
      expect([date, ...refusal(answer)]).toEqual([date, 400, 'VALIDATION_ERROR']);
      expect(answer.body.error.details.issues[0].path).toBe('body.completedDate');
    }
    expect((await read(story)).status).toBe('payment_sent');
    const { body } = expectOk(await confirm(story, day(-2)));
    expect(body).toMatchObject({
      status: 'completed',
      membershipRemovalDate: `${Number(day(-2).slice(0, 4)) + 1}${day(-2).slice(4)}T00:00:00.000Z`,
    });
  });

  it('are all required', async () => {
    const story = await stories.ready();
    const sent = await cast.finance2.post(at(story, 'mark-sent'), { sentDate: day(0) });
    expect(refusal(sent)).toEqual([400, 'VALIDATION_ERROR']);
    expect(refusal(await cast.finance2.post(at(story, 'mark-sent')))).toEqual([400, 'VALIDATION_ERROR']);
  });
});
