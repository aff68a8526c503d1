import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readPdf } from '../documents/read-pdf.ts';
import type { Answer, Caller } from '../support/caller.ts';
import {
  ACCOUNT_NUMBER,
  expectOk,
  ROUTING_NUMBER,
  startCast,
  Stories,
  type Cast,
  type Story,
} from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast({ funded: 100 });
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const WITHHOLD = { applyBackupWithholding: true, reason: 'No W-9.' };

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const read = async ({ payoutId }: Story) => expectOk(await cast.viewer.get(`/api/payouts/${payoutId}`)).body;
const generate = (story: Story, body: Record<string, unknown> = {}, by: Caller = cast.finance) =>
  by.post(at(story, 'generate-instructions'), body);
const markSent = (story: Story) =>
  cast.finance2.post(at(story, 'mark-sent'), {
    sentDate: stories.today,
    expectedArrivalDate: stories.today,
  });
const giveBank = ({ member, name }: Story, account = '55667788', holder = name) =>
  member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(holder, account));
const attemptsOf = ({ payoutId }: Story) => cast.service.sql`SELECT * FROM payment_attempts
  WHERE payout_id = ${payoutId} ORDER BY number`;
/** The main app's tables, as the main app changes them. */
const setKyc = ({ member }: Story, change: { status?: string; legal_name?: string }) =>
  cast.service.sql`UPDATE kyc_verification SET ${cast.service.sql(change)} WHERE user_id = ${member.userId}`;
const setAddress = ({ member }: Story, line1: string) =>
  cast.service.sql`UPDATE user_addresses SET line1 = ${line1} WHERE user_id = ${member.userId}`;
async function giveW9(story: Story, changes: Record<string, unknown> = {}): Promise<void> {
  const { member, name } = story;
  const { formId } = expectOk(
    await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name, changes)),
  ).body;
  expectOk(await cast.finance2.post(`/api/tax-forms/${formId}/approve`));
}

/** Refused, with nothing written but the refusal itself. */
async function expectUnchanged(
  story: Story,
  code: string,
  body: Record<string, unknown> = {},
): Promise<void> {
  const before = [await read(story), await attemptsOf(story)];
  const answer = await generate(story, body);
  expect(refusal(answer)).toEqual([422, code]);
  expect([await read(story), await attemptsOf(story)]).toEqual(before);
}

describe('what is missing', () => {
  it('is BANK_INFO_MISSING for ACH without bank details', async () => {
    await expectUnchanged(await stories.approved(), 'BANK_INFO_MISSING', WITHHOLD);
  });

  it('is ADDRESS_MISSING for a check without a primary address', async () => {
    const story = await stories.approved({}, { address: false });
    await expectUnchanged(story, 'ADDRESS_MISSING', { paymentMethod: 'check', ...WITHHOLD });
    await cast.service.sql`INSERT INTO user_addresses (user_id, line1, city, state, postal_code, is_primary)
      VALUES (${story.member.userId}, '5 Old Road', 'Springfield', 'IL', '62701', false)`;
    await expectUnchanged(story, 'ADDRESS_MISSING', { paymentMethod: 'check', ...WITHHOLD });
  });

  it('is W9_MISSING without an approved W-9, unless withholding is asked for with a reason', async () => {
    const story = await stories.withBank();
    await expectUnchanged(story, 'W9_MISSING');
    await expectUnchanged(story, 'W9_MISSING', { applyBackupWithholding: false });
    await expectUnchanged(story, 'W9_MISSING', { applyBackupWithholding: true });
    const { member, name } = story;
    expectOk(await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name)));
    await expectUnchanged(story, 'W9_MISSING', { reason: 'It is only submitted.' });
  });

  it('is WITHHOLDING_NOT_DUE when withholding is asked for in spite of an approved W-9', async () => {
    const story = await stories.payable();
    await expectUnchanged(story, 'WITHHOLDING_NOT_DUE', WITHHOLD);
    await expectUnchanged(story, 'WITHHOLDING_NOT_DUE', { applyBackupWithholding: true });
  });

  it('is nothing that a wrong request could leave out', async () => {
    const story = await stories.payable();
    for (const body of [{ paymentMethod: 'wire' }, { applyBackupWithholding: 'yes' }, { amount: 1 }]) {
      expect(refusal(await generate(story, body))).toEqual([400, 'VALIDATION_ERROR']);
    }
    expect((await read(story)).status).toBe('approved');
  });
});

