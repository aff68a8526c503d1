/** Section 8 of the specification: what instructions want, what they withhold, and what they freeze. */
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/kernel/errors.ts';
import {
  assertNothingMissing,
  decideWithholding,
  instructionsHash,
  payeeDoubt,
  type FrozenFacts,
  type InstructionsRequest,
} from '../../src/payments/instructions-rules.ts';
import { namesKey } from '../../src/payouts/payee-names-rules.ts';
import { payeeWith, payoutWith, w9Of } from '../support/payout-cases.ts';

const now = new Date('2026-11-20T12:00:00Z');
const terms = { now, cooloffHours: 72 };

function thrown(work: () => unknown): DomainError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

describe('what is missing', () => {
  const missing = (
    payout: Parameters<typeof payoutWith>[0],
    method: 'ach' | 'check',
    request: InstructionsRequest = {},
    payee = payeeWith(),
  ) => thrown(() => assertNothingMissing(payoutWith(payout), payee, request, method, terms));

  it('is the account for ACH, and the address for a check', () => {
    expect(missing({}, 'ach')).toMatchObject({
      code: 'BANK_INFO_MISSING',
      message: 'The member has given no bank details. Wait for them, or pay by check.',
    });
    expect(missing({}, 'check')).toBeNull();
    expect(missing({ bankDetailsVersion: 1 }, 'ach', {}, payeeWith({ address: undefined }))).toBeNull();
    expect(missing({}, 'check', {}, payeeWith({ address: undefined }))).toMatchObject({
      code: 'ADDRESS_MISSING',
      message: 'The member has no primary address to send a check to.',
    });
  });

  it('is the cool-off of changed details, to the last moment of 72 hours, unless the member was called back', () => {
    const changed = (hours: number, ms = 0) => ({
      bankDetailsVersion: 2,
      bankDetailsChangedAt: new Date(now.getTime() - hours * 3_600_000 + ms),
    });
    expect(missing(changed(72), 'ach')).toBeNull();
    expect(missing(changed(72, 1), 'ach')).toMatchObject({
      code: 'COOLOFF_ACTIVE',
      message:
        'Bank details were changed a short time ago. Wait until 2026-11-20T12:00:00.001Z, or call the member back and note it in callbackVerification.',
      details: { until: '2026-11-20T12:00:00.001Z' },
    });
    expect(missing(changed(1), 'ach', { callbackVerification: 'Called.' })).toBeNull();
    expect(missing(changed(1), 'check')).toBeNull();
  });
});

describe('backup withholding', () => {
  const decide = (payee: ReturnType<typeof payeeWith>, request: InstructionsRequest) => {
    let result: unknown;
    const error = thrown(() => (result = decideWithholding(payee, request)));
    return error === null ? result : [error.code, error.message];
  };
  const withoutW9 = payeeWith({ w9: undefined });
  const missingW9 = [
    'W9_MISSING',
    'There is no approved W-9. Wait for it, or set applyBackupWithholding to true and give a reason.',
  ];

  it('is applied without a W-9 only when asked for with a reason', () => {
    expect(decide(withoutW9, { applyBackupWithholding: true, reason: 'Late' })).toEqual({
      reason: 'No W-9 on file',
      remark: 'Late',
    });
    expect(decide(withoutW9, { applyBackupWithholding: true })).toEqual(missingW9);
    expect(decide(withoutW9, { reason: 'Late' })).toEqual(missingW9);
    expect(decide(withoutW9, {})).toEqual(missingW9);
    expect(decide(withoutW9, { applyBackupWithholding: false, reason: 'Late' })).toEqual(missingW9);
  });

  it('is not due with a W-9, unless item 2 was crossed out', () => {
    expect(decide(payeeWith(), {})).toBeUndefined();
    expect(decide(payeeWith(), { applyBackupWithholding: false })).toBeUndefined();
    expect(decide(payeeWith(), { applyBackupWithholding: true, reason: 'x' })).toEqual([
      'WITHHOLDING_NOT_DUE',
      'There is an approved W-9: nothing may be withheld.',
    ]);
    expect(decide(payeeWith({ w9: w9Of('Grace Hopper', false) }), {})).toEqual({
      reason: 'The payee crossed out item 2 of the W-9 certification: subject to backup withholding',
    });
  });
});

