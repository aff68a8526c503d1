import type { Sealed, Vault } from '../crypto/envelope.ts';
import { recordReveal } from '../crypto/record-reveal.ts';
import type { Database } from '../db/client.ts';
import type { W9Data } from '../db/schema/index.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { findForm, findW9Behind, type TaxFormRow } from './tax-store.ts';
import { CERTIFICATION_TEXTS, formattedTin, type TinType } from './w9-rules.ts';

/** What is sealed: the whole form as it was signed, its TIN and the text of the certification with it. */
interface SignedW9 extends W9Data {
  tin: string;
  certificationText: readonly string[];
}

/** Keeps W-9s as they were signed, sealed, and gives the TIN out to those who file and those who may be shown it. */
export class W9Safe {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #vault: Vault;

  constructor(database: Database, clock: Clock, vault: Vault) {
    this.#database = database;
    this.#clock = clock;
    this.#vault = vault;
  }

  seal(formId: string, w9: W9Data, tin: string): Promise<Sealed> {
    const certificationText = CERTIFICATION_TEXTS[w9.certification.textVersion] ?? [];
    const signed: SignedW9 = { ...w9, tin, certificationText };
    return this.#vault.seal(JSON.stringify(signed), place(formId));
  }

  /** The TIN in the clear, nine digits. Throws a DecryptionError where the row was tampered with. */
  async tinOf(form: TaxFormRow): Promise<string> {
    if (!form.envelope || !form.keyId)
      throw new DomainError('NOT_FOUND', 'There is no TIN on file for this form.');
    const signed = await this.#vault.open({ envelope: form.envelope, keyId: form.keyId }, place(form.formId));
    return (JSON.parse(signed) as SignedW9).tin;
  }

  /**
   * The full TIN of a form, or of the W-9 behind a 1099, once, to finance; audited and told to the admins. Throws
   * RATE_LIMITED after five full numbers in an hour.
   */
  async reveal(
    actor: CallerActor,
    formId: string,
    reason: string,
  ): Promise<{ formId: string; tinType: TinType; tin: string }> {
    const form = await findForm(this.#database.reader, formId);
    if (!form) throw notFound('tax form', formId);
    if (actor.kind !== 'staff' || actor.userId === form.userId) {
      throw new DomainError(
        'SEPARATION_OF_DUTIES',
        'Nobody looks up their own number here. Another finance_manager can.',
      );
    }
    const w9 = form.formType === 'W-9' ? form : await findW9Behind(this.#database.reader, form);
    if (!w9?.w9) throw new DomainError('NOT_FOUND', 'There is no TIN on file for this form.');
    const { tinType } = w9.w9;
    const tin = formattedTin(tinType, await this.tinOf(w9));
    // It leaves only once it is on record, which waits for no key service.
    await this.#database.transaction((tx) =>
      recordReveal(tx, {
        actor,
        at: this.#clock.now(),
        action: 'tin_revealed',
        entityType: 'tax_form',
        entityId: formId,
        reason,
        what: 'TIN',
      }),
    );
    return { formId, tinType, tin };
  }
}

/** A form is never changed: a new W-9 is a new row, so its version is always 1. */
const place = (formId: string) => ({ table: 'tax_forms', column: 'envelope', row: formId, version: 1 });
