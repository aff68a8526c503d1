/** Who may do what to a payout, in every status: role first, then status, then separation of duties. */
import { describe, expect, it } from 'vitest';
import type { Actor, StaffRole } from '../../src/kernel/actor.ts';
import { systemActor } from '../../src/kernel/actor.ts';
import { PAYOUT_STATUSES, type PayoutStatus } from '../../src/kernel/payout-lifecycle.ts';
import {
  allowedActions,
  isVisibleToPayee,
  PAYOUT_ACTIONS,
  refusalOf,
  type PayoutAction,
} from '../../src/payouts/payout-actions-rules.ts';
import { attemptWith, caseOf, decisionOf, PAYEE_ID } from '../support/payout-cases.ts';

const OPEN = ['pending_approval', 'approved', 'pending_bank_info', 'pending_tax_info', 'ready_for_payment', 'payment_failed'] as const; // prettier-ignore

/** By hand from sections 2 and 3; undefined is any status. */
const RULES: Record<PayoutAction, { who: string; from: readonly PayoutStatus[] | undefined }> = {
  approve: { who: 'admin or finance_manager', from: ['pending_approval'] },
  reject: { who: 'admin or finance_manager', from: ['pending_approval'] },
  'generate-instructions': { who: 'admin or finance_manager', from: ['approved', 'pending_bank_info', 'pending_tax_info', 'payment_failed'] },
  instructions: { who: 'admin or finance_manager', from: ['ready_for_payment', 'payment_sent'] },
  'mark-sent': { who: 'admin or finance_manager', from: ['ready_for_payment'] },
  confirm: { who: 'admin or finance_manager', from: ['payment_sent'] },
  fail: { who: 'admin or finance_manager', from: ['ready_for_payment', 'payment_sent', 'completed'] },
  hold: { who: 'admin or finance_manager', from: OPEN },
  resume: { who: 'admin or finance_manager', from: ['requires_manual_review'] },
  cancel: { who: 'admin', from: [...OPEN, 'requires_manual_review'] },
  notes: { who: 'admin or finance_manager', from: undefined },
  'bank-info': { who: 'the member', from: ['approved', 'pending_bank_info', 'pending_tax_info', 'ready_for_payment', 'payment_failed'] },
  'tax-info': { who: 'the member', from: undefined },
}; // prettier-ignore

const ACTIONS = Object.keys(RULES) as PayoutAction[];
const OWN: readonly PayoutAction[] = ['bank-info', 'tax-info'];
const OTHER_ID = '00000000-0000-4000-8000-00000000bbbb';

const staff = (role: StaffRole, adminId = 9, userId = OTHER_ID): Actor => ({
  kind: 'staff',
  adminId,
  userId,
  email: 's@example.com',
  role,
});
const memberOf = (userId: string): Actor => ({ kind: 'member', userId, email: 'm@example.com' });
const machine: Actor = { kind: 'service', subject: 'machine', scopes: ['membership:reactivate'] };

const inStatus = (action: PayoutAction, status: PayoutStatus) =>
  RULES[action].from === undefined || RULES[action].from.includes(status);

const codeOf = (action: PayoutAction, actor: Actor, subject = caseOf()) =>
  refusalOf(action, actor, subject)?.code ?? 'allowed';

describe('who may act on a payout', () => {
  it('is decided for every action', () => {
    expect([...PAYOUT_ACTIONS].toSorted()).toEqual(ACTIONS.toSorted());
  });

  it.each(ACTIONS)('is decided for %s by role, then by status', (action) => {
    const { who, from } = RULES[action];
    for (const status of PAYOUT_STATUSES) {
      const subject = caseOf({ status });
      const then = inStatus(action, status) ? 'allowed' : 'INVALID_STATE';
      for (const role of ['admin', 'finance_manager', 'viewer'] as const)
        expect(codeOf(action, staff(role), subject), `${role}, ${status}`).toBe(
          who.split(' ').includes(role) ? then : 'FORBIDDEN',
        );
      expect(codeOf(action, memberOf(PAYEE_ID), subject), `payee, ${status}`).toBe(
        OWN.includes(action) ? then : 'FORBIDDEN',
      );
      expect(codeOf(action, memberOf(OTHER_ID), subject)).toBe('FORBIDDEN');
      expect(codeOf(action, machine, subject)).toBe('FORBIDDEN');
      expect(codeOf(action, systemActor('job'), subject)).toBe(then);
      const refusal = refusalOf(action, systemActor('job'), subject);
      if (from && refusal)
        expect(refusal.message).toMatch(
          new RegExp(`^The payout is ${status}; ${action} needs it to be .*${from.at(-1)}`),
        );
    }
    expect(refusalOf(action, memberOf(OTHER_ID), caseOf())?.message).toBe(`Only ${who} may do this.`);
  });

  it('says what status it needs', () => {
    expect(refusalOf('fail', staff('admin'), caseOf({ status: 'approved' }))).toEqual({
      code: 'INVALID_STATE',
      message: 'The payout is approved; fail needs it to be ready_for_payment or payment_sent or completed.',
    });
  });

  it('is nobody who is the payee, but for their own bank and tax data', () => {
    for (const role of ['admin', 'finance_manager'] as const)
      for (const action of ACTIONS) {
        const status = RULES[action].from?.[0] ?? 'approved';
        const found = codeOf(action, staff(role, 9, PAYEE_ID), caseOf({ status }));
        const may = RULES[action].who.split(' ').includes(role);
        expect(found, `${action} as ${role}`).toBe(
          OWN.includes(action) ? 'allowed' : may ? 'SEPARATION_OF_DUTIES' : 'FORBIDDEN',
        );
      }
    expect(refusalOf('notes', staff('admin', 9, PAYEE_ID), caseOf())?.message).toBe(
      'Nobody acts on a payout of which they are the payee. Another admin or finance_manager can.',
    );
  });

  it('is no payee before the payout was approved', () => {
    expect(isVisibleToPayee({ approvedAt: null })).toBe(false);
    expect(isVisibleToPayee({ approvedAt: new Date() })).toBe(true);
    for (const action of OWN)
      expect(codeOf(action, memberOf(PAYEE_ID), caseOf({ approvedAt: null }))).toBe('FORBIDDEN');
  });
});

