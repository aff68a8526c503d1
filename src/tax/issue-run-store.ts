import { and, asc, desc, eq, sql } from 'drizzle-orm';
import type { Reader, Tx } from '../db/client.ts';
import { taxIssueRuns, type IssuingActor } from '../db/schema/index.ts';
import { hasLive1099, needsFormOf, paidIn } from './year-store.ts';
import type { TaxYear } from './tax-years-rules.ts';

export type IssueRunRow = typeof taxIssueRuns.$inferSelect;

/** Begins a run over everybody for whom a form is due and not made; or gives the one that is under way. */
export async function beginRun(
  tx: Tx,
  taxYear: number,
  terms: TaxYear,
  by: { actor: IssuingActor; requestId: string | null; at: Date },
): Promise<IssueRunRow> {
  const [begun] = await tx
    .insert(taxIssueRuns)
    .values({
      taxYear,
      status: 'running',
      actor: by.actor,
      requestId: by.requestId,
      payees: 0,
      issued: 0,
      startedAt: by.at,
    })
    .onConflictDoNothing()
    .returning();
  if (!begun) {
    const [running] = await tx
      .select()
      .from(taxIssueRuns)
      .where(and(eq(taxIssueRuns.taxYear, taxYear), eq(taxIssueRuns.status, 'running')));
    // It ended in this very moment: begin again.
    return running ?? beginRun(tx, taxYear, terms, by);
  }
  const [due] = await tx.execute<{ payees: number }>(sql`
    WITH due AS (
      INSERT INTO tax_issue_payees (run_id, user_id)
      SELECT ${begun.id}, p.user_id
        FROM ${paidIn(taxYear)} WHERE NOT ${hasLive1099(taxYear)}
       GROUP BY p.user_id HAVING ${needsFormOf(terms)}
      RETURNING 1)
    SELECT count(*)::integer AS payees FROM due`);
  const payees = due?.payees ?? 0;
  await tx.update(taxIssueRuns).set({ payees }).where(eq(taxIssueRuns.id, begun.id));
  return { ...begun, payees };
}

/** Takes payees off the run's list, leaving those that another worker has just taken. */
export async function takePayees(tx: Tx, runId: number, limit: number): Promise<string[]> {
  const taken = await tx.execute<{ user_id: string }>(sql`
    WITH next AS MATERIALIZED (
      SELECT user_id FROM tax_issue_payees WHERE run_id = ${runId}
       ORDER BY user_id LIMIT ${limit} FOR UPDATE SKIP LOCKED)
    DELETE FROM tax_issue_payees p USING next WHERE p.run_id = ${runId} AND p.user_id = next.user_id
    RETURNING p.user_id`);
  return taken.map(({ user_id }) => user_id);
}

export async function countIssued(tx: Tx, runId: number, issued: number): Promise<void> {
  await tx
    .update(taxIssueRuns)
    .set({ issued: sql`${taxIssueRuns.issued} + ${issued}` })
    .where(eq(taxIssueRuns.id, runId));
}

/** Ends the run if nobody is left on its list. Returns it as it then is. */
export async function endIfEmpty(tx: Tx, runId: number, at: Date): Promise<IssueRunRow> {
  await tx
    .update(taxIssueRuns)
    .set({ status: 'done', finishedAt: at })
    .where(
      and(
        eq(taxIssueRuns.id, runId),
        eq(taxIssueRuns.status, 'running'),
        sql`NOT EXISTS (SELECT 1 FROM tax_issue_payees y WHERE y.run_id = ${runId})`,
      ),
    );
  const [run] = await tx.select().from(taxIssueRuns).where(eq(taxIssueRuns.id, runId));
  if (!run) throw new Error('The run is gone.');
  return run;
}

export const runsUnderWay = (reader: Reader): Promise<IssueRunRow[]> =>
  reader.select().from(taxIssueRuns).where(eq(taxIssueRuns.status, 'running')).orderBy(asc(taxIssueRuns.id));

export async function newestRun(reader: Reader, taxYear: number): Promise<IssueRunRow | undefined> {
  const [run] = await reader
    .select()
    .from(taxIssueRuns)
    .where(eq(taxIssueRuns.taxYear, taxYear))
    .orderBy(desc(taxIssueRuns.id))
    .limit(1);
  return run;
}
