import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/kernel/logger.ts';
import { JobRunner } from '../../src/jobs/job-runner.ts';
import type { Job } from '../../src/jobs/job-table.ts';
import { cronExpression, slotAfter, slotAtOrBefore, type Schedule } from '../../src/jobs/schedule-rules.ts';
import type { Caller } from '../support/caller.ts';
import { expectOk } from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

describe('when a job is due', () => {
  const minutes = fc.integer({ min: 0, max: 59 });
  const schedules: fc.Arbitrary<Schedule> = fc.oneof(
    fc.record({
      kind: fc.constant('daily' as const),
      hour: fc.integer({ min: 0, max: 23 }),
      minute: minutes,
    }),
    fc.record({ kind: fc.constant('hourly' as const), minute: minutes }),
  );
  const instants = fc.date({
    min: new Date('2020-01-01T00:00:00Z'),
    max: new Date('2060-01-01T00:00:00Z'),
    noInvalidDate: true,
  });

  it('the latest slot is at or before now, less than a period away, at the minute of its schedule', () => {
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        const slot = slotAtOrBefore(schedule, now);
        const period = schedule.kind === 'daily' ? 24 * HOUR_MS : HOUR_MS;
        expect(slot.getTime()).toBeLessThanOrEqual(now.getTime());
        expect(now.getTime() - slot.getTime()).toBeLessThan(period);
        expect([slot.getUTCMinutes(), slot.getUTCSeconds(), slot.getUTCMilliseconds()]).toEqual([
          schedule.minute,
          0,
          0,
        ]);
        if (schedule.kind === 'daily') expect(slot.getUTCHours()).toBe(schedule.hour);
      }),
    );
  });

  it('the next slot is after now, and nothing is due between the two', () => {
    fc.assert(
      fc.property(schedules, instants, (schedule, now) => {
        const [slot, next] = [slotAtOrBefore(schedule, now), slotAfter(schedule, now)];
        expect(next.getTime()).toBeGreaterThan(now.getTime());
        expect(slotAtOrBefore(schedule, next)).toEqual(next);
        expect(slotAtOrBefore(schedule, new Date(next.getTime() - 1))).toEqual(slot);
        expect(slotAtOrBefore(schedule, slot)).toEqual(slot);
      }),
    );
  });

  it('is written in five cron fields', () => {
    expect(cronExpression({ kind: 'daily', hour: 2, minute: 0 })).toBe('0 2 * * *');
    expect(cronExpression({ kind: 'hourly', minute: 15 })).toBe('15 * * * *');
  });
});

