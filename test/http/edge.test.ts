/** What stands before the routes: other sites' pages, slow clients, and a limiter that cannot count. */
import { createServer as createTcpServer, connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectRedis } from '../../src/db/redis.ts';
import { createHttpServer } from '../../src/http/http-server.ts';
import { mountRoutes, type EdgeDependencies } from '../../src/http/mount.ts';
import { RateLimits } from '../../src/http/rate-limits.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { allRoutes } from '../../src/routes.ts';
import { startCast, type Cast } from '../support/stories.ts';

let cast: Cast;
beforeAll(async () => {
  cast = await startCast({ env: { ADMIN_DASHBOARD_URL: 'https://dashboard.example.com/payouts' } });
});
afterAll(() => cast.service.stop());

const DASHBOARD = 'https://dashboard.example.com';
const EVIL = 'https://dashboard.example.com.evil.example';
const CORS = 'access-control-allow-origin';

describe('a page of another origin', () => {
  it.each([
    [EVIL],
    ['https://evil.example'],
    ['http://dashboard.example.com'],
    ['null'],
    ['https://dashboard.example.com:444'],
  ])('such as %s is told nothing', async (origin) => {
    const read = await cast.viewer.get('/api/payouts', { origin });
    expect([read.headers.get(CORS), read.headers.get('vary')]).toEqual([
      null,
      expect.stringContaining('Origin'),
    ]);
    const asked = await cast.service.stranger.raw('OPTIONS', '/api/payouts/initiate', {
      origin,
      'access-control-request-method': 'POST',
    });
    expect(asked.headers.get(CORS)).toBeNull();
  });

  it('that is the dashboard may read, and send what it must', async () => {
    const read = await cast.viewer.get('/api/payouts', { origin: DASHBOARD });
    expect(read.headers.get(CORS)).toBe(DASHBOARD);
    expect(read.headers.get('access-control-allow-credentials')).toBe('true');
    const asked = await cast.service.stranger.raw('OPTIONS', '/api/payouts/initiate', {
      origin: DASHBOARD,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,idempotency-key',
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get(CORS)).toBe(DASHBOARD);
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/Idempotency-Key/);
    const refused = await cast.service.stranger.get('/api/payouts', { origin: DASHBOARD });
    expect([refused.status, refused.headers.get(CORS)]).toEqual([401, DASHBOARD]);
  });
});

describe('a question whether an earlier answer is still good', () => {
  it.each([['*'], ['"x"'], ['W/"0"']])(
    'with If-None-Match: %s gets the answer, as nobody may keep one',
    async (tag) => {
      const answer = await cast.viewer.get('/api/payouts', { 'if-none-match': tag });
      expect([answer.status, answer.body.nextCursor, answer.headers.get('etag')]).toEqual([200, null, null]);
    },
  );
});

describe('a mutation with a cookie', () => {
  it.each([
    ['a form’s type without a body', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['text without a body', { 'content-type': 'text/plain' }],
  ])('and %s is 415', async (_, headers) => {
    const cookie = `better-auth.session_token=${encodeURIComponent(cast.admin.token)}`;
    const sent = { cookie, origin: DASHBOARD, ...headers };
    const answer = await cast.service.stranger.raw('POST', '/api/payouts/check-eligibility', sent);
    expect([answer.status, answer.body.error.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  });

  it.each([
    ['JSON’s type', { 'content-type': 'application/json' }],
    ['no type', {}],
  ])('and %s needs no body, from the dashboard and from nowhere else', async (_, type) => {
    const cookie = `better-auth.session_token=${encodeURIComponent(cast.admin.token)}`;
    const send = async (origin: Record<string, string>) =>
      cast.service.stranger.raw('POST', '/api/payouts/check-eligibility', { cookie, ...type, ...origin });
    expect((await send({ origin: DASHBOARD })).status).toBe(200);
    expect((await send({})).status).toBe(200);
    expect((await send({ origin: 'https://evil.example.com' })).status).toBe(403);
    expect((await send({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  });
});

describe('a mutation without a cookie', () => {
  it.each([['application/x-www-form-urlencoded'], ['text/plain'], ['application/json']])(
    'and of type %s needs no body',
    async (type) => {
      const headers = { authorization: `Bearer ${cast.admin.token}`, 'content-type': type };
      const answer = await cast.service.stranger.raw('POST', '/api/payouts/check-eligibility', headers);
      expect(answer.status).toBe(200);
    },
  );
});

describe('a route that the table of permissions does not have', () => {
  it('keeps the service from starting, and names it', () => {
    const [known] = allRoutes(cast.service.services, { demo: false });
    const strange = { ...known, path: '/api/strange', needs: 'strange.read' } as unknown as NonNullable<
      typeof known
    >;
    expect(() => mountRoutes([strange], {} as EdgeDependencies)).toThrow('GET /api/strange (strange.read)');
  });
});

describe('a slow client', () => {
  it.each([
    ['sends its headers a byte at a time', 'GET / HTTP/1.1\r\nhost: x\r\nx-slow: '],
    ['never sends the body that it announces', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n1'],
  ])('that %s is cut off', async (_, begun) => {
    const server = createHttpServer(() => {}, { headersMs: 200, requestMs: 300, idleMs: 5000, checkMs: 50 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.write(begun);
    const drip = setInterval(() => socket.write('x'), 60);
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('error', () => resolve(text));
      socket.on('close', () => resolve(text));
    });
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1.1 408/);
    await new Promise((resolve) => server.close(resolve));
  });

  it('that connects and says nothing is cut off', async () => {
    const server = createHttpServer(() => {}, { headersMs: 200, requestMs: 300, idleMs: 5000, checkMs: 50 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const startedAt = performance.now();
    await new Promise((resolve) => socket.resume().once('close', resolve));
    expect(performance.now() - startedAt).toBeLessThan(3000);
    await new Promise((resolve) => server.close(resolve));
  });

  it('that does not read its answer is cut off', async () => {
    const server = createHttpServer((_request, response) => void response.end(Buffer.alloc(50_000_000)), { headersMs: 5000, requestMs: 5000, idleMs: 300, checkMs: 50 }); // prettier-ignore
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const closed = new Promise<void>((resolve) =>
      server.on('connection', (seen) => seen.on('close', () => resolve())),
    );
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    socket.pause();
    await expect(closed).resolves.toBeUndefined();
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('limits in a Redis that is away', () => {
  it('let people read, refuse changes, and go on counting addresses', async () => {
    // A port at which nobody listens.
    const free = createTcpServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => free.once('listening', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const redis = await connectRedis(`redis://127.0.0.1:${port}`, silentLogger);
    try {
      const limits = new RateLimits(
        { member: 5, staff: 5, approvals: 5, address: 1, signIn: 1 },
        silentLogger,
        redis,
      );
      const response = { setHeader() {} } as never;
      const member = { kind: 'member', userId: 'x', email: 'x' } as const;
      await limits.caller(member, response, { changes: false });
      await expect(limits.caller(member, response, { changes: true })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
      });
      await limits.address('2001:db8:1:2:3::1', response);
      // Another address of the same network.
      await expect(limits.address('2001:db8:1:2:ffff::9', response)).rejects.toMatchObject({
        code: 'RATE_LIMITED',
      });
      await limits.address('2001:db8:1:3::1', response);
      await limits.signIn('192.0.2.1', response);
      await expect(limits.signIn('192.0.2.1', response)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    } finally {
      redis.disconnect();
    }
  });
});
