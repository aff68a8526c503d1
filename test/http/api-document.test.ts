import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVICE_VERSION } from '../../src/app.ts';
import { createOpenApiDocument } from '../../src/http/openapi.ts';
import { allRoutes } from '../../src/routes.ts';
import { faultsOf } from '../support/openapi-rules.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

/** The table of section 11 of the specification, and its list of error codes, written out by hand. */
const ADDRESSES = `
GET /api/payouts
GET /api/payouts/eligibility
POST /api/payouts/check-eligibility
GET /api/payouts/eligible-members
POST /api/payouts/initiate
GET /api/payouts/{id}
POST /api/payouts/{id}/approve
POST /api/payouts/{id}/reject
POST /api/payouts/{id}/generate-instructions
GET /api/payouts/{id}/instructions
POST /api/payouts/{id}/mark-sent
POST /api/payouts/{id}/confirm
POST /api/payouts/{id}/fail
POST /api/payouts/{id}/hold
POST /api/payouts/{id}/resume
POST /api/payouts/{id}/cancel
POST /api/payouts/{id}/notes
GET /api/payouts/{id}/receipt
GET /api/members/{userId}/payout
POST /api/members/{userId}/bank-info
POST /api/members/{userId}/tax-info
GET /api/members/{userId}/membership
POST /api/members/{userId}/reactivate
GET /api/tax-forms
POST /api/tax-forms/{formId}/approve
POST /api/tax-forms/{formId}/reject
GET /api/reports/payouts
GET /api/reports/tax-forms/{year}
POST /api/reports/tax-forms/{year}
GET /api/tax-forms/{formId}/pdf
POST /api/tax-forms/{formId}/correct
POST /api/tax-forms/{formId}/void
POST /api/payouts/{id}/bank-info/reveal
POST /api/tax-forms/{formId}/reveal
GET /api/reports/withholding/{year}
GET /api/notifications
POST /api/notifications/{id}/resend
POST /api/links/verify
GET /api/reports/audit-log/verification
GET /api/reports/audit-log
GET /api/admin-alerts
POST /api/admin-alerts/{id}/acknowledge
GET /api/jobs
POST /api/jobs/{name}/run
GET /health
GET /ready
`
  .trim()
  .split('\n');

/** In the table too, but pages about the API and no part of it. */
const PAGES = ['/openapi.json', '/docs'];
/** Named by the table as there with demo data only. */
const DEMO_ADDRESSES = ['POST /api/demo/clock'];

const ERROR_CODES: [string, number][] = [
  ['VALIDATION_ERROR', 400],
  ['UNAUTHENTICATED', 401],
  ['FORBIDDEN', 403],
  ['SEPARATION_OF_DUTIES', 403],
  ['STEP_UP_REQUIRED', 403],
  ['NOT_FOUND', 404],
  ['METHOD_NOT_ALLOWED', 405],
  ['INVALID_STATE', 409],
  ['STALE_VERSION', 409],
  ['INSTRUCTIONS_STALE', 409],
  ['PAYLOAD_TOO_LARGE', 413],
  ['UNSUPPORTED_MEDIA_TYPE', 415],
  ['NOT_ELIGIBLE', 422],
  ['NO_FUNDED_SLOT', 422],
  ['INVALID_WINNER', 422],
  ['QUEUE_ORDER_OVERRIDE_REQUIRED', 422],
  ['KYC_NOT_VERIFIED', 422],
  ['NAME_MISMATCH', 422],
  ['W9_MISSING', 422],
  ['WITHHOLDING_NOT_DUE', 422],
  ['BANK_INFO_MISSING', 422],
  ['ADDRESS_MISSING', 422],
  ['COOLOFF_ACTIVE', 422],
  ['FAILURE_NOT_PROVEN', 422],
  ['YEAR_NOT_ENDED', 422],
  ['IDEMPOTENCY_KEY_REUSED', 422],
  ['RATE_LIMITED', 429],
  ['INTERNAL', 500],
  ['UNAVAILABLE', 503],
];

let service: TestService;
let demo: TestService;
let document: any;
beforeAll(async () => {
  service = await startTestService();
  demo = await startTestService({ demo: true, beside: service });
  document = (await service.stranger.get('/openapi.json')).body;
});
afterAll(async () => {
  await demo.stop();
  await service.stop();
});