describe('the jobs over HTTP', () => {
  let service: TestService;
  let admin: Caller;
  let viewer: Caller;
  beforeAll(async () => {
    service = await startTestService();
    [admin, viewer] = [await service.newStaff('admin'), await service.newStaff('viewer')];
  });
  afterAll(() => service.stop());

  const jobNamed = async (name: string) =>
    expectOk(await viewer.get('/api/jobs')).body.data.find((job: { name: string }) => job.name === name);

  it('are listed with schedule and next run', async () => {
    const { body } = await viewer.get('/api/jobs');
    expect(body.nextCursor).toBeNull();
    expect(
      body.data.map(({ name, schedule, nextRun }: Record<string, string>) => [name, schedule, nextRun]),
    ).toEqual(
      expect.arrayContaining([
        ['eligibility-check', '0 2 * * *', '2026-11-21T02:00:00.000Z'],
        ['membership-removals', '0 3 * * *', '2026-11-21T03:00:00.000Z'],
        ['delay-checks', '15 * * * *', '2026-11-20T12:15:00.000Z'],
        ['audit-verification', '0 4 * * *', '2026-11-21T04:00:00.000Z'],
      ]),
    );
    expect((await jobNamed('delay-checks')).lastRun).toBeNull();
    const member = await service.newMember({ payments: 0 });
    expect((await member.get('/api/jobs')).status).toBe(403);
  });

  it('are run now by an admin, who gets the result', async () => {
    await service.fund(3);
    const answer = await admin.post('/api/jobs/eligibility-check/run');
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      job: 'eligibility-check',
      trigger: 'manual',
      status: 'succeeded',
      startedAt: service.time.now().toISOString(),
      result: { isEligible: true, totalRevenue: 300000, availableSlots: 3 },
      error: null,
    });
    expect((await jobNamed('eligibility-check')).lastRun).toEqual(answer.body);
    const [entry] = await service.sql`SELECT * FROM user_audit_logs WHERE entity_type = 'job'`;
    expect(entry).toMatchObject({
      entity_id: 'eligibility-check',
      action: 'run',
      admin_id: admin.adminId,
      success: true,
      new_values: { status: 'succeeded', trigger: 'manual' },
    });
    const finance = await service.newStaff('finance_manager');
    for (const who of [viewer, finance]) {
      expect((await who.post('/api/jobs/eligibility-check/run')).status).toBe(403);
    }
  });

  it.each(['eligibility-check', 'membership-removals', 'delay-checks', 'audit-verification'])(
    '%s runs on an empty day',
    async (name) => {
      const { body } = await admin.post(`/api/jobs/${name}/run`);
      expect([body.status, body.error]).toEqual(['succeeded', null]);
    },
  );

  it('that are unknown answer 404', async () => {
    const answer = await admin.post('/api/jobs/coffee/run');
    expect([answer.status, answer.body.error.code]).toEqual([404, 'NOT_FOUND']);
    expect((await admin.post('/api/jobs/coffee/run', { now: true })).status).toBe(400);
  });

  it('that are running are not run a second time, until the run has died', async () => {
    const now = service.time.now();
    await service.sql`INSERT INTO job_runs (job, slot, trigger, started_at, status)
      VALUES ('delay-checks', ${now}, 'manual', ${now}, 'running')`;
    const answer = await admin.post('/api/jobs/delay-checks/run');
    expect([answer.status, answer.body.error.code]).toEqual([409, 'ALREADY_RUNNING']);
    expect((await jobNamed('delay-checks')).lastRun).toMatchObject({ status: 'running', finishedAt: null });
    service.time.advanceDays(10 / 24 / 60); // the limit, to the minute
    expect((await admin.post('/api/jobs/delay-checks/run')).status).toBe(409);
    service.time.advanceDays(1 / 24 / 60);
    expect((await admin.post('/api/jobs/delay-checks/run')).body.status).toBe('succeeded');
    const [dead] = await service.sql`
      SELECT status, error FROM job_runs WHERE job = 'delay-checks' AND error IS NOT NULL`;
    expect(dead).toEqual({ status: 'failed', error: 'The run died before it ended.' });
  });

  it('that fail say so; a failed eligibility check is a critical alert until one succeeds', async () => {
    const alerts = async () =>
      expectOk(await viewer.get('/api/admin-alerts?category=eligibility_check_failed&open=true')).body.data;
    await service.sql`ALTER TABLE user_payments RENAME TO user_payments_gone`;
    try {
      const answer = await admin.post('/api/jobs/eligibility-check/run');
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ status: 'failed', result: null, error: 'See the log.' });
      expect(await alerts()).toEqual([
        expect.objectContaining({ severity: 'critical', category: 'eligibility_check_failed' }),
      ]);
      await admin.post('/api/jobs/eligibility-check/run');
      expect(await alerts()).toHaveLength(1);
    } finally {
      await service.sql`ALTER TABLE user_payments_gone RENAME TO user_payments`;
    }
    expect(service.logLines.some((line) => line.includes('"message":"A job failed."'))).toBe(true);
    const failures = await service.sql`
      SELECT success FROM user_audit_logs WHERE entity_id = 'eligibility-check' AND NOT success`;
    expect(failures).toHaveLength(2);
    expect((await admin.post('/api/jobs/eligibility-check/run')).body.status).toBe('succeeded');
    expect(await alerts()).toEqual([]);
  });
});

