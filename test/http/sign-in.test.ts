import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Caller } from '../support/caller.ts';
import { startCast, Stories, type Cast } from '../support/stories.ts';
import { PASSWORD, startTestService } from '../support/test-service.ts';

let cast: Cast;
beforeAll(async () => {
  cast = await startCast();
});
afterAll(() => cast.service.stop());

const PAYOUTS = '/api/payouts';

/** The code of an error, or the status where there is none. */
async function outcomeOf(answer: Promise<{ status: number; body: any }>): Promise<unknown> {
  const { status, body } = await answer;
  return body?.error?.code ?? status;
}

async function sessionIdsOf({ userId }: Caller): Promise<{ id: string; token: string }[]> {
  return cast.service.sql<{ id: string; token: string }[]>`
    SELECT id, token FROM sessions WHERE user_id = ${userId}`;
}

/** Signs in as a browser does and answers with the cookie that it would send. */
async function cookieOf(email: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${cast.service.url}/api/auth/sign-in/email`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ email, password: PASSWORD }),
  });
  expect(answer.status).toBe(200);
  return answer.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';')[0])
    .join('; ');
}

describe('a session', () => {
  it('ends with signing out, for the token and for the cookie', async () => {
    const caller = await cast.service.newStaff('viewer');
    const cookie = await cookieOf(caller.email);
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
    expect(await outcomeOf(cast.service.stranger.get(PAYOUTS, { cookie }))).toBe(200);
    const byToken = await caller.post('/api/auth/sign-out', {});
    const byCookie = await cast.service.stranger.post(
      '/api/auth/sign-out',
      {},
      { cookie, origin: cast.service.url },
    );
    expect([byToken.status, byCookie.status]).toEqual([200, 200]);
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
    expect(await outcomeOf(cast.service.stranger.get(PAYOUTS, { cookie }))).toBe('UNAUTHENTICATED');
  });

  it('ends when it expires', async () => {
    const caller = await cast.service.newStaff('viewer');
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
    await cast.service
      .sql`UPDATE sessions SET expires_at = now() - interval '1 second' WHERE user_id = ${caller.userId}`;
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
  });

  it('ends when its row is gone, as when the main app signs somebody out', async () => {
    const caller = await cast.service.newStaff('viewer');
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
    await cast.service.sql`DELETE FROM sessions WHERE user_id = ${caller.userId}`;
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
  });

  it('is one of several: signing out of one leaves the other', async () => {
    const first = await cast.service.newStaff('viewer');
    const second = await cast.service.signIn(first.email);
    await first.post('/api/auth/sign-out', {});
    expect(await outcomeOf(first.get(PAYOUTS))).toBe('UNAUTHENTICATED');
    expect(await outcomeOf(second.get(PAYOUTS))).toBe(200);
  });

  it('is not opened by what stands in the table: the token there is unsigned', async () => {
    const caller = await cast.service.newStaff('admin');
    const [session] = await sessionIdsOf(caller);
    expect(caller.token.startsWith(`${session?.token}.`)).toBe(true);
    for (const token of [session?.token, session?.id, `${session?.token}.`, `${session?.token}.AAAA`]) {
      expect(await outcomeOf(new Caller(cast.service.url, { token: token ?? '' }).get(PAYOUTS))).toBe(
        'UNAUTHENTICATED',
      );
      const cookie = `better-auth.session_token=${token}`;
      expect(await outcomeOf(cast.service.stranger.get(PAYOUTS, { cookie }))).toBe('UNAUTHENTICATED');
    }
  });

  it('is not opened by another session’s signature', async () => {
    const [one, two] = [await cast.service.newStaff('viewer'), await cast.service.newStaff('admin')];
    const token = `${two.token.split('.')[0]}.${one.token.split('.')[1]}`;
    expect(await outcomeOf(new Caller(cast.service.url, { token }).get(PAYOUTS))).toBe('UNAUTHENTICATED');
  });

  it.each(['', 'Bearer', 'Bearer ', 'Basic YWRtaW46YWRtaW4=', 'Bearer a b', 'Bearer null', 'Bearer ..'])(
    'is not opened by %j',
    async (authorization) => {
      const answer = await cast.service.stranger.raw('GET', PAYOUTS, { authorization });
      expect([answer.status, answer.body.error.code]).toEqual([401, 'UNAUTHENTICATED']);
    },
  );

  it('says so in one form, and never gives a challenge that a browser would answer with a password box', async () => {
    const answer = await cast.service.stranger.get(PAYOUTS);
    expect(answer.body.error).toMatchObject({ code: 'UNAUTHENTICATED', message: 'Sign in first.' });
    expect(answer.headers.get('www-authenticate') ?? '').not.toMatch(/basic/i);
  });
});

describe('a role', () => {
  const note = (caller: Caller, payoutId: string) =>
    outcomeOf(caller.post(`/api/payouts/${payoutId}/notes`, { note: 'Seen.' }));

  it('counts from the next request when it is changed, given, or taken away', async () => {
    const { payoutId } = await new Stories(cast).initiated();
    const caller = await cast.service.newStaff('finance_manager');
    const { sql } = cast.service;
    const setRole = (role: string) => sql`UPDATE admin_users SET role = ${role} WHERE id = ${caller.adminId}`;
    const setActive = (active: boolean) =>
      sql`UPDATE admin_users SET is_active = ${active} WHERE id = ${caller.adminId}`;
    expect(await note(caller, payoutId)).toBe(200);
    await setRole('viewer');
    expect(await note(caller, payoutId)).toBe('FORBIDDEN');
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
    await setActive(false);
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe('FORBIDDEN');
    await setActive(true);
    await setRole('admin');
    expect(await note(caller, payoutId)).toBe(200);
    await sql`DELETE FROM admin_users WHERE id = ${caller.adminId}`;
    expect(await outcomeOf(caller.get(PAYOUTS))).toBe('FORBIDDEN');
  });

  it('comes to a member with the next request', async () => {
    const member = await cast.service.newMember();
    expect(await outcomeOf(member.get(PAYOUTS))).toBe('FORBIDDEN');
    await cast.service.sql`INSERT INTO admin_users (user_id, role) VALUES (${member.userId}, 'viewer')`;
    expect(await outcomeOf(member.get(PAYOUTS))).toBe(200);
  });

  it('cannot be had by asking for it at sign-up', async () => {
    const email = 'hopeful@example.com';
    const answer = await cast.service.stranger.post('/api/auth/sign-up/email', {
      email,
      password: PASSWORD,
      name: 'Hopeful',
      role: 'admin',
      isActive: true,
    });
    expect(answer.status).toBeLessThan(500);
    const rows = await cast.service
      .sql`SELECT 1 FROM admin_users a JOIN users u ON u.id = a.user_id WHERE u.email = ${email}`;
    expect(rows).toHaveLength(0);
    if (answer.status === 200) {
      const caller = await cast.service.signIn(email);
      expect(await outcomeOf(caller.get(PAYOUTS))).toBe('FORBIDDEN');
    }
  });
});

describe('a banned person', () => {
  it('is refused from the next request on, and back when the ban is lifted', async () => {
    const service = await startTestService();
    try {
      const caller = await service.newStaff('admin');
      const other = await service.newStaff('admin');
      // The main app's table may have no such column.
      expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
      await service.sql`ALTER TABLE users ADD COLUMN banned boolean`;
      expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
      await service.sql`UPDATE users SET banned = true WHERE id = ${caller.userId}`;
      expect(await outcomeOf(caller.get(PAYOUTS))).toBe('UNAUTHENTICATED');
      expect(await outcomeOf(other.get(PAYOUTS))).toBe(200);
      const again = await service.signIn(caller.email);
      expect(await outcomeOf(again.get(PAYOUTS))).toBe('UNAUTHENTICATED');
      await service.sql`UPDATE users SET banned = false WHERE id = ${caller.userId}`;
      expect(await outcomeOf(caller.get(PAYOUTS))).toBe(200);
    } finally {
      await service.stop();
    }
  });
});

describe('signing in', () => {
  const body = (email: string) => JSON.stringify({ email, password: PASSWORD });

  it('works for a program with Node’s fetch', async () => {
    const answer = await fetch(`${cast.service.url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body(cast.viewer.email),
    });
    expect(answer.status).toBe(200);
    const token = answer.headers.get('set-auth-token') ?? '';
    expect(await outcomeOf(new Caller(cast.service.url, { token }).get(PAYOUTS))).toBe(200);
  });

  it('works with the headers of curl', async () => {
    const answer = await cast.service.stranger.raw(
      'POST',
      '/api/auth/sign-in/email',
      { 'content-type': 'application/json', accept: '*/*', 'user-agent': 'curl/8.5.0' },
      body(cast.viewer.email),
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.get('set-auth-token')).toMatch(/\./);
  });

  it('works for a browser on this service’s own pages, and for no page of another site', async () => {
    const from = (headers: Record<string, string>) =>
      cast.service.stranger.raw(
        'POST',
        '/api/auth/sign-in/email',
        { 'content-type': 'application/json', 'user-agent': 'Mozilla/5.0', ...headers },
        body(cast.viewer.email),
      );
    const own = { origin: cast.service.url, 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' };
    const foreign = {
      origin: 'https://evil.example',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'cors',
    };
    expect((await from(own)).status).toBe(200);
    const refused = await from(foreign);
    expect(refused.status).toBe(403);
    expect(refused.headers.get('set-cookie')).toBeNull();
    expect(refused.headers.get('set-auth-token')).toBeNull();
  });

  it('needs the right password, and tells nobody whether the address is known', async () => {
    const attempt = (email: string) =>
      cast.service.stranger.post('/api/auth/sign-in/email', { email, password: 'wrong-password-1234' });
    const [known, unknown] = [await attempt(cast.viewer.email), await attempt('nobody@example.com')];
    expect([known.status, unknown.status]).toEqual([401, 401]);
    expect(known.body).toEqual(unknown.body);
    expect(known.headers.get('set-auth-token')).toBeNull();
  });

  it('gives a cookie that scripts cannot read and other sites do not send', async () => {
    const answer = await fetch(`${cast.service.url}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body(cast.viewer.email),
    });
    const [cookie] = answer.headers.getSetCookie().filter((text) => text.includes('session_token'));
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/SameSite=(Lax|Strict)/i);
  });
});

describe('a mutation with a cookie', () => {
  let cookie: string;
  let payoutId: string;
  beforeAll(async () => {
    cookie = await cookieOf(cast.admin.email);
    payoutId = (await new Stories(cast).initiated()).payoutId;
  });

  const notesOf = async () => (await cast.viewer.get(`/api/payouts/${payoutId}`)).body.internalNotes.length;
  const note = (headers: Record<string, string>, caller = cast.service.stranger) =>
    caller.raw(
      'POST',
      `/api/payouts/${payoutId}/notes`,
      { 'content-type': 'application/json', cookie, ...headers },
      JSON.stringify({ note: 'Seen.' }),
    );

  it.each([
    ['this service’s own origin', () => ({ origin: cast.service.url })],
    [
      'its own origin under its other name',
      () => ({ origin: cast.service.url.replace('127.0.0.1', 'localhost') }),
    ],
    ['the dashboard’s origin', () => ({ origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' })],
    ['no origin, from the same site', () => ({ 'sec-fetch-site': 'same-origin' })],
    ['neither header, as a program sends it', () => ({})],
  ])('is done with %s', async (_, headers) => {
    const before = await notesOf();
    expect((await note(headers())).status).toBe(200);
    expect(await notesOf()).toBe(before + 1);
  });

  it.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['a hidden origin', { origin: 'null' }],
    ['an origin that begins like ours', { origin: 'http://localhost:3000.evil.example' }],
    ['another port of this host', { origin: 'http://127.0.0.1:1' }],
    ['no origin, from another site', { 'sec-fetch-site': 'cross-site' }],
    ['no origin, from another host of the site', { 'sec-fetch-site': 'same-site' }],
    [
      'a foreign origin and a password that the browser put into the header',
      {
        origin: 'https://evil.example',
        authorization: 'Basic eDp5',
      },
    ],
    [
      'a foreign origin and a bearer token that is none',
      {
        origin: 'https://evil.example',
        authorization: 'Bearer x',
      },
    ],
  ])('is refused with %s, and nothing is done', async (_, headers) => {
    const before = await notesOf();
    const answer = await note(headers as Record<string, string>);
    expect([answer.status, answer.body.error.code]).toEqual([403, 'FORBIDDEN']);
    expect(await notesOf()).toBe(before);
  });

  it('is refused from a foreign page without a body too', async () => {
    const answer = await cast.service.stranger.raw('POST', '/api/payouts/check-eligibility', {
      cookie,
      origin: 'https://evil.example',
    });
    expect(answer.status).toBe(403);
  });

  it('is no concern of a signed token, which no page can make a browser send', async () => {
    const answer = await cast.admin.post(
      `/api/payouts/${payoutId}/notes`,
      { note: 'Seen.' },
      { origin: 'https://elsewhere.example' },
    );
    expect(answer.status).toBe(200);
  });

  it('may be read from anywhere, but no other site’s script sees the answer', async () => {
    const answer = await cast.service.stranger.get(PAYOUTS, { cookie, origin: 'https://evil.example' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });
});
