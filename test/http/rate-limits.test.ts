import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Caller, type Answer } from '../support/caller.ts';
import { startCast, Stories, type Cast } from '../support/stories.ts';
import { PASSWORD, startTestService, type TestService } from '../support/test-service.ts';

/** The database, the people and a payout; other instances with limits of their own run on it. */
let cast: Cast;
let payoutId: string;
let member: Caller;
let instance: TestService | undefined;
beforeAll(async () => {
  cast = await startCast();
  payoutId = (await new Stories(cast).initiated()).payoutId;
  member = await cast.service.newMember();
  return () => cast.service.stop();
});
afterEach(async () => {
  await instance?.stop();
  instance = undefined;
});

/** Starts an instance with these limits, and gives people who call it. */
async function withLimits(limits: Record<string, number>): Promise<(who: Caller) => Caller> {
  const env = Object.fromEntries(
    Object.entries(limits).map(([name, points]) => [`RATE_LIMIT_${name}`, `${points}`]),
  );
  instance = await startTestService({ env, beside: cast.service });
  const { url } = instance;
  return (who) => new Caller(url, who.token === '' ? {} : { token: who.token });
}

const statuses = async (count: number, request: () => Promise<Answer>): Promise<number[]> => {
  const found: number[] = [];
  for (let sent = 0; sent < count; sent += 1) found.push((await request()).status);
  return found;
};

function expectLimited(answer: Answer, limit: number, windowSeconds: number): void {
  expect([answer.status, answer.body.error.code]).toEqual([429, 'RATE_LIMITED']);
  const retryAfter = Number(answer.headers.get('retry-after'));
  expect(Number.isInteger(retryAfter)).toBe(true);
  expect(retryAfter).toBeGreaterThan(windowSeconds - 30);
  expect(retryAfter).toBeLessThanOrEqual(windowSeconds);
  expect(answer.headers.get('ratelimit-limit')).toBe(String(limit));
  expect(answer.headers.get('ratelimit-remaining')).toBe('0');
  expect(Number(answer.headers.get('ratelimit-reset'))).toBe(retryAfter);
  expect(answer.body.error.details.retryAfterSeconds).toBe(retryAfter);
}

const membership = (who: Caller) => `/api/members/${who.userId}/membership`;

describe('the limit of a member', () => {
  it('counts their requests in 15 minutes, and tells how many are left', async () => {
    const at = await withLimits({ MEMBER: 3 });
    const remaining: (string | null)[] = [];
    for (let sent = 0; sent < 3; sent += 1) {
      const answer = await at(member).get(membership(member));
      expect(answer.status).toBe(200);
      expect(answer.headers.get('ratelimit-limit')).toBe('3');
      expect(answer.headers.get('retry-after')).toBeNull();
      remaining.push(answer.headers.get('ratelimit-remaining'));
    }
    expect(remaining).toEqual(['2', '1', '0']);
    expectLimited(await at(member).get(membership(member)), 3, 900);
  });

  it('counts what is refused too, so that nobody can try on', async () => {
    const at = await withLimits({ MEMBER: 2 });
    expect(await statuses(3, () => at(member).get('/api/payouts'))).toEqual([403, 403, 429]);
  });

  it('is each member’s own, over all their sessions', async () => {
    const at = await withLimits({ MEMBER: 2 });
    const other = await cast.service.newMember();
    const again = await cast.service.signIn(member.email);
    expect(await statuses(2, () => at(member).get(membership(member)))).toEqual([200, 200]);
    expect((await at(again).get(membership(member))).status).toBe(429);
    expect((await at(other).get(membership(other))).status).toBe(200);
  });

  it('does not hold staff up, nor theirs a member', async () => {
    const at = await withLimits({ MEMBER: 1, STAFF: 2 });
    expect(await statuses(3, () => at(cast.viewer).get('/api/payouts'))).toEqual([200, 200, 429]);
    expectLimited(await at(cast.viewer).get('/api/payouts'), 2, 900);
    expect(await statuses(2, () => at(member).get(membership(member)))).toEqual([200, 429]);
    expect((await at(cast.admin).get('/api/payouts')).status).toBe(200);
  });
});

describe('the limit of approvals', () => {
  it('counts approving and rejecting together, a minute at a time, and nothing else', async () => {
    const at = await withLimits({ APPROVALS: 3 });
    const admin = at(cast.admin);
    expect(await statuses(2, () => admin.post(`/api/payouts/${payoutId}/approve`))).toEqual([403, 403]);
    expect((await admin.post(`/api/payouts/${payoutId}/reject`, {})).status).toBe(400);
    expectLimited(await admin.post(`/api/payouts/${payoutId}/approve`), 3, 60);
    expectLimited(await admin.post(`/api/payouts/${payoutId}/reject`, { reason: 'x' }), 3, 60);
    expect((await admin.get(`/api/payouts/${payoutId}`)).status).toBe(200);
    expect((await admin.post(`/api/payouts/${payoutId}/notes`, { note: 'x' })).status).toBe(200);
    expect((await at(cast.finance).post(`/api/payouts/PO-2026-ZZZZZZZZ/approve`)).status).toBe(404);
  });

  it('leaves the payout as it was', async () => {
    const at = await withLimits({ APPROVALS: 1 });
    const finance = at(cast.finance);
    await finance.post('/api/payouts/PO-2026-ZZZZZZZZ/approve');
    expect((await finance.post(`/api/payouts/${payoutId}/approve`)).status).toBe(429);
    const { body } = await cast.viewer.get(`/api/payouts/${payoutId}`);
    expect(body.approvalWorkflow).toEqual([]);
  });
});

