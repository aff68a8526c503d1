import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Caller, type Answer } from '../support/caller.ts';
import { startCast, Stories, type Cast } from '../support/stories.ts';
import type { TestService } from '../support/test-service.ts';
import { Wire } from '../support/wire.ts';

let cast: Cast;
let payoutId: string;
beforeAll(async () => {
  cast = await startCast();
  payoutId = (await new Stories(cast).initiated()).payoutId;
});
afterAll(() => cast.service.stop());

const NOBODY = '00000000-0000-4000-8000-000000000000';
const JSON_TYPE = { 'content-type': 'application/json' };
const codeOf = ({ status, body }: Answer): [number, string] => [status, body?.error?.code];
const INVALID: [number, string] = [400, 'VALIDATION_ERROR'];

/** Sends these bytes as the body of a note. */
const noteWith = (body: string | Buffer, headers: Record<string, string> = JSON_TYPE): Promise<Answer> =>
  cast.admin.raw('POST', `/api/payouts/${payoutId}/notes`, headers, body);

const issuesOf = ({ body }: Answer): string[] =>
  body.error.details.issues.map((issue: { path: string }) => issue.path);

describe('an error', () => {
  it('has the one form, whatever went wrong', async () => {
    const answers: [Answer, number, string][] = [
      [await cast.service.stranger.get('/api/payouts'), 401, 'UNAUTHENTICATED'],
      [await cast.viewer.post(`/api/payouts/${payoutId}/approve`), 403, 'FORBIDDEN'],
      [await cast.admin.post(`/api/payouts/${payoutId}/approve`), 403, 'SEPARATION_OF_DUTIES'],
      [await cast.admin.get('/api/payouts/PO-2026-ZZZZZZZZ'), 404, 'NOT_FOUND'],
      [await cast.admin.get('/api/payouts/nonsense'), 400, 'VALIDATION_ERROR'],
      [await cast.admin.post(`/api/payouts/${payoutId}/resume`, { note: 'x' }), 409, 'INVALID_STATE'],
      [await cast.admin.get('/no/such/path'), 404, 'NOT_FOUND'],
      [await cast.admin.raw('DELETE', '/api/payouts', {}), 405, 'METHOD_NOT_ALLOWED'],
      [await noteWith('hello', { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE'],
      [await noteWith('x'.repeat(70_000)), 413, 'PAYLOAD_TOO_LARGE'],
    ];
    for (const [{ status, headers, body }, wantedStatus, code] of answers) {
      expect([status, body.error.code]).toEqual([wantedStatus, code]);
      expect(body).toEqual({
        error: {
          code,
          message: expect.stringMatching(/\S/),
          details: expect.objectContaining({ docUrl: `${cast.service.url}/docs/errors#${code}` }),
          timestamp: '2026-11-20T12:00:00.000Z',
          requestId: headers.get('x-request-id'),
        },
      });
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  it('leads to its entry in the documentation', async () => {
    const { body } = await cast.service.stranger.get('/api/payouts');
    const page = await fetch(body.error.details.docUrl);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('id="UNAUTHENTICATED"');
  });

  it('names every fault of the request at once, wherever it stands', async () => {
    const answer = await cast.admin.post('/api/payouts/nonsense/reject?verbose=1', { cause: 'x' });
    expect(codeOf(answer)).toEqual(INVALID);
    expect(issuesOf(answer).toSorted()).toEqual(['body.cause', 'body.reason', 'path.id', 'query.verbose']);
  });
});

describe('the request id', () => {
  const linesWith = (requestId: string) =>
    cast.service.logLines.map((line) => JSON.parse(line)).filter((line) => line.requestId === requestId);

  it('is taken, returned, and in the error and the log', async () => {
    const requestId = 'my-request.1:2_3';
    const answer = await cast.admin.get('/api/payouts/PO-2026-ZZZZZZZZ', { 'x-request-id': requestId });
    expect(answer.headers.get('x-request-id')).toBe(requestId);
    expect(answer.body.error.requestId).toBe(requestId);
    await expect
      .poll(() => linesWith(requestId))
      .toContainEqual(
        expect.objectContaining({
          message: 'request',
          method: 'GET',
          status: 404,
          route: '/api/payouts/:id',
        }),
      );
  });

  it('is made where none is given, each its own', async () => {
    const [first, second] = [await cast.viewer.get('/api/jobs'), await cast.viewer.get('/api/jobs')];
    const ids = [first, second].map(({ headers }) => headers.get('x-request-id') ?? '');
    for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(ids[0]).not.toBe(ids[1]);
    await expect.poll(() => linesWith(ids[0] ?? '')).toHaveLength(1);
  });

  it('is in the audit entries of what was done', async () => {
    const requestId = 'audited-request';
    await cast.admin.post(`/api/payouts/${payoutId}/notes`, { note: 'Seen.' }, { 'x-request-id': requestId });
    const { body } = await cast.viewer.get(`/api/reports/audit-log?entityId=${payoutId}`);
    expect(body.data.map((entry: { requestId: string }) => entry.requestId)).toContain(requestId);
  });

  it.each([
    ['with a space', 'a b'],
    ['empty', ''],
    ['with markup', '<script>alert(1)</script>'],
    ['that would break a log line', '{"level":"error"}'],
    ['with a terminal’s control characters', '\u001b[31m'.replace('\u001b', '\\x1b')],
    ['that is not ASCII', 'caf\u00e9'],
    ['that is too long', 'a'.repeat(129)],
    ['given twice', 'a, b'],
  ])('is replaced when it comes %s', async (_, hostile) => {
    const answer = await cast.viewer.raw('GET', '/api/jobs', { 'x-request-id': hostile });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('is on every answer, also of pages and probes', async () => {
    for (const path of ['/health', '/ready', '/docs', '/openapi.json', '/nothing']) {
      expect((await cast.service.stranger.get(path)).headers.get('x-request-id'), path).toMatch(/./);
    }
  });
});

describe('a body', () => {
  it.each([
    ['an unknown field', '{"note":"x","amount":1}', 'body.amount'],
    ['a missing field', '{}', 'body.note'],
    ['a field of another type', '{"note":5}', 'body.note'],
    ['null for a field', '{"note":null}', 'body.note'],
    ['an empty text', '{"note":"  "}', 'body.note'],
    ['a text that is too long', JSON.stringify({ note: 'x'.repeat(2001) }), 'body.note'],
    ['a control character', '{"note":"a\\u001b[2Jb"}', 'body.note'],
    ['a NUL', '{"note":"a\\u0000b"}', 'body.note'],
    ['half a surrogate pair', '{"note":"a\\ud800b"}', 'body.note'],
    ['the other half', '{"note":"a\\udc00b"}', 'body.note'],
    ['a NUL in a field’s name', '{"note":"x","a\\u0000":1}', 'body.a\0'],
    ['__proto__', '{"note":"x","__proto__":{"admin":true}}', 'body.__proto__'],
    ['__proto__ further down', '{"note":"x","a":[{"__proto__":1}]}', 'body.a.0.__proto__'],
    ['constructor', '{"note":"x","constructor":{"prototype":{}}}', 'body.constructor'],
    ['toString', '{"note":"x","toString":1}', 'body.toString'],
  ])('with %s is 400 and names the field', async (_, body, path) => {
    const answer = await noteWith(body);
    expect(codeOf(answer)).toEqual(INVALID);
    expect(issuesOf(answer)).toContain(path);
  });

  it.each([
    ['cut off', '{"note":'],
    ['two values', '{"note":"x"}{}'],
    ['not JSON', 'note=x'],
    ['a trailing comma', '{"note":"x",}'],
    ['a comment', '{"note":"x"} // hello'],
    ['NaN', '{"note":NaN}'],
    ['white space only', '   '],
    ['a text', '"note"'],
    ['a number', '5'],
    ['null', 'null'],
    ['true', 'true'],
    ['a list', '[{"note":"x"}]'],
    ['an empty list', '[]'],
    ['a byte that is no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['deep nesting', `{"note":${'['.repeat(30_000)}${']'.repeat(30_000)}}`],
    [
      'nesting that is deep enough to be of no use',
      `{"note":"x","a":${'{"a":'.repeat(20)}1${'}'.repeat(20)}}`,
    ],
    ['the same field twice, the second of another type', '{"note":"x","note":5}'],
  ])('that is %s is 400', async (_, body) => {
    expect(codeOf(await noteWith(body))).toEqual(INVALID);
  });

  it('that breaks the JSON is not repeated in the answer', async () => {
    const answer = await noteWith('{"note": secret-4711}');
    expect(codeOf(answer)).toEqual(INVALID);
    expect(JSON.stringify(answer.body)).not.toContain('4711');
  });

  it('keeps text of other scripts and emoji as they are', async () => {
    const note = 'Grüße, 你好, שלום, 👩‍👩‍👧, \u{1F600}';
    const answer = await noteWith(JSON.stringify({ note }));
    expect(answer.status).toBe(200);
    expect(answer.body.internalNotes.at(-1).note).toBe(note);
  });

  it('may be 64 KiB and no more, counted when unpacked', async () => {
    const padded = (bytes: number) => `{"note":"x"${' '.repeat(bytes - 12)}}`;
    expect((await noteWith(padded(64 * 1024))).status).toBe(200);
    expect(codeOf(await noteWith(padded(64 * 1024 + 1)))).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    const packed = gzipSync(padded(1_000_000));
    expect(packed.length).toBeLessThan(2000);
    const unpacked = await noteWith(packed, { ...JSON_TYPE, 'content-encoding': 'gzip' });
    expect(codeOf(unpacked)).toEqual([413, 'PAYLOAD_TOO_LARGE']);
  });

  it('that is broken in its packing is the caller’s fault', async () => {
    const answer = await noteWith(Buffer.from('not gzip'), { ...JSON_TYPE, 'content-encoding': 'gzip' });
    expect(codeOf(answer)).toEqual(INVALID);
  });

  it.each([
    ['text/plain'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['application/jsonp'],
    ['application/xml, application/json'],
    ['application/json; charset=iso-8859-1'],
    ['application/json; charset=latin1'],
    [''],
  ])('of type %j is 415', async (type) => {
    const answer = await noteWith('{"note":"x"}', { 'content-type': type });
    expect(codeOf(answer)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it('in an unknown packing is 415', async () => {
    const answer = await noteWith('{"note":"x"}', { ...JSON_TYPE, 'content-encoding': 'rot13' });
    expect(codeOf(answer)).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it.each([['application/json; charset=utf-8'], ['application/json;charset=UTF-8'], ['Application/JSON']])(
    'of type %j is taken',
    async (type) => {
      expect((await noteWith('{"note":"x"}', { 'content-type': type })).status).toBe(200);
    },
  );

  it('may be left out where nothing is required: it is {}', async () => {
    const none = await cast.admin.raw('POST', '/api/payouts/check-eligibility', {});
    const noneOfType = await cast.admin.raw('POST', '/api/payouts/check-eligibility', JSON_TYPE);
    const empty = await cast.admin.raw('POST', '/api/payouts/check-eligibility', JSON_TYPE, '{}');
    const byFetch = await fetch(`${cast.service.url}/api/payouts/check-eligibility`, {
      method: 'POST',
      headers: { authorization: `Bearer ${cast.admin.token}` },
    });
    expect([none.status, noneOfType.status, empty.status, byFetch.status]).toEqual([200, 200, 200, 200]);
    const chunked = await cast.admin.raw('POST', '/api/payouts/check-eligibility', {
      ...JSON_TYPE,
      'transfer-encoding': 'chunked',
    });
    expect(chunked.status).toBe(200);
  });

  it('that is left out where something is required is told what', async () => {
    const answer = await cast.admin.raw('POST', `/api/payouts/${payoutId}/notes`, {});
    expect(codeOf(answer)).toEqual(INVALID);
    expect(issuesOf(answer)).toEqual(['body.note']);
  });

  it('is refused before it is read where the caller may not act at all', async () => {
    const answer = await cast.viewer.raw('POST', `/api/payouts/${payoutId}/notes`, JSON_TYPE, '{"note":');
    expect(codeOf(answer)).toEqual([403, 'FORBIDDEN']);
  });
});

const LISTS = [
  '/api/payouts',
  '/api/payouts/eligible-members',
  '/api/tax-forms',
  '/api/notifications',
  '/api/admin-alerts',
  '/api/reports/audit-log',
];

describe('a query', () => {
  it.each(LISTS)('of %s is checked', async (path) => {
    const faults = [
      'limit=0',
      'limit=201',
      'limit=abc',
      'limit=-1',
      'limit=1.5',
      'limit=1e2',
      'limit=',
      'limit=%00',
      'limit=99999999999999999999',
      'limit=1&limit=2',
      'limit[]=1',
      'limit[a]=1',
      'cursor=',
      'cursor=a&cursor=b',
      'unknown=1',
      'Limit=1',
      '__proto__=1',
      '__proto__[x]=1',
      'constructor=1',
      'toString=1',
      'hasOwnProperty=1',
      '%00=1',
    ];
    for (const fault of faults) {
      expect(codeOf(await cast.viewer.get(`${path}?${fault}`)), fault).toEqual(INVALID);
    }
    for (const fine of ['limit=1', 'limit=200', '']) {
      expect((await cast.viewer.get(`${path}?${fine}`)).status, fine).toBe(200);
    }
  });

  it.each([
    ['/api/payouts', 'status', ['nonsense', '', 'approved&status=completed', '%00']],
    ['/api/payouts', 'userId', ['nonsense', '%00', "' OR 1=1 --", '1']],
    [
      '/api/payouts',
      'from',
      ['nonsense', '2026-02-30', '2026-13-01', '20261120', '%00', '2026-11-20T12:00', ''],
    ],
    ['/api/tax-forms', 'year', ['nonsense', '1', '99999', '-2026', '2026.5', '%00']],
    ['/api/tax-forms', 'status', ['nonsense']],
    ['/api/notifications', 'payoutId', ['nonsense', 'PO-2026-ILOU0000', '%00', 'po-2026-7k3m9qxa']],
    ['/api/notifications', 'status', ['nonsense']],
    ['/api/admin-alerts', 'open', ['yes', '1', 'TRUE']],
    ['/api/admin-alerts', 'severity', ['nonsense']],
    ['/api/admin-alerts', 'category', ['%00', '', 'x'.repeat(101)]],
    ['/api/reports/audit-log', 'adminId', ['nonsense', '-1', '99999999999', '%00']],
    ['/api/reports/audit-log', 'entityId', ['%00', '', 'a%00b', 'x'.repeat(201)]],
    ['/api/reports/audit-log', 'action', ['%00', '%0a']],
    ['/api/reports/payouts', 'groupBy', ['nonsense', '%00']],
    ['/api/reports/payouts', 'format', ['xml']],
  ] as const)('of %s refuses a wrong %s', async (path, name, values) => {
    for (const value of values) {
      const answer = await cast.viewer.get(
        `${path}?${name}=${value.startsWith("'") ? encodeURIComponent(value) : value}`,
      );
      expect(codeOf(answer), value).toEqual(INVALID);
    }
  });

  it('on a route that takes none is 400, for a mutation too', async () => {
    expect(codeOf(await cast.viewer.get('/api/payouts/eligibility?limit=1'))).toEqual(INVALID);
    expect(codeOf(await cast.admin.post('/api/payouts/check-eligibility?dryRun=true'))).toEqual(INVALID);
  });

  it.each(['/api/payouts', '/api/reports/payouts', '/api/reports/audit-log'])(
    'of %s takes every real instant, however far away',
    async (path) => {
      const instants = [
        '0001-01-01',
        '1969-12-31',
        '9999-12-31',
        '2026-11-20T12:00:00Z',
        '2026-11-20T12:00:00.123456Z',
        '2026-11-20T12:00:00-08:00',
        '0000-01-01',
        '0001-01-01T00:00:00+14:00',
        '9999-12-31T23:59:59-12:00',
      ];
      for (const instant of instants) {
        for (const name of ['from', 'to']) {
          const answer = await cast.viewer.get(`${path}?${name}=${encodeURIComponent(instant)}`);
          expect([200, 400], `${name}=${instant}: ${JSON.stringify(answer.body)}`).toContain(answer.status);
        }
      }
    },
  );
});

const forged = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url');

/** Keys of the shapes that cursors have, each with a part that no cursor has. */
const FORGED_CURSORS: [string, string][] = [
  ['no base64', '!!!'],
  ['text that is no JSON', 'abc'],
  ['an empty list', forged([])],
  ['an object', forged({ a: 1 })],
  ['null', forged(null)],
  ['a number', forged(1)],
  ['three parts', forged(['2026-11-20T12:00:00.000Z', NOBODY, 1])],
  ['nested lists', forged([['2026-11-20T12:00:00.000Z'], [NOBODY]])],
  ['nulls', forged([null, null])],
  ['no instant', forged(['nonsense', NOBODY])],
  ['a number for an instant', forged([5, NOBODY])],
  ['an instant that PostgreSQL cannot hold', forged(['+275760-09-13T00:00:00.000Z', NOBODY])],
  ['an instant before the year 1', forged(['-000001-01-01T00:00:00.000Z', 'PO-2026-ZZZZZZZZ'])],
  ['a NUL in the id', forged(['2026-11-20T12:00:00.000Z', 'PO-2026-\0'])],
  ['half a surrogate pair in the id', forged(['2026-11-20T12:00:00.000Z', 'PO-\ud800'])],
  ['SQL for an id', forged(['2026-11-20T12:00:00.000Z', "'; DROP TABLE users; --"])],
  ['a number for an id', forged(['2026-11-20T12:00:00.000Z', 7])],
  ['a text for a number', forged(['nonsense'])],
  ['a NUL for a number', forged(['\0'])],
  ['a fraction', forged([1.5])],
  ['a number beyond all integers', forged([1e300])],
  ['a number beyond 32 bits', forged([4_294_967_296])],
  ['a number beyond 53 bits', Buffer.from('[9007199254740993]').toString('base64url')],
  ['a negative number', forged([-1])],
  ['an overflow', Buffer.from('[1e999]').toString('base64url')],
];

describe('a forged cursor', () => {
  it.each(LISTS)('of %s is never a 5xx', async (path) => {
    const failures: unknown[] = [];
    for (const [what, cursor] of FORGED_CURSORS) {
      const answer = await cast.viewer.get(`${path}?cursor=${encodeURIComponent(cursor)}`);
      if (answer.status !== 400 && answer.status !== 200) failures.push([what, answer.status]);
    }
    expect(failures).toEqual([]);
  });

  it.each(LISTS)('of %s of another shape is 400', async (path) => {
    for (const [what, cursor] of FORGED_CURSORS.slice(0, 9)) {
      expect(codeOf(await cast.viewer.get(`${path}?cursor=${encodeURIComponent(cursor)}`)), what).toEqual(
        INVALID,
      );
    }
  });
});

describe('an address', () => {
  it.each([
    ['GET', '/api/payouts/nonsense'],
    ['GET', '/api/payouts/PO-2026-ILOU0000'],
    ['GET', '/api/payouts/po-2026-7k3m9qxa'],
    ['GET', '/api/payouts/PO-2026-7K3M9QXA%00'],
    ['GET', '/api/payouts/PO-2026-7K3M9QXA%0a'],
    ['GET', '/api/payouts/%2e%2e%2fusers'],
    ['GET', '/api/payouts/nonsense/instructions'],
    ['POST', '/api/payouts/nonsense/approve'],
    ['GET', '/api/tax-forms/nonsense/pdf'],
    ['POST', '/api/tax-forms/W9-2026-lowercas/approve'],
    ['POST', '/api/notifications/1/resend'],
    ['POST', '/api/admin-alerts/1/acknowledge'],
    ['GET', '/api/members/1/membership'],
    ['GET', '/api/members/%00/payout'],
    ['GET', '/api/reports/tax-forms/abcd'],
    ['GET', '/api/reports/withholding/20265'],
  ])('%s %s with a malformed id is 400', async (method, path) => {
    expect(codeOf(await cast.admin.raw(method, path, {}))).toEqual(INVALID);
  });

  it.each(['/api/payouts/%', '/api/payouts/%E0%A4%A', '/api/payouts/%zz/approve', '/api/jobs/%ff%fe/run'])(
    '%s, which is not properly encoded, is 400',
    async (path) => {
      for (const method of ['GET', 'POST'])
        expect(codeOf(await cast.admin.raw(method, path, {}))).toEqual(INVALID);
    },
  );

  it.each([
    '/',
    '/api',
    '/api/',
    '/api/payout',
    '/api/payouts/x/y/z',
    '/docs/nothing',
    '/%',
    '/api/%00',
    '//',
    '/.env',
    '/API/payouts',
  ])('%s, where there is nothing, is 404', async (path) => {
    expect(codeOf(await cast.admin.raw('GET', path, {}))).toEqual([404, 'NOT_FOUND']);
  });

  it.each([
    ['/api/payouts', 'POST', ['GET', 'HEAD']],
    ['/api/payouts', 'DELETE', ['GET', 'HEAD']],
    ['/api/payouts/eligibility', 'POST', ['GET', 'HEAD']],
    ['/api/payouts/initiate', 'GET', ['POST']],
    ['/api/payouts/PO-2026-ZZZZZZZZ', 'PUT', ['GET', 'HEAD']],
    ['/api/payouts/PO-2026-ZZZZZZZZ/approve', 'GET', ['POST']],
    ['/api/payouts/PO-2026-ZZZZZZZZ/approve', 'PATCH', ['POST']],
    ['/api/reports/tax-forms/2026', 'DELETE', ['GET', 'HEAD', 'POST']],
    ['/api/jobs/audit-verification/run', 'GET', ['POST']],
    ['/health', 'POST', ['GET', 'HEAD']],
    ['/ready', 'DELETE', ['GET', 'HEAD']],
    ['/openapi.json', 'PUT', ['GET', 'HEAD']],
    ['/docs', 'POST', ['GET', 'HEAD']],
    ['/docs/errors', 'POST', ['GET', 'HEAD']],
  ])('%s answers %s with 405 and what is allowed', async (path, method, allowed) => {
    for (const caller of [cast.admin, cast.service.stranger]) {
      const answer = await caller.raw(method, path, {});
      expect(codeOf(answer)).toEqual([405, 'METHOD_NOT_ALLOWED']);
      expect(answer.headers.get('allow')?.split(', ').toSorted()).toEqual([...allowed].toSorted());
    }
  });

  it('answers HEAD as GET, without the body', async () => {
    const [head, get] = [
      await cast.viewer.raw('HEAD', '/api/payouts', {}),
      await cast.viewer.raw('GET', '/api/payouts', {}),
    ];
    expect([head.status, head.body]).toEqual([200, '']);
    for (const name of ['content-type', 'content-length', 'cache-control'])
      expect(head.headers.get(name)).toBe(get.headers.get(name));
    expect((await cast.service.stranger.raw('HEAD', '/api/payouts', {})).status).toBe(401);
    expect((await cast.viewer.raw('HEAD', '/api/payouts/PO-2026-ZZZZZZZZ', {})).status).toBe(404);
  });
});

describe('a fault of ours', () => {
  let service: TestService;
  let broken: Cast;
  beforeAll(async () => {
    broken = await startCast();
    service = broken.service;
    await service.sql`ALTER TABLE admin_alerts RENAME TO admin_alerts_gone`;
    await service.sql`ALTER TABLE notifications DROP COLUMN template CASCADE`;
  });
  afterAll(() => service.stop());

  it('is 500 INTERNAL and says nothing of itself', async () => {
    const answers = [
      await broken.viewer.get('/api/admin-alerts?category=secret-parameter-4711'),
      await broken.viewer.get('/api/notifications?payoutId=PO-2026-47114711'),
      await broken.admin.post(`/api/admin-alerts/${NOBODY}/acknowledge`),
    ];
    for (const answer of answers) {
      expect(codeOf(answer)).toEqual([500, 'INTERNAL']);
      expect(Object.keys(answer.body.error.details)).toEqual(['docUrl']);
      const text = JSON.stringify(answer.body);
      expect(text).not.toMatch(
        /select|from |relation|column|admin_alerts|drizzle|postgres|node_modules|\.ts|at \w+ \(/i,
      );
      expect(text).not.toMatch(/secret-parameter|47114711/);
    }
  });

  it('is in the log with its kind and its request, and without parameters or queries', async () => {
    const requestId = 'the-broken-one';
    await broken.viewer.get('/api/admin-alerts?category=secret-parameter-4711', {
      'x-request-id': requestId,
    });
    const lines = () => service.logLines.filter((line) => line.includes(requestId));
    await expect.poll(() => lines().length).toBeGreaterThanOrEqual(2);
    const failure = lines()
      .map((line) => JSON.parse(line))
      .find((line) => line.level === 'error');
    expect(failure).toMatchObject({ code: 'INTERNAL', sqlState: '42P01' });
    expect(failure.stack).toMatch(/alert/);
    const everything = service.logLines.join('\n');
    expect(everything).not.toMatch(/secret-parameter|47114711/);
    expect(everything).not.toMatch(/select .* from/i);
    expect(everything).not.toContain(broken.viewer.token);
  });

  it('leaves what is whole working', async () => {
    expect((await broken.viewer.get('/api/payouts')).status).toBe(200);
  });
});

describe('without its database', () => {
  let wire: Wire;
  let service: TestService;
  beforeAll(async () => {
    ({ wire, instance: service } = await Wire.toInstance(cast.service));
  });
  afterAll(() => service.stop());

  it('a request is 503 UNAVAILABLE, says when to try again, and nothing of the database', async () => {
    const viewer = new Caller(service.url, { token: cast.viewer.token });
    const token = await new SignJWT({ scope: 'membership:reactivate' })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience('payout-service')
      .setSubject('subscription-service')
      .setIssuedAt()
      .sign(new TextEncoder().encode('jwt-secret-for-tests-0123456789abcdef'));
    const machine = new Caller(service.url, { token });
    expect((await viewer.get('/api/payouts')).status).toBe(200);
    const written: string[] = [];
    const consoles = (['error', 'warn', 'log', 'info', 'debug'] as const).map((name) =>
      vi
        .spyOn(console, name)
        .mockImplementation((...parts) => void written.push(inspect(parts, { depth: 9 }))),
    );
    await wire.cut();
    const answers = await Promise.all([
      viewer.get('/api/payouts'),
      viewer.get('/api/jobs'),
      viewer.post(`/api/payouts/${payoutId}/notes`, { note: 'x' }),
      machine.post(`/api/members/${NOBODY}/reactivate`, { paymentDate: '2026-11-01' }),
    ]);
    for (const answer of answers) {
      expect(codeOf(answer)).toEqual([503, 'UNAVAILABLE']);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(JSON.stringify(answer.body)).not.toMatch(/ECONN|127\.0\.0\.1:(?!\d+\/docs)|password|select/i);
    }
    // Better Auth has a log of its own: what it would print there holds the session's token.
    for (const spy of consoles) spy.mockRestore();
    const [unsigned = ''] = cast.viewer.token.split('.');
    expect([...written, ...service.logLines].join('\n')).not.toContain(unsigned);
    // Whoever needs no database is answered still.
    expect((await service.stranger.get('/docs')).status).toBe(200);
    expect((await service.stranger.get('/api/payouts')).status).toBe(401);
  });
});
