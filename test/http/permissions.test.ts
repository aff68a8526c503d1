/** Every route × every kind of caller, against the table of section 2 of the specification, written out by hand. */
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Route } from '../../src/http/route.ts';
import { allRoutes } from '../../src/routes.ts';
import { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

/** `self`: a person, whatever else they are, about their own data. `machine`: a token with the route's scope. */
type Who = 'admin' | 'finance_manager' | 'viewer' | 'self' | 'machine';

const STAFF = ['admin', 'finance_manager', 'viewer'] as const;
const DECIDERS = ['admin', 'finance_manager'] as const;
const ADMIN = ['admin'] as const;
const FINANCE = ['finance_manager'] as const;

const MAY: Record<string, readonly Who[]> = {
  'GET /api/payouts': STAFF,
  'GET /api/payouts/eligibility': STAFF,
  'POST /api/payouts/check-eligibility': ADMIN,
  'GET /api/payouts/eligible-members': STAFF,
  'POST /api/payouts/initiate': ADMIN,
  'GET /api/payouts/:id': [...STAFF, 'self'],
  'POST /api/payouts/:id/approve': DECIDERS,
  'POST /api/payouts/:id/reject': DECIDERS,
  'POST /api/payouts/:id/generate-instructions': DECIDERS,
  'GET /api/payouts/:id/instructions': DECIDERS,
  'POST /api/payouts/:id/mark-sent': DECIDERS,
  'POST /api/payouts/:id/confirm': DECIDERS,
  'POST /api/payouts/:id/fail': DECIDERS,
  'POST /api/payouts/:id/hold': DECIDERS,
  'POST /api/payouts/:id/resume': DECIDERS,
  'POST /api/payouts/:id/cancel': ADMIN,
  'POST /api/payouts/:id/notes': DECIDERS,
  'GET /api/payouts/:id/receipt': [...STAFF, 'self'],
  'POST /api/payouts/:id/bank-info/reveal': FINANCE,
  'GET /api/members/:userId/payout': [...STAFF, 'self'],
  'POST /api/members/:userId/bank-info': ['self'],
  'POST /api/members/:userId/tax-info': ['self'],
  'GET /api/members/:userId/membership': [...STAFF, 'self'],
  'POST /api/members/:userId/reactivate': ['admin', 'machine'],
  'GET /api/tax-forms': STAFF,
  'POST /api/tax-forms/:formId/approve': DECIDERS,
  'POST /api/tax-forms/:formId/reject': DECIDERS,
  'POST /api/tax-forms/:formId/reveal': FINANCE,
  'GET /api/tax-forms/:formId/pdf': [...STAFF, 'self'],
  'POST /api/tax-forms/:formId/correct': DECIDERS,
  'POST /api/tax-forms/:formId/void': DECIDERS,
  'GET /api/reports/payouts': STAFF,
  'GET /api/reports/tax-forms/:year': STAFF,
  'POST /api/reports/tax-forms/:year': DECIDERS,
  'GET /api/reports/withholding/:year': STAFF,
  'GET /api/reports/audit-log': STAFF,
  'GET /api/reports/audit-log/verification': STAFF,
  'GET /api/notifications': STAFF,
  'POST /api/notifications/:id/resend': ADMIN,
  'POST /api/links/verify': [...STAFF, 'self'],
  'GET /api/admin-alerts': STAFF,
  'POST /api/admin-alerts/:id/acknowledge': ADMIN,
  'GET /api/jobs': STAFF,
  'POST /api/jobs/:name/run': ADMIN,
  'POST /api/demo/clock': ADMIN,
};

const NOBODY = '00000000-0000-4000-8000-000000000000';
const UNKNOWN: Record<string, string> = {
  id: 'PO-2026-ZZZZZZZZ',
  userId: NOBODY,
  formId: 'W9-2026-ZZZZZZZZ',
  year: '2025',
  name: 'no-such-job',
};

/** Bodies that reach the handler and, with unknown ids, change nothing. */
const BODIES: Record<string, unknown> = {
  'POST /api/payouts/initiate': { userIds: [NOBODY], overrideReason: 'A test.' },
  'POST /api/payouts/:id/mark-sent': { sentDate: '2026-11-20', expectedArrivalDate: '2026-11-20' },
  'POST /api/payouts/:id/confirm': { completedDate: '2026-11-20' },
  'POST /api/payouts/:id/notes': { note: 'A test.' },
  'POST /api/payouts/:id/resume': { note: 'A test.' },
  'POST /api/members/:userId/reactivate': { paymentDate: '2026-11-01' },
  'POST /api/links/verify': { token: 'not-a-link' },
  'POST /api/demo/clock': { advance: 'nonsense' },
  ...Object.fromEntries(
    [
      'payouts/:id/reject',
      'payouts/:id/fail',
      'payouts/:id/hold',
      'payouts/:id/cancel',
      'payouts/:id/bank-info/reveal',
      'tax-forms/:formId/reject',
      'tax-forms/:formId/reveal',
      'tax-forms/:formId/correct',
      'tax-forms/:formId/void',
    ].map((path) => [`POST /api/${path}`, { reason: 'A test.' }]),
  ),
};

let cast: Cast;
let stories: Stories;
let routes: Route[];
let other: Story;
beforeAll(async () => {
  cast = await startCast({ demo: true });
  stories = new Stories(cast);
  routes = allRoutes(cast.service.services, { demo: true });
  other = await stories.initiated();
});
afterAll(() => cast.service.stop());

const keyOf = ({ method, path }: Route) => `${method.toUpperCase()} ${path}`;

function bodyOf(key: string, name: string): unknown {
  if (key.endsWith('/bank-info')) return stories.bankInfo(name);
  if (key.endsWith('/tax-info')) return stories.w9(name);
  return BODIES[key] ?? {};
}

function addressOf(path: string, ids: Record<string, string> = {}): string {
  const known: Record<string, string> = {
    ...UNKNOWN,
    ...(path.startsWith('/api/payouts') ? {} : { id: NOBODY }),
  };
  return path.replace(/:(\w+)/g, (_, name: string) => ids[name] ?? known[name] ?? '');
}

async function statusFor(route: Route, caller: Caller, ids: Record<string, string> = {}): Promise<number> {
  const address = addressOf(route.path, ids);
  const answer =
    route.method === 'get'
      ? await caller.get(address)
      : await caller.post(address, bodyOf(keyOf(route), 'Grace Hopper'));
  // Whoever is let in meets the handler: never a crash, and never a fault of this test's own parameters.
  expect(answer.status, `${keyOf(route)}: ${JSON.stringify(answer.body)}`).toBeLessThan(500);
  return answer.status;
}

/** Answers as they stand in the table: who is refused as a stranger, who for lack of permission, who gets in. */
const verdict = (status: number): string => (status === 401 || status === 403 ? String(status) : 'let in');

async function verdicts(
  caller: (route: Route) => Caller,
  ids: Record<string, string> = {},
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const route of routes) found[keyOf(route)] = verdict(await statusFor(route, caller(route), ids));
  return found;
}

