import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../support/test-service.ts';

const TOKEN = 'metrics-token-for-tests-0123456789abcdef';
let service: TestService;
let without: TestService;
beforeAll(async () => {
  service = await startTestService({ env: { ENABLE_METRICS: 'true', METRICS_TOKEN: TOKEN } });
  without = await startTestService();
});
afterAll(async () => {
  await without.stop();
  await service.stop();
});

describe('GET /metrics', () => {
  it('counts requests by route, and makes no label of what a stranger sends', async () => {
    await service.stranger.get('/api/payouts/eligibility');
    await service.stranger.get('/api/no-such-thing');
    const { status, body } = await service.stranger.get('/metrics', { authorization: `Bearer ${TOKEN}` });
    expect(status).toBe(200);
    expect(body).toMatch(
      /duration_seconds_count\{method="GET",route="\/api\/payouts\/eligibility",status="401"\} 1/,
    );
    expect(body).toMatch(/duration_seconds_count\{method="GET",route="\(none\)",status="404"\} 1/);
    expect(body).not.toContain('no-such-thing');
  });

  it('wants its token', async () => {
    expect((await service.stranger.get('/metrics')).status).toBe(401);
    expect((await service.stranger.get('/metrics', { authorization: 'Bearer wrong' })).status).toBe(401);
  });

  it('is not there unless it is enabled', async () => {
    expect((await without.stranger.get('/metrics')).status).toBe(404);
  });
});
