import { and, eq } from 'drizzle-orm';
import type { Tx } from '../db/client.ts';
import { paymentAttempts } from '../db/schema/index.ts';
import { DomainError } from '../kernel/errors.ts';
import type { AttemptRow } from './payout.ts';

export type NewAttempt = Omit<typeof paymentAttempts.$inferInsert, 'status' | 'id'>;
export type AttemptOutcome = Partial<
  Pick<
    AttemptRow,
    | 'status'
    | 'sentBy'
    | 'sentDate'
    | 'sentAt'
    | 'expectedArrivalDate'
    | 'trackingNumber'
    | 'completedBy'
    | 'completedDate'
    | 'confirmationNumber'
    | 'failedBy'
    | 'failedAt'
    | 'failureReason'
    | 'returnCode'
    | 'stopPaymentReference'
    | 'voidedAt'
    | 'voidReason'
  >
>;

export async function insertAttempt(tx: Tx, attempt: NewAttempt): Promise<void> {
  await tx.insert(paymentAttempts).values({ ...attempt, status: 'ready' });
}

/** Moves an attempt on, if it still is in the status that was read. */
export async function changeAttempt(tx: Tx, attempt: AttemptRow, outcome: AttemptOutcome): Promise<void> {
  const rows = await tx
    .update(paymentAttempts)
    .set(outcome)
    .where(and(eq(paymentAttempts.id, attempt.id), eq(paymentAttempts.status, attempt.status)))
    .returning({ id: paymentAttempts.id });
  if (rows.length !== 1) throw new DomainError('INVALID_STATE', 'The payment attempt has changed meanwhile.');
}
