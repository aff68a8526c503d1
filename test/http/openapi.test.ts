import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { docsPages } from '../../src/http/docs-pages.ts';
import { createOpenApiDocument, errorCodesOf } from '../../src/http/openapi.ts';
import { Download, route, type Route } from '../../src/http/route.ts';
import {
  listOf,
  money,
  moment,
  pageQuery,
  paragraph,
  payoutId,
  payoutParams,
} from '../../src/http/schemas.ts';
import { ERROR_CODES } from '../../src/kernel/errors.ts';
import { faultsOf } from '../support/openapi-rules.ts';

const view = z
  .object({ payoutId, netAmount: money, status: z.enum(['pending_approval', 'approved']) })
  .meta({ id: 'SamplePayout' });
const viewExample = { payoutId: 'PO-2026-7K3M9QXA', netAmount: 99700, status: 'approved' as const };

const list = route({
  method: 'get',
  path: '/api/payouts',
  tag: 'Payouts',
  summary: 'List payouts',
  needs: 'payouts.read',
  query: z.strictObject({ from: moment.optional(), ...pageQuery }),
  reply: listOf(view),
  example: { reply: { data: [viewExample], nextCursor: null } },
  handle: async () => ({ data: [], nextCursor: null }),
});

const reject = route({
  method: 'post',
  path: '/api/payouts/:id/reject',
  tag: 'Approvals',
  summary: 'Reject a payout',
  description: 'Ends it.',
  needs: 'payouts.reject',
  params: payoutParams,
  body: z.strictObject({ reason: paragraph(500) }),
  reply: view,
  errors: ['SEPARATION_OF_DUTIES', 'INVALID_STATE', 'STALE_VERSION'],
  limit: 'approvals',
  example: { body: { reason: 'The bank account is not theirs.' }, reply: viewExample },
  handle: async () => viewExample,
});

const receipt = route({
  method: 'get',
  path: '/api/payouts/:id/receipt',
  tag: 'Payments',
  summary: 'The receipt',
  needs: 'receipts.read',
  params: payoutParams,
  files: ['application/pdf'],
  handle: async () => new Download('application/pdf', 'receipt.pdf', Buffer.from('')),
});

const reactivate = route({
  method: 'post',
  path: '/api/sample/reactivate',
  tag: 'Membership',
  summary: 'Bring a member back',
  needs: 'membership.reactivate',
  body: z.strictObject({ note: paragraph(100).optional() }),
  reply: z.object({ active: z.boolean() }),
  status: 201,
  example: { reply: { active: true } },
  handle: async () => ({ active: true }),
});

const routes: Route[] = [list, reject, receipt, reactivate];

const build = (from: readonly Route[] = routes): any =>
  createOpenApiDocument(from, { serverUrl: 'https://payouts.test/', version: '1.2.3' });
const document = build();

const namesOf = (parameters: { name?: string; $ref?: string }[]): string[] =>
  parameters.map(({ name, $ref }) => name ?? $ref!.split('/').at(-1)!);

