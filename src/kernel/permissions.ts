import type { CallerActor, StaffRole } from './actor.ts';

interface Grant {
  staff: readonly StaffRole[];
  /** May a person do it to what is their own? Staff keep this for their own data. */
  own?: boolean;
  /** The scope with which a machine may do it. */
  scope?: string;
}

const everybody = ['admin', 'finance_manager', 'viewer'] as const;
const deciders = ['admin', 'finance_manager'] as const;

/** The table of section 2 of the specification. Every route names one of these, or says that it is public. */
export const PERMISSIONS = {
  'payouts.read': { staff: everybody },
  'payouts.read-one': { staff: everybody, own: true },
  'eligibility.read': { staff: everybody },
  'eligibility.check': { staff: ['admin'] },
  'candidates.read': { staff: everybody },
  'payouts.initiate': { staff: ['admin'] },
  'payouts.cancel': { staff: ['admin'] },
  'payouts.approve': { staff: deciders },
  'payouts.reject': { staff: deciders },
  'payouts.hold': { staff: deciders },
  'payouts.resume': { staff: deciders },
  'payouts.note': { staff: deciders },
  'instructions.generate': { staff: deciders },
  'instructions.download': { staff: deciders },
  'payments.mark-sent': { staff: deciders },
  'payments.confirm': { staff: deciders },
  'payments.fail': { staff: deciders },
  'receipts.read': { staff: everybody, own: true },
  'member-payout.read': { staff: everybody, own: true },
  'bank-info.submit': { staff: [], own: true },
  'tax-info.submit': { staff: [], own: true },
  'membership.read': { staff: everybody, own: true },
  'membership.reactivate': { staff: ['admin'], scope: 'membership:reactivate' },
  'tax-forms.read': { staff: everybody },
  'tax-forms.pdf': { staff: everybody, own: true },
  'tax-forms.review': { staff: deciders },
  'tax-forms.issue': { staff: deciders },
  'tax-forms.amend': { staff: deciders },
  'tax-forms.file': { staff: ['finance_manager'] },
  'secrets.reveal': { staff: ['finance_manager'] },
  'reports.payouts': { staff: everybody },
  'reports.withholding': { staff: everybody },
  'audit.read': { staff: everybody },
  'notifications.read': { staff: everybody },
  'notifications.resend': { staff: ['admin'] },
  'links.verify': { staff: everybody, own: true },
  'alerts.read': { staff: everybody },
  'alerts.acknowledge': { staff: ['admin'] },
  'jobs.read': { staff: everybody },
  'jobs.run': { staff: ['admin'] },
  'demo.clock': { staff: ['admin'] },
} as const satisfies Record<string, Grant>;

export type Permission = keyof typeof PERMISSIONS;

/**
 * May this caller do it? `ownerId` is the person whose data it is, where the address of the request names one;
 * where it does not (a payout's id), the service looks whose it is, and `'unknown'` lets an owner through to there.
 */
export function permits(permission: Permission, actor: CallerActor, ownerId: string): boolean {
  const grant: Grant = PERMISSIONS[permission];
  if (actor.kind === 'service') return grant.scope !== undefined && actor.scopes.includes(grant.scope);
  if (actor.kind === 'staff' && grant.staff.includes(actor.role)) return true;
  return grant.own === true && (ownerId === 'unknown' || ownerId === actor.userId);
}

/** Does the actor's staff role alone allow it? */
export const staffMay = (permission: Permission, actor: { kind: string; role?: StaffRole }): boolean =>
  actor.kind === 'staff' &&
  actor.role !== undefined &&
  (PERMISSIONS[permission] as Grant).staff.includes(actor.role);

/** The staff roles that could act instead, for a refusal to name. */
export const rolesThatMay = (permission: Permission): readonly StaffRole[] => PERMISSIONS[permission].staff;
