/** A payment that was sent has failed only where the money is known to be back. */
import { expect, it } from 'vitest';
import { assertProven, FAILURES_BEFORE_REVIEW } from '../../src/payments/failure-rules.ts';
import { DomainError } from '../../src/kernel/errors.ts';
import { attemptWith } from '../support/payout-cases.ts';

const reason = 'A test.';

it.each([
  ['ready', 'ach', {}, null],
  ['ready', 'check', {}, null],
  ['sent', 'ach', { returnCode: 'R01' }, null],
  ['sent', 'ach', {}, { needs: 'returnCode' }],
  ['sent', 'ach', { stopPaymentReference: 'S' }, { needs: 'returnCode' }],
  ['sent', 'check', { stopPaymentReference: 'S' }, null],
  ['sent', 'check', { returnCode: 'R01' }, { needs: 'stopPaymentReference' }],
  ['completed', 'ach', { returnCode: 'R01' }, null],
  ['completed', 'ach', {}, { needs: 'returnCode' }],
  ['completed', 'check', { stopPaymentReference: 'S', returnCode: 'R01' }, undefined],
] as const)('%s by %s with %o', (status, paymentMethod, evidence, details) => {
  const attempt = attemptWith({ status, paymentMethod }) as Parameters<typeof assertProven>[0];
  const found = (): unknown => {
    try {
      assertProven(attempt, { reason, ...evidence });
      return null;
    } catch (error) {
      return error;
    }
  };
  if (details === null) return expect(found()).toBeNull();
  const error = found() as DomainError;
  expect(error).toBeInstanceOf(DomainError);
  expect([error.code, error.details]).toEqual(['FAILURE_NOT_PROVEN', details]);
  expect(error.message).toBe(
    details === undefined
      ? 'A completed check cannot fail any more: only an ACH payment can be returned.'
      : `A payment that was sent by ${paymentMethod} needs ${details.needs} as evidence.`,
  );
});

it('the third failure is for a person to look at', () => {
  expect(FAILURES_BEFORE_REVIEW).toBe(3);
});