const expected = (on: (may: readonly Who[], key: string) => string) =>
  Object.fromEntries(routes.map((route) => [keyOf(route), on(MAY[keyOf(route)] ?? [], keyOf(route))]));

const secret = 'jwt-secret-for-tests-0123456789abcdef';
const nowSeconds = () => Math.floor(Date.now() / 1000);

interface TokenParts {
  audience?: string;
  scope?: string | null;
  subject?: string | null;
  issuedAt?: number | null;
  expiresAt?: number;
  key?: string;
  algorithm?: string;
}

/** A machine token that is good for everything, except for what the test says. */
async function machine(parts: TokenParts = {}): Promise<Caller> {
  const {
    audience = 'payout-service',
    scope = 'membership:reactivate',
    subject = 'subscription-service',
    issuedAt = nowSeconds(),
    key = secret,
    algorithm = 'HS256',
  } = parts;
  const token = new SignJWT(scope === null ? {} : { scope })
    .setProtectedHeader({ alg: algorithm })
    .setAudience(audience);
  if (subject !== null) token.setSubject(subject);
  if (issuedAt !== null) token.setIssuedAt(issuedAt);
  if (parts.expiresAt !== undefined) token.setExpirationTime(parts.expiresAt);
  return new Caller(cast.service.url, { token: await token.sign(new TextEncoder().encode(key)) });
}