describe('two instances on one database', () => {
  let service: TestService;
  let beside: TestService;
  let runs: string[];
  let work: () => Promise<void>;

  beforeAll(async () => {
    service = await startTestService();
    beside = await startTestService({ beside: service });
  });
  afterAll(async () => {
    await beside.stop();
    await service.stop();
  });
  beforeEach(async () => {
    runs = [];
    work = async () => {};
    await service.sql`DELETE FROM job_runs`;
    service.time.setTo('2026-11-20T12:00:00Z');
  });

  /** A runner as each instance has one, with a job that tells who ran it. */
  function runner(instance: TestService, name: string): JobRunner {
    const job: Job = {
      name: 'report',
      summary: 'For the test.',
      schedule: { kind: 'daily', hour: 2, minute: 0 },
      limitMs: 10 * MINUTE_MS,
      run: async () => {
        runs.push(name);
        await work();
        return { by: name };
      },
    };
    return new JobRunner({
      database: instance.database,
      clock: instance.time,
      logger: silentLogger,
      jobs: [job],
    });
  }
  const both = () => [runner(service, 'a'), runner(beside, 'b')] as const;
  const rows = () => service.sql<{ slot: Date; status: string; trigger: string; result: unknown }[]>`
    SELECT slot, status, trigger, result FROM job_runs ORDER BY id`;

  it('run nothing before its time', async () => {
    const [a, b] = both();
    service.time.setTo('2026-11-21T01:59:59Z');
    await Promise.all([a.runMissed(), b.runMissed()]);
    expect(runs).toEqual([]);
  });

  it('run each slot once', async () => {
    const [a, b] = both();
    for (const day of ['21', '22', '23']) {
      service.time.setTo(`2026-11-${day}T02:00:00Z`);
      await Promise.all([a.runMissed(), b.runMissed(), a.runMissed(), b.runMissed()]);
    }
    expect(runs).toHaveLength(3);
    expect((await rows()).map(({ slot, status, trigger }) => [slot.toISOString(), status, trigger])).toEqual([
      ['2026-11-21T02:00:00.000Z', 'succeeded', 'schedule'],
      ['2026-11-22T02:00:00.000Z', 'succeeded', 'schedule'],
      ['2026-11-23T02:00:00.000Z', 'succeeded', 'schedule'],
    ]);
  });

  it('run a slot that was missed once, however many were, and late', async () => {
    const [a, b] = both();
    service.time.setTo('2026-11-21T02:00:00Z');
    await a.runMissed();
    service.time.setTo('2026-11-25T17:30:00Z');
    await Promise.all([a.runMissed(), b.runMissed()]);
    await b.runMissed();
    expect(runs).toHaveLength(2);
    expect((await rows()).at(-1)?.slot.toISOString()).toBe('2026-11-25T02:00:00.000Z');
  });

  it('run a slot that fell due while both were down, where the job ran before', async () => {
    await both()[0].runMissed();
    service.time.setTo('2026-11-21T02:00:00Z');
    await both()[0].runMissed();
    expect(runs).toEqual([]); // it came up at this moment and never ran: nothing was missed
    const [a] = both();
    service.time.setTo('2026-11-22T02:00:00Z');
    await a.runMissed();
    service.time.setTo('2026-11-23T08:00:00Z');
    await both()[1].runMissed();
    expect(runs).toEqual(['a', 'b']);
  });

  it('wait for each other, and catch up', async () => {
    const [a, b] = both();
    let finish = () => {};
    work = () => new Promise((resolve) => (finish = resolve));
    service.time.setTo('2026-11-21T02:00:00Z');
    const running = a.runMissed();
    await expect.poll(() => runs).toEqual(['a']);
    service.time.setTo('2026-11-21T02:05:00Z');
    await b.runMissed();
    expect(runs).toEqual(['a']);
    finish();
    await running;
    expect((await rows()).map(({ status, result }) => [status, result])).toEqual([
      ['succeeded', { by: 'a' }],
    ]);
  });

  it('take a run over that has died, after its limit', async () => {
    const [a, b] = both();
    let finish = () => {};
    work = () => new Promise((resolve) => (finish = resolve));
    service.time.setTo('2026-11-21T02:00:00Z');
    const dying = a.runMissed();
    await expect.poll(() => runs).toEqual(['a']);
    service.time.setTo('2026-11-21T02:10:00Z');
    await b.runMissed();
    expect(runs).toEqual(['a']);
    work = async () => {};
    service.time.setTo('2026-11-21T02:10:01Z');
    await Promise.all([b.runMissed(), b.runMissed()]);
    expect(runs).toEqual(['a', 'b']);
    expect((await rows()).map(({ status, result }) => [status, result])).toEqual([
      ['succeeded', { by: 'b' }],
    ]);
    // The first was not dead after all: it does not overwrite what the other did.
    finish();
    await expect(dying).rejects.toThrow('taken for dead');
    expect((await rows()).map(({ status, result }) => [status, result])).toEqual([
      ['succeeded', { by: 'b' }],
    ]);
  });

  it('bury a dead run of an earlier slot and run the newest', async () => {
    await service.sql`INSERT INTO job_runs (job, slot, trigger, started_at, status)
      VALUES ('report', '2026-11-20T02:00Z', 'schedule', '2026-11-20T02:00Z', 'running')`;
    service.time.setTo('2026-11-21T02:00:00Z');
    const [a] = both();
    await a.runMissed();
    expect((await rows()).map(({ slot, status }) => [slot.toISOString(), status])).toEqual([
      ['2026-11-20T02:00:00.000Z', 'failed'],
      ['2026-11-21T02:00:00.000Z', 'succeeded'],
    ]);
  });

  it('record each run of a slot under the slot', async () => {
    const [a] = both();
    service.time.setTo('2026-11-24T02:00:00Z');
    await a.runMissed();
    const [entry] = await service.sql`
      SELECT actor, request_id FROM user_audit_logs WHERE entity_id = 'report' ORDER BY sequence DESC LIMIT 1`;
    expect(entry).toEqual({ actor: 'system:report', request_id: 'job:report:2026-11-24T02:00:00.000Z' });
  });

  it('do not take a run that failed for one that was missed', async () => {
    const [a] = both();
    work = () => Promise.reject(new Error('Broken.'));
    service.time.setTo('2026-11-21T02:00:00Z');
    await a.runMissed();
    expect((await rows()).map(({ status }) => status)).toEqual(['failed']);
    await a.runMissed();
    expect(runs).toEqual(['a']); // a person is told, and runs it again
  });

  it('say whether their clock ticks', async () => {
    const [a] = both();
    expect(a.isRunning).toBe(false);
    a.start();
    expect(a.isRunning).toBe(true);
    await a.stop();
    expect(a.isRunning).toBe(false);
  });
});
