import { randomUUID } from 'node:crypto';
import { hashPassword } from 'better-auth/crypto';
import type { Database } from '../db/client.ts';
import {
  accounts,
  adminUsers,
  kycVerification,
  userAddresses,
  userPayments,
  users,
  userSubscriptions,
} from '../db/schema/index.ts';
import type { MemberActor, StaffActor } from '../kernel/actor.ts';
import { addDays } from '../kernel/calendar.ts';
import { DEMO_PASSWORD, DEMO_STAFF, demoMembers, type DemoMember } from './people.ts';

const MONTH_DAYS = 30;
const MINUTE_MS = 60_000;
const MONTHLY_DOLLARS = '450.00';

export interface DemoPeople {
  staff: StaffActor[];
  members: (DemoMember & { actor: MemberActor })[];
}

/** Fills the tables that the main app owns, as the main app would have. `owner` is connected as their owner. */
export async function insertMainAppData(owner: Database, now: Date): Promise<DemoPeople> {
  // One hash serves all: the password is the same, and each hash costs a tenth of a second by design.
  const password = await hashPassword(DEMO_PASSWORD);
  const staff = DEMO_STAFF.map((person) => ({ ...person, userId: randomUUID() }));
  const members = demoMembers().map((member) => ({ ...member, userId: randomUUID() }));
  return owner.transaction(async (tx) => {
    await tx.insert(users).values(
      [...staff, ...members].map(({ userId, email, firstName, lastName }) => ({
        id: userId,
        email,
        emailVerified: true,
        name: `${firstName} ${lastName}`,
        firstName,
        lastName,
      })),
    );
    await tx.insert(accounts).values(
      [...staff, ...members].map(({ userId }) => ({
        userId,
        accountId: userId,
        providerId: 'credential',
        password,
      })),
    );
    const admins = await tx
      .insert(adminUsers)
      .values(staff.map(({ userId, role }) => ({ userId, role })))
      .returning();
    await tx.insert(userSubscriptions).values(
      members.map(({ userId, number, subscription }) => ({
        userId,
        status: subscription,
        providerSubscriptionId: `sub_demo_${number}`,
        createdAt: tenureStart(members[number - 1] ?? members[0]!, now),
      })),
    );
    for (const member of members) await tx.insert(userPayments).values(paymentsOf(member, now));
    await tx.insert(kycVerification).values(
      members.map(({ userId, kyc, firstName, lastName }) => ({
        userId,
        status: kyc,
        legalName: `${firstName} ${lastName}`,
        verifiedAt: kyc === 'verified' ? addDays(now, -60) : null,
      })),
    );
    await tx.insert(userAddresses).values(
      members.map(({ userId, number }) => ({
        userId,
        line1: `${number} Main Street`,
        city: 'Springfield',
        state: 'IL',
        postalCode: '62701',
        isPrimary: true,
      })),
    );
    return {
      staff: staff.map(({ userId, email, role }) => {
        const adminId = admins.find((admin) => admin.userId === userId)?.id ?? 0;
        return { kind: 'staff' as const, adminId, userId, email, role };
      }),
      members: members.map(({ userId, ...member }) => ({
        ...member,
        actor: { kind: 'member' as const, userId, email: member.email },
      })),
    };
  });
}

/** The earlier the number, the earlier the tenure: 30-day months back, and a minute apart within a month. */
const tenureStart = (member: DemoMember, now: Date): Date =>
  new Date(addDays(now, -member.payments * MONTH_DAYS).getTime() + member.number * MINUTE_MS);

function paymentsOf(member: DemoMember & { userId: string }, now: Date) {
  const start = tenureStart(member, now);
  const paid = Array.from({ length: member.payments }, (_, month) => ({
    userId: member.userId,
    amount: MONTHLY_DOLLARS,
    status: 'succeeded',
    createdAt: addDays(start, month * MONTH_DAYS),
  }));
  // Some were refunded or failed: neither is revenue.
  const lost =
    member.number % 25 === 0
      ? [{ userId: member.userId, amount: MONTHLY_DOLLARS, status: 'refunded', createdAt: start }]
      : [];
  return [...paid, ...lost];
}
