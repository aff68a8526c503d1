import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(() => cast.service.stop());

const check = async () => expectOk(await cast.admin.post('/api/jobs/delay-checks/run')).body.result;
const openAbout = async ({ payoutId }: Story): Promise<string[]> => {
  const { data } = expectOk(await cast.viewer.get('/api/admin-alerts?open=true&limit=200')).body;
  return data
    .filter(({ details }: { details: { payoutId?: string } }) => details.payoutId === payoutId)
    .map(({ category }: { category: string }) => category)
    .filter((category: string) => category !== 'payout_created');
};
const reminders = async ({ payoutId }: Story): Promise<number> =>
  (
    await cast.service.sql`SELECT 1 FROM notifications
    WHERE payout_id = ${payoutId} AND template = 'approval-reminder' AND user_id = ${cast.finance.userId}`
  ).length;

describe('a payout that waits for approval', () => {
  it('is warned of after three days, once, until it is held; a new round waits anew', async () => {
    const story = await stories.initiated();
    const path = `/api/payouts/${story.payoutId}`;
    cast.service.time.advanceDays(2.9);
    await check();
    expect(await openAbout(story)).toEqual([]);
    cast.service.time.advanceDays(0.2);
    for (let times = 0; times < 2; times += 1) await check();
    expect(await openAbout(story)).toEqual(['approval_overdue']);
    expect(await reminders(story)).toBe(1);
    expectOk(await cast.finance.post(`${path}/hold`, { reason: 'A doubt.' }));
    expect(await openAbout(story)).toEqual(['manual_review']);
    expectOk(await cast.finance.post(`${path}/resume`, { note: 'Settled.' }));
    await check();
    expect(await openAbout(story)).toEqual([]);
    cast.service.time.advanceDays(3.1);
    await check();
    expect(await openAbout(story)).toEqual(['approval_overdue']);
    expect(await reminders(story)).toBe(2);
    expectOk(await cast.admin2.post(`${path}/approve`));
    expect(await openAbout(story)).toEqual(['approval_overdue']);
    expectOk(await cast.finance.post(`${path}/approve`));
    expect(await openAbout(story)).toEqual([]);
  });
});

describe('a payment that was sent', () => {
  it('is warned of after five days, until it is confirmed', async () => {
    const story = await stories.sent();
    cast.service.time.advanceDays(5);
    await check();
    expect(await openAbout(story)).toEqual([]);
    cast.service.time.advanceDays(1);
    await check();
    expect(await openAbout(story)).toEqual(['payment_delayed']);
    // As a hand in the database might leave it.
    await cast.service.sql`UPDATE payout_management SET version = version + 1,
      processing = jsonb_set(processing, '{sentDate}', to_jsonb(${stories.today}::text)) WHERE payout_id = ${story.payoutId}`;
    await check();
    expect(await openAbout(story)).toEqual([]);
    expectOk(
      await cast.finance.post(`/api/payouts/${story.payoutId}/confirm`, { completedDate: stories.today }),
    );
    expect(await openAbout(story)).toEqual(['payment_completed']);
  });
});