describe('the limit of an address', () => {
  it('holds up strangers before anybody looks who they are', async () => {
    const at = await withLimits({ ADDRESS: 3 });
    const stranger = at(cast.service.stranger);
    expect(await statuses(3, () => stranger.get('/api/payouts'))).toEqual([401, 401, 401]);
    expectLimited(await stranger.get('/api/payouts'), 3, 900);
    expectLimited(await stranger.get('/no/such/path'), 3, 900);
    // The address is what counts, whoever calls from it.
    expectLimited(await at(cast.admin).get('/api/payouts'), 3, 900);
  });

  it('never holds up the probes', async () => {
    const at = await withLimits({ ADDRESS: 1 });
    const stranger = at(cast.service.stranger);
    expect(await statuses(2, () => stranger.get('/api/payouts'))).toEqual([401, 429]);
    expect(await statuses(3, () => stranger.get('/health'))).toEqual([200, 200, 200]);
    expect(await statuses(3, () => stranger.get('/ready'))).toEqual([200, 200, 200]);
  });

  it('is not reset by saying one comes from elsewhere, where no proxy is trusted', async () => {
    const at = await withLimits({ ADDRESS: 2 });
    const stranger = at(cast.service.stranger);
    let sent = 0;
    const found = await statuses(4, () =>
      stranger.get('/api/payouts', { 'x-forwarded-for': `203.0.113.${(sent += 1)}` }),
    );
    expect(found).toEqual([401, 401, 429, 429]);
  });

  it('counts each client of a trusted proxy', async () => {
    instance = await startTestService({
      env: { RATE_LIMIT_ADDRESS: '1', TRUST_PROXY: '1' },
      beside: cast.service,
    });
    const from = (address: string) =>
      instance?.stranger.get('/api/payouts', {
        'x-forwarded-for': `198.51.100.9, ${address}`,
      }) as Promise<Answer>;
    expect(await statuses(2, () => from('203.0.113.1'))).toEqual([401, 429]);
    expect(await statuses(2, () => from('203.0.113.2'))).toEqual([401, 429]);
  });
});

describe('the limit of sign-ins', () => {
  const attempt = (caller: Caller, email: string, path = '/api/auth/sign-in/email') =>
    caller.post(path, { email, password: 'wrong-password-1234' });

  it('counts attempts by address, whoever they are for', async () => {
    const at = await withLimits({ SIGN_IN: 2 });
    const stranger = at(cast.service.stranger);
    expect((await attempt(stranger, cast.viewer.email)).status).toBe(401);
    expect((await attempt(stranger, 'nobody@example.com')).status).toBe(401);
    expectLimited(await attempt(stranger, cast.admin.email), 2, 60);
    const right = { email: cast.admin.email, password: PASSWORD };
    expectLimited(await stranger.post('/api/auth/sign-in/email', right), 2, 60);
    // Whoever is signed in goes on working.
    expect((await at(cast.viewer).get('/api/payouts')).status).toBe(200);
  });

  it.each([
    '/api/auth/%73ign-in/email',
    '/api/auth/sign-in%2femail',
    '/api/auth//sign-in/email',
    '/api/auth/SIGN-IN/email',
    '/api/auth/sign-in/email/',
    '/api//auth/sign-in/email',
    '/API/AUTH/sign-in/email',
    '/api/auth/x/../sign-in/email',
    '/api/auth/sign-in;x/email',
  ])('is not gone round by writing %s', async (path) => {
    const at = await withLimits({ SIGN_IN: 1 });
    const stranger = at(cast.service.stranger);
    await attempt(stranger, 'nobody@example.com');
    const body = JSON.stringify({ email: cast.viewer.email, password: PASSWORD });
    const answer = await stranger.raw('POST', path, { 'content-type': 'application/json' }, body);
    expect(answer.headers.get('set-auth-token')).toBeNull();
    expect([404, 429]).toContain(answer.status);
  });
});

describe('a limit of 0', () => {
  it('is none, and writes no headers', async () => {
    const at = await withLimits({ MEMBER: 0, STAFF: 0, APPROVALS: 0, ADDRESS: 0, SIGN_IN: 0 });
    const answer = await at(cast.viewer).get('/api/payouts');
    expect([...answer.headers.keys()].filter((name) => /ratelimit|retry/.test(name))).toEqual([]);
    const found = await statuses(30, () => at(cast.admin).post(`/api/payouts/PO-2026-ZZZZZZZZ/approve`));
    expect(new Set(found)).toEqual(new Set([404]));
  });
});

describe('the limits that hold unless told otherwise', () => {
  it('are those of the specification', async () => {
    const unset = Object.fromEntries(
      ['MEMBER', 'STAFF', 'APPROVALS', 'ADDRESS', 'SIGN_IN'].map((name) => [`RATE_LIMIT_${name}`, '']),
    );
    instance = await startTestService({ env: unset, beside: cast.service });
    const { url } = instance;
    const limitOf = async (path: string, token: string, init: RequestInit = {}) => {
      const headers = {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      };
      return (await fetch(`${url}${path}`, { ...init, headers })).headers.get('ratelimit-limit');
    };
    const post = { method: 'POST', body: '{}' };
    expect(await limitOf(membership(member), member.token)).toBe('100');
    expect(await limitOf('/api/payouts', cast.viewer.token)).toBe('1000');
    expect(await limitOf('/api/payouts/PO-2026-ZZZZZZZZ/approve', cast.admin.token, post)).toBe('10');
    expect(await limitOf('/api/payouts', '')).toBe('3000');
    expect(await limitOf('/api/auth/sign-in/email', '', post)).toBe('20');
  });
});
