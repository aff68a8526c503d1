import { randomUUID } from 'node:crypto';
import type { DataKey, Vault } from '../crypto/envelope.ts';
import type { Fingerprints } from '../crypto/fingerprints.ts';
import { recordReveal } from '../crypto/record-reveal.ts';
import type { Database, Reader, Tx } from '../db/client.ts';
import type { MaskedBankDetails } from '../db/schema/index.ts';
import type { CallerActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { enqueueFor } from '../notifications/outbox.ts';
import type { PayoutProgress } from '../payouts/payout-progress.ts';
import type { PayoutView } from '../payouts/payout-view.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { Payout, PayoutCase } from '../payouts/payout.ts';
import { masked } from './bank-details-rules.ts';
import {
  findDetails,
  findLastGiven,
  insertDetails,
  lastVersion,
  wasRefused,
  type BankDetailsRow,
} from './bank-details-store.ts';

export interface BankInfo {
  accountHolderName: string;
  routingNumber: string;
  accountNumber: string;
  accountType: 'checking' | 'savings';
}

/** Both numbers in the clear: for the instructions and a reveal, and nowhere else. */
export interface BankNumbers {
  routingNumber: string;
  accountNumber: string;
}

/** Takes a member's bank details, keeps every version encrypted, and gives the numbers out to those who may pay. */
export class BankDetailsService {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #vault: Vault;
  readonly #fingerprints: Fingerprints;
  readonly #payouts: Payouts;
  readonly #progress: PayoutProgress;

  constructor(deps: {
    database: Database;
    clock: Clock;
    vault: Vault;
    fingerprints: Fingerprints;
    payouts: Payouts;
    progress: PayoutProgress;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#vault = deps.vault;
    this.#fingerprints = deps.fingerprints;
    this.#payouts = deps.payouts;
    this.#progress = deps.progress;
  }

  /**
   * Takes details for the payout that waits for them. Details that differ from those the member gave last, for this payout
   * or an earlier one, void instructions, start the cool-off and are told to the member. Throws NOT_FOUND, INVALID_STATE
   * or BANK_DETAILS_REFUSED.
   */
  async submit(actor: CallerActor, userId: string, info: BankInfo): Promise<PayoutView> {
    const payoutId = await this.#payouts.idForBankInfo(userId);
    // Both may have to ask a key service, for which no lock waits.
    const [fingerprint, key] = await Promise.all([
      this.#fingerprints.of(`${info.routingNumber}:${info.accountNumber}`),
      this.#vault.newKey(place(payoutId, 0)),
    ]);
    return this.#payouts.act(actor, payoutId, 'bank-info', async (tx, subject) => {
      if (await wasRefused(tx, userId, fingerprint)) {
        throw new DomainError(
          'BANK_DETAILS_REFUSED',
          'A payment to this account has failed. Give another account.',
        );
      }
      const version = await lastVersion(tx, payoutId);
      const before = version === 0 ? undefined : await findDetails(tx, payoutId, version);
      if (before && subject.payout.bankDetailsVersion === version && sameDetails(before, info, fingerprint))
        return;
      // Whoever has taken over a member's account gives another bank account for whichever payout comes next.
      const last = await findLastGiven(tx, userId);
      const isChange = version > 0 || (last !== undefined && !sameDetails(last, info, fingerprint));
      // One that had not outlived its cool-off when that payout was cancelled does not become known by it.
      const changedAt = isChange ? this.#clock.now() : (last?.changedAt ?? null);
      await insertDetails(tx, this.#row(payoutId, version + 1, info, { fingerprint, key }));
      await this.#apply(tx, actor, subject, info, { version: version + 1, isChange, changedAt });
    });
  }

  async #apply(
    tx: Tx,
    actor: CallerActor,
    subject: PayoutCase,
    info: BankInfo,
    { version, isChange, changedAt }: { version: number; isChange: boolean; changedAt: Date | null },
  ): Promise<void> {
    const bankDetails = maskedDetails(info);
    const patch = {
      bankDetails,
      bankDetailsVersion: version,
      ...(changedAt ? { bankDetailsChangedAt: changedAt } : {}),
    };
    const details = { ...bankDetails, bankDetailsVersion: version };
    if (isChange) await this.#tellOfChange(tx, subject.payout, bankDetails, this.#clock.now());
    if (subject.payout.status === 'ready_for_payment') {
      await this.#progress.voidInstructions(tx, subject, actor, 'bank details were changed', patch);
      return;
    }
    const changed = await this.#payouts.change(tx, subject.payout, patch, {
      actor,
      action: isChange ? 'bank_info_changed' : 'bank_info_submitted',
      details,
    });
    await this.#progress.advance(tx, changed);
  }

  async #tellOfChange(tx: Tx, payout: Payout, details: MaskedBankDetails, at: Date): Promise<void> {
    await enqueueFor(tx, payout.userId, {
      template: 'bank-details-changed',
      payoutId: payout.payoutId,
      data: { changedAt: at.toISOString(), accountLastFour: details.accountNumber.slice(-4) },
      at,
    });
  }

  #row(
    payoutId: string,
    version: number,
    info: BankInfo,
    { fingerprint, key }: { fingerprint: string; key: DataKey },
  ) {
    const numbers: BankNumbers = { routingNumber: info.routingNumber, accountNumber: info.accountNumber };
    return {
      id: randomUUID(),
      payoutId,
      version,
      accountHolderName: info.accountHolderName,
      accountType: info.accountType,
      routingLast4: info.routingNumber.slice(-4),
      accountLast4: info.accountNumber.slice(-4),
      ...key.seal(JSON.stringify(numbers), version),
      fingerprint,
      createdAt: this.#clock.now(),
    };
  }

  /** The fingerprint of a version's numbers, for freezing. */
  async fingerprintOf(reader: Reader, payoutId: string, version: number | null): Promise<string | undefined> {
    if (version === null) return undefined;
    return (await findDetails(reader, payoutId, version))?.fingerprint;
  }

  /** Decrypts a version's numbers. Throws NOT_FOUND, or a DecryptionError where the row was tampered with. */
  async numbersOf(
    reader: Reader,
    payoutId: string,
    version: number | null,
  ): Promise<BankNumbers & BankDetailsRow> {
    const row = version === null ? undefined : await findDetails(reader, payoutId, version);
    if (!row) throw new DomainError('NOT_FOUND', 'There are no bank details for this payout.');
    const numbers = await this.#vault.open(row, place(payoutId, row.version));
    return { ...row, ...(JSON.parse(numbers) as BankNumbers) };
  }

  /**
   * The full numbers, once, to finance, with a reason; audited, and told to the admins. Throws NOT_FOUND, or
   * RATE_LIMITED after five in an hour.
   */
  async reveal(
    actor: CallerActor,
    payoutId: string,
    reason: string,
  ): Promise<BankNumbers & { payoutId: string }> {
    const { payout } = await this.#payouts.find(actor, payoutId);
    if (actor.kind !== 'staff' || actor.userId === payout.userId) {
      throw new DomainError(
        'SEPARATION_OF_DUTIES',
        'Nobody acts on a payout of which they are the payee. Another finance_manager can.',
      );
    }
    const { routingNumber, accountNumber } = await this.numbersOf(
      this.#database.reader,
      payoutId,
      payout.bankDetailsVersion,
    );
    // They leave only once it is on record, which waits for no key service.
    await this.#database.transaction((tx) =>
      recordReveal(tx, {
        actor,
        at: this.#clock.now(),
        action: 'bank_info_revealed',
        entityType: 'payout',
        entityId: payoutId,
        reason,
        what: 'account number',
      }),
    );
    return { payoutId, routingNumber, accountNumber };
  }
}

const place = (payoutId: string, version: number) => ({
  table: 'bank_details',
  column: 'envelope',
  row: payoutId,
  version,
});

const maskedDetails = (info: BankInfo): MaskedBankDetails => ({
  accountHolderName: info.accountHolderName,
  routingNumber: masked(info.routingNumber),
  accountNumber: masked(info.accountNumber),
  accountType: info.accountType,
  encrypted: true,
});

const sameDetails = (row: BankDetailsRow, info: BankInfo, fingerprint: string): boolean =>
  row.fingerprint === fingerprint &&
  row.accountHolderName === info.accountHolderName &&
  row.accountType === info.accountType;
