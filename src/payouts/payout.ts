import type { payoutApprovals, paymentAttempts, payoutManagement } from '../db/schema/index.ts';
import { centsFromDecimal, type Cents } from '../kernel/money.ts';

export type PayoutRow = typeof payoutManagement.$inferSelect;
export type ApprovalRow = typeof payoutApprovals.$inferSelect;
export type AttemptRow = typeof paymentAttempts.$inferSelect;

/** A payout with its amounts in cents. */
export interface Payout extends Omit<PayoutRow, 'amount' | 'retentionFee' | 'withheldAmount' | 'netAmount'> {
  grossCents: Cents;
  retentionFeeCents: Cents;
  withheldCents: Cents;
  netCents: Cents;
}

export function payoutFromRow({
  amount,
  retentionFee,
  withheldAmount,
  netAmount,
  ...row
}: PayoutRow): Payout {
  return {
    ...row,
    grossCents: centsFromDecimal(amount),
    retentionFeeCents: centsFromDecimal(retentionFee),
    withheldCents: centsFromDecimal(withheldAmount),
    netCents: centsFromDecimal(netAmount),
  };
}

/** A payout with all that decides who may do what to it. */
export interface PayoutCase {
  payout: Payout;
  /** Decisions of the current round, oldest first. */
  approvals: readonly ApprovalRow[];
  /** The attempt that is ready, sent or completed. */
  liveAttempt: AttemptRow | undefined;
  /** The newest attempt that failed. */
  lastFailure: AttemptRow | undefined;
  failures: number;
  lastAttemptNumber: number;
}
