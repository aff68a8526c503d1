import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import cron, { type ScheduledTask } from 'node-cron';
import { closeAlert } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import { systemActor, type Actor, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { DEFAULT_PAGE, decodeCursor, invalidCursor, pageOf, type Page } from '../kernel/paging.ts';
import { runInContext } from '../kernel/request-context.ts';
import { traced } from '../kernel/tracing.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { JobElection } from './job-election.ts';
import { InstanceStops, JobLease, JobTooSlow } from './job-lease.ts';
import {
  buryDead,
  claimSlot,
  deadRuns,
  endRun,
  handOver,
  lastRuns,
  lastSlots,
  presentSlot,
  putOnSchedule,
  runningJobs,
  RunLost,
  startManual,
  takeOver,
  type JobRunRow,
} from './job-store.ts';
import type { Job } from './job-table.ts';
import { jobViewOf, runViewOf, type JobRunView, type JobView } from './job-view.ts';
import { cronExpression, slotAtOrBefore } from './schedule-rules.ts';

/** An instance that was not heard of for a minute counts as dead. */
const LEASE_MS = 60_000;
/** A run whose instances died so often is not tried again: it may be what kills them. */
const MOST_ATTEMPTS = 5;
const GRACE_MS = 5000;
const SETTLE_POLL_MS = 50;
const SETTLE_LIMIT_MS = 60_000;

type End = { status: 'succeeded'; result: Record<string, unknown> } | { status: 'failed'; error: string };

/**
 * Runs the table of jobs. A row in `job_runs` makes each slot one instance's, whichever comes first and whatever its
 * clock says; a lease on the database's clock tells a slow instance from a dead one.
 */
export class JobRunner {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #machineClock: Clock;
  readonly #logger: Logger;
  readonly #jobs: readonly Job[];
  readonly #election: JobElection | undefined;
  readonly #leaseMs: number;
  /** When this instance came up. */
  readonly #since: Date;
  #isOnSchedule = false;
  #tasks: ScheduledTask[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #leases = new Set<JobLease>();

  constructor(
    deps: {
      database: Database;
      /** The service's time, which may have been moved. */
      clock: Clock;
      /** The time of this machine. */
      machineClock: Clock;
      logger: Logger;
      jobs: readonly Job[];
      election?: JobElection | undefined;
    },
    leaseMs = LEASE_MS,
  ) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#machineClock = deps.machineClock;
    this.#logger = deps.logger;
    this.#jobs = deps.jobs;
    this.#election = deps.election;
    this.#leaseMs = leaseMs;
    this.#since = deps.clock.now();
  }

  get isRunning(): boolean {
    return this.#tasks.length > 0;
  }

  /** Fires every job on its schedule; and now and every minute whatever was missed, or left by an instance that died. */
  start(): void {
    const options = { timezone: 'UTC', noOverlap: true };
    this.#tasks = [
      ...this.#jobs.map((job) =>
        cron.schedule(cronExpression(job.schedule), () => this.#track(this.#runDue(job)), options),
      ),
      cron.schedule('* * * * *', () => this.#track(this.runMissed()), options),
    ];
    void this.#track(this.runMissed());
  }

  /** Fires no more, lets other instances go on with what is running here, and waits until that has stopped. */
  async stop(): Promise<void> {
    for (const task of this.#tasks) await task.destroy();
    this.#tasks = [];
    for (const lease of this.#leases) lease.abort(new InstanceStops('The instance stops.'));
    await Promise.allSettled(this.#running);
  }

  async #track(work: Promise<unknown>): Promise<void> {
    const guarded = work.catch((error: unknown) =>
      this.#logger.error('A job could not be run.', errorFields(error)),
    );
    this.#running.add(guarded);
    await guarded;
    this.#running.delete(guarded);
  }

  /** Runs each job whose latest slot has passed without a run, once however many have, and what a dead instance left. */
  async runMissed(): Promise<void> {
    await this.#putOnSchedule();
    const { reader } = this.#database;
    const [slots, dead] = await Promise.all([lastSlots(reader, this.#movedMs()), deadRuns(reader)]);
    for (const job of this.#jobs) {
      const last = slots.get(job.name) ?? this.#since;
      const due = last < slotAtOrBefore(job.schedule, this.#clock.now());
      if (dead.has(job.name) || due) await this.#runDue(job);
    }
  }

  /** Runs what fell due, here or, where another instance was first, there: until nothing is running any more. */
  async runMissedEverywhere(): Promise<void> {
    await this.runMissed();
    const giveUpAt = performance.now() + SETTLE_LIMIT_MS;
    while ((await runningJobs(this.#database.reader)).size > 0 && performance.now() < giveUpAt)
      await sleep(SETTLE_POLL_MS);
  }

  async #putOnSchedule(): Promise<void> {
    if (this.#isOnSchedule) return;
    const names = this.#jobs.map(({ name }) => name);
    await this.#database.transaction((tx) => putOnSchedule(tx, names, this.#since, this.#movedMs()));
    this.#isOnSchedule = true;
  }

  /** A run that another instance died in comes first; then the latest slot, unless somebody has it. */
  async #runDue(job: Job): Promise<void> {
    await this.#putOnSchedule();
    const left = await this.#database.transaction(async (tx) => {
      await this.#buryDead(tx, job);
      return takeOver(tx, job.name, randomUUID(), this.#leaseMs, this.#clock.now());
    });
    if (left) await this.#execute(job, left, systemActor(job.name));
    const slot = slotAtOrBefore(job.schedule, this.#clock.now());
    if (this.#election && !(await this.#election.isElected(job.name, slot))) return;
    await this.#runSlot(job, slot);
  }

  async #runSlot(job: Job, slot: Date): Promise<void> {
    const claim = {
      claim: randomUUID(),
      leaseMs: this.#leaseMs,
      at: this.#clock.now(),
      movedMs: this.#movedMs(),
    };
    const run = await this.#database.transaction((tx) => claimSlot(tx, job.name, slot, claim));
    if (run) await this.#execute(job, run, systemActor(job.name));
  }

  /** How far the service's time has been moved on. */
  #movedMs(): number {
    return this.#clock.now().getTime() - this.#machineClock.now().getTime();
  }

  async #buryDead(tx: Tx, job: Job): Promise<void> {
    const at = this.#clock.now();
    for (const { trigger } of await buryDead(tx, job.name, MOST_ATTEMPTS, at))
      if (trigger === 'schedule') await this.#alert(tx, job, false, at);
  }

  /** Work for a job has just come up: it runs now, and whoever takes it over if this instance dies goes on with it. */
  wake(name: string): void {
    const job = this.#jobs.find((other) => other.name === name);
    if (job && this.isRunning) void this.#track(this.#runAwoken(job));
  }

  async #runAwoken(job: Job): Promise<void> {
    await this.#runSlot(job, await presentSlot(this.#database.reader, this.#movedMs()));
  }

  /** Runs a job now. Throws NOT_FOUND or ALREADY_RUNNING; a job that fails is told in the answer. */
  async runNow(actor: CallerActor, name: string): Promise<JobRunView> {
    const job = this.#jobs.find((other) => other.name === name);
    if (!job) throw new DomainError('NOT_FOUND', `There is no job ${name}. GET /api/jobs lists them.`);
    const run = await this.#database.transaction(async (tx) => {
      await this.#buryDead(tx, job);
      return startManual(tx, name, randomUUID(), this.#leaseMs, this.#clock.now());
    });
    return runViewOf(await this.#execute(job, run, actor));
  }

  #execute(job: Job, run: JobRunRow, actor: Actor): Promise<JobRunRow> {
    // A run by hand keeps the request's id; one by the clock gets the slot's.
    const context = { requestId: `job:${job.name}:${run.slot.toISOString()}` };
    const work = () => this.#underLease(job, run, actor);
    return actor.kind === 'system' ? runInContext(context, work) : work();
  }

  async #underLease(job: Job, run: JobRunRow, actor: Actor): Promise<JobRunRow> {
    const times = { leaseMs: this.#leaseMs, limitMs: job.limitMs };
    const lease = new JobLease(this.#database, run, times, this.#logger);
    this.#leases.add(lease);
    try {
      return await this.#perform(job, run, actor, lease);
    } catch (error) {
      if (error instanceof RunLost) throw error;
      if (error instanceof InstanceStops) {
        await this.#database.transaction((tx) => handOver(tx, run));
        return run;
      }
      this.#logger.error('A job failed.', {
        job: job.name,
        slot: run.slot.toISOString(),
        ...errorFields(error),
      });
      const told = error instanceof DomainError || error instanceof JobTooSlow;
      const end: End = { status: 'failed', error: told ? error.message : 'See the log.' };
      return await this.#database.transaction((tx) => this.#end(tx, job, run, actor, end));
    } finally {
      lease.release();
      this.#leases.delete(lease);
    }
  }

  /**
   * What an enclosed job does and that it has ended commit together: whichever instance dies when, it has happened once.
   * Any other does its work in steps of its own, each of which bears being done again.
   */
  #perform(job: Job, run: JobRunRow, actor: Actor, lease: JobLease): Promise<JobRunRow> {
    const { signal } = lease;
    const context = {
      slot: run.slot,
      signal,
      progress: (figures: Record<string, unknown>) => lease.progress(figures),
    };
    const work = async (): Promise<End> => ({
      status: 'succeeded',
      result: await traced(`job ${job.name}`, 'consumer', {}, () => job.run(actor, context)),
    });
    if (job.enclosed) {
      return this.#database.enclose(async (tx) => {
        const end = await work();
        signal.throwIfAborted();
        return this.#end(tx, job, run, actor, end);
      });
    }
    const working = work();
    return Promise.race([working, lease.stopped()])
      .catch(async (error: unknown) => {
        // What it is in the middle of may come to its end, so that nobody has to do that again.
        if (signal.aborted) await Promise.race([working.catch(() => undefined), sleep(GRACE_MS)]);
        throw error;
      })
      .then((end) => this.#database.transaction((tx) => this.#end(tx, job, run, actor, end)));
  }

  async #end(tx: Tx, job: Job, run: JobRunRow, actor: Actor, end: End): Promise<JobRunRow> {
    const at = this.#clock.now();
    const row = await endRun(tx, run, { ...end, finishedAt: at });
    const success = end.status === 'succeeded';
    await recordAudit(tx, {
      actor,
      at,
      entityType: 'job',
      entityId: job.name,
      action: 'run',
      success,
      ...(success ? {} : { errorMessage: end.error }),
      newValues: { status: end.status, trigger: run.trigger },
    });
    await this.#alert(tx, job, success, at);
    return row;
  }

  async #alert(tx: Tx, job: Job, success: boolean, at: Date): Promise<void> {
    const category = job.failureAlert ?? 'job_failed';
    if (success) return closeAlert(tx, category, job.name, at);
    await alertStaff(tx, {
      severity: job.failureAlert ? 'critical' : 'warning',
      category,
      title: `The job ${job.name} failed`,
      message: `The job ${job.name} failed. See the log, mend the cause, and run it again.`,
      subject: job.name,
      at,
    });
  }

  /** In the order of the table. */
  async list(): Promise<JobView[]> {
    const runs = await lastRuns(this.#database.reader);
    return this.#jobs.map((job) => jobViewOf(job, runs.get(job.name), this.#clock.now()));
  }

  /** Throws VALIDATION_ERROR for a cursor that this service never gave. */
  async page(query: { limit?: number | undefined; cursor?: string | undefined }): Promise<Page<JobView>> {
    const { limit = DEFAULT_PAGE, cursor } = query;
    const last = cursor === undefined ? undefined : decodeCursor(cursor, 1)[0];
    const place = this.#jobs.findIndex(({ name }) => name === last);
    if (last !== undefined && place < 0) throw invalidCursor();
    const rest = (await this.list()).slice(place + 1);
    return pageOf(
      rest,
      limit,
      ({ name }) => [name],
      (job) => job,
    );
  }
}
