import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Reader, Tx } from '../db/client.ts';
import { actorLabel, type CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { dollars, shareOf, type Cents } from '../kernel/money.ts';
import { enqueueFor } from '../notifications/outbox.ts';
import { draftForm, form1099Row, issuedForm, type Form1099 } from './form-1099.ts';
import {
  findForm,
  findLive1099,
  findW9,
  findW9Behind,
  insertForm,
  lockForm,
  lockFormsOf,
  moveForm,
  type TaxFormRow,
} from './tax-store.ts';
import {
  listIncomeToReport,
  listLive1099s,
  readRecipients,
  readTinTypes,
  readYearIncome,
  sumYear,
  type PeoplePage,
  type YearTotals,
} from './year-store.ts';
import { needsForm, type TaxYears } from './tax-years-rules.ts';
import type { IssueProgress, YearEndIssuing } from './year-end-issuing.ts';
import { insertLiability, reverseLiability } from './withholding-store.ts';

/** The document's W9Status. */
export interface W9Status {
  hasW9: boolean;
  isApproved: boolean;
  tinProvided: boolean;
  formId?: string;
}

/** The document's WithholdingCalculation, in dollars. */
export interface WithholdingCalculation {
  grossAmount: number;
  withholdingRate: number;
  withheldAmount: number;
  netAmount: number;
  reason: string;
}

/** Withholding and 1099s. Income of a year is what was sent in it and did not come back. */
export class TaxComplianceService {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #years: TaxYears;
  readonly #issuing: YearEndIssuing;

  constructor(database: Database, clock: Clock, years: TaxYears, issuing: YearEndIssuing) {
    this.#database = database;
    this.#clock = clock;
    this.#years = years;
    this.#issuing = issuing;
  }

  async checkW9Status(userId: string, reader: Reader = this.#database.reader): Promise<W9Status> {
    const [approved, submitted] = await Promise.all([
      findW9(reader, userId, 'approved'),
      findW9(reader, userId, 'submitted'),
    ]);
    const form = approved ?? submitted;
    return {
      hasW9: form !== undefined,
      isApproved: approved !== undefined,
      tinProvided: typeof form?.tinLast4 === 'string',
      ...(form ? { formId: form.formId } : {}),
    };
  }

  /** `amountCents` gross; the year's rate, rounded half up. */
  calculateWithholding(amountCents: Cents, hasW9: boolean): WithholdingCalculation {
    const basisPoints = hasW9 ? 0 : this.withholdingBasisPoints();
    const withheldCents = shareOf(amountCents, basisPoints);
    return {
      grossAmount: dollars(amountCents),
      withholdingRate: basisPoints / 10_000,
      withheldAmount: dollars(withheldCents),
      netAmount: dollars(amountCents - withheldCents),
      reason: hasW9 ? 'W-9 on file' : 'No W-9 on file',
    };
  }

  /** This year's rate of backup withholding, in hundredths of a per cent. */
  withholdingBasisPoints(): number {
    return this.#years.withholdingBasisPoints(this.#clock.now().getUTCFullYear());
  }

  /**
   * The year's forms in the order of their payees' ids: issued ones, and drafts for whoever has none. Nothing is written.
   * Throws TAX_YEAR_UNKNOWN.
   */
  async list1099s(taxYear: number, page: PeoplePage): Promise<Form1099[]> {
    const terms = this.#years.get(taxYear);
    const { reader } = this.#database;
    // Issued ones first: whoever gets a form in between is a draft here, and is not left out.
    const issued = await listLive1099s(reader, taxYear, page);
    const incomes = await listIncomeToReport(reader, taxYear, terms, page);
    const withForm = new Set(issued.map(({ userId }) => userId));
    const due = incomes.filter(({ userId }) => !withForm.has(userId));
    const [tinTypes, recipients] = await Promise.all([
      readTinTypes(
        reader,
        issued.flatMap(({ w9FormId }) => (w9FormId === null ? [] : [w9FormId])),
      ),
      readRecipients(
        reader,
        due.map(({ userId }) => userId),
      ),
    ]);
    const forms = [
      ...issued.map((row) => issuedForm(row, tinTypes.get(row.w9FormId ?? '') ?? null)),
      ...due.map((income) => draftForm(income, taxYear, recipients.get(income.userId))),
    ];
    // Of each kind there are as many as asked for, so that the first of both are the first of all.
    return forms.toSorted((one, other) => (one.userId < other.userId ? -1 : 1)).slice(0, page.limit);
  }

  /** Over all of the year's forms, issued and drafts. Throws TAX_YEAR_UNKNOWN. */
  total1099s(taxYear: number): Promise<YearTotals> {
    return sumYear(this.#database.reader, taxYear, this.#years.get(taxYear));
  }

  /**
   * Issues the year's forms; whoever has one keeps it. A large year goes on in the job after `mostMs`. Throws
   * YEAR_NOT_ENDED or TAX_YEAR_UNKNOWN.
   */
  async generateYearEnd1099s(actor: CallerActor, taxYear: number, mostMs: number): Promise<IssueProgress> {
    if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff issue tax forms.');
    this.#assertEnded(taxYear);
    return this.#issuing.issue(actor, taxYear, mostMs);
  }

  /** Issues the form of one payout's payee, over all their payouts of the year. Throws NOT_FOUND where none is due. */
  async create1099MISC(actor: CallerActor, userId: string, taxYear: number): Promise<Form1099> {
    this.#assertEnded(taxYear);
    this.#years.get(taxYear);
    const form = await this.#database.transaction((tx) => this.#issue(tx, actor, userId, taxYear));
    if (!form) throw new DomainError('NOT_FOUND', `No 1099-MISC is due for ${taxYear}.`);
    const w9 = form.w9FormId === null ? undefined : await findW9Behind(this.#database.reader, form);
    return issuedForm(form, w9?.w9?.tinType ?? null);
  }

  #assertEnded(taxYear: number): void {
    if (taxYear < this.#clock.now().getUTCFullYear()) return;
    throw new DomainError(
      'YEAR_NOT_ENDED',
      `The year ${taxYear} has not ended. Its drafts can be read meanwhile.`,
      { taxYear },
    );
  }

  async #issue(
    tx: Tx,
    actor: CallerActor,
    userId: string,
    taxYear: number,
    corrects?: TaxFormRow,
  ): Promise<TaxFormRow | undefined> {
    await lockFormsOf(tx, userId);
    const existing = await findLive1099(tx, userId, taxYear);
    if (existing) return existing;
    const [income] = await readYearIncome(tx, taxYear, [userId]);
    const due = income && needsForm(this.#years.get(taxYear), income.incomeCents, income.withheldCents);
    // A correction is made even when nothing is left to report: it takes back what the earlier form said.
    if (!due && !corrects) return undefined;
    const recipient = (await readRecipients(tx, [userId])).get(userId);
    const at = this.#clock.now();
    const form = await insertForm(
      tx,
      form1099Row({
        income: income ?? { userId, incomeCents: 0, withheldCents: 0, payoutIds: [] },
        recipient,
        taxYear,
        corrects: corrects?.formId ?? null,
        at,
      }),
    );
    await this.#audit(tx, actor, form, corrects ? 'correction_issued' : 'issued');
    await enqueueFor(tx, userId, { template: 'form-1099-ready', data: { taxYear: String(taxYear) }, at });
    return form;
  }

  /** Replaces an issued form by a new one with the figures of now; the old one is kept as corrected. */
  async correct(actor: CallerActor, formId: string, reason: string): Promise<TaxFormRow> {
    return this.#database.transaction(async (tx) => {
      const form = await this.#end(tx, actor, formId, 'corrected', reason);
      const corrected = await this.#issue(tx, actor, form.userId, form.taxYear, form);
      if (!corrected) throw new Error('A correction is always issued.');
      return corrected;
    });
  }

  async void(actor: CallerActor, formId: string, reason: string): Promise<TaxFormRow> {
    return this.#database.transaction((tx) => this.#end(tx, actor, formId, 'void', reason));
  }

  async #end(
    tx: Tx,
    actor: CallerActor,
    formId: string,
    status: 'corrected' | 'void',
    reason: string,
  ): Promise<TaxFormRow> {
    const form = await this.#lock1099(tx, formId);
    if (actor.kind === 'staff' && actor.userId === form.userId) {
      throw new DomainError(
        'SEPARATION_OF_DUTIES',
        'Nobody amends their own 1099. Another admin or finance_manager can.',
      );
    }
    const ended =
      form.formType === '1099-MISC'
        ? await moveForm(tx, formId, ['issued'], {
            status,
            reason,
            needsCorrection: null,
            updatedAt: this.#clock.now(),
          })
        : undefined;
    if (!ended)
      throw new DomainError(
        'INVALID_STATE',
        `Form ${formId} is ${form.status}; only an issued 1099-MISC can be amended.`,
      );
    await this.#audit(tx, actor, ended, status, reason);
    return ended;
  }

  /** The person's forms before the one, as a payment that comes back takes them: the two would stop each other. */
  async #lock1099(tx: Tx, formId: string): Promise<TaxFormRow> {
    const seen = await findForm(tx, formId);
    if (seen) await lockFormsOf(tx, seen.userId);
    const form = await lockForm(tx, formId);
    if (!form) throw notFound('tax form', formId);
    return form;
  }

  /** What follows from a payment that is sent: tax withheld is owed, and a form of that year is no longer right. */
  async noteSent(
    tx: Tx,
    payment: { payoutId: string; userId: string; attempt: number; sentDate: string; withheldCents: Cents },
  ): Promise<void> {
    const { payoutId, userId, attempt, sentDate, withheldCents } = payment;
    if (withheldCents > 0)
      await insertLiability(tx, {
        payoutId,
        attempt,
        liabilityDate: sentDate,
        amountCents: withheldCents,
        at: this.#clock.now(),
      });
    await this.#noteIncomeChanged(
      tx,
      userId,
      sentDate,
      `Payout ${payoutId} was sent after the form was issued.`,
    );
  }

  /** What follows from a payment that came back: nothing is owed of it, and a form of its year is no longer right. */
  async noteReturned(
    tx: Tx,
    payment: { payoutId: string; userId: string; attempt: number; sentDate: string },
  ): Promise<void> {
    const reason = `Payout ${payment.payoutId} came back.`;
    await reverseLiability(tx, payment.payoutId, payment.attempt, reason, this.#clock.now());
    await this.#noteIncomeChanged(tx, payment.userId, payment.sentDate, reason);
  }

  /** Marks an issued form whose year's payments have changed, if there is one. */
  async #noteIncomeChanged(tx: Tx, userId: string, sentDate: string, reason: string): Promise<void> {
    // A form that is being issued at this moment may have been computed without this change: it is waited for.
    await lockFormsOf(tx, userId);
    const form = await findLive1099(tx, userId, Number(sentDate.slice(0, 4)));
    if (form)
      await moveForm(tx, form.formId, ['issued'], { needsCorrection: reason, updatedAt: this.#clock.now() });
  }

  async #audit(tx: Tx, actor: CallerActor, form: TaxFormRow, action: string, reason?: string): Promise<void> {
    await recordAudit(tx, {
      actor,
      at: this.#clock.now(),
      entityType: 'tax_form',
      entityId: form.formId,
      action,
      newValues: {
        formType: form.formType,
        taxYear: form.taxYear,
        status: form.status,
        ...(reason ? { reason } : {}),
      },
      metadata: { userId: form.userId, initiatedBy: actorLabel(actor) },
    });
  }
}
