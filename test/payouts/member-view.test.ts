import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const at = ({ payoutId }: Story, action: string) => `/api/payouts/${payoutId}/${action}`;
const refusal = ({ status, body }: Answer) => [status, body.error?.code];
const own = ({ member }: Story) => member.get(`/api/members/${member.userId}/payout`);
const one = ({ member, payoutId }: Story) => member.get(`/api/payouts/${payoutId}`);
const steps = async (story: Story): Promise<string[]> =>
  expectOk(await own(story)).body.nextSteps.map(({ action }: { action: string }) => action);

async function expectHidden(story: Story): Promise<void> {
  expect(refusal(await own(story))).toEqual([404, 'NOT_FOUND']);
  expect(refusal(await one(story))).toEqual([404, 'NOT_FOUND']);
  expect(refusal(await story.member.get(at(story, 'receipt')))).toEqual([404, 'NOT_FOUND']);
  const mails = await cast.service.sql`SELECT 1 FROM notifications WHERE user_id = ${story.member.userId}`;
  expect(mails).toHaveLength(0);
}

describe('a member sees nothing of a payout', () => {
  it('before it is approved, nor with one approval of two', async () => {
    const story = await stories.initiated();
    await expectHidden(story);
    expectOk(await cast.admin2.post(at(story, 'approve')));
    await expectHidden(story);
  });

  it('that was rejected', async () => {
    const story = await stories.initiated();
    expectOk(await cast.finance.post(at(story, 'reject'), { reason: 'No.' }));
    await expectHidden(story);
  });

  it('that was cancelled before approval', async () => {
    const story = await stories.initiated();
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
    await expectHidden(story);
  });

  it('that was held before approval, nor after it was taken up again', async () => {
    const story = await stories.initiated();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    await expectHidden(story);
    expectOk(await cast.finance.post(at(story, 'resume'), { note: 'Go on.' }));
    await expectHidden(story);
  });

  it('of somebody else', async () => {
    const story = await stories.completed();
    const stranger = await cast.service.newMember();
    expect(refusal(await stranger.get(`/api/payouts/${story.payoutId}`))).toEqual([404, 'NOT_FOUND']);
    expect(refusal(await stranger.get(at(story, 'receipt')))).toEqual([404, 'NOT_FOUND']);
    const others = await stranger.get(`/api/members/${story.member.userId}/payout`);
    expect(refusal(others)).toEqual([403, 'FORBIDDEN']);
    expect(refusal(await stranger.get('/api/payouts'))).toEqual([403, 'FORBIDDEN']);
  });
});