describe('a change of bank details', () => {
  it('holds new instructions for 72 hours', async () => {
    const story = await stories.payable();
    expectOk(await giveBank(story));
    const answer = await generate(story);
    expect(refusal(answer)).toEqual([422, 'COOLOFF_ACTIVE']);
    expect(answer.body.error.details).toMatchObject({
      until: new Date(cast.service.time.now().getTime() + 72 * 3_600_000).toISOString(),
    });
    await expectUnchanged(story, 'COOLOFF_ACTIVE');
    cast.service.time.advanceDays(71.99 / 24);
    await expectUnchanged(story, 'COOLOFF_ACTIVE');
    cast.service.time.advanceDays(0.01 / 24);
    expect((await generate(story)).status).toBe(200);
  });

  it('does not, when the member was called back, which is kept', async () => {
    const story = await stories.payable();
    expectOk(await giveBank(story));
    await expectUnchanged(story, 'COOLOFF_ACTIVE');
    const callbackVerification = 'Called +1 555 0100 on the number on file.';
    expectOk(await generate(story, { callbackVerification }));
    expect(await attemptsOf(story)).toMatchObject([{ callback_verification: callbackVerification }]);
    const pdf = await cast.finance.pdf(at(story, 'instructions'));
    expect(readPdf(pdf.content).text).toContain(callbackVerification);
  });

  it('does not hold a check', async () => {
    const story = await stories.payable();
    expectOk(await giveBank(story));
    expect((await generate(story, { paymentMethod: 'check' })).status).toBe(200);
  });

  it('is none when they are given for the first time', async () => {
    const story = await stories.payable();
    expect((await generate(story)).status).toBe(200);
  });

  it('makes instructions void: withheld is 0 again, net 99,700.00', async () => {
    const story = await stories.withBank();
    expectOk(await generate(story, WITHHOLD));
    expect(await read(story)).toMatchObject({ status: 'ready_for_payment', netAmount: 75700 });
    const { body } = expectOk(await giveBank(story));
    expect(body.status).toBe('pending_tax_info');
    const after = await read(story);
    expect(after).toMatchObject({
      status: 'pending_tax_info',
      netAmount: 99700,
      taxWithholding: null,
      processing: { tax_withholding: 0, net_amount: 99700 },
    });
    expect(after.processing.breakdown.at(-1)).toEqual({ description: 'Net Payout', amount: 99700 });
    expect(await attemptsOf(story)).toMatchObject([
      { number: 1, status: 'voided', void_reason: 'bank details were changed', withheld_amount: '24000.00' },
    ]);
    expect((await cast.finance.pdf(at(story, 'instructions'))).status).toBe(404);
  });
});

