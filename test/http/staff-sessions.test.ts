/** How long a session of the staff lasts, and what wants a fresh one. The times are the database's, so rows are aged. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let ready: Story;
let paid: Story;
let waiting: Story;
beforeAll(async () => {
  const env = { STEP_UP_MINUTES: '15' };
  cast = await startCast({ env });
  const stories = new Stories(cast);
  ready = await stories.ready();
  paid = await stories.sent();
  waiting = await stories.initiated();
});
afterAll(() => cast.service.stop());

const PAYOUTS = '/api/payouts';

/** Makes the session as old as that, and the last request in it too, unless another time is said. */
async function age(caller: Caller, minutes: number, idleMinutes = 0): Promise<void> {
  const { sql } = cast.service;
  const sessions = await sql<{ id: string }[]>`
    UPDATE sessions SET created_at = now() - ${`${minutes} minutes`}::interval WHERE user_id = ${caller.userId} RETURNING id`;
  for (const { id } of sessions)
    await sql`
      INSERT INTO session_activity VALUES (${id}, now() - ${`${idleMinutes} minutes`}::interval)
      ON CONFLICT (session_id) DO UPDATE SET last_seen_at = excluded.last_seen_at`;
}

const outcome = async (answer: Promise<{ status: number; body: any }>): Promise<unknown> => {
  const { status, body } = await answer;
  return body?.error?.code ?? status;
};

