import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NOTIFICATION_STATUSES } from '../../src/db/schema/index.ts';
import { PAYOUT_STATUSES } from '../../src/kernel/payout-lifecycle.ts';
import { Stories, startCast } from '../support/stories.ts';
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

const scrape = async (): Promise<string> =>
  (await service.stranger.get('/metrics', { authorization: `Bearer ${TOKEN}` })).body;
const file = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

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

describe('the figures', () => {
  it('tell payouts, dollars, queue, mails, jobs, alerts, audit, pool and clock', async () => {
    // Its own service: what one says is remembered for ten seconds.
    const cast = await startCast({ env: { ENABLE_METRICS: 'true' } });
    try {
      const story = await new Stories(cast).approved();
      await cast.admin.post('/api/jobs/eligibility-check/run');
      const { body } = await cast.service.stranger.get('/metrics');
      const value = (series: string) => Number(new RegExp(`^${series} (\\S+)$`, 'm').exec(body)?.[1]);
      expect(story.payoutId).toMatch(/^PO-/);
      expect(value('payout_service_database_up')).toBe(1);
      expect(value('payout_service_payouts\\{status="pending_bank_info"\\}')).toBe(1);
      expect(value('payout_service_payouts\\{status="completed"\\}')).toBe(0);
      expect(value('payout_service_payouts_dollars\\{status="pending_bank_info"\\}')).toBe(100_000);
      expect(value('payout_service_queue_depth\\{state="waiting"\\}')).toBeGreaterThan(0);
      expect(value('payout_service_mails\\{status="queued"\\}')).toBeGreaterThan(0);
      expect(value('payout_service_job_last_failed\\{job="eligibility-check"\\}')).toBe(0);
      expect(
        value('payout_service_job_last_success_timestamp_seconds\\{job="eligibility-check"\\}'),
      ).toBeGreaterThan(1e9);
      expect(value('payout_service_alerts_open\\{severity="info"\\}')).toBeGreaterThan(0);
      expect(value('payout_service_audit_entries')).toBeGreaterThan(3);
      expect(value('payout_service_audit_valid')).toBe(1);
      expect(value('payout_service_database_pool_connections')).toBeGreaterThan(0);
      expect(value('payout_service_database_pool_limit')).toBe(8);
      expect(Math.abs(value('payout_service_clock_skew_seconds'))).toBeLessThan(1);
      expect(value('payout_service_database_bytes')).toBeGreaterThan(1e6);
      expect(cast.service.logLines.join('')).not.toContain('The figures could not be read');
    } finally {
      await cast.service.stop();
    }
  });
});

describe('dashboard and alert rules', () => {
  const NAME = /\b(?:payout_service|process|nodejs)_[a-z0-9_]+/g;
  /** A histogram's name stands for its three series. */
  const told = async (): Promise<Set<string>> => {
    const names = [...(await scrape()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    return new Set(
      names.flatMap(([, name = '', type]) =>
        type === 'histogram' ? ['_bucket', '_count', '_sum'].map((part) => name + part) : [name],
      ),
    );
  };

  it.each(['ops/grafana/payout-service.json', 'ops/prometheus/alerts.yml'])(
    '%s asks only for what is told',
    async (name) => {
      const wanted = new Set(file(name).match(NAME));
      expect(wanted.size).toBeGreaterThan(10);
      const known = await told();
      expect([...wanted].filter((metric) => !known.has(metric))).toEqual([]);
    },
  );

  it('between them use every figure of our own', async () => {
    const used = file('ops/grafana/payout-service.json') + file('ops/prometheus/alerts.yml');
    const ours = [...(await told())].filter((name) => name.startsWith('payout_service_'));
    expect(ours.filter((name) => !used.includes(name) && !name.endsWith('_sum'))).toEqual([]);
  });

  it('lead to a part of the runbook each', () => {
    const runbook = file('docs/runbook.md');
    const headings = new Set(
      [...runbook.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) =>
        text
          .toLowerCase()
          .replaceAll(/[^\w -]/g, '')
          .replaceAll(' ', '-'),
      ),
    );
    const rules = file('ops/prometheus/alerts.yml');
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name);
    const leads = [...rules.matchAll(/runbook: docs\/runbook\.md#(\S+)/g)].map(([, anchor = '']) => anchor);
    expect(leads).toEqual(alerts.map((name) => name.toLowerCase()));
    expect(leads.filter((anchor) => !headings.has(anchor))).toEqual([]);
  });

  it('compares statuses and jobs that exist', () => {
    const rules = file('ops/prometheus/alerts.yml');
    const statuses = [...rules.matchAll(/status=~?"([a-z_|]+)"/g)].flatMap(([, list = '']) =>
      list.split('|'),
    );
    const known = new Set<string>([...PAYOUT_STATUSES, ...NOTIFICATION_STATUSES]);
    expect(statuses.filter((status) => !known.has(status))).toEqual([]);
  });
});