const addressesOf = (of: any): string[] =>
  Object.entries(of.paths).flatMap(([path, item]) =>
    Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path}`),
  );

describe('the document', () => {
  it('describes every route as the route is, each with examples that hold', () => {
    expect(faultsOf(allRoutes(service.services, { demo: false }), document)).toEqual([]);
  });

  it('is served as it is made from the routes', () => {
    const options = { serverUrl: service.url, version: SERVICE_VERSION };
    const made = createOpenApiDocument(allRoutes(service.services, { demo: false }), options);
    expect(document).toEqual(JSON.parse(JSON.stringify(made)));
  });

  it('names the address at which it was asked for, and the version', () => {
    expect(document).toMatchObject({
      openapi: '3.1.0',
      servers: [{ url: service.url }],
      info: { version: SERVICE_VERSION },
    });
  });

  it.each(ADDRESSES)('has %s', (address) => {
    const [method = '', path = ''] = address.split(' ');
    const operation = document.paths[path]?.[method.toLowerCase()];
    expect(operation, address).toBeDefined();
    expect(operation.summary).toMatch(/\S/);
  });

  it('has nothing that the contract does not name', () => {
    const known = new Set([...ADDRESSES, 'GET /metrics', 'GET /docs/errors', 'POST /api/auth/sign-in/email']);
    expect(addressesOf(document).filter((address) => !known.has(address))).toEqual([]);
  });

  it('has the demo clock with demo data only', async () => {
    const ofDemo = (await demo.stranger.get('/openapi.json')).body;
    expect(addressesOf(ofDemo).filter((address) => !addressesOf(document).includes(address))).toEqual(
      DEMO_ADDRESSES,
    );
    expect((await service.stranger.post('/api/demo/clock', { advance: 'P1D' })).status).toBe(404);
    expect((await demo.stranger.post('/api/demo/clock', { advance: 'P1D' })).status).toBe(401);
  });

  it('gives every operation an id of its own', () => {
    const ids = Object.values(document.paths).flatMap((item) =>
      Object.values(item as Record<string, { operationId?: string }>).map(({ operationId }) => operationId),
    );
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has no reference that leads nowhere', () => {
    const text = JSON.stringify(document);
    const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(references.length).toBeGreaterThan(0);
    for (const reference of references) {
      const target = reference.split('/').reduce((at, part) => at?.[part], document);
      expect(target, reference).toBeDefined();
    }
  });

  it('is answered for real: every read without parameters that it names exists', async () => {
    for (const [path, item] of Object.entries<any>(document.paths)) {
      if (path.includes('{') || !item.get || path === '/metrics') continue;
      expect((await service.stranger.get(path)).status, path).not.toBe(404);
    }
    for (const path of PAGES) expect((await service.stranger.get(path)).status, path).toBe(200);
  });
});

describe('the pages', () => {
  it.each(['/docs', '/docs/errors'])('%s runs nothing inline and nothing of others', async (path) => {
    const page = await service.stranger.get(path);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    const policy = page.headers.get('content-security-policy') ?? '';
    const directives = new Map(
      policy.split(';').map((directive) => {
        const [name = '', ...sources] = directive.trim().split(/\s+/);
        return [name, sources];
      }),
    );
    expect(directives.get('script-src') ?? directives.get('default-src')).toEqual(["'self'"]);
    expect(directives.get('object-src')).toEqual(["'none'"]);
    expect(directives.get('frame-ancestors')).toEqual(["'none'"]);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(page.body).not.toMatch(/<script(?![^>]*\bsrc=)/i);
    expect(page.body).not.toMatch(/<style|\sstyle=|\son\w+=|javascript:/i);
  });

  it.each(['/docs', '/docs/errors'])('%s loads only what is served here', async (path) => {
    const { body } = await service.stranger.get(path);
    const assets = [...(body as string).matchAll(/(?:src|href)="(\/docs\/assets\/[^"]+)"/g)].map(
      (match) => match[1] ?? '',
    );
    expect(assets.length).toBeGreaterThan(1);
    for (const asset of assets) {
      const answer = await fetch(`${service.url}${asset}`);
      expect(answer.status, asset).toBe(200);
      expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(100);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      const type = { js: 'javascript', css: 'text/css', png: 'image/png' }[asset.split('.').at(-1) ?? ''];
      expect(answer.headers.get('content-type')).toContain(type);
    }
    expect(body).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
  });

  it('shows the document of this service', async () => {
    const setup = await fetch(`${service.url}/docs/assets/swagger-setup.js`);
    expect(await setup.text()).toContain('/openapi.json');
  });

  it.each([
    'package.json',
    'index.html',
    '..%2f..%2fpackage.json',
    '.env',
    '%00',
    'swagger-ui.css%00',
    'constructor',
  ])('do not give out %s', async (name) => {
    const answer = await service.stranger.raw('GET', `/docs/assets/${name}`, {});
    expect(answer.status).toBe(404);
  });

  it.each(ERROR_CODES)('explain %s', async (code, status) => {
    const { body } = await service.stranger.get('/docs/errors');
    const entry = (body as string).split(`id="${code}"`)[1]?.split('</article>')[0];
    expect(entry, code).toBeDefined();
    expect(entry).toContain(String(status));
    expect(entry).toContain('What to do');
  });

  it('lead from a code’s own address to its entry', async () => {
    const answer = await service.stranger.get('/docs/errors/INVALID_STATE');
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/docs/errors#INVALID_STATE']);
    expect((await service.stranger.get('/docs/errors/NO_SUCH_CODE')).status).toBe(404);
  });
});
