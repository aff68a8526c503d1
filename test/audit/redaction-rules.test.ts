import { expect, it } from 'vitest';
import { redact } from '../../src/audit/redaction-rules.ts';

it('keeps what is on the list, and hides the rest', () => {
  expect(redact({ status: 'approved', tin: '123-45-6789', password: 'x', legalName: 'Grace' })).toEqual({
    status: 'approved',
    tin: '[hidden]',
    password: '[hidden]',
    legalName: '[hidden]',
  });
});

it.each([
  ['****6789', true],
  ['****', true],
  ['****67890', false],
  ['***6789', false],
  ['000123456789', false],
  ['x****6789', false],
  ['****6789x', false],
  [6789, false],
  [null, false],
])('a number stays only when it is masked: %s', (number, stays) => {
  for (const name of ['accountNumber', 'routingNumber'])
    expect(redact({ [name]: number })).toEqual({ [name]: stays ? number : '[hidden]' });
});

it('gives plain JSON, without what is undefined', () => {
  const at = new Date('2026-11-20T12:00:00Z');
  expect(redact({ acknowledgedAt: at, note: undefined, count: 3 })).toEqual({
    acknowledgedAt: '2026-11-20T12:00:00.000Z',
    count: 3,
  });
  expect(Object.keys(redact({ note: undefined }))).toEqual([]);
});

it('keeps every name that entries are told apart by', () => {
  const names = [
    'accountType', 'acknowledgedAt', 'action', 'amount', 'attempt', 'attempts', 'awardedPayouts', 'availableSlots',
    'awarded', 'approvals', 'bankDetailsVersion', 'category', 'code', 'companyAgeMonths', 'completedDate',
    'confirmationNumber', 'copy', 'count', 'currency', 'decision', 'dueDate', 'eligibleMemberCount',
    'expectedArrivalDate', 'finishedAt', 'formId', 'formType', 'fundingTranche', 'grossAmount', 'heldFrom',
    'initiatedBy', 'instructionsHash', 'isEligible', 'job', 'membershipRemovalDate', 'method', 'netAmount', 'note', 'now',
    'number', 'offsetMs', 'overrideReason', 'path', 'paymentDate', 'paymentMethod', 'payoutId', 'potentialWinners',
    'queuePosition', 'reason', 'receiptUrl', 'requestId', 'retentionFee', 'returnCode', 'round', 'sentDate', 'severity',
    'status', 'stopPaymentReference', 'submitted', 'taxClassification', 'taxYear', 'template', 'tinType', 'to',
    'totalRevenue', 'trackingNumber', 'trigger', 'userId', 'version', 'withheldAmount', 'withholdingRate',
  ]; // prettier-ignore
  for (const name of names) expect(redact({ [name]: 1 }), name).toEqual({ [name]: 1 });
});
