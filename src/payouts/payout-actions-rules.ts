/** Who may do what to a payout now, and why not. The services decide by it and `allowedActions` is made from it. */
import { isSamePerson, type Actor, type StaffActor } from '../kernel/actor.ts';
import type { ErrorCode } from '../kernel/errors.ts';
import { BANK_INFO_STATUSES, statesBefore, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import { PERMISSIONS, rolesThatMay, staffMay, type Permission } from '../kernel/permissions.ts';
import type { Payout, PayoutCase } from './payout.ts';

const STAFF_ACTIONS = [
  'approve',
  'reject',
  'generate-instructions',
  'instructions',
  'mark-sent',
  'confirm',
  'fail',
  'hold',
  'resume',
  'cancel',
  'notes',
] as const;
const MEMBER_ACTIONS = ['bank-info', 'tax-info'] as const;
export const PAYOUT_ACTIONS = [...STAFF_ACTIONS, ...MEMBER_ACTIONS] as const;
export type PayoutAction = (typeof PAYOUT_ACTIONS)[number];

export interface Refusal {
  code: ErrorCode;
  message: string;
}

interface ActionRule {
  permission: Permission;
  /** Statuses in which it can be done; undefined is any. */
  from?: readonly PayoutStatus[];
  /** The rule of separation that bars this person, if one does. */
  barred?: (actor: StaffActor, subject: PayoutCase) => string | null;
}

const ACTION_RULES: Record<PayoutAction, ActionRule> = {
  approve: { permission: 'payouts.approve', from: ['pending_approval'], barred: approverBarred },
  reject: { permission: 'payouts.reject', from: ['pending_approval'], barred: decidedBefore },
  'generate-instructions': {
    permission: 'instructions.generate',
    from: ['approved', 'pending_bank_info', 'pending_tax_info', 'payment_failed'],
    barred: failureRecorderBarred,
  },
  instructions: { permission: 'instructions.download', from: ['ready_for_payment', 'payment_sent'] },
  'mark-sent': { permission: 'payments.mark-sent', from: statesBefore('payment_sent'), barred: senderBarred },
  confirm: { permission: 'payments.confirm', from: statesBefore('completed') },
  fail: { permission: 'payments.fail', from: ['ready_for_payment', 'payment_sent', 'completed'] },
  hold: { permission: 'payouts.hold', from: statesBefore('requires_manual_review') },
  resume: { permission: 'payouts.resume', from: ['requires_manual_review'] },
  cancel: { permission: 'payouts.cancel', from: statesBefore('cancelled') },
  notes: { permission: 'payouts.note' },
  'bank-info': { permission: 'bank-info.submit', from: BANK_INFO_STATUSES },
  'tax-info': { permission: 'tax-info.submit' },
};

function decidedBefore(actor: StaffActor, { approvals }: PayoutCase): string | null {
  return approvals.some((approval) => isSamePerson(actor, approval.adminId))
    ? 'You have decided in this round already: the same person never decides twice.'
    : null;
}

function approverBarred(actor: StaffActor, subject: PayoutCase): string | null {
  return isSamePerson(actor, subject.payout.initiatedBy)
    ? 'You initiated this payout: whoever initiated a payout never approves it.'
    : decidedBefore(actor, subject);
}

function failureRecorderBarred(actor: StaffActor, { lastFailure }: PayoutCase): string | null {
  return lastFailure && isSamePerson(actor, lastFailure.failedBy)
    ? 'You recorded the failure: whoever did neither generates nor sends the next payment.'
    : null;
}

function senderBarred(actor: StaffActor, subject: PayoutCase): string | null {
  return subject.liveAttempt && isSamePerson(actor, subject.liveAttempt.generatedBy)
    ? 'You generated these instructions: whoever generated them never marks them sent.'
    : failureRecorderBarred(actor, subject);
}

/** The reason why the actor may not do it now, or null. Role first, then status, then separation of duties. */
export function refusalOf(action: PayoutAction, actor: Actor, subject: PayoutCase): Refusal | null {
  const rule = ACTION_RULES[action];
  const { payout } = subject;
  if (actor.kind === 'system') return statusRefusal(action, rule, payout.status);
  const isPayee = actor.kind !== 'service' && actor.userId === payout.userId;
  const own = isPayee && isVisibleToPayee(payout) && 'own' in PERMISSIONS[rule.permission];
  if (!own && !staffMay(rule.permission, actor)) {
    return { code: 'FORBIDDEN', message: `Only ${whoMay(rule.permission)} may do this.` };
  }
  const wrongStatus = statusRefusal(action, rule, payout.status);
  if (wrongStatus) return wrongStatus;
  if (own) return null;
  if (isPayee) {
    return separation('Nobody acts on a payout of which they are the payee.', rule.permission);
  }
  const barred = actor.kind === 'staff' ? rule.barred?.(actor, subject) : null;
  return barred ? separation(barred, rule.permission) : null;
}

function statusRefusal(action: PayoutAction, rule: ActionRule, status: PayoutStatus): Refusal | null {
  if (!rule.from || rule.from.includes(status)) return null;
  return {
    code: 'INVALID_STATE',
    message: `The payout is ${status}; ${action} needs it to be ${rule.from.join(' or ')}.`,
  };
}

const separation = (message: string, permission: Permission): Refusal => ({
  code: 'SEPARATION_OF_DUTIES',
  message: `${message} Another ${rolesThatMay(permission).join(' or ')} can.`,
});

function whoMay(permission: Permission): string {
  const roles = rolesThatMay(permission);
  return roles.length > 0 ? roles.join(' or ') : 'the member';
}

/** What this caller may do now, and why not the rest. Members get their own actions, staff theirs. */
export function allowedActions(
  actor: Actor,
  subject: PayoutCase,
): { action: PayoutAction; allowed: boolean; reason?: string }[] {
  const isPayee =
    (actor.kind === 'staff' || actor.kind === 'member') && actor.userId === subject.payout.userId;
  const actions = [...(actor.kind === 'member' ? [] : STAFF_ACTIONS), ...(isPayee ? MEMBER_ACTIONS : [])];
  return actions.map((action) => {
    const refusal = refusalOf(action, actor, subject);
    return refusal ? { action, allowed: false, reason: refusal.message } : { action, allowed: true };
  });
}

/** A member sees nothing of a payout before it is approved; one that never was stays hidden. */
export const isVisibleToPayee = (payout: Pick<Payout, 'approvedAt'>): boolean => payout.approvedAt !== null;