describe('a session of the staff', () => {
  it('ends after 15 minutes without a request, and a request within them keeps it', async () => {
    const caller = await cast.service.newStaff('viewer');
    await age(caller, 60, 14);
    expect(await outcome(caller.get(PAYOUTS))).toBe(200);
    await age(caller, 60, 16);
    const late = await caller.get(PAYOUTS);
    expect([late.status, late.body.error.message]).toEqual([401, expect.stringContaining('15 minutes')]);
    // The refused request did not wake it.
    expect(await outcome(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
  });

  it('that was never used here counts from its beginning', async () => {
    const caller = await cast.service.newStaff('viewer');
    await cast.service
      .sql`UPDATE sessions SET created_at = now() - interval '16 minutes' WHERE user_id = ${caller.userId}`;
    expect(await outcome(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
  });

  it('ends 12 hours after signing in, however busy', async () => {
    const caller = await cast.service.newStaff('viewer');
    await age(caller, 12 * 60 - 1);
    expect(await outcome(caller.get(PAYOUTS))).toBe(200);
    await age(caller, 12 * 60 + 1);
    const late = await caller.get(PAYOUTS);
    expect([late.status, late.body.error.message]).toEqual([401, expect.stringContaining('12 hours')]);
  });

  it('is noted at most once a minute', async () => {
    const caller = await cast.service.newStaff('viewer');
    const seen = async () =>
      (
        await cast.service
          .sql`SELECT a.last_seen_at, a.xmin FROM session_activity a JOIN sessions s ON s.id = a.session_id
        WHERE s.user_id = ${caller.userId}`
      )[0];
    expectOk(await caller.get(PAYOUTS));
    const first = await seen();
    for (let more = 0; more < 5; more += 1) expectOk(await caller.get(PAYOUTS));
    expect(await seen()).toEqual(first);
    await age(caller, 5, 2);
    expectOk(await caller.get(PAYOUTS));
    expect((await seen())?.['last_seen_at'].getTime()).toBeGreaterThanOrEqual(
      first?.['last_seen_at'].getTime(),
    );
  });

  it('does not end when the demo clock is moved', async () => {
    cast.service.time.advanceDays(1);
    try {
      expect(await outcome(cast.viewer.get(PAYOUTS))).toBe(200);
    } finally {
      cast.service.time.advanceDays(-1);
    }
  });

  it('of a member is the main app’s affair', async () => {
    const member = await cast.service.newMember();
    await age(member, 13 * 60, 13 * 60);
    expect(await outcome(member.get(`/api/members/${member.userId}/membership`))).toBe(200);
  });
});

describe('a sign-in longer ago than STEP_UP_MINUTES', () => {
  it.each<[string, () => Promise<{ status: number; body: any }>]>([
    ['approving', () => cast.finance.post(`/api/payouts/${waiting.payoutId}/approve`)],
    ['marking sent', () => cast.finance2.post(`/api/payouts/${ready.payoutId}/mark-sent`, { sentDate: '2026-11-20', expectedArrivalDate: '2026-11-20' })],
    ['revealing an account number', () => cast.finance.post(`/api/payouts/${paid.payoutId}/bank-info/reveal`, { reason: 'A test.' })],
    ['revealing a TIN', () => cast.finance.post('/api/tax-forms/W9-2026-ZZZZZZZZ/reveal', { reason: 'A test.' })],
    ['changing bank details', () => ready.member.post(`/api/members/${ready.member.userId}/bank-info`, new Stories(cast).bankInfo(ready.name, '000987654321'))],
  ])('is too old for %s, which changes nothing and is audited', async (_what, attempt) => {
    const before = (await cast.viewer.get(`${PAYOUTS}/${ready.payoutId}`)).body.version;
    for (const caller of [cast.finance, cast.finance2, ready.member]) await age(caller, 16);
    try {
      const { status, body } = await attempt();
      expect([status, body.error.code]).toEqual([403, 'STEP_UP_REQUIRED']);
      const rows = await cast.service.sql`
        SELECT metadata->>'code' AS code FROM user_audit_logs WHERE request_id = ${body.error.requestId}`;
      expect([...rows]).toEqual([{ code: 'STEP_UP_REQUIRED' }]);
    } finally {
      for (const caller of [cast.finance, cast.finance2, ready.member]) await age(caller, 1);
    }
    expect((await cast.viewer.get(`${PAYOUTS}/${ready.payoutId}`)).body.version).toBe(before);
  }); // prettier-ignore

  it('is good enough for reading and for a note, and signing in again for everything', async () => {
    await age(cast.finance, 16);
    const path = `${PAYOUTS}/${waiting.payoutId}`;
    expect(await outcome(cast.finance.get(path))).toBe(200);
    expect(await outcome(cast.finance.post(`${path}/notes`, { note: 'Seen.' }))).toBe(200);
    expect(await outcome(cast.finance.post(`${path}/approve`))).toBe('STEP_UP_REQUIRED');
    const again = await cast.service.signIn(cast.finance.email);
    expect(await outcome(again.post(`${path}/approve`))).toBe(200);
  });

  it('says so only to whoever may do it', async () => {
    await age(cast.viewer, 16);
    expect(await outcome(cast.viewer.post(`${PAYOUTS}/${waiting.payoutId}/approve`))).toBe('FORBIDDEN');
  });
});

describe('in a shared schema that knows second factors and impersonation', () => {
  it('staff without a second factor may do nothing, and nobody acts in another’s name', async () => {
    const { sql } = cast.service;
    const [staff, member] = [await cast.service.newStaff('viewer'), await cast.service.newMember()];
    const mine = `/api/members/${member.userId}/membership`;
    await sql`ALTER TABLE users ADD COLUMN two_factor_enabled boolean`;
    await sql`ALTER TABLE sessions ADD COLUMN impersonated_by text`;
    try {
      const refused = await staff.get(PAYOUTS);
      expect([refused.status, refused.body.error.message]).toEqual([
        403,
        expect.stringContaining('two factors'),
      ]);
      expect(await outcome(member.get(mine))).toBe(200);
      await sql`UPDATE users SET two_factor_enabled = true WHERE id = ${staff.userId}`;
      expect(await outcome(staff.get(PAYOUTS))).toBe(200);
      await sql`UPDATE sessions SET impersonated_by = ${staff.userId} WHERE user_id = ${member.userId}`;
      expect(await outcome(member.get(mine))).toBe('UNAUTHENTICATED');
      expect(await outcome(member.post(`/api/members/${member.userId}/bank-info`, {}))).toBe(
        'UNAUTHENTICATED',
      );
    } finally {
      await sql`ALTER TABLE users DROP COLUMN two_factor_enabled`;
      await sql`ALTER TABLE sessions DROP COLUMN impersonated_by`;
    }
    expect(await outcome(member.get(mine))).toBe(200);
  });
});
