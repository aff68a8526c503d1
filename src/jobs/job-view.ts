import type { JobRunRow } from './job-store.ts';
import type { Job } from './job-table.ts';
import { cronExpression, slotAfter } from './schedule-rules.ts';

export interface JobRunView {
  job: string;
  trigger: 'schedule' | 'manual';
  slot: string;
  startedAt: string;
  finishedAt: string | null;
  durationMs: number | null;
  status: 'running' | 'succeeded' | 'failed';
  attempts: number;
  progress: Record<string, unknown> | null;
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

export const runViewOf = (run: JobRunRow): JobRunView => ({
  job: run.job,
  trigger: run.trigger,
  slot: run.slot.toISOString(),
  startedAt: run.startedAt.toISOString(),
  finishedAt: run.finishedAt?.toISOString() ?? null,
  durationMs: run.finishedAt ? run.finishedAt.getTime() - run.startedAt.getTime() : null,
  status: run.status,
  attempts: run.attempts,
  progress: run.progress,
  result: run.result,
  error: run.error,
});

export const jobViewOf = (job: Job, lastRun: JobRunRow | undefined, now: Date): JobView => ({
  name: job.name,
  summary: job.summary,
  schedule: cronExpression(job.schedule),
  nextRun: slotAfter(job.schedule, now).toISOString(),
  lastRun: lastRun ? runViewOf(lastRun) : null,
});