describe('four eyes', () => {
  const initiator = staff('admin', 1);
  const third = staff('finance_manager', 3);
  const pending = { status: 'pending_approval' } as const;

  it('keep whoever initiated a payout from approving it, and let them reject it', () => {
    expect(refusalOf('approve', initiator, caseOf(pending))).toEqual({
      code: 'SEPARATION_OF_DUTIES',
      message:
        'You initiated this payout: whoever initiated a payout never approves it. Another admin or finance_manager can.',
    });
    expect(codeOf('reject', initiator, caseOf(pending))).toBe('allowed');
    expect(codeOf('approve', third, caseOf(pending))).toBe('allowed');
  });

  it('let nobody decide twice in a round', () => {
    const decided = caseOf(pending, { approvals: [decisionOf(2), decisionOf(3)] });
    for (const action of ['approve', 'reject'] as const) {
      expect(refusalOf(action, third, decided)?.message).toMatch(
        /^You have decided in this round already: the same person never decides twice\. Another/,
      );
      expect(codeOf(action, staff('admin', 4), decided)).toBe('allowed');
    }
  });

  it('keep whoever generated instructions from marking them sent', () => {
    const ready = caseOf(
      { status: 'ready_for_payment' },
      { liveAttempt: attemptWith({ generatedBy: 3 }), lastFailure: attemptWith({ failedBy: 5 }) },
    );
    expect(refusalOf('mark-sent', third, ready)?.message).toMatch(
      /^You generated these instructions: whoever generated them never marks them sent\. /,
    );
    expect(refusalOf('mark-sent', staff('admin', 5), ready)?.message).toMatch(/^You recorded the failure/);
    expect(codeOf('mark-sent', staff('admin', 4), ready)).toBe('allowed');
    expect(codeOf('mark-sent', third, caseOf({ status: 'ready_for_payment' }))).toBe('allowed');
  });

  it('keep whoever recorded a failure from generating the next attempt', () => {
    const failed = caseOf({ status: 'payment_failed' }, { lastFailure: attemptWith({ failedBy: 3 }) });
    expect(refusalOf('generate-instructions', third, failed)?.message).toMatch(
      /^You recorded the failure: whoever did neither generates nor sends the next payment\. /,
    );
    expect(codeOf('generate-instructions', staff('admin', 4), failed)).toBe('allowed');
    // Nothing else is kept from them.
    for (const action of ['hold', 'cancel', 'notes'] as const)
      expect(codeOf(action, staff('admin', 3), failed)).toBe('allowed');
  });
});

describe('allowedActions', () => {
  const names = (actor: Actor) => allowedActions(actor, caseOf()).map(({ action }) => action);

  it('are of the staff for staff, of the member for the payee, and of both for whoever is both', () => {
    const ofStaff = ACTIONS.filter((action) => !OWN.includes(action));
    expect(names(staff('viewer'))).toEqual(ofStaff);
    expect(names(memberOf(PAYEE_ID))).toEqual(OWN);
    expect(names(memberOf(OTHER_ID))).toEqual([]);
    expect(names(staff('viewer', 9, PAYEE_ID))).toEqual([...ofStaff, ...OWN]);
    expect(names(machine)).toEqual(ofStaff);
  });

  it('say why not, and nothing more where it is allowed', () => {
    const found = allowedActions(staff('finance_manager'), caseOf());
    expect(found.find(({ action }) => action === 'hold')).toEqual({ action: 'hold', allowed: true });
    expect(found.find(({ action }) => action === 'cancel')).toEqual({
      action: 'cancel',
      allowed: false,
      reason: 'Only admin may do this.',
    });
  });
});
