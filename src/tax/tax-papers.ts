import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import type { DocumentRenderer } from '../documents/document-renderer.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import { staffMay } from '../kernel/permissions.ts';
import { readNamesBeside } from '../payouts/payout-requirements.ts';
import { viewTaxForm, type TaxFormView } from './tax-form-view.ts';
import {
  findDocument,
  findForm,
  keepDocument,
  listForms,
  type TaxFormFilter,
  type TaxFormRow,
} from './tax-store.ts';
import { readTinTypes } from './year-store.ts';
import { formattedTin, truncatedTin, type TinType } from './w9-rules.ts';

/** Who pays, as 1099s name it. `address` is one line, its parts joined by commas. */
export interface Payer {
  name: string;
  tin: string;
  address: string;
  phone?: string | undefined;
}

/** Shows tax forms to people: as lists, and 1099s as PDFs. */
export class TaxPapers {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #payer: Payer;
  readonly #renderer: DocumentRenderer;

  constructor(database: Database, clock: Clock, payer: Payer, renderer: DocumentRenderer) {
    this.#database = database;
    this.#clock = clock;
    this.#payer = payer;
    this.#renderer = renderer;
  }

  /** Newest first. Reviewers also see the other names of the payee. */
  async list(
    actor: CallerActor,
    filter: Omit<TaxFormFilter, 'limit'> & { limit?: number | undefined },
  ): Promise<Page<TaxFormView>> {
    const limit = filter.limit ?? DEFAULT_PAGE;
    const rows = await listForms(this.#database.reader, { ...filter, limit });
    const page = pageOf(
      rows,
      limit,
      ({ createdAt, formId }) => [createdAt.toISOString(), formId],
      (row) => row,
    );
    const tinTypes = await readTinTypes(this.#database.reader, w9sBehind(page.data));
    return { ...page, data: await Promise.all(page.data.map((row) => this.#view(actor, row, tinTypes))) };
  }

  async view(actor: CallerActor, form: TaxFormRow): Promise<TaxFormView> {
    return this.#view(actor, form, await readTinTypes(this.#database.reader, w9sBehind([form])));
  }

  async #view(
    actor: CallerActor,
    form: TaxFormRow,
    tinTypes: ReadonlyMap<string, TinType>,
  ): Promise<TaxFormView> {
    const compared = form.formType === 'W-9' && (form.status === 'submitted' || form.status === 'approved');
    const names =
      compared && staffMay('tax-forms.review', actor)
        ? await readNamesBeside(this.#database.reader, form.userId)
        : undefined;
    return viewTaxForm(form, form.w9?.tinType ?? tinTypes.get(form.w9FormId ?? '') ?? 'ssn', names);
  }

  /**
   * A copy of a 1099-MISC, the same bytes every time until the form is amended: the first rendering of each version is
   * kept. Staff get both copies, a recipient their own copy B. Throws NOT_FOUND or FORBIDDEN.
   */
  async form1099Pdf(
    actor: CallerActor,
    formId: string,
    copy: 'B' | 'C',
  ): Promise<{ fileName: string; content: Buffer }> {
    const reader = this.#database.reader;
    const form = await findForm(reader, formId);
    if (!form || form.formType !== '1099-MISC' || !mayRead(actor, form)) throw notFound('1099-MISC', formId);
    if (copy === 'C' && !staffMay('tax-forms.pdf', actor)) {
      throw new DomainError('FORBIDDEN', "Copy C is the payer's. Yours is copy B.");
    }
    const version = form.status === 'issued' ? 1 : 2;
    const kept = await findDocument(reader, formId, copy, version);
    // Drawn before the transaction, which then holds a connection for as short as it can.
    const drawn = kept ?? (await this.#draw(form, copy));
    const content = await this.#database.transaction(async (tx) => {
      const at = this.#clock.now();
      if (!kept) await keepDocument(tx, { formId, copy, version, content: drawn, createdAt: at });
      await recordAudit(tx, {
        actor,
        at,
        entityType: 'tax_form',
        entityId: formId,
        action: 'pdf_downloaded',
        newValues: { copy, version },
      });
      return (await findDocument(tx, formId, copy, version)) ?? drawn;
    });
    return { fileName: `${formId}-copy-${copy}${version === 1 ? '' : '-void'}.pdf`, content };
  }

  async #draw(form: TaxFormRow, copy: 'B' | 'C'): Promise<Buffer> {
    const { incomeDetails, tinLast4 } = form;
    if (!incomeDetails) throw new Error(`Form ${form.formId} has no income.`);
    const { name, tin, address, phone } = this.#payer;
    const tinTypes = await readTinTypes(this.#database.reader, w9sBehind([form]));
    const recipientTin =
      tinLast4 === null ? 'Not provided' : truncatedTin(tinTypes.get(form.w9FormId ?? '') ?? 'ssn', tinLast4);
    const input = {
      formId: form.formId,
      taxYear: form.taxYear,
      copy,
      status: printedStatus(form),
      payer: {
        name,
        tin: formattedTin('ein', tin.replace(/\D/g, '')),
        addressLines: linesOfAddress(address),
        ...(phone ? { phone } : {}),
      },
      recipient: { ...incomeDetails.recipient, tin: recipientTin },
      accountNumber: form.formId,
      box3OtherIncomeCents: Math.round(incomeDetails.box_3_other_income * 100),
      box4FederalTaxWithheldCents: Math.round(incomeDetails.federal_tax_withheld * 100),
      issuedAt: form.createdAt,
    };
    return this.#renderer.render({ kind: '1099-MISC', input });
  }
}

const w9sBehind = (forms: readonly TaxFormRow[]): string[] =>
  forms.flatMap(({ w9FormId }) => (w9FormId === null ? [] : [w9FormId]));

const mayRead = (actor: CallerActor, form: TaxFormRow): boolean =>
  staffMay('tax-forms.pdf', actor) || (actor.kind !== 'service' && actor.userId === form.userId);

/**
 * The box CORRECTED is checked on the new form, as the IRS wants it (General Instructions for Certain Information
 * Returns, part H). The form that it replaced must no longer be used, as little as a voided one.
 */
const printedStatus = ({ status, corrects }: TaxFormRow): 'issued' | 'corrected' | 'void' =>
  status !== 'issued' ? 'void' : corrects === null ? 'issued' : 'corrected';

/** One line of an address as two: the street, and the last two parts. */
function linesOfAddress(address: string): string[] {
  const parts = address.split(',').map((part) => part.trim());
  return parts.length < 3 ? [address] : [parts.slice(0, -2).join(', '), parts.slice(-2).join(', ')];
}
