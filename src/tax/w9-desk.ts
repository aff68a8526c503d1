import { recordAudit } from '../audit/record-audit.ts';
import type { Database, Tx } from '../db/client.ts';
import type { PostalAddress, TaxFormStatus } from '../db/schema/index.ts';
import type { CallerActor, StaffActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError, notFound } from '../kernel/errors.ts';
import { newFormId } from '../kernel/ids.ts';
import { PAYOUT_MOVES, PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import { currentContext } from '../kernel/request-context.ts';
import { enqueueFor, enqueueForStaff } from '../notifications/outbox.ts';
import type { PayoutProgress } from '../payouts/payout-progress.ts';
import type { Payouts } from '../payouts/payouts.ts';
import { insertForm, lockForm, lockFormsOf, moveForm, supersedeW9, type TaxFormRow } from './tax-store.ts';
import {
  CERTIFICATION_VERSION,
  tinDigits,
  w9Faults,
  type TaxClassification,
  type TinType,
} from './w9-rules.ts';
import type { W9Safe } from './w9-safe.ts';

/** A W-9 as a member submits it. */
export interface W9Submission {
  legalName: string;
  businessName?: string | undefined;
  taxClassification: TaxClassification;
  llcClassification?: string | undefined;
  exemptPayeeCode?: string | undefined;
  fatcaExemptionCode?: string | undefined;
  address: PostalAddress;
  tinType: TinType;
  tin: string;
  certification: { signedName: string; signedDate: string; notSubjectToBackupWithholding: boolean };
}

/** Payouts that a W-9 can still concern. */
const OPEN_STATUSES = PAYOUT_STATUSES.filter((status) => PAYOUT_MOVES[status].length > 0);

/** Takes W-9s and has them reviewed. The old one counts until a new one is approved. */
export class W9Desk {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #safe: W9Safe;
  readonly #payouts: Payouts;
  readonly #progress: PayoutProgress;

  constructor(deps: {
    database: Database;
    clock: Clock;
    safe: W9Safe;
    payouts: Payouts;
    progress: PayoutProgress;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#safe = deps.safe;
    this.#payouts = deps.payouts;
    this.#progress = deps.progress;
  }

  /** Throws NOT_FOUND without a visible payout, VALIDATION_ERROR where fields do not fit each other. */
  async submit(
    actor: CallerActor,
    userId: string,
    form: W9Submission,
  ): Promise<{ formId: string; status: TaxFormStatus }> {
    const { payout } = await this.#payouts.findLatestOf(actor, userId);
    const tin = this.#checkedTin(form);
    const at = this.#clock.now();
    // Sealed before the transaction: it may have to ask a key service, for which no lock waits.
    const row = await this.#row(userId, form, tin, at);
    return this.#database.transaction(async (tx) => {
      await lockFormsOf(tx, userId);
      await supersedeW9(tx, userId, 'submitted', at);
      const { formId, status } = await insertForm(tx, row);
      await recordAudit(tx, {
        actor,
        at,
        entityType: 'tax_form',
        entityId: formId,
        action: 'created',
        newValues: {
          formType: 'W-9',
          status,
          tinType: form.tinType,
          taxClassification: form.taxClassification,
        },
      });
      await enqueueForStaff(
        tx,
        { roles: ['admin', 'finance_manager'], exceptUserIds: [userId] },
        {
          template: 'w9-to-review',
          payoutId: payout.payoutId,
          data: { memberName: form.legalName, submittedAt: at.toISOString() },
          at,
        },
      );
      return { formId, status };
    });
  }

  #checkedTin(form: W9Submission): string {
    const faults = w9Faults(form);
    const today = this.#clock.now().toISOString().slice(0, 10);
    if (form.certification.signedDate > today) {
      faults.push({ path: 'certification.signedDate', message: 'must not be in the future' });
    }
    const tin = tinDigits(form.tin);
    if (faults.length === 0 && tin !== null) return tin;
    throw new DomainError(
      'VALIDATION_ERROR',
      `The form has faults: ${faults.map((fault) => `${fault.path} ${fault.message}`).join('; ')}.`,
      {
        issues: faults.map(({ path, message }) => ({ path: `body.${path}`, message })),
      },
    );
  }

  async #row(userId: string, { tin: _tin, certification, ...form }: W9Submission, tin: string, at: Date) {
    const formId = newFormId('W9', at.getUTCFullYear());
    const w9 = {
      ...form,
      certification: {
        ...certification,
        ipAddress: currentContext()?.ipAddress,
        signedAt: at.toISOString(),
        textVersion: CERTIFICATION_VERSION,
      },
    };
    return {
      formId,
      userId,
      formType: 'W-9' as const,
      taxYear: at.getUTCFullYear(),
      status: 'submitted' as const,
      w9,
      tinLast4: tin.slice(-4),
      ...(await this.#safe.seal(formId, w9, tin)),
      createdAt: at,
      updatedAt: at,
    };
  }

  /** Approves a W-9: payouts that waited for it move on, instructions made without it become void. */
  async approve(actor: CallerActor, formId: string): Promise<TaxFormRow> {
    return this.#review(actor, formId, async (tx, form, reviewer) => {
      const at = this.#clock.now();
      // Locked before the form counts: whoever works on one of them now is waited for, and whoever comes next sees it.
      const open = await this.#payouts.lockOpenOf(tx, form.userId, OPEN_STATUSES);
      await supersedeW9(tx, form.userId, 'approved', at);
      const moved = await moveForm(tx, formId, ['submitted'], {
        status: 'approved',
        reviewedBy: reviewer.adminId,
        reviewedAt: at,
        updatedAt: at,
      });
      for (const subject of open) {
        if (subject.payout.status === 'ready_for_payment') {
          await this.#progress.voidInstructions(tx, subject, actor, 'a new W-9 was approved');
        } else if (subject.payout.status === 'pending_tax_info') {
          await this.#progress.advance(tx, subject.payout);
        }
      }
      return moved;
    });
  }

  async reject(actor: CallerActor, formId: string, reason: string): Promise<TaxFormRow> {
    return this.#review(actor, formId, async (tx, form, reviewer) => {
      const at = this.#clock.now();
      const moved = await moveForm(tx, formId, ['submitted'], {
        status: 'rejected',
        reason,
        reviewedBy: reviewer.adminId,
        reviewedAt: at,
        updatedAt: at,
      });
      const payoutId = (await this.#payouts.findLatestOf(actor, form.userId, tx)).payout.payoutId;
      await enqueueFor(tx, form.userId, { template: 'tax-form-rejected', payoutId, data: { reason }, at });
      return moved;
    });
  }

  async #review(
    actor: CallerActor,
    formId: string,
    decide: (tx: Tx, form: TaxFormRow, reviewer: StaffActor) => Promise<TaxFormRow | undefined>,
  ): Promise<TaxFormRow> {
    if (actor.kind !== 'staff') throw new DomainError('FORBIDDEN', 'Only staff review tax forms.');
    return this.#database.transaction(async (tx) => {
      const form = await lockForm(tx, formId);
      if (!form) throw notFound('tax form', formId);
      if (form.formType !== 'W-9' || form.status !== 'submitted') {
        throw new DomainError(
          'INVALID_STATE',
          `Form ${formId} is ${form.status}; only a submitted W-9 is reviewed.`,
        );
      }
      if (form.userId === actor.userId) {
        throw new DomainError(
          'SEPARATION_OF_DUTIES',
          'Nobody reviews their own W-9. Another admin or finance_manager can.',
        );
      }
      const moved = await decide(tx, form, actor);
      if (!moved) throw new DomainError('INVALID_STATE', 'The form has been reviewed meanwhile.');
      await recordAudit(tx, {
        actor,
        at: this.#clock.now(),
        entityType: 'tax_form',
        entityId: formId,
        action: moved.status,
        oldValues: { status: form.status },
        newValues: { status: moved.status, ...(moved.reason ? { reason: moved.reason } : {}) },
      });
      return moved;
    });
  }
}
