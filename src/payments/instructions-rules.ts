import { createHash } from 'node:crypto';
import type { PaymentMethod } from '../db/schema/index.ts';
import { canonicalJson } from '../kernel/canonical-json.ts';
import { DomainError } from '../kernel/errors.ts';
import {
  allNamesMatch,
  mismatchReason,
  namesKey,
  nameWords,
  payeeNames,
} from '../payouts/payee-names-rules.ts';
import type { PayeeFacts } from '../payouts/payout-requirements.ts';
import type { Payout } from '../payouts/payout.ts';

export interface InstructionsRequest {
  paymentMethod?: PaymentMethod | undefined;
  applyBackupWithholding?: boolean | undefined;
  reason?: string | undefined;
  callbackVerification?: string | undefined;
}

/** Why there is withholding; undefined when there is none. */
export interface Withholding {
  /** The payee sees it. */
  reason: string;
  /** What finance gave as the reason, for staff alone. */
  remark?: string;
}

const HOUR_MS = 3_600_000;

/** Throws what is missing before instructions can be made; nothing is changed by it (specification, section 8). */
export function assertNothingMissing(
  payout: Payout,
  payee: PayeeFacts,
  request: InstructionsRequest,
  method: PaymentMethod,
  terms: { now: Date; cooloffHours: number },
): void {
  if (method === 'ach' && payout.bankDetailsVersion === null) {
    throw new DomainError(
      'BANK_INFO_MISSING',
      'The member has given no bank details. Wait for them, or pay by check.',
    );
  }
  if (method === 'check' && !payee.address) {
    throw new DomainError('ADDRESS_MISSING', 'The member has no primary address to send a check to.');
  }
  if (method === 'ach' && payout.bankDetailsChangedAt && request.callbackVerification === undefined) {
    const until = new Date(payout.bankDetailsChangedAt.getTime() + terms.cooloffHours * HOUR_MS);
    if (until > terms.now) {
      throw new DomainError(
        'COOLOFF_ACTIVE',
        `Bank details were changed a short time ago. Wait until ${until.toISOString()}, or call the member back and note it in callbackVerification.`,
        { until: until.toISOString() },
      );
    }
  }
}

/** Decides backup withholding. Throws W9_MISSING or WITHHOLDING_NOT_DUE where the request does not fit the facts. */
export function decideWithholding(payee: PayeeFacts, request: InstructionsRequest): Withholding | undefined {
  if (payee.w9?.data.certification.notSubjectToBackupWithholding === false) {
    return { reason: 'The payee crossed out item 2 of the W-9 certification: subject to backup withholding' };
  }
  if (payee.w9) {
    if (request.applyBackupWithholding !== true) return undefined;
    throw new DomainError('WITHHOLDING_NOT_DUE', 'There is an approved W-9: nothing may be withheld.');
  }
  if (request.applyBackupWithholding !== true || request.reason === undefined) {
    throw new DomainError(
      'W9_MISSING',
      'There is no approved W-9. Wait for it, or set applyBackupWithholding to true and give a reason.',
    );
  }
  return { reason: 'No W-9 on file', remark: request.reason };
}

/** Why the payout must be looked at by a person before it is paid, if it must: what the caller and the reviewer are told. */
export function payeeDoubt(
  payout: Payout,
  payee: PayeeFacts,
  method: PaymentMethod,
): { error: DomainError; holdReason: string } | undefined {
  if (!payee.kycVerified) {
    const error = new DomainError(
      'KYC_NOT_VERIFIED',
      'The identity check of the payee is not verified any more. The payout went to manual review.',
    );
    return {
      error,
      holdReason: 'KYC_NOT_VERIFIED: The identity check of the payee is not verified any more.',
    };
  }
  if (nameWords(payee.legalName).length === 0) {
    const message = 'Neither the identity check nor the account says who the payee is.';
    return {
      error: new DomainError('NAME_MISMATCH', `${message} The payout went to manual review.`),
      holdReason: `NAME_MISMATCH: ${message}`,
    };
  }
  const names = payeeNames(payout, payee, method);
  const { kyc, w9, accountHolder } = names;
  if (allNamesMatch([kyc, w9, accountHolder]) || payout.acceptedNames === namesKey(names)) return undefined;
  const error = new DomainError(
    'NAME_MISMATCH',
    'The names on identity check, W-9 and bank account differ. The payout went to manual review.',
    { names: { kyc, w9: w9 ?? null, accountHolder: accountHolder ?? null } },
  );
  return { error, holdReason: mismatchReason(names) };
}

/** What instructions freeze. */
export interface FrozenFacts {
  payoutId: string;
  attempt: number;
  paymentMethod: PaymentMethod;
  grossCents: number;
  retentionFeeCents: number;
  withheldCents: number;
  netCents: number;
  payee: PayeeFacts;
  bankDetailsVersion: number | null;
  bankFingerprint: string | undefined;
  accountHolderName: string | undefined;
}

/** SHA-256 in hex over payee, amounts, method, and what the money is sent to. */
export function instructionsHash({ payee, ...facts }: FrozenFacts): string {
  const ach = facts.paymentMethod === 'ach';
  return createHash('sha256')
    .update(
      canonicalJson({
        ...facts,
        bankDetailsVersion: ach ? facts.bankDetailsVersion : null,
        bankFingerprint: ach ? facts.bankFingerprint : null,
        accountHolderName: ach ? facts.accountHolderName : null,
        address: ach ? null : payee.address,
        payeeName: payee.legalName,
        kycVerified: payee.kycVerified,
        w9: payee.w9?.formId ?? null,
      }),
    )
    .digest('hex');
}