describe('doubts about the payee', () => {
  const resume = (story: Story) =>
    cast.finance2.post(at(story, 'resume'), { note: 'Married; certificate seen.' });

  it('KYC lost: 422 and manual review', async () => {
    const story = await stories.payable();
    await setKyc(story, { status: 'rejected' });
    expect(refusal(await generate(story))).toEqual([422, 'KYC_NOT_VERIFIED']);
    expect(await read(story)).toMatchObject({
      status: 'requires_manual_review',
      heldFrom: 'approved',
      holdReason: expect.stringMatching(/^KYC_NOT_VERIFIED/),
    });
    expect(await attemptsOf(story)).toHaveLength(0);
    expectOk(await resume(story));
    // A note does not make up for an identity check.
    expect(refusal(await generate(story))).toEqual([422, 'KYC_NOT_VERIFIED']);
    expectOk(await resume(story));
    await setKyc(story, { status: 'verified' });
    expect((await generate(story)).status).toBe(200);
  });

  it.each<[string, (story: Story) => Promise<unknown>]>([
    ['account holder', async (story) => giveBank(story, '55667788', 'Somebody Else')],
    ['W-9', (story) => giveW9(story, { legalName: 'Somebody Else' })],
    ['identity check', (story) => setKyc(story, { legal_name: 'Somebody Else' })],
  ])(
    'NAME_MISMATCH with the %s: 422 and manual review, until a resume note accepts it',
    async (_on, change) => {
      const story = await stories.payable();
      await change(story);
      const callback = { callbackVerification: 'Called.' };
      const answer = await generate(story, callback);
      expect(refusal(answer)).toEqual([422, 'NAME_MISMATCH']);
      expect(Object.values(answer.body.error.details.names)).toContain('Somebody Else');
      const held = await read(story);
      expect(held).toMatchObject({ status: 'requires_manual_review', heldFrom: 'approved' });
      expect(held.holdReason).toMatch(/^NAME_MISMATCH: .*Somebody Else/);
      expectOk(await resume(story));
      expect((await generate(story, callback)).status).toBe(200);
    },
  );

  it('are settled for those names and no others', async () => {
    const story = await stories.payable();
    await setKyc(story, { legal_name: 'Somebody Else' });
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
    expectOk(await resume(story));
    await setKyc(story, { legal_name: 'A Third Person' });
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
  });

  it('are settled for a check whatever account is given later, and not for that account', async () => {
    const story = await stories.payable();
    await setKyc(story, { legal_name: 'Somebody Else' });
    const byCheck = { paymentMethod: 'check' };
    expect(refusal(await generate(story, byCheck))).toEqual([422, 'NAME_MISMATCH']);
    expectOk(await resume(story));
    await giveBank(story, '55667788', 'Somebody Else');
    expect(refusal(await generate(story, { callbackVerification: 'Called.' }))).toEqual([
      422,
      'NAME_MISMATCH',
    ]);
    const again = await stories.payable();
    await setKyc(again, { legal_name: 'Somebody Else' });
    expect(refusal(await generate(again, byCheck))).toEqual([422, 'NAME_MISMATCH']);
    expectOk(await resume(again));
    await giveBank(again, '55667788', 'Somebody Else');
    expect((await generate(again, byCheck)).status).toBe(200);
  });

  it('are settled too where a name was written in another way while the payout was held', async () => {
    const story = await stories.payable();
    await setKyc(story, { legal_name: 'Somebody Else' });
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
    await setKyc(story, { legal_name: 'ELSE, Sómebody' });
    expectOk(await resume(story));
    expect((await generate(story)).status).toBe(200);
  });

  it('are not settled by a note for names that came in while the payout was held', async () => {
    const story = await stories.payable();
    await setKyc(story, { legal_name: 'Somebody Else' });
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
    await setKyc(story, { legal_name: 'A Third Person' });
    expectOk(await resume(story));
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
    expect((await read(story)).holdReason).toContain('A Third Person');
  });

  it('are not settled by a hold for another reason', async () => {
    const story = await stories.payable();
    await setKyc(story, { legal_name: 'Somebody Else' });
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'NAME_MISMATCH: I think it is fine.' }));
    expectOk(await resume(story));
    expect(refusal(await generate(story))).toEqual([422, 'NAME_MISMATCH']);
  });

  it('do not come from case, accents, order, punctuation and middle names', async () => {
    const story = await stories.approved({}, { firstName: 'José', lastName: "O'Neil-Smith" });
    await giveW9(story, { legalName: "O'NEIL SMITH, JOSE" });
    expectOk(await giveBank(story, ACCOUNT_NUMBER, 'Jose Q. ONeil Smith'));
    expect((await generate(story)).status).toBe(200);
  });

  it('leave the account holder out for a check', async () => {
    const story = await stories.payable();
    expectOk(await giveBank(story, '55667788', 'Somebody Else'));
    expect((await generate(story, { paymentMethod: 'check' })).status).toBe(200);
  });
});

