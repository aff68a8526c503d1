/** Messages are written in the transaction that causes them: committed with it, or never there. */
import { randomUUID } from 'node:crypto';
import { and, inArray, notInArray } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { adminUsers, notifications } from '../db/schema/index.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import type { StaffRole } from '../kernel/actor.ts';
import type { MailModels, TemplateName } from './mail-templates.ts';

/** What the sender of a message fills in; names, link and payout are looked up when it is delivered. */
export type MailData<N extends TemplateName> = Omit<
  MailModels[N],
  'recipientName' | 'link' | 'payoutId' | 'payeeName'
>;

/** Values are formatted already ('$99,700.00'), and never an account number or a TIN. */
export interface Message<N extends TemplateName> {
  template: N;
  payoutId?: string;
  data: MailData<N>;
  at: Date;
}

export async function enqueueFor<N extends TemplateName>(
  tx: Tx,
  userId: string,
  message: Message<N>,
): Promise<void> {
  await tx.insert(notifications).values(rowFor(userId, message));
  crashPoint('messages-enqueued');
}

/** One message for each active member of staff with one of the roles, less those who may not act on it. */
export async function enqueueForStaff<N extends TemplateName>(
  tx: Tx,
  recipients: {
    roles: readonly StaffRole[];
    exceptUserIds?: readonly string[];
    exceptAdminIds?: readonly number[];
  },
  message: Message<N>,
): Promise<void> {
  const staff = await tx
    .select({ userId: adminUsers.userId })
    .from(adminUsers)
    .where(
      and(
        adminUsers.isActive,
        inArray(adminUsers.role, [...recipients.roles]),
        recipients.exceptUserIds?.length
          ? notInArray(adminUsers.userId, [...recipients.exceptUserIds])
          : undefined,
        recipients.exceptAdminIds?.length
          ? notInArray(adminUsers.id, [...recipients.exceptAdminIds])
          : undefined,
      ),
    );
  if (staff.length > 0)
    await tx.insert(notifications).values(staff.map(({ userId }) => rowFor(userId, message)));
  crashPoint('messages-enqueued');
}

function rowFor<N extends TemplateName>(userId: string, message: Message<N>) {
  const id = randomUUID();
  return {
    id,
    template: message.template,
    userId,
    payoutId: message.payoutId ?? null,
    data: message.data as Record<string, unknown>,
    status: 'queued' as const,
    nextAttemptAt: message.at,
    // Fixed from the start, so that a message that is sent twice is known for the same one.
    messageId: `${id}@payout-service`,
    createdAt: message.at,
  };
}