describe('the OpenAPI document', () => {
  it('says what it is and where the service is reached', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { version: '1.2.3' },
      servers: [{ url: 'https://payouts.test' }],
    });
  });

  it('writes path parameters as OpenAPI does and demands them', () => {
    const { parameters } = document.paths['/api/payouts/{id}/reject'].post;
    expect(parameters[0]).toMatchObject({ in: 'path', name: 'id', required: true });
    expect(Object.keys(document.paths)).not.toContain('/api/payouts/:id/reject');
  });

  it('lists the parameters of a query as they are sent, not as they are read', () => {
    const { parameters } = document.paths['/api/payouts'].get;
    expect(namesOf(parameters)).toEqual(['from', 'limit', 'cursor', 'RequestId']);
    expect(parameters[1]).toMatchObject({ in: 'query', schema: { type: 'string' } });
    expect(parameters[1].required).toBeUndefined();
  });

  it('offers an idempotency key on mutations only', () => {
    expect(namesOf(document.paths['/api/payouts/{id}/reject'].post.parameters)).toContain('IdempotencyKey');
    expect(namesOf(document.paths['/api/payouts'].get.parameters)).not.toContain('IdempotencyKey');
  });

  it('describes body, reply and their examples', () => {
    const { requestBody, responses } = document.paths['/api/payouts/{id}/reject'].post;
    expect(requestBody).toMatchObject({
      required: true,
      content: { 'application/json': { example: { reason: 'The bank account is not theirs.' } } },
    });
    expect(requestBody.content['application/json'].schema).toMatchObject({
      required: ['reason'],
      additionalProperties: false,
    });
    expect(responses[200].content['application/json']).toEqual({
      schema: { $ref: '#/components/schemas/SamplePayout' },
      example: viewExample,
    });
  });

  it('lets a body be left out where nothing in it is needed, and gives the status of the route', () => {
    const { requestBody, responses } = document.paths['/api/sample/reactivate'].post;
    expect(requestBody.required).toBe(false);
    expect(responses[201]).toBeDefined();
    expect(responses[200]).toBeUndefined();
  });

  it('describes a file by its media type', () => {
    const { responses, requestBody } = document.paths['/api/payouts/{id}/receipt'].get;
    expect(requestBody).toBeUndefined();
    expect(responses[200].content).toEqual({
      'application/pdf': { schema: { type: 'string', format: 'binary' } },
    });
    expect(responses[200].headers).toHaveProperty('Content-Disposition');
  });

  it('says who may, and lets machines in only where a scope does', () => {
    const rejecting = document.paths['/api/payouts/{id}/reject'].post;
    expect(rejecting['x-permission']).toBe('payouts.reject');
    expect(rejecting.description).toBe(
      'Ends it.\n\n**Who may:** `admin`, `finance_manager`. Permission `payouts.reject`.\n\n' +
        'Approvals have a tighter rate limit of their own.',
    );
    expect(rejecting.security).toEqual([{ sessionCookie: [] }, { sessionToken: [] }]);

    const returning = document.paths['/api/sample/reactivate'].post;
    expect(returning.security).toContainEqual({ machineToken: [] });
    expect(returning.description).toContain('a machine with the scope `membership:reactivate`');
    expect(document.paths['/api/payouts/{id}/receipt'].get.description).toContain(
      'a person for what is their own',
    );
  });

  it('gives every operation an id of its own', () => {
    const operations = Object.values<any>(document.paths).flatMap((item) => Object.values<any>(item));
    const ids = operations.map((operation) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain('postPayoutsByIdReject');
  });

  it('has a description for every tag that is used', () => {
    expect(document.tags.map((tag: { name: string }) => tag.name)).toEqual([
      'Sign-in',
      'Payouts',
      'Approvals',
      'Payments',
      'Membership',
      'Service',
    ]);
    for (const tag of document.tags) expect(tag.description).toMatch(/\.$/);
  });

  it('describes the addresses that are no route, without a sign-in', () => {
    for (const operation of [
      document.paths['/health'].get,
      document.paths['/ready'].get,
      document.paths['/api/auth/sign-in/email'].post,
    ])
      expect(operation.security).toEqual([]);
  });

  it('leaves no single example on a parameter, which Swagger UI would send unasked', () => {
    expect(JSON.stringify(document.paths['/api/payouts'].get.parameters)).not.toContain('"example":');
  });
});

