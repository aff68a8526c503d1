import cron, { type ScheduledTask } from 'node-cron';
import { closeAlert, raiseAlert } from '../alerts/raise-alert.ts';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import { systemActor, type Actor, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { runInContext } from '../kernel/request-context.ts';
import {
  buryDead,
  claimSlot,
  endRun,
  lastRuns,
  lastSlots,
  startManual,
  takeOver,
  type JobRunRow,
} from './job-store.ts';
import type { Job } from './job-table.ts';
import { cronExpression, slotAfter, slotAtOrBefore } from './schedule-rules.ts';

export interface JobRunView {
  job: string;
  trigger: 'schedule' | 'manual';
  slot: string;
  startedAt: string;
  finishedAt: string | null;
  durationMs: number | null;
  status: 'running' | 'succeeded' | 'failed';
  result: Record<string, unknown> | null;
  error: string | null;
}

export interface JobView {
  name: string;
  summary: string;
  schedule: string;
  nextRun: string;
  lastRun: JobRunView | null;
}

/** Runs the table of jobs. A row in the database makes each slot one instance's, whichever comes first. */
export class JobRunner {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #jobs: readonly Job[];
  /** When this instance came up. */
  readonly #since: Date;
  #tasks: ScheduledTask[] = [];
  readonly #running = new Set<Promise<unknown>>();

  constructor(deps: { database: Database; clock: Clock; logger: Logger; jobs: readonly Job[] }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#jobs = deps.jobs;
    this.#since = deps.clock.now();
  }

  get isRunning(): boolean {
    return this.#tasks.length > 0;
  }

  /** Fires every job on its schedule; and every minute whatever was missed while nothing ran. */
  start(): void {
    const options = { timezone: 'UTC', noOverlap: true };
    this.#tasks = [
      ...this.#jobs.map((job) =>
        cron.schedule(cronExpression(job.schedule), () => this.#track(this.#runDue(job)), options),
      ),
      cron.schedule('* * * * *', () => this.#track(this.runMissed()), options),
    ];
  }

  /** Fires no more, and waits for what is running. */
  async stop(): Promise<void> {
    for (const task of this.#tasks) await task.destroy();
    this.#tasks = [];
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

  /**
   * Runs each job whose latest slot has passed without a run, or whose run has died. A job that never ran has missed
   * nothing from before this instance came up.
   */
  async runMissed(): Promise<void> {
    const [slots, runs] = await Promise.all([
      lastSlots(this.#database.reader),
      lastRuns(this.#database.reader),
    ]);
    for (const job of this.#jobs) {
      const now = this.#clock.now();
      const last = slots.get(job.name) ?? this.#since;
      const run = runs.get(job.name);
      const dead = run?.status === 'running' && run.startedAt < deadBefore(job, now);
      if (dead || last < slotAtOrBefore(job.schedule, now)) await this.#runDue(job);
    }
  }

  async #runDue(job: Job): Promise<void> {
    const now = this.#clock.now();
    const slot = slotAtOrBefore(job.schedule, now);
    const run = await this.#database.transaction(async (tx) => {
      const taken = await takeOver(tx, job.name, slot, deadBefore(job, now), now);
      if (taken) return taken;
      await buryDead(tx, job.name, deadBefore(job, now), now);
      return claimSlot(tx, job.name, slot, now);
    });
    if (run) await this.#execute(job, run, systemActor(job.name));
  }

  /** Runs a job now. Throws NOT_FOUND or ALREADY_RUNNING; a job that fails is told in the answer. */
  async runNow(actor: CallerActor, name: string): Promise<JobRunView> {
    const job = this.#jobs.find((other) => other.name === name);
    if (!job) throw new DomainError('NOT_FOUND', `There is no job ${name}. GET /api/jobs lists them.`);
    const now = this.#clock.now();
    const run = await this.#database.transaction(async (tx) => {
      await buryDead(tx, job.name, deadBefore(job, now), now);
      return startManual(tx, name, now);
    });
    return viewOf(await this.#execute(job, run, actor));
  }

  #execute(job: Job, run: JobRunRow, actor: Actor): Promise<JobRunRow> {
    const work = async () => {
      try {
        const result = await job.run(actor);
        return await this.#end(job, run, actor, { status: 'succeeded', result });
      } catch (error) {
        this.#logger.error('A job failed.', {
          job: job.name,
          slot: run.slot.toISOString(),
          ...errorFields(error),
        });
        return this.#end(job, run, actor, {
          status: 'failed',
          error: error instanceof DomainError ? error.message : 'See the log.',
        });
      }
    };
    // A run by hand keeps the request's id; one by the clock gets the slot's.
    return actor.kind === 'system'
      ? runInContext({ requestId: `job:${job.name}:${run.slot.toISOString()}` }, work)
      : work();
  }

  #end(
    job: Job,
    run: JobRunRow,
    actor: Actor,
    end: { status: 'succeeded'; result: Record<string, unknown> } | { status: 'failed'; error: string },
  ): Promise<JobRunRow> {
    return this.#database.transaction(async (tx) => {
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
    });
  }

  async #alert(tx: Tx, job: Job, success: boolean, at: Date): Promise<void> {
    if (!job.failureAlert) return;
    if (success) return closeAlert(tx, job.failureAlert, job.name, at);
    await raiseAlert(tx, {
      severity: 'critical',
      category: job.failureAlert,
      title: `The job ${job.name} failed`,
      message: `The job ${job.name} failed. See the log, mend the cause, and run it again.`,
      subject: job.name,
      at,
    });
  }

  async list(): Promise<JobView[]> {
    const runs = await lastRuns(this.#database.reader);
    return this.#jobs.map((job) => {
      const run = runs.get(job.name);
      return {
        name: job.name,
        summary: job.summary,
        schedule: cronExpression(job.schedule),
        nextRun: slotAfter(job.schedule, this.#clock.now()).toISOString(),
        lastRun: run ? viewOf(run) : null,
      };
    });
  }
}

/** A run that started before it and never ended has died. */
const deadBefore = (job: Job, now: Date): Date => new Date(now.getTime() - job.limitMs);

const viewOf = (run: JobRunRow): JobRunView => ({
  job: run.job,
  trigger: run.trigger,
  slot: run.slot.toISOString(),
  startedAt: run.startedAt.toISOString(),
  finishedAt: run.finishedAt?.toISOString() ?? null,
  durationMs: run.finishedAt ? run.finishedAt.getTime() - run.startedAt.getTime() : null,
  status: run.status,
  result: run.result,
  error: run.error,
});