describe('a member sees their payout', () => {
  it('once it is approved, and is told', async () => {
    const story = await stories.approved();
    expect(expectOk(await own(story)).body).toMatchObject({
      payoutId: story.payoutId,
      status: 'pending_bank_info',
      amount: 100000,
      retentionFee: 300,
      netAmount: 99700,
    });
    expect(expectOk(await one(story)).body).toMatchObject({ payoutId: story.payoutId });
    const mails = await cast.service.sql<{ template: string }[]>`SELECT template FROM notifications
      WHERE user_id = ${story.member.userId}`;
    expect(mails.map(({ template }) => template).sort()).toEqual(['bank-info-wanted', 'winner']);
  });

  it('also when it is held or cancelled after approval', async () => {
    const story = await stories.approved();
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    expect(expectOk(await own(story)).body.status).toBe('requires_manual_review');
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
    expect(expectOk(await own(story)).body.status).toBe('cancelled');
  });

  it('without what staff write and decide', async () => {
    const story = await stories.ready();
    expectOk(await cast.admin2.post(at(story, 'notes'), { note: 'SECRET NOTE' }));
    expectOk(
      await cast.finance2.post(at(story, 'mark-sent'), {
        sentDate: stories.today,
        expectedArrivalDate: stories.today,
        trackingNumber: 'ACH-1',
        notes: 'SECRET NOTE',
      }),
    );
    for (const { body } of [expectOk(await own(story)), expectOk(await one(story))]) {
      for (const field of [
        'internalNotes',
        'auditTrail',
        'approvalWorkflow',
        'eligibilityCheck',
        'initiatedBy',
        'holdReason',
        'heldFrom',
      ]) {
        expect(body).not.toHaveProperty(field);
      }
      expect(JSON.stringify(body)).not.toMatch(/SECRET NOTE|adminId|staff:/);
      expect(body.processing).toMatchObject({ trackingNumber: 'ACH-1', sentDate: stories.today });
      expect(body.allowedActions).toEqual([
        { action: 'bank-info', allowed: false, reason: expect.any(String) },
        { action: 'tax-info', allowed: true },
      ]);
    }
    const { body } = expectOk(await cast.viewer.get(`/api/payouts/${story.payoutId}`));
    expect(JSON.stringify(body)).toContain('SECRET NOTE');
  });

  it('the same way when they are staff as well, on their own page', async () => {
    const story = await stories.approved();
    const hidden = await stories.initiated();
    for (const { member } of [story, hidden]) {
      await cast.service.sql`INSERT INTO admin_users (user_id, role) VALUES (${member.userId}, 'admin')`;
    }
    for (const id of [story.member.userId, story.member.userId.toUpperCase()]) {
      const { body } = expectOk(await story.member.get(`/api/members/${id}/payout`));
      expect(body).toMatchObject({ payoutId: story.payoutId, status: 'pending_bank_info' });
      expect(body).not.toHaveProperty('approvalWorkflow');
      const actions = body.allowedActions.map(({ action }: { action: string }) => action);
      expect(actions).toEqual(['bank-info', 'tax-info']);
    }
    for (const id of [hidden.member.userId, hidden.member.userId.toUpperCase()]) {
      expect(refusal(await hidden.member.get(`/api/members/${id}/payout`))).toEqual([404, 'NOT_FOUND']);
    }
  });

  it('the older one that they may see, while a newer one waits', async () => {
    const story = await stories.approved();
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
    cast.service.time.advanceDays(1);
    const { data } = expectOk(
      await cast.admin.post('/api/payouts/initiate', {
        userIds: [story.member.userId],
        overrideReason: 'Again.',
      }),
    ).body;
    expect(expectOk(await own(story)).body.payoutId).toBe(story.payoutId);
    const staff = await cast.viewer.get(`/api/members/${story.member.userId}/payout`);
    expect(expectOk(staff).body.payoutId).toBe(data[0].payoutId);
    for (const person of [cast.admin2, cast.finance])
      expectOk(await person.post(`/api/payouts/${data[0].payoutId}/approve`));
    expect(expectOk(await own(story)).body.payoutId).toBe(data[0].payoutId);
  });
});

describe('what is asked of the member next', () => {
  it('follows the payout on its way', async () => {
    const story = await stories.approved();
    expect(await steps(story)).toEqual(['submit_bank_info']);
    const { member, name } = story;
    expectOk(await member.post(`/api/members/${member.userId}/bank-info`, stories.bankInfo(name)));
    expect(await steps(story)).toEqual(['submit_tax_info']);
    await stories.giveW9(story);
    expect(await steps(story)).toEqual(['wait']);
    expectOk(await cast.finance.post(at(story, 'generate-instructions')));
    expect(await steps(story)).toEqual(['wait']);
    const dates = { sentDate: stories.today, expectedArrivalDate: stories.today };
    expectOk(await cast.finance2.post(at(story, 'mark-sent'), dates));
    expect(await steps(story)).toEqual(['wait']);
    expectOk(await cast.finance.post(at(story, 'confirm'), { completedDate: stories.today }));
    expect(await steps(story)).toEqual(['none']);
    expectOk(await cast.admin2.post(at(story, 'fail'), { reason: 'Back.', returnCode: 'R03' }));
    expect(await steps(story)).toEqual(['submit_bank_info']);
  });

  it('is an address where a check has none to go to', async () => {
    const story = await stories.approved({ paymentMethod: 'check' }, { address: false });
    expect(await steps(story)).toEqual(['add_address']);
  });

  it('is nothing for a payout that ended, and patience for one that is held or failed', async () => {
    const story = await stories.sent();
    expectOk(await cast.admin2.post(at(story, 'fail'), { reason: 'Back.', returnCode: 'R01' }));
    expect(await steps(story)).toEqual(['wait']);
    expectOk(await cast.finance.post(at(story, 'hold'), { reason: 'Wait.' }));
    expect(await steps(story)).toEqual(['wait']);
    expectOk(await cast.admin.post(at(story, 'cancel'), { reason: 'No.' }));
    expect(await steps(story)).toEqual(['none']);
  });
});