describe('error codes', () => {
  it('of a read without parameters are those that every route may give', () => {
    expect(errorCodesOf(list)).toEqual([
      'VALIDATION_ERROR',
      'UNAUTHENTICATED',
      'FORBIDDEN',
      'RATE_LIMITED',
      'INTERNAL',
      'UNAVAILABLE',
    ]);
  });

  it('of a mutation with parameters are those, its own, and what its body and key may meet', () => {
    const codes = errorCodesOf(reject);
    expect(codes).toEqual(
      expect.arrayContaining(['NOT_FOUND', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE']),
    );
    expect(codes).toEqual(expect.arrayContaining(['IDEMPOTENCY_KEY_REUSED', 'IDEMPOTENCY_IN_PROGRESS']));
    expect(codes).toEqual(expect.arrayContaining(['SEPARATION_OF_DUTIES', 'INVALID_STATE', 'STALE_VERSION']));
    expect(
      errorCodesOf({ ...reject, errors: ['NOT_FOUND'] }).filter((code) => code === 'NOT_FOUND'),
    ).toHaveLength(1);
  });

  it('of one status share one response that names each', () => {
    const { responses } = document.paths['/api/payouts/{id}/reject'].post;
    expect(responses[409]['x-error-codes']).toEqual([
      'INVALID_STATE',
      'STALE_VERSION',
      'IDEMPOTENCY_IN_PROGRESS',
    ]);
    expect(responses[409].description).toContain('`STALE_VERSION`');
    expect(responses[409].content['application/json'].schema).toEqual({
      $ref: '#/components/schemas/ErrorResponse',
    });
    expect(responses[404]).toEqual({ $ref: '#/components/responses/NotFound' });
    expect(document.components.responses.RateLimited.headers).toHaveProperty('Retry-After');
  });
});

describe('the rules for real routes', () => {
  it('find nothing wrong with the samples', () => {
    expect(faultsOf(routes, document)).toEqual([]);
  });

  it('find what is missing', () => {
    const bare = { ...reject, summary: ' ', example: undefined } as Route;
    expect(faultsOf([bare], document)).toEqual([
      'post /api/payouts/:id/reject: no summary',
      'post /api/payouts/:id/reject: no example of the body',
      'post /api/payouts/:id/reject: no example of the reply',
    ]);
    expect(faultsOf([{ ...list, path: '/api/elsewhere' }], document)).toEqual([
      'get /api/elsewhere: missing in the document',
    ]);
    expect(faultsOf([{ ...list, errors: ['NOT_ELIGIBLE'] }], document)).toEqual([
      'get /api/payouts: the document does not name NOT_ELIGIBLE',
    ]);
    expect(faultsOf([list, list], document)).toEqual(['get /api/payouts: declared twice']);
  });

  it('find examples that their own schemas refuse', () => {
    const wrong = { ...reject, example: { body: { reason: '' }, reply: { payoutId: 'P1' } } } as Route;
    const faults = faultsOf([wrong], document);
    expect(faults).toHaveLength(2);
    expect(faults[0]).toContain('the example of the body does not parse');
    expect(faults[1]).toContain('the example of the reply does not parse');
  });
});

describe('the pages', () => {
  const server = express().use(docsPages(document)).listen(0, '127.0.0.1');
  let origin = '';
  const get = (path: string) => fetch(origin + path, { redirect: 'manual' });

  beforeAll(async () => {
    if (!server.listening) await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  it('give the document', async () => {
    const response = await get('/openapi.json');
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)));
  });

  it.each(['/docs', '/docs/errors'])('%s runs and styles nothing inline and says so', async (path) => {
    const response = await get(path);
    const html = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("default-src 'self'");
    expect(response.headers.get('content-security-policy')).not.toContain('unsafe');
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=/);
    const assets = [...html.matchAll(/(?:src|href)="(\/docs\/assets\/[^"]+)"/g)].map(
      ([, address]) => address!,
    );
    expect(assets.length).toBeGreaterThan(1);
    for (const asset of assets) expect((await get(asset)).status, asset).toBe(200);
  });

  it('have an entry for every error code, and lead to it', async () => {
    const html = await (await get('/docs/errors')).text();
    for (const code of ERROR_CODES) expect(html).toContain(`<article id="${code}">`);
    const redirect = await get('/docs/errors/INVALID_STATE');
    expect([redirect.status, redirect.headers.get('location')]).toEqual([302, '/docs/errors#INVALID_STATE']);
  });

  it.each([
    '/docs/errors/NO_SUCH_CODE',
    '/docs/errors/constructor',
    '/docs/assets/package.json',
    '/docs/assets/..%2fREADME.md',
  ])('do not know %s', async (path) => {
    expect((await get(path)).status).toBe(404);
  });
});