describe('who may do what', () => {
  it('is decided for every route', () => {
    expect(routes.map(keyOf).toSorted()).toEqual(Object.keys(MAY).toSorted());
  });

  it('lets no stranger in', async () => {
    expect(await verdicts(() => cast.service.stranger)).toEqual(expected(() => '401'));
  });

  it.each(['admin', 'finance_manager', 'viewer'] as const)('lets a staff %s do their part', async (role) => {
    const caller = { admin: cast.admin, finance_manager: cast.finance, viewer: cast.viewer }[role];
    const found = await verdicts(() => caller);
    expect(found).toEqual(expected((may) => (may.includes(role) ? 'let in' : '403')));
  });

  it('lets a member at nothing but what is their own', async () => {
    const member = await cast.service.newMember();
    const found = await verdicts(() => member, { userId: member.userId });
    expect(found).toEqual(expected((may) => (may.includes('self') ? 'let in' : '403')));
  });

  it('refuses a member what an address says is somebody else’s', async () => {
    const member = await cast.service.newMember();
    const found = await verdicts(() => member, { userId: other.member.userId });
    // A payout's or form's id does not say whose it is: the service answers 404 for another's (below).
    const unnamed = (key: string) => !key.includes(':userId');
    expect(found).toEqual(expected((may, key) => (may.includes('self') && unnamed(key) ? 'let in' : '403')));
  });

  it.each(['admin', 'finance', 'viewer'] as const)(
    'leaves %s the member column for their own data',
    async (name) => {
      const caller = cast[name];
      for (const route of routes.filter(({ path }) => path.includes('/:userId/'))) {
        if (!MAY[keyOf(route)]?.includes('self')) continue;
        const status = await statusFor(route, caller, { userId: caller.userId.toUpperCase() });
        expect(verdict(status), keyOf(route)).toBe('let in');
      }
    },
  );
});

