import { setTimeout as sleep } from 'node:timers/promises';
import { recordFirstAudits } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import type { IssuingActor } from '../db/schema/index.ts';
import { actorLabel } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { currentContext, runInContext } from '../kernel/request-context.ts';
import { Turns } from '../kernel/turns.ts';
import { enqueueForMany } from '../notifications/outbox.ts';
import { form1099Row } from './form-1099.ts';
import {
  beginRun,
  countIssued,
  endIfEmpty,
  newestRun,
  runsUnderWay,
  takePayees,
  type IssueRunRow,
} from './issue-run-store.ts';
import { insertForms, lockFormsOfAll } from './tax-store.ts';
import { findWhoHas1099, readRecipients, readYearIncome } from './year-store.ts';
import { needsForm, type TaxYears } from './tax-years-rules.ts';

/** How far the issuing of a year is. */
export interface IssueProgress {
  taxYear: number;
  status: 'running' | 'done';
  /** Payees for whom a form was due when it began. */
  payees: number;
  issued: number;
}

/** Forms in one transaction, with as many locks. A kill loses this many in each lane at most, and they are made again. */
const STEP = 500;
/** Steps at once in an instance: while the database writes what one made, the other makes its own. */
const LANES = 2;
/** How long to wait for payees that another worker has taken. */
const WAIT_MS = 50;

/**
 * Issues a year's 1099s in steps: each takes payees off the run's list and makes their forms in one transaction, so that
 * whoever goes on after a kill, be it the request, the job or another instance, makes no second copy and leaves nobody
 * out.
 */
export class YearEndIssuing {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #years: TaxYears;
  readonly #stepSize: number;
  readonly #lanes: number;
  /** Of all requests and the job: a step holds many locks, and the server has only so many. */
  readonly #turns: Turns;
  /** Told when a request leaves work over, for whoever goes on with it. */
  onLeftOver: () => void = () => {};

  constructor(database: Database, clock: Clock, years: TaxYears, { step = STEP, lanes = LANES } = {}) {
    this.#database = database;
    this.#clock = clock;
    this.#years = years;
    this.#stepSize = step;
    this.#lanes = lanes;
    this.#turns = new Turns(lanes);
  }

  /** Begins the year's run, or joins the one under way, and works on it for `mostMs`; the job does what is left. */
  async issue(actor: IssuingActor, taxYear: number, mostMs: number): Promise<IssueProgress> {
    const terms = this.#years.get(taxYear);
    const run = await this.#database.transaction((tx) =>
      beginRun(tx, taxYear, terms, {
        actor,
        requestId: currentContext()?.requestId ?? null,
        at: this.#clock.now(),
      }),
    );
    const until = performance.now() + mostMs;
    const ended = await this.#work(run, () => performance.now() > until);
    if (ended.status === 'running') this.onLeftOver();
    return progressOf(ended);
  }

  /** What a job does: goes on with every run under way until all are done or `isOver` says so. */
  async goOn(
    isOver: () => boolean,
    tell: (progress: IssueProgress) => void,
  ): Promise<{ runs: number; issued: number; left: number }> {
    const runs = await runsUnderWay(this.#database.reader);
    let [issued, left] = [0, 0];
    for (const run of runs) {
      const ended = await this.#work(run, isOver, tell);
      issued += ended.issued - run.issued;
      if (ended.status === 'running') left += ended.payees - ended.issued;
    }
    return { runs: runs.length, issued, left };
  }

  /** How far the newest run of a year is; null where there never was one. */
  async progress(taxYear: number): Promise<IssueProgress | null> {
    const run = await newestRun(this.#database.reader, taxYear);
    return run ? progressOf(run) : null;
  }

  async #work(
    run: IssueRunRow,
    isOver: () => boolean,
    tell: (progress: IssueProgress) => void = () => {},
  ): Promise<IssueRunRow> {
    // The entries belong to the request that asked for the forms, whoever makes them.
    const context = {
      ...currentContext(),
      requestId: run.requestId ?? currentContext()?.requestId ?? 'none',
    };
    let newest = run;
    const failures: unknown[] = [];
    const goAlong = async () => {
      while (newest.status === 'running' && failures.length === 0 && !isOver()) {
        const taken = await this.#turns.take(() =>
          runInContext(context, () => this.#database.transaction((tx) => this.#step(tx, run))),
        );
        // Lanes overtake each other: what one read may be older than what is known.
        if (newest.status === 'running' && taken.run.issued >= newest.issued) newest = taken.run;
        tell(progressOf(newest));
        if (taken.payees === 0 && newest.status === 'running') await sleep(WAIT_MS);
      }
    };
    // Where one fails the other ends its step too, before anybody hears of it.
    await Promise.all(
      Array.from({ length: this.#lanes }, () => goAlong().catch((error: unknown) => failures.push(error))),
    );
    if (failures.length > 0) throw failures[0];
    return newest;
  }

  async #step(tx: Tx, run: IssueRunRow): Promise<{ run: IssueRunRow; payees: number }> {
    const userIds = await takePayees(tx, run.id, this.#stepSize);
    if (userIds.length > 0) await countIssued(tx, run.id, await this.#make(tx, run, userIds));
    return { run: await endIfEmpty(tx, run.id, this.#clock.now()), payees: userIds.length };
  }

  /** Returns how many forms were made: whoever has one by now, or needs none any more, gets none. */
  async #make(tx: Tx, { taxYear, actor }: IssueRunRow, userIds: readonly string[]): Promise<number> {
    const at = this.#clock.now();
    const terms = this.#years.get(taxYear);
    await lockFormsOfAll(tx, userIds);
    const withForm = await findWhoHas1099(tx, taxYear, userIds);
    const incomes = (await readYearIncome(tx, taxYear, userIds)).filter(
      ({ userId, incomeCents, withheldCents }) =>
        !withForm.has(userId) && needsForm(terms, incomeCents, withheldCents),
    );
    const recipients = await readRecipients(
      tx,
      incomes.map(({ userId }) => userId),
    );
    const forms = incomes.map((income) =>
      form1099Row({ income, recipient: recipients.get(income.userId), taxYear, corrects: null, at }),
    );
    await insertForms(tx, forms);
    await recordFirstAudits(
      tx,
      forms.map(({ formId, userId }) => ({
        actor,
        at,
        entityType: 'tax_form',
        entityId: formId,
        action: 'issued',
        newValues: { formType: '1099-MISC', taxYear, status: 'issued' },
        metadata: { userId, initiatedBy: actorLabel(actor) },
      })),
    );
    await enqueueForMany(
      tx,
      forms.map(({ userId }) => userId),
      { template: 'form-1099-ready', data: { taxYear: String(taxYear) }, at },
    );
    return forms.length;
  }
}

const progressOf = ({ taxYear, status, payees, issued }: IssueRunRow): IssueProgress => ({
  taxYear,
  status,
  payees,
  issued,
});
