/** Section 2 of the specification, written out by hand for every permission. */
import { describe, expect, it } from 'vitest';
import type { CallerActor, StaffRole } from '../../src/kernel/actor.ts';
import {
  PERMISSIONS,
  permits,
  rolesThatMay,
  staffMay,
  type Permission,
} from '../../src/kernel/permissions.ts';

/** A admin, F finance_manager, V viewer; "own" for the person's own data; a scope for machines. */
const TABLE: Record<Permission, string> = {
  'payouts.read': 'A F V',
  'payouts.read-one': 'A F V own',
  'eligibility.read': 'A F V',
  'eligibility.check': 'A',
  'candidates.read': 'A F V',
  'payouts.initiate': 'A',
  'payouts.cancel': 'A',
  'payouts.approve': 'A F',
  'payouts.reject': 'A F',
  'payouts.hold': 'A F',
  'payouts.resume': 'A F',
  'payouts.note': 'A F',
  'instructions.generate': 'A F',
  'instructions.download': 'A F',
  'payments.mark-sent': 'A F',
  'payments.confirm': 'A F',
  'payments.fail': 'A F',
  'receipts.read': 'A F V own',
  'member-payout.read': 'A F V own',
  'bank-info.submit': 'own',
  'tax-info.submit': 'own',
  'membership.read': 'A F V own',
  'membership.reactivate': 'A membership:reactivate',
  'tax-forms.read': 'A F V',
  'tax-forms.pdf': 'A F V own',
  'tax-forms.review': 'A F',
  'tax-forms.issue': 'A F',
  'tax-forms.amend': 'A F',
  'tax-forms.file': 'F',
  'secrets.reveal': 'F',
  'reports.payouts': 'A F V',
  'reports.withholding': 'A F V',
  'audit.read': 'A F V',
  'notifications.read': 'A F V',
  'notifications.resend': 'A',
  'links.verify': 'A F V own',
  'alerts.read': 'A F V',
  'alerts.acknowledge': 'A',
  'jobs.read': 'A F V',
  'jobs.run': 'A',
  'demo.clock': 'A',
};

const ROLES: Record<StaffRole, string> = { admin: 'A', finance_manager: 'F', viewer: 'V' };
const ME = '00000000-0000-4000-8000-000000000001';
const OTHER = '00000000-0000-4000-8000-000000000002';

const staff = (role: StaffRole): CallerActor => ({
  kind: 'staff',
  adminId: 7,
  userId: ME,
  email: 's@example.com',
  role,
});
const member: CallerActor = { kind: 'member', userId: ME, email: 'm@example.com' };
const machine = (...scopes: string[]): CallerActor => ({ kind: 'service', subject: 'machine', scopes });

const permissions = Object.keys(TABLE) as Permission[];

describe('the table of permissions', () => {
  it('is the whole of it', () => {
    expect(Object.keys(PERMISSIONS).toSorted()).toEqual(permissions.toSorted());
  });

  it.each(permissions)('says of %s what the specification says', (permission) => {
    const words = TABLE[permission].split(' ');
    const own = words.includes('own');
    const roles = (Object.keys(ROLES) as StaffRole[]).filter((role) => words.includes(ROLES[role]));
    expect([...rolesThatMay(permission)].toSorted()).toEqual(roles.toSorted());
    for (const role of Object.keys(ROLES) as StaffRole[]) {
      const may = roles.includes(role);
      expect(permits(permission, staff(role), OTHER), role).toBe(may);
      expect(permits(permission, staff(role), ME), `${role}, own`).toBe(may || own);
      expect(permits(permission, staff(role), 'unknown')).toBe(may || own);
      expect(staffMay(permission, { kind: 'staff', role })).toBe(may);
      // A role alone makes nobody staff, nor does being staff without one.
      expect(staffMay(permission, { kind: 'member', role })).toBe(false);
    }
    expect(staffMay(permission, { kind: 'staff' })).toBe(false);
    expect(permits(permission, member, OTHER)).toBe(false);
    expect(permits(permission, member, ME)).toBe(own);
    expect(permits(permission, member, 'unknown')).toBe(own);
    const scope = words.find((word) => word.includes(':'));
    expect(permits(permission, machine('membership:reactivate'), OTHER)).toBe(
      scope === 'membership:reactivate',
    );
    expect(permits(permission, machine('payouts:read', 'other'), OTHER)).toBe(false);
    expect(permits(permission, machine(), ME)).toBe(false);
  });
});
