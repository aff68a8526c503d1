export const STAFF_ROLES = ['admin', 'finance_manager', 'viewer'] as const;
export type StaffRole = (typeof STAFF_ROLES)[number];

/** A person with an active row in `admin_users`. `adminId` is the number that approvals record. */
export interface StaffActor {
  kind: 'staff';
  adminId: number;
  /** Of other rows of the same person, under which they may have acted before. */
  otherAdminIds?: readonly number[];
  userId: string;
  email: string;
  role: StaffRole;
}

export interface MemberActor {
  kind: 'member';
  userId: string;
  email: string;
}

/** A machine with a signed token, such as the subscription service. */
export interface ServiceActor {
  kind: 'service';
  subject: string;
  scopes: readonly string[];
}

/** The service acting by itself: a job, or a rule that moves a payout on. */
export interface SystemActor {
  kind: 'system';
  name: string;
}

export type PersonActor = StaffActor | MemberActor;
export type CallerActor = PersonActor | ServiceActor;
export type Actor = CallerActor | SystemActor;

export const systemActor = (name: string): SystemActor => ({ kind: 'system', name });

/** How an actor is named in audit trails and documents. */
export function actorLabel(actor: Actor): string {
  switch (actor.kind) {
    case 'staff':
      return `staff:${actor.adminId}`;
    case 'member':
      return `member:${actor.userId}`;
    case 'service':
      return `service:${actor.subject}`;
    case 'system':
      return `system:${actor.name}`;
  }
}

/** Was this number recorded for the same person? */
export const isSamePerson = (actor: StaffActor, adminId: number | null | undefined): boolean =>
  adminId === actor.adminId || actor.otherAdminIds?.some((other) => other === adminId) === true;

export const adminIdOf = (actor: Actor): number | null => (actor.kind === 'staff' ? actor.adminId : null);
export const userIdOf = (actor: Actor): string | null =>
  actor.kind === 'staff' || actor.kind === 'member' ? actor.userId : null;
