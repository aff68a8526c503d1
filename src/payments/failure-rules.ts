import type { PaymentMethod } from '../db/schema/index.ts';
import { DomainError } from '../kernel/errors.ts';
import type { AttemptRow } from '../payouts/payout.ts';

export interface FailureReport {
  reason: string;
  returnCode?: string | undefined;
  stopPaymentReference?: string | undefined;
}

/** Failures after which a person must look before it is tried again. */
export const FAILURES_BEFORE_REVIEW = 3;

/**
 * A payment that was sent has failed only if the money is known to be back: an ACH return code, or the bank's reference
 * of the stop payment on a check. A completed one fails by an ACH return only. Throws FAILURE_NOT_PROVEN.
 */
export function assertProven(
  attempt: Pick<AttemptRow, 'status' | 'paymentMethod'>,
  report: FailureReport,
): void {
  if (attempt.status === 'ready') return;
  const wanted = WANTED[attempt.paymentMethod];
  if (attempt.status === 'completed' && attempt.paymentMethod !== 'ach') {
    throw new DomainError(
      'FAILURE_NOT_PROVEN',
      'A completed check cannot fail any more: only an ACH payment can be returned.',
    );
  }
  if (report[wanted] === undefined) {
    throw new DomainError(
      'FAILURE_NOT_PROVEN',
      `A payment that was sent by ${attempt.paymentMethod} needs ${wanted} as evidence.`,
      {
        needs: wanted,
      },
    );
  }
}

const WANTED: Record<PaymentMethod, 'returnCode' | 'stopPaymentReference'> = {
  ach: 'returnCode',
  check: 'stopPaymentReference',
};
