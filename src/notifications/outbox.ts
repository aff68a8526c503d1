/** Messages are written and queued in the transaction that causes them: committed with it, or never there. */
import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { insertMany } from '../db/insert-many.ts';
import { notifications } from '../db/schema/index.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import type { StaffRole } from '../kernel/actor.ts';
import { addMails } from './mail-queue.ts';
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
  await write(tx, [rowFor(userId, message)]);
}

/** The same message to each of many people. */
export async function enqueueForMany<N extends TemplateName>(
  tx: Tx,
  userIds: readonly string[],
  message: Message<N>,
): Promise<void> {
  await write(
    tx,
    userIds.map((userId) => rowFor(userId, message)),
  );
}

/** Active staff with one of the roles, less those whom it does not concern. */
export interface StaffRecipients {
  roles: readonly StaffRole[];
  exceptUserIds?: readonly string[];
  exceptAdminIds?: readonly number[];
}

/** All who may still decide on the payout: neither its initiator, nor its payee, nor `decided` (adminIds). */
export const mayDecideOn = (
  payout: { userId: string; initiatedBy: number },
  decided: readonly number[] = [],
): StaffRecipients => ({
  roles: ['admin', 'finance_manager'],
  exceptAdminIds: [payout.initiatedBy, ...decided],
  exceptUserIds: [payout.userId],
});

/** One message for each of them. */
export async function enqueueForStaff<N extends TemplateName>(
  tx: Tx,
  recipients: StaffRecipients,
  message: Message<N>,
): Promise<void> {
  const { roles, exceptUserIds = [], exceptAdminIds = [] } = recipients;
  const staff = await tx.execute<{ user_id: string; ids: number[]; role: string }>(sql`
    SELECT a.user_id, s.ids, s.role FROM (SELECT DISTINCT user_id FROM admin_users) a, staff_of(a.user_id) s
     WHERE s.role IS NOT NULL ORDER BY s.id`);
  const concerned = staff.filter(
    ({ user_id, ids, role }) =>
      roles.some((wanted) => wanted === role) &&
      !exceptUserIds.includes(user_id) &&
      !ids.some((id) => exceptAdminIds.includes(id)),
  );
  await write(
    tx,
    concerned.map(({ user_id }) => rowFor(user_id, message)),
  );
}

/** The record of the messages and their places in the queue. */
async function write(tx: Tx, rows: ReturnType<typeof rowFor>[]): Promise<void> {
  await insertMany(tx, notifications, rows);
  await addMails(
    tx,
    rows.map(({ id }) => id),
  );
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