describe('backup withholding', () => {
  it('is 24% of the gross without a W-9, and asked for again for each attempt', async () => {
    const story = await stories.withBank();
    const { body } = expectOk(await generate(story, WITHHOLD));
    expect(body).toMatchObject({
      attempt: 1,
      amount: 75700,
      status: 'ready_for_payment',
      calculation: {
        grossAmount: 100000,
        retentionFee: 300,
        taxWithholding: 24000,
        netAmount: 75700,
        breakdown: [
          { description: 'Gross Payout', amount: 100000 },
          { description: 'Retention Fee (Next Year)', amount: -300 },
          { description: 'Backup Withholding', amount: -24000 },
          { description: 'Net Payout', amount: 75700 },
        ],
      },
    });
    expect((await read(story)).taxWithholding).toEqual({
      withholdingRate: 0.24,
      withheldAmount: 24000,
      netPayoutAmount: 76000,
      reason: 'No W-9 on file',
    });
    expectOk(await cast.finance2.post(at(story, 'fail'), { reason: 'The bank portal was down.' }));
    expect(await read(story)).toMatchObject({ status: 'payment_failed', netAmount: 99700 });
    await expectUnchanged(story, 'W9_MISSING');
    expect(expectOk(await generate(story, WITHHOLD)).body).toMatchObject({ attempt: 2, amount: 75700 });
  });

  it('has a reason that finance gave, for staff and not for the payee', async () => {
    const story = await stories.withBank();
    expectOk(await generate(story, { ...WITHHOLD, reason: 'They do not answer.' }));
    const { text } = readPdf((await cast.finance.pdf(at(story, 'instructions'))).content);
    expect(text).toContain('Reason for withholding: No W-9 on file: They do not answer.');
    const { body } = expectOk(await story.member.get(`/api/members/${story.member.userId}/payout`));
    expect(body.taxWithholding.reason).toBe('No W-9 on file');
    expect(JSON.stringify(body)).not.toContain('They do not answer');
  });

  it('applies by itself when item 2 of the W-9 is crossed out', async () => {
    const story = await stories.withBank();
    const certification = {
      signedName: story.name,
      signedDate: stories.today,
      notSubjectToBackupWithholding: false,
    };
    await giveW9(story, { certification });
    expect((await read(story)).status).toBe('approved');
    expect(expectOk(await generate(story)).body).toMatchObject({ amount: 75700 });
    expect((await read(story)).taxWithholding).toMatchObject({
      withheldAmount: 24000,
      reason: expect.stringMatching(/item 2/),
    });
  });

  it('is undone by a W-9 that is approved afterwards', async () => {
    const story = await stories.withBank();
    expectOk(await generate(story, WITHHOLD));
    await giveW9(story);
    expect(await read(story)).toMatchObject({ status: 'approved', netAmount: 99700, taxWithholding: null });
    expect(expectOk(await generate(story)).body).toMatchObject({ attempt: 2, amount: 99700 });
  });
});

describe('the payment method', () => {
  it('is settled by the instructions, and kept', async () => {
    const story = await stories.payable();
    const { body } = expectOk(await generate(story, { paymentMethod: 'check' }));
    expect(body).toMatchObject({
      paymentMethod: 'check',
      bankDetails: null,
      mailingAddress: { city: 'Springfield', state: 'IL', postalCode: '62701', country: 'US' },
    });
    expect(await read(story)).toMatchObject({ paymentMethod: 'check' });
  });

  it('may be changed from check to ACH once there are bank details', async () => {
    const story = await stories.approved({ paymentMethod: 'check' });
    await giveW9(story);
    await expectUnchanged(story, 'BANK_INFO_MISSING', { paymentMethod: 'ach' });
    expectOk(await giveBank(story));
    expect(expectOk(await generate(story, { paymentMethod: 'ach' })).body).toMatchObject({
      paymentMethod: 'ach',
      mailingAddress: null,
      bankDetails: { accountNumber: '****7788' },
    });
  });
});