describe('who was let in a moment ago', () => {
  beforeAll(async () => {
    // As the main app's schema may be, with Better Auth's plugins.
    await cast.service
      .sql`ALTER TABLE users ADD COLUMN banned boolean, ADD COLUMN two_factor_enabled boolean DEFAULT true`;
    await cast.service.sql`ALTER TABLE sessions ADD COLUMN impersonated_by text`;
    return async () => {
      await cast.service.sql`ALTER TABLE users DROP COLUMN banned, DROP COLUMN two_factor_enabled`;
      await cast.service.sql`ALTER TABLE sessions DROP COLUMN impersonated_by`;
    };
  });

  const stranger = () => '401';
  const ownOnly = (may: readonly Who[], key: string) =>
    may.includes('self') && !key.includes(':userId') ? 'let in' : '403';

  interface State {
    name: string;
    become: (userId: string) => PromiseLike<unknown>;
    wanted: (may: readonly Who[], key: string) => string;
    ofStaff?: true;
  }
  const STATES: readonly State[] = [
    {
      name: 'signed out: a stranger',
      become: (id) => cast.service.sql`DELETE FROM sessions WHERE user_id = ${id}`,
      wanted: stranger,
    },
    {
      name: 'expired: a stranger',
      become: (id) => cast.service.sql`UPDATE sessions SET expires_at = now() WHERE user_id = ${id}`,
      wanted: stranger,
    },
    {
      name: 'banned: a stranger',
      become: (id) => cast.service.sql`UPDATE users SET banned = true WHERE id = ${id}`,
      wanted: stranger,
    },
    {
      name: 'impersonated: a stranger',
      become: (id) =>
        cast.service.sql`UPDATE sessions SET impersonated_by = 'somebody' WHERE user_id = ${id}`,
      wanted: stranger,
    },
    {
      name: 'idle for long: a stranger',
      become: (id) => cast.service.sql`
        UPDATE session_activity SET last_seen_at = now() - interval '16 minutes'
         WHERE session_id IN (SELECT id FROM sessions WHERE user_id = ${id})`,
      wanted: stranger,
      ofStaff: true,
    },
    {
      name: 'signed in for too long: a stranger',
      become: (id) =>
        cast.service.sql`UPDATE sessions SET created_at = now() - interval '13 hours' WHERE user_id = ${id}`,
      wanted: stranger,
      ofStaff: true,
    },
    {
      name: 'without a second factor: nobody',
      become: (id) => cast.service.sql`UPDATE users SET two_factor_enabled = false WHERE id = ${id}`,
      wanted: () => '403',
      ofStaff: true,
    },
    {
      name: 'demoted: a viewer',
      become: (id) => cast.service.sql`UPDATE admin_users SET role = 'viewer' WHERE user_id = ${id}`,
      wanted: (may) => (may.includes('viewer') ? 'let in' : '403'),
      ofStaff: true,
    },
    {
      name: 'deactivated: a member',
      become: (id) => cast.service.sql`UPDATE admin_users SET is_active = false WHERE user_id = ${id}`,
      wanted: ownOnly,
      ofStaff: true,
    },
    {
      name: 'no longer of the staff: a member',
      become: (id) => cast.service.sql`DELETE FROM admin_users WHERE user_id = ${id}`,
      wanted: ownOnly,
      ofStaff: true,
    },
  ];

  describe.each(['admin', 'finance_manager', 'viewer'] as const)('as %s', (role) => {
    it.each(STATES)('and is now $name, at every route', async ({ become, wanted }) => {
      const caller = await cast.service.newStaff(role);
      expectOk(await caller.get('/api/payouts'));
      await become(caller.userId);
      expect(await verdicts(() => caller)).toEqual(expected(wanted));
    });
  });

  describe('as a member', () => {
    it.each(STATES.filter(({ ofStaff }) => ofStaff !== true))(
      'and is now $name, at every route, for what is their own too',
      async ({ become, wanted }) => {
        const caller = await cast.service.newMember();
        expectOk(await caller.get(`/api/members/${caller.userId}/membership`));
        await become(caller.userId);
        expect(await verdicts(() => caller, { userId: caller.userId })).toEqual(expected(wanted));
      },
    );
  });
});

describe('a machine', () => {
  it('with the right scope gets in where the table says so, and nowhere else', async () => {
    const caller = await machine();
    expect(await verdicts(() => caller)).toEqual(
      expected((may) => (may.includes('machine') ? 'let in' : '403')),
    );
  });

  it.each([
    ['another scope', { scope: 'payouts:read' }],
    ['a scope that only begins like it', { scope: 'membership:reactivate-all membership' }],
    ['the names of permissions and roles as scopes', { scope: 'admin membership.reactivate payouts.read *' }],
    ['an empty scope', { scope: '' }],
  ])('with %s may do nothing', async (_, parts) => {
    const caller = await machine(parts);
    expect(await verdicts(() => caller)).toEqual(expected(() => '403'));
  });

  it('may have other scopes besides', async () => {
    const caller = await machine({ scope: 'other:thing membership:reactivate' });
    const answer = await caller.post(`/api/members/${NOBODY}/reactivate`, { paymentDate: '2026-11-01' });
    expect([401, 403]).not.toContain(answer.status);
  });

  it.each([
    ['another audience', { audience: 'another-service' }],
    ['the audience of links in messages', { audience: 'payout-link' }],
    ['no subject', { subject: null }],
    ['an empty subject', { subject: '' }],
    ['no time of issue', { issuedAt: null }],
    ['no scope at all', { scope: null }],
    ['a time of issue longer ago than JWT_EXPIRY', { issuedAt: nowSeconds() - 7 * 86_400 - 60 }],
    ['a time of issue in the future', { issuedAt: nowSeconds() + 3600 }],
    ['an expiry that has passed', { issuedAt: nowSeconds() - 600, expiresAt: nowSeconds() - 60 }],
    ['another secret', { key: 'another-secret-of-the-same-length-01' }],
    ['the secret of the sessions', { key: 'auth-secret-for-tests-0123456789abcdef' }],
    ['another algorithm', { algorithm: 'HS512', key: secret.repeat(2) }],
    ['another algorithm over the same secret', { algorithm: 'HS384', key: secret.padEnd(48, '\0') }],
  ] satisfies [string, TokenParts][])('with %s is a stranger', async (_, parts) => {
    const caller = await machine(parts);
    expect(await verdicts(() => caller)).toEqual(expected(() => '401'));
  });

  it('without a signature is a stranger', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { aud: 'payout-service', sub: 'x', iat: nowSeconds(), scope: 'membership:reactivate' };
    for (const alg of ['none', 'None', 'HS256']) {
      const caller = new Caller(cast.service.url, { token: `${part({ alg })}.${part(claims)}.` });
      const answer = await caller.post(`/api/members/${NOBODY}/reactivate`, { paymentDate: '2026-11-01' });
      expect(answer.status).toBe(401);
    }
  });

  it('reaches only what staff could: its token opens no member’s data of that name', async () => {
    const caller = await machine({ subject: other.member.userId });
    expect((await caller.get(`/api/members/${other.member.userId}/payout`)).status).toBe(403);
    expect((await caller.get(`/api/payouts/${other.payoutId}`)).status).toBe(403);
  });
});

