import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock, type Clock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { JobRunner } from '../../src/jobs/job-runner.ts';
import type { Job, JobContext } from '../../src/jobs/job-table.ts';
import { cronExpression, slotAfter, slotAtOrBefore, type Schedule } from '../../src/jobs/schedule-rules.ts';
import { serviceState } from '../../src/db/schema/index.ts';
import type { Caller } from '../support/caller.ts';
import { TestTime } from '../support/fakes.ts';
import { expectOk } from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Short, so that dying does not take the test a minute; but an instance may stand still for a second, and keeps it. */
const LEASE_MS = 1500;

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
        ['audit-checkpoint', '0 * * * *', '2026-11-20T13:00:00.000Z'],
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

  it.each([
    'eligibility-check',
    'membership-removals',
    'delay-checks',
    'audit-checkpoint',
    'audit-verification',
  ])('%s runs on an empty day', async (name) => {
    const { body } = await admin.post(`/api/jobs/${name}/run`);
    expect([body.status, body.error]).toEqual(['succeeded', null]);
  });

  it('that are unknown answer 404', async () => {
    const answer = await admin.post('/api/jobs/coffee/run');
    expect([answer.status, answer.body.error.code]).toEqual([404, 'NOT_FOUND']);
    expect((await admin.post('/api/jobs/coffee/run', { now: true })).status).toBe(400);
  });

  it('that are running are not run a second time, until the run has died', async () => {
    const now = service.time.now();
    await service.sql`INSERT INTO job_runs (job, slot, trigger, started_at, status, lease_until, progress)
      VALUES ('delay-checks', ${now}, 'manual', ${now}, 'running', now() + interval '1 minute', '{"done": 7}')`;
    const answer = await admin.post('/api/jobs/delay-checks/run');
    expect([answer.status, answer.body.error.code]).toEqual([409, 'ALREADY_RUNNING']);
    expect((await jobNamed('delay-checks')).lastRun).toMatchObject({
      status: 'running',
      finishedAt: null,
      durationMs: null,
      progress: { done: 7 },
    });
    service.time.advanceDays(1); // no clock but the database's says who is dead
    expect((await admin.post('/api/jobs/delay-checks/run')).status).toBe(409);
    service.time.advanceDays(-1);
    await service.sql`UPDATE job_runs SET lease_until = now() - interval '1 second' WHERE status = 'running'`;
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
  let work: (context: JobContext) => Promise<void>;

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
    await service.sql`DELETE FROM job_schedules`;
    service.time.setTo('2026-11-20T12:00:00Z');
  });

  /** A runner as each instance has one, with a job that tells who ran it. */
  function runner(instance: TestService, name: string, changes: Partial<Job> = {}): JobRunner {
    const job: Job = {
      name: 'report',
      summary: 'For the test.',
      schedule: { kind: 'daily', hour: 2, minute: 0 },
      limitMs: 10 * MINUTE_MS,
      run: async (_actor, context) => {
        runs.push(name);
        await work(context);
        return { by: name };
      },
      ...changes,
    };
    return runnerOf(instance, instance.time, systemClock, job);
  }
  const runnerOf = (instance: TestService, clock: Clock, machineClock: Clock, job: Job) =>
    new JobRunner(
      { database: instance.database, clock, machineClock, logger: silentLogger, jobs: [job] },
      LEASE_MS,
    );
  const both = (changes: Partial<Job> = {}) =>
    [runner(service, 'a', changes), runner(beside, 'b', changes)] as const;
  /** Both come up, and the job is on its schedule from then on. */
  const comeUp = async (runners: readonly JobRunner[]) => {
    for (const each of runners) await each.runMissed();
  };
  const rows = () =>
    service.sql<
      { slot: Date; status: string; trigger: string; attempts: number; result: unknown }[]
    >`SELECT slot, status, trigger, attempts, result FROM job_runs ORDER BY id`;
  /** What a run that an instance died in leaves behind. */
  const leaveDead = (slot: string, attempts = 1) => service.sql`
    INSERT INTO job_runs (job, slot, trigger, started_at, status, lease_until, attempts)
    VALUES ('report', ${slot}, 'schedule', ${slot}, 'running', now() - interval '1 second', ${attempts})`;

  it('run nothing before its time', async () => {
    const [a, b] = both();
    service.time.setTo('2026-11-21T01:59:59Z');
    await Promise.all([a.runMissed(), b.runMissed()]);
    expect(runs).toEqual([]);
  });

  it('run each slot once', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
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

  it('run each slot once where their clocks are 10 minutes apart', async () => {
    const behind = new TestTime();
    const late = await startTestService({ beside: service, time: behind });
    try {
      const [a, b] = [runner(service, 'a'), runner(late, 'b')];
      behind.setTo('2026-11-20T11:50:00Z');
      await comeUp([a, b]);
      for (const [ahead, after] of [
        ['02:05', '01:55'],
        ['02:12', '02:02'],
        ['02:30', '02:20'],
      ] as const) {
        service.time.setTo(`2026-11-21T${ahead}:00Z`);
        behind.setTo(`2026-11-21T${after}:00Z`);
        await Promise.all([a.runMissed(), b.runMissed()]);
      }
      expect(runs).toEqual(['a']);
    } finally {
      await late.stop();
    }
  });

  it('run nothing on the word of a clock that is days ahead of the database’s, and all that is due without it', async () => {
    const job: Job = {
      name: 'report',
      summary: 'For the test.',
      schedule: { kind: 'daily', hour: 2, minute: 0 },
      limitMs: 10 * MINUTE_MS,
      run: (_actor, { slot }) => {
        runs.push(slot.toISOString());
        return Promise.resolve({});
      },
    };
    const threeDays = 72 * HOUR_MS;
    const wrongClock = { now: () => new Date(Date.now() + threeDays) };
    const wrong = runnerOf(service, wrongClock, wrongClock, job);
    await wrong.runMissed();
    const [schedule] = await service.sql<{ wait: number }[]>`
      SELECT extract(epoch FROM since - now())::float AS wait FROM job_schedules`;
    expect(schedule?.wait).toBeLessThan(10);
    // As if it had been on its schedule for long.
    await service.sql`UPDATE job_schedules SET since = now() - interval '9 days'`;
    // What an instance before this rule may have left behind.
    await service.sql`INSERT INTO job_runs (job, slot, trigger, started_at, status, lease_until)
      VALUES ('report', now() + interval '2 days', 'schedule', now(), 'succeeded', now())`;
    await wrong.runMissed();
    expect(runs).toEqual([]);
    const right = runnerOf(beside, systemClock, systemClock, job);
    await right.runMissed();
    await wrong.runMissed();
    expect(runs).toEqual([slotAtOrBefore(job.schedule, new Date()).toISOString()]);
    // Work that has just come up does not wait for a schedule.
    wrong.start();
    wrong.wake('report');
    await expect.poll(() => runs.length).toBe(2);
    await wrong.stop();
    expect(Math.abs(Date.now() - Date.parse(runs[1] ?? ''))).toBeLessThan(60_000);
    // A demo's clock is as far ahead as everybody says.
    await runnerOf(service, wrongClock, systemClock, job).runMissed();
    expect(runs).toHaveLength(3);
  });

  it('run a slot that was missed once, however many were, and late', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
    service.time.setTo('2026-11-21T02:00:00Z');
    await a.runMissed();
    service.time.setTo('2026-11-25T17:30:00Z');
    await Promise.all([a.runMissed(), b.runMissed()]);
    await b.runMissed();
    expect(runs).toHaveLength(2);
    expect((await rows()).at(-1)?.slot.toISOString()).toBe('2026-11-25T02:00:00.000Z');
  });

  it('run a slot that fell due while all were down, also the first since the job was put on its schedule', async () => {
    await both()[0].runMissed();
    service.time.setTo('2026-11-21T08:00:00Z');
    await both()[1].runMissed();
    await both()[0].runMissed();
    expect(runs).toEqual(['b']);
    service.time.setTo('2026-11-23T08:00:00Z');
    await both()[0].runMissed();
    expect(runs).toEqual(['b', 'a']);
  });

  it('take no run by hand for the one that was due', async () => {
    const [a] = both();
    await a.runMissed();
    service.time.setTo('2026-11-21T02:00:30Z');
    await a.runNow({ kind: 'service', subject: 'somebody', scopes: [] }, 'report');
    await a.runMissed();
    expect((await rows()).map(({ trigger }) => trigger)).toEqual(['manual', 'schedule']);
  });

  it('wait for each other, however long a run takes, and catch up', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
    let finish = () => {};
    work = ({ progress }) => {
      progress({ done: 1, of: 2 });
      return new Promise((resolve) => (finish = resolve));
    };
    service.time.setTo('2026-11-21T02:00:00Z');
    const running = a.runMissed();
    await expect.poll(() => runs).toEqual(['a']);
    await sleep(2 * LEASE_MS); // it lives, and keeps its lease
    service.time.setTo('2026-11-22T02:05:00Z');
    await b.runMissed();
    expect(runs).toEqual(['a']);
    expect((await b.list())[0]?.lastRun).toMatchObject({
      status: 'running',
      progress: { done: 1, of: 2 },
    });
    finish();
    await running;
    work = async () => {};
    await b.runMissed();
    expect((await rows()).map(({ status, result }) => [status, result])).toEqual([
      ['succeeded', { by: 'a' }],
      ['succeeded', { by: 'b' }],
    ]);
  });

  it('take over what another died in, after its lease and whatever its slot, and then run the newest', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
    await leaveDead('2026-11-20T02:00Z');
    service.time.setTo('2026-11-21T02:00:00Z');
    await Promise.all([a.runMissed(), b.runMissed(), a.runMissed()]);
    await b.runMissed();
    expect(runs).toHaveLength(2);
    expect(
      (await rows()).map(({ slot, status, attempts }) => [slot.toISOString(), status, attempts]),
    ).toEqual([
      ['2026-11-20T02:00:00.000Z', 'succeeded', 2],
      ['2026-11-21T02:00:00.000Z', 'succeeded', 1],
    ]);
  });

  it('do not let one end a run that was taken from it', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
    let told: AbortSignal | undefined;
    work = ({ signal }) => {
      told ??= signal;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    };
    service.time.setTo('2026-11-21T02:00:00Z');
    // Heard from the start: it may find out while the other one still runs.
    const paused = a.runMissed().catch((error: unknown) => error);
    await expect.poll(() => runs).toEqual(['a']);
    // As if the whole process had been stopped for longer than its lease.
    await service.sql`UPDATE job_runs SET lease_until = now() - interval '1 second'`;
    work = async () => {};
    await b.runMissed();
    expect(runs).toEqual(['a', 'b']);
    expect(String(await paused)).toContain('taken for dead');
    expect(told?.aborted).toBe(true);
    expect((await rows()).map(({ status, result }) => [status, result])).toEqual([
      ['succeeded', { by: 'b' }],
    ]);
  });

  it('undo what an enclosed job did where its run was taken over: its effect is there once', async () => {
    const effects = () => service.sql`SELECT 1 FROM service_state WHERE name LIKE 'effect %'`;
    const effect = (instance: TestService, name: string) =>
      runner(instance, name, {
        enclosed: true,
        run: async () => {
          runs.push(name);
          await instance.database.transaction((tx) =>
            tx.insert(serviceState).values({ name: `effect ${name}`, value: 1 }),
          );
          if (name === 'a')
            await service.sql`UPDATE job_runs SET claim = gen_random_uuid(), lease_until = now() - interval '1 second'`;
          return {};
        },
      });
    const [a, b] = [effect(service, 'a'), effect(beside, 'b')];
    await comeUp([a, b]);
    service.time.setTo('2026-11-21T02:00:00Z');
    await expect(a.runMissed()).rejects.toThrow('taken for dead');
    expect(await effects()).toHaveLength(0);
    await b.runMissed();
    expect(runs).toEqual(['a', 'b']);
    expect(await effects()).toHaveLength(1);
    await service.sql`DELETE FROM service_state WHERE name LIKE 'effect %'`;
  });

  it('give a run up that its instances died of again and again, and say so', async () => {
    const [a] = both();
    await a.runMissed();
    await leaveDead('2026-11-20T02:00Z', 5);
    await a.runMissed();
    expect(runs).toEqual([]);
    expect((await rows()).map(({ status }) => status)).toEqual(['failed']);
    const [alert] = await service.sql`SELECT category FROM admin_alerts WHERE closed_at IS NULL`;
    expect(alert).toEqual({ category: 'job_failed' });
    service.time.setTo('2026-11-21T02:00:00Z');
    await a.runMissed(); // it works again
    expect(await service.sql`SELECT 1 FROM admin_alerts WHERE closed_at IS NULL`).toHaveLength(0);
  });

  it('hand over what they are in when they stop', async () => {
    const [a, b] = both();
    await comeUp([a, b]);
    service.time.setTo('2026-11-21T02:00:00Z');
    work = ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    a.start(); // runs what was missed
    await expect.poll(() => runs).toEqual(['a']);
    await a.stop();
    work = async () => {};
    await b.runMissed();
    expect((await rows()).map(({ status, attempts, result }) => [status, attempts, result])).toEqual([
      ['succeeded', 1, { by: 'b' }],
    ]);
  });

  it('end a run that takes longer than it may', async () => {
    const a = runner(service, 'a', { limitMs: 50 });
    await a.runMissed();
    service.time.setTo('2026-11-21T02:00:00Z');
    work = ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    await a.runMissed();
    expect((await rows()).map(({ status }) => status)).toEqual(['failed']);
    expect((await a.list())[0]?.lastRun?.error).toContain('took longer');
  });

  it('record each run of a slot under the slot', async () => {
    const [a] = both();
    await a.runMissed();
    service.time.setTo('2026-11-24T02:00:00Z');
    await a.runMissed();
    const [entry] = await service.sql`
      SELECT actor, request_id FROM user_audit_logs WHERE entity_id = 'report' ORDER BY sequence DESC LIMIT 1`;
    expect(entry).toEqual({ actor: 'system:report', request_id: 'job:report:2026-11-24T02:00:00.000Z' });
  });

  it('do not take a run that failed for one that was missed', async () => {
    const [a] = both();
    await a.runMissed();
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