describe('what changed after the instructions', () => {
  /** Marking sent finds it out: the payout goes back to what is missing, and the instructions are void. */
  async function expectStale(story: Story, status: string): Promise<void> {
    expect(refusal(await markSent(story))).toEqual([409, 'INSTRUCTIONS_STALE']);
    expect(await read(story)).toMatchObject({ status, netAmount: 99700, taxWithholding: null });
    expect(await attemptsOf(story)).toMatchObject([{ status: 'voided', sent_by: null, sent_date: null }]);
    expect(refusal(await markSent(story))).toEqual([409, 'INVALID_STATE']);
  }

  it('the payee’s name', async () => {
    const story = await stories.ready();
    await setKyc(story, { legal_name: `${story.name} Junior` });
    await expectStale(story, 'approved');
  });

  it('the identity check', async () => {
    const story = await stories.ready();
    await setKyc(story, { status: 'expired' });
    await expectStale(story, 'approved');
  });

  it('the address of a check', async () => {
    const story = await stories.payable();
    expectOk(await generate(story, { paymentMethod: 'check' }));
    await setAddress(story, '99 New Road');
    await expectStale(story, 'approved');
    const { body } = expectOk(await generate(story));
    expect(body.mailingAddress.line1).toBe('99 New Road');
  });

  it('the address of a check, which is gone', async () => {
    const story = await stories.payable();
    expectOk(await generate(story, { paymentMethod: 'check' }));
    await cast.service.sql`DELETE FROM user_addresses WHERE user_id = ${story.member.userId}`;
    await expectStale(story, 'pending_bank_info');
  });

  it('the W-9, whoever took it away', async () => {
    const story = await stories.ready();
    await cast.service.sql`UPDATE tax_forms SET status = 'superseded' WHERE user_id = ${story.member.userId}`;
    await expectStale(story, 'pending_tax_info');
  });

  it('withholding that a W-9 came to undo', async () => {
    const story = await stories.withBank();
    expectOk(await generate(story, WITHHOLD));
    const other = await stories.payable();
    // The owner alone can do it, and only with the guard off.
    await cast.service.sql`ALTER TABLE tax_forms DISABLE TRIGGER tax_forms_guard`;
    await cast.service.sql`UPDATE tax_forms SET user_id = ${story.member.userId}
      WHERE user_id = ${other.member.userId}`;
    await cast.service.sql`ALTER TABLE tax_forms ENABLE TRIGGER tax_forms_guard`;
    await expectStale(story, 'approved');
  });

  it('a new W-9: its approval voids the instructions at once, its submission does not', async () => {
    const story = await stories.ready();
    const { member, name } = story;
    const { formId } = expectOk(
      await member.post(`/api/members/${member.userId}/tax-info`, stories.w9(name)),
    ).body;
    expect((await read(story)).status).toBe('ready_for_payment');
    expectOk(await cast.finance2.post(`/api/tax-forms/${formId}/approve`));
    expect((await read(story)).status).toBe('approved');
    expect(refusal(await markSent(story))).toEqual([409, 'INVALID_STATE']);
    expect(await attemptsOf(story)).toMatchObject([{ status: 'voided' }]);
  });

  it('the method, by way of a hold', async () => {
    const story = await stories.ready();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'The member prefers a check.' }));
    expectOk(await cast.finance.post(at(story, 'resume'), { note: 'By check, then.' }));
    expect(refusal(await markSent(story))).toEqual([409, 'INVALID_STATE']);
    expectOk(await generate(story, { paymentMethod: 'check' }));
    expect(
      (await attemptsOf(story)).map((attempt) => [attempt['status'], attempt['payment_method']]),
    ).toEqual([
      ['voided', 'ach'],
      ['ready', 'check'],
    ]);
  });

  it('nothing: it is sent', async () => {
    const story = await stories.ready();
    expect((await markSent(story)).body).toMatchObject({ status: 'payment_sent' });
  });
});

