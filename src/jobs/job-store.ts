import { and, desc, eq, gte, lt, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { jobRuns, jobSchedules } from '../db/schema/index.ts';

export type JobRunRow = typeof jobRuns.$inferSelect;

/** A lease runs on the database's clock: instances' clocks differ, and the demo's jumps. */
const leaseOf = (leaseMs: number) => sql`clock_timestamp() + ${leaseMs} * interval '1 millisecond'`;
const expired = sql`${jobRuns.leaseUntil} < clock_timestamp()`;
const going = (job: string) => and(eq(jobRuns.job, job), eq(jobRuns.status, 'running'));

const DIED = 'The run died before it ended.';

/**
 * Now by the database's clock, which all instances share, moved on by `movedMs`: how far the service's time runs ahead of the
 * machine's, as the demo's does. 5 s later, so that a fire is not put off for the difference that a network makes.
 */
const latestBy = (movedMs: number) => sql`clock_timestamp() + ${movedMs + 5000} * interval '1 millisecond'`;

/** A slot that is to come was taken on the word of a wrong clock, and stands for none that is due. */
const hasCome = (movedMs: number) => sql`${jobRuns.slot} <= ${latestBy(movedMs)}`;

/** The moment, by the database's clock, for a run that nobody has waited for. */
export async function presentSlot(reader: Reader, movedMs: number): Promise<Date> {
  const [row] = await reader.execute<{ at: string }>(
    sql`SELECT clock_timestamp() + ${movedMs} * interval '1 millisecond' AS at`,
  );
  if (!row) throw new Error('The database tells no time.');
  return new Date(row.at);
}

/** Puts jobs on their schedule from `since` on, or from now where that is to come, unless they are on it. */
export async function putOnSchedule(
  tx: Tx,
  jobs: readonly string[],
  since: Date,
  movedMs: number,
): Promise<void> {
  if (jobs.length === 0) return;
  const from = sql`least(${since.toISOString()}::timestamptz, ${latestBy(movedMs)})`;
  await tx
    .insert(jobSchedules)
    .values(jobs.map((job) => ({ job, since: from })))
    .onConflictDoNothing();
}

/** Ends dead runs that nobody takes over: those by hand, and those that died too often. */
export async function buryDead(tx: Tx, job: string, mostAttempts: number, at: Date): Promise<JobRunRow[]> {
  return tx
    .update(jobRuns)
    .set({ status: 'failed', finishedAt: at, error: DIED })
    .where(
      and(
        going(job),
        expired,
        sql`(${jobRuns.trigger} = 'manual' OR ${jobRuns.attempts} >= ${mostAttempts})`,
      ),
    )
    .returning();
}

/** Takes a run over from an instance that died in it, whatever its slot. */
export async function takeOver(
  tx: Tx,
  job: string,
  claim: string,
  leaseMs: number,
  at: Date,
): Promise<JobRunRow | undefined> {
  const [row] = await tx
    .update(jobRuns)
    .set({
      claim,
      startedAt: at,
      leaseUntil: leaseOf(leaseMs),
      attempts: sql`${jobRuns.attempts} + 1`,
      progress: null,
    })
    .where(and(going(job), eq(jobRuns.trigger, 'schedule'), expired))
    .returning();
  return row;
}

/**
 * Takes a slot. Undefined when it, or a later one, has been taken, when it lies before the job's schedule began, while a
 * run of the job is still going, or when it is to come by the database's clock: taken by an instance whose clock is
 * wrong, it would keep the slots before it from all others.
 */
export async function claimSlot(
  tx: Tx,
  job: string,
  slot: Date,
  { claim, leaseMs, at, movedMs }: { claim: string; leaseMs: number; at: Date; movedMs: number },
): Promise<JobRunRow | undefined> {
  const [[schedule], [taken]] = [
    await tx
      .select()
      .from(jobSchedules)
      .where(and(eq(jobSchedules.job, job), sql`${slot.toISOString()}::timestamptz <= ${latestBy(movedMs)}`)),
    await tx
      .select({ id: jobRuns.id })
      .from(jobRuns)
      .where(
        and(eq(jobRuns.job, job), eq(jobRuns.trigger, 'schedule'), gte(jobRuns.slot, slot), hasCome(movedMs)),
      )
      .limit(1),
  ];
  if (!schedule || slot <= schedule.since || taken) return undefined;
  const [row] = await tx
    .insert(jobRuns)
    .values({
      job,
      slot,
      trigger: 'schedule',
      startedAt: at,
      status: 'running',
      claim,
      leaseUntil: leaseOf(leaseMs),
    })
    .onConflictDoNothing()
    .returning();
  return row;
}

/** Throws ALREADY_RUNNING through its constraint. */
export async function startManual(
  tx: Tx,
  job: string,
  claim: string,
  leaseMs: number,
  at: Date,
): Promise<JobRunRow> {
  const [row] = await tx
    .insert(jobRuns)
    .values({
      job,
      slot: at,
      trigger: 'manual',
      startedAt: at,
      status: 'running',
      claim,
      leaseUntil: leaseOf(leaseMs),
    })
    .returning();
  if (!row) throw new Error('The run was not inserted.');
  return row;
}

type Held = Pick<JobRunRow, 'id' | 'claim'>;
const held = (run: Held) =>
  and(eq(jobRuns.id, run.id), eq(jobRuns.claim, run.claim), eq(jobRuns.status, 'running'));

/** Keeps the run for another lease, and says how far it is. False when it was taken over meanwhile. */
export async function renewLease(
  tx: Tx,
  run: Held,
  leaseMs: number,
  progress: Record<string, unknown> | undefined,
): Promise<boolean> {
  const rows = await tx
    .update(jobRuns)
    .set({ leaseUntil: leaseOf(leaseMs), ...(progress ? { progress } : {}) })
    .where(held(run))
    .returning({ id: jobRuns.id });
  return rows.length > 0;
}

/** Lets another instance go on with it at once; that this one stopped does not count as a death. */
export async function handOver(tx: Tx, run: Held): Promise<void> {
  await tx
    .update(jobRuns)
    .set({ leaseUntil: sql`clock_timestamp() - interval '1 second'`, attempts: sql`${jobRuns.attempts} - 1` })
    .where(held(run));
}

/** Ends a run, unless another has taken it over. Throws RunLost, with which whatever is in `tx` is undone. */
export async function endRun(
  tx: Tx,
  run: Held,
  end: { status: 'succeeded' | 'failed'; finishedAt: Date; result?: Record<string, unknown>; error?: string },
): Promise<JobRunRow> {
  const [row] = await tx.update(jobRuns).set(end).where(held(run)).returning();
  if (!row) throw new RunLost();
  return row;
}

/** Another instance has taken the run over. */
export class RunLost extends Error {
  constructor() {
    super('The run was taken for dead meanwhile.');
  }
}

/** The last run of each job by the time it started. */
export async function lastRuns(reader: Reader): Promise<Map<string, JobRunRow>> {
  const rows = await reader
    .selectDistinctOn([jobRuns.job])
    .from(jobRuns)
    .orderBy(jobRuns.job, desc(jobRuns.startedAt), desc(jobRuns.id));
  return new Map(rows.map((row) => [row.job, row]));
}

/** For each job on its schedule: its newest slot that was taken, or else since when it is on it. */
export async function lastSlots(reader: Reader, movedMs: number): Promise<Map<string, Date>> {
  const rows = await reader
    .select({
      job: jobSchedules.job,
      slot: sql<string>`coalesce((SELECT max(${jobRuns.slot}) FROM ${jobRuns}
        WHERE ${jobRuns.job} = ${jobSchedules.job} AND ${jobRuns.trigger} = 'schedule' AND ${hasCome(movedMs)}), ${jobSchedules.since})`,
    })
    .from(jobSchedules);
  return new Map(rows.map(({ job, slot }) => [job, new Date(slot)]));
}

/** The jobs with a scheduled run whose instance has died. */
export async function deadRuns(reader: Reader): Promise<Set<string>> {
  const rows = await reader
    .select({ job: jobRuns.job })
    .from(jobRuns)
    .where(and(eq(jobRuns.status, 'running'), lt(jobRuns.leaseUntil, sql`clock_timestamp()`)));
  return new Set(rows.map(({ job }) => job));
}

/** The jobs that are running, anywhere. */
export async function runningJobs(reader: Reader): Promise<Set<string>> {
  const rows = await reader.select({ job: jobRuns.job }).from(jobRuns).where(eq(jobRuns.status, 'running'));
  return new Set(rows.map(({ job }) => job));
}