describe('a doubt about the payee', () => {
  const held = (name: string) => ({
    bankDetails: { accountHolderName: name } as ReturnType<typeof payoutWith>['bankDetails'],
  });

  it('is there when the identity check is not verified any more', () => {
    const doubt = payeeDoubt(payoutWith(), payeeWith({ kycVerified: false }), 'ach');
    expect(doubt?.error).toMatchObject({
      code: 'KYC_NOT_VERIFIED',
      message: 'The identity check of the payee is not verified any more. The payout went to manual review.',
    });
    expect(doubt?.holdReason).toBe(
      'KYC_NOT_VERIFIED: The identity check of the payee is not verified any more.',
    );
  });

  it('is there when a name differs; the account holder counts for ACH only', () => {
    expect(payeeDoubt(payoutWith(held('Grace Hopper')), payeeWith(), 'ach')).toBeUndefined();
    expect(payeeDoubt(payoutWith(), payeeWith({ w9: undefined }), 'ach')).toBeUndefined();
    const doubt = payeeDoubt(payoutWith(held('Ada Lovelace')), payeeWith(), 'ach');
    expect(doubt?.error).toMatchObject({
      code: 'NAME_MISMATCH',
      message: 'The names on identity check, W-9 and bank account differ. The payout went to manual review.',
      details: { names: { kyc: 'Grace Hopper', w9: 'Grace Hopper', accountHolder: 'Ada Lovelace' } },
    });
    expect(doubt?.holdReason).toBe(
      'NAME_MISMATCH: The names differ. Identity check: Grace Hopper. W-9: Grace Hopper. Bank account: Ada Lovelace.',
    );
    expect(payeeDoubt(payoutWith(held('Ada Lovelace')), payeeWith(), 'check')).toBeUndefined();
  });

  it('names nothing that is not there', () => {
    const names = (method: 'ach' | 'check', payout: ReturnType<typeof payoutWith>, w9: string | null) =>
      payeeDoubt(payout, payeeWith({ w9: w9 === null ? undefined : w9Of(w9) }), method)?.error.details?.[
        'names'
      ];
    const kyc = 'Grace Hopper';
    const w9 = 'Ada Lovelace';
    expect(names('check', payoutWith(held(w9)), w9)).toEqual({ kyc, w9, accountHolder: null });
    expect(names('ach', payoutWith(), w9)).toEqual({ kyc, w9, accountHolder: null });
    expect(names('ach', payoutWith(held(w9)), null)).toEqual({ kyc, w9: null, accountHolder: w9 });
  });

  it('is gone for the very names that a reviewer accepted', () => {
    const accepted = namesKey({ kyc: 'Grace Hopper', w9: 'Grace Hopper', accountHolder: 'Ada Lovelace' });
    const payout = (name: string) => payoutWith({ ...held(name), acceptedNames: accepted });
    expect(payeeDoubt(payout('Ada Lovelace'), payeeWith(), 'ach')).toBeUndefined();
    expect(payeeDoubt(payout('Ada Byron'), payeeWith(), 'ach')).toBeDefined();
  });
});

describe('what instructions freeze', () => {
  const facts: FrozenFacts = {
    payoutId: 'PO-2026-AAAAAAAA',
    attempt: 1,
    paymentMethod: 'ach',
    grossCents: 10_000_000,
    retentionFeeCents: 30_000,
    withheldCents: 0,
    netCents: 9_970_000,
    payee: payeeWith(),
    bankDetailsVersion: 1,
    bankFingerprint: 'f1',
    accountHolderName: 'Grace Hopper',
  };
  const byCheck: FrozenFacts = { ...facts, paymentMethod: 'check' };
  const address = { ...payeeWith().address!, line1: '2 Main Street' };
  const always: Partial<FrozenFacts>[] = [
    { payoutId: 'PO-2026-BBBBBBBB' },
    { attempt: 2 },
    { grossCents: 1 },
    { retentionFeeCents: 1 },
    { withheldCents: 1 },
    { netCents: 1 },
    { payee: payeeWith({ legalName: 'Ada Lovelace' }) },
    { payee: payeeWith({ kycVerified: false }) },
    { payee: payeeWith({ w9: undefined }) },
  ];
  const ofAch: Partial<FrozenFacts>[] = [
    { bankDetailsVersion: 2 },
    { bankFingerprint: 'f2' },
    { accountHolderName: 'Ada Lovelace' },
  ];
  const ofCheck: Partial<FrozenFacts>[] = [
    { payee: payeeWith({ address }) },
    { payee: payeeWith({ address: undefined }) },
  ];
  const hash = instructionsHash;

  it('is all that the money goes by, and where it goes by this method', () => {
    expect(hash(facts)).toMatch(/^[0-9a-f]{64}$/);
    expect(hash({ ...facts })).toBe(hash(facts));
    expect(hash(byCheck)).not.toBe(hash(facts));
    for (const change of [...always, ...ofAch])
      expect(hash({ ...facts, ...change }), `ach ${JSON.stringify(change)}`).not.toBe(hash(facts));
    for (const change of [...always, ...ofCheck])
      expect(hash({ ...byCheck, ...change }), `check ${JSON.stringify(change)}`).not.toBe(hash(byCheck));
  });

  it('is not where it does not go', () => {
    for (const change of ofCheck) expect(hash({ ...facts, ...change })).toBe(hash(facts));
    for (const change of ofAch) expect(hash({ ...byCheck, ...change })).toBe(hash(byCheck));
  });
});