describe('one’s own and another’s payout and 1099', () => {
  let paid: Story;
  let formId: string;
  beforeAll(async () => {
    paid = await stories.completed();
    cast.service.time.setTo('2027-01-15T12:00:00.000Z');
    const { body } = expectOk(await cast.finance.post('/api/reports/tax-forms/2026'));
    formId = body.data.find((form: { userId: string }) => form.userId === paid.member.userId).formId;
  });

  it('are the payee’s to read, and another member’s not even to know of', async () => {
    const addresses = [
      `/api/payouts/${paid.payoutId}`,
      `/api/payouts/${paid.payoutId}/receipt`,
      `/api/tax-forms/${formId}/pdf`,
    ];
    for (const address of addresses) {
      expect((await paid.member.get(address)).status, address).toBe(200);
      const denied = await other.member.get(address);
      expect([denied.status, denied.body.error.code], address).toEqual([404, 'NOT_FOUND']);
    }
  });

  it('answer for another’s id just as for one that does not exist', async () => {
    const real = await other.member.get(`/api/payouts/${paid.payoutId}`);
    const none = await other.member.get(`/api/payouts/${UNKNOWN['id']}`);
    expect(real.body.error.message.replace(paid.payoutId, '?')).toBe(
      none.body.error.message.replace(UNKNOWN['id'], '?'),
    );
  });

  it('are hidden from the payee before approval', async () => {
    expect((await other.member.get(`/api/payouts/${other.payoutId}`)).status).toBe(404);
    expect((await other.member.get(`/api/members/${other.member.userId}/payout`)).status).toBe(404);
  });

  it('give the full TIN in the filing CSV to finance alone', async () => {
    const csv = async (caller: Caller) =>
      expectOk(await caller.get('/api/reports/tax-forms/2026?format=csv')).body as string;
    expect(await csv(cast.finance)).toMatch(/123-?45-?6789/);
    for (const caller of [cast.admin, cast.viewer]) {
      const text = await csv(caller);
      expect(text).toContain(formId);
      expect(text).not.toMatch(/123-?45-?6789/);
    }
  });

  it('give the full numbers to finance alone', async () => {
    const bank = `/api/payouts/${paid.payoutId}/bank-info/reveal`;
    const tin = `/api/tax-forms/${formId}/reveal`;
    const reason = { reason: 'A test.' };
    expect(expectOk(await cast.finance.post(bank, reason)).body.accountNumber).toBe('000123456789');
    expect(expectOk(await cast.finance.post(tin, reason)).body.tin.replaceAll('-', '')).toBe('123456789');
    for (const caller of [cast.admin, cast.viewer, paid.member]) {
      for (const address of [bank, tin]) expect((await caller.post(address, reason)).status).toBe(403);
    }
  });
});
