import { and, desc, eq, lt, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { jobRuns } from '../db/schema/index.ts';

export type JobRunRow = typeof jobRuns.$inferSelect;

/** A run that started before `startedBefore` and never ended has died: it makes room for another. */
export async function buryDead(tx: Tx, job: string, startedBefore: Date, at: Date): Promise<void> {
  await tx
    .update(jobRuns)
    .set({ status: 'failed', finishedAt: at, error: 'The run died before it ended.' })
    .where(and(eq(jobRuns.job, job), eq(jobRuns.status, 'running'), lt(jobRuns.startedAt, startedBefore)));
}

/** Takes a slot. Undefined when another instance has it, or while a run of the job is still going. */
export async function claimSlot(tx: Tx, job: string, slot: Date, at: Date): Promise<JobRunRow | undefined> {
  const [row] = await tx
    .insert(jobRuns)
    .values({ job, slot, trigger: 'schedule', startedAt: at, status: 'running' })
    .onConflictDoNothing()
    .returning();
  return row;
}

/** Takes a slot over from a run of it that started before `startedBefore` and never ended: another instance's died. */
export async function takeOver(
  tx: Tx,
  job: string,
  slot: Date,
  startedBefore: Date,
  at: Date,
): Promise<JobRunRow | undefined> {
  const [row] = await tx
    .update(jobRuns)
    .set({ startedAt: at })
    .where(
      and(
        eq(jobRuns.job, job),
        eq(jobRuns.slot, slot),
        eq(jobRuns.trigger, 'schedule'),
        eq(jobRuns.status, 'running'),
        lt(jobRuns.startedAt, startedBefore),
      ),
    )
    .returning();
  return row;
}

/** Throws ALREADY_RUNNING through its constraint. */
export async function startManual(tx: Tx, job: string, at: Date): Promise<JobRunRow> {
  const [row] = await tx
    .insert(jobRuns)
    .values({ job, slot: at, trigger: 'manual', startedAt: at, status: 'running' })
    .returning();
  if (!row) throw new Error('The run was not inserted.');
  return row;
}

/** Ends a run, unless it was taken for dead meanwhile: it then is failed, or another's that started later. */
export async function endRun(
  tx: Tx,
  run: Pick<JobRunRow, 'id' | 'startedAt'>,
  end: { status: 'succeeded' | 'failed'; finishedAt: Date; result?: Record<string, unknown>; error?: string },
): Promise<JobRunRow> {
  const [row] = await tx
    .update(jobRuns)
    .set(end)
    .where(and(eq(jobRuns.id, run.id), eq(jobRuns.status, 'running'), eq(jobRuns.startedAt, run.startedAt)))
    .returning();
  if (!row) throw new Error('The run was taken for dead meanwhile.');
  return row;
}

/** The last run of each job by the time it started. */
export async function lastRuns(reader: Reader): Promise<Map<string, JobRunRow>> {
  const rows = await reader
    .selectDistinctOn([jobRuns.job])
    .from(jobRuns)
    .orderBy(jobRuns.job, desc(jobRuns.startedAt), desc(jobRuns.id));
  return new Map(rows.map((row) => [row.job, row]));
}

/** The newest slot that was ever taken, by job: a run by hand takes the moment at which it started. */
export async function lastSlots(reader: Reader): Promise<Map<string, Date>> {
  const rows = await reader
    .select({ job: jobRuns.job, slot: sql<string>`max(${jobRuns.slot})` })
    .from(jobRuns)
    .groupBy(jobRuns.job);
  return new Map(rows.map(({ job, slot }) => [job, new Date(slot)]));
}