describe('instructions', () => {
  it('differ in their hash between payouts and between attempts of one', async () => {
    const [one, two] = [await stories.payable(), await stories.payable()];
    const hash = async (story: Story) => expectOk(await generate(story)).body.instructionsHash as string;
    const hashes = [await hash(one), await hash(two)];
    expectOk(await cast.finance2.post(at(one, 'fail'), { reason: 'The portal was down.' }));
    hashes.push(await hash(one));
    for (const each of hashes) expect(each).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(hashes).size).toBe(3);
  });

  it('are masked in the answer', async () => {
    const story = await stories.payable();
    const { body } = expectOk(await generate(story));
    expect(body.bankDetails).toMatchObject({ accountNumber: '****6789', routingNumber: '****0021' });
    expect(JSON.stringify(body)).not.toContain(ACCOUNT_NUMBER);
  });

  it('show full numbers unbroken in the PDF, and the receipt only the last four', async () => {
    const story = await stories.ready();
    const pdf = await cast.finance.pdf(at(story, 'instructions'));
    expect([pdf.status, pdf.headers.get('content-type')]).toEqual([200, 'application/pdf']);
    expect(pdf.headers.get('cache-control')).toBe('no-store');
    const { runs, text } = readPdf(pdf.content);
    expect(runs).toContain(ACCOUNT_NUMBER);
    expect(runs).toContain(ROUTING_NUMBER);
    expect(text).toContain('$99,700.00');
    expect(text).toContain(story.name);
    expect(text).toContain(story.payoutId);
    expectOk(await markSent(story));
    expectOk(await cast.finance.post(at(story, 'confirm'), { completedDate: stories.today }));
    const receipt = await story.member.pdf(at(story, 'receipt'));
    expect(receipt.status).toBe(200);
    const receiptText = readPdf(receipt.content).text;
    expect(receiptText).toContain('ending in 6789');
    expect(receiptText.replace(/\s/g, '')).not.toContain(ACCOUNT_NUMBER);
    expect(receiptText.replace(/\s/g, '')).not.toContain(ROUTING_NUMBER);
    expect((await cast.finance.pdf(at(story, 'instructions'))).status).toBe(404);
  });

  it('that are replaced while they are read say what the new ones pay', async () => {
    const story = await stories.withBank();
    expectOk(await generate(story, WITHHOLD));
    const { payouts } = cast.service.services;
    const find = payouts.find.bind(payouts);
    // The payout and its attempts are two statements: both of these commits can lie between them.
    const between = vi.spyOn(payouts, 'find').mockImplementationOnce(async (actor, payoutId) => {
      const { payout } = await find(actor, payoutId);
      await giveW9(story);
      expectOk(await generate(story));
      return { ...(await find(actor, payoutId)), payout };
    });
    const { text } = readPdf((await cast.finance.pdf(at(story, 'instructions'))).content);
    between.mockRestore();
    const [, second] = await attemptsOf(story);
    expect(text).toContain(second?.['instructions_hash'].slice(0, 12));
    expect(text).toContain('$99,700.00');
    expect(text).not.toContain('$75,700.00');
  });

  it('of a check show the address and no account', async () => {
    const story = await stories.payable();
    await setAddress(story, '742 Evergreen Terrace');
    expectOk(await generate(story, { paymentMethod: 'check' }));
    const { text } = readPdf((await cast.finance.pdf(at(story, 'instructions'))).content);
    expect(text).toContain('742 Evergreen Terrace');
    expect(text).toContain('Springfield, IL 62701');
    expect(text.replace(/\s/g, '')).not.toContain(ACCOUNT_NUMBER);
  });

  it('say that the payment has left once it was marked sent', async () => {
    const story = await stories.sent();
    const { text } = readPdf((await cast.finance.pdf(at(story, 'instructions'))).content);
    expect(text).toMatch(/SENT ON 2026-\d\d-\d\d\. DO NOT PAY AGAIN\./);
  });

  it('are given to admin and finance alone, each download audited', async () => {
    const story = await stories.ready();
    expect(refusal(await cast.viewer.get(at(story, 'instructions')))).toEqual([403, 'FORBIDDEN']);
    expect(refusal(await story.member.get(at(story, 'instructions')))).toEqual([403, 'FORBIDDEN']);
    for (const person of [cast.admin, cast.finance2]) {
      expect((await person.pdf(at(story, 'instructions'))).status).toBe(200);
    }
    const rows = await cast.service.sql`SELECT admin_id, new_values FROM user_audit_logs
      WHERE entity_id = ${story.payoutId} AND action = 'instructions_downloaded' ORDER BY sequence`;
    expect(rows).toMatchObject([
      { admin_id: cast.admin.adminId, new_values: { attempt: 1 } },
      { admin_id: cast.finance2.adminId, new_values: { attempt: 1 } },
    ]);
  });

  it('do not exist before they are generated', async () => {
    const story = await stories.payable();
    expect(refusal(await cast.finance.get(at(story, 'instructions')))).toEqual([404, 'NOT_FOUND']);
  });

  it('made by 10 people at once are made once', async () => {
    const story = await stories.payable();
    const people = [cast.admin, cast.admin2, cast.finance, cast.finance2];
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) => generate(story, {}, people[index % 4])),
    );
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      200,
      ...Array<number>(9).fill(409),
    ]);
    expect(await attemptsOf(story)).toHaveLength(1);
  });
});
