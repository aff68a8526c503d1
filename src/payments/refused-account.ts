import type { Reader, Tx } from '../db/client.ts';
import type { Actor } from '../kernel/actor.ts';
import { BANK_INFO_STATUSES, type PayoutStatus } from '../kernel/payout-lifecycle.ts';
import type { PayoutProgress } from '../payouts/payout-progress.ts';
import type { Payouts } from '../payouts/payouts.ts';
import type { AttemptRow, Payout } from '../payouts/payout.ts';
import { findDetails, refuseDetails, wasRefused } from './bank-details-store.ts';

/** Statuses of a payout that is to be paid yet. */
const TO_BE_PAID: readonly PayoutStatus[] = [...BANK_INFO_STATUSES, 'requires_manual_review'];
/** What is under way to the account loses it if it comes back. Locked too, as it may be coming back at this moment. */
const PAID: readonly PayoutStatus[] = ['payment_sent', 'completed'];

/** Has a payment to the account in force failed, for this or another payout of the member? */
export async function isRefused(
  reader: Reader,
  { payoutId, userId, bankDetailsVersion }: Payout,
): Promise<boolean> {
  const details =
    bankDetailsVersion === null ? undefined : await findDetails(reader, payoutId, bankDetailsVersion);
  return details !== undefined && (await wasRefused(reader, userId, details.fingerprint));
}

/**
 * Takes the account to which a payment has failed out of the member's other payouts, where it stands too: details that
 * failed are not used again (specification, section 3). The failed payout itself is locked and has lost it already.
 */
export async function refuseElsewhere(
  tx: Tx,
  { payouts, progress }: { payouts: Payouts; progress: PayoutProgress },
  { userId, attempt, actor, at }: { userId: string; attempt: AttemptRow; actor: Actor; at: Date },
): Promise<void> {
  for (const subject of await payouts.lockOpenOf(tx, userId, [...TO_BE_PAID, ...PAID])) {
    const { payoutId, bankDetailsVersion, status } = subject.payout;
    if (bankDetailsVersion === null || !TO_BE_PAID.includes(status)) continue;
    const details = await findDetails(tx, payoutId, bankDetailsVersion);
    if (details?.fingerprint !== attempt.bankFingerprint) continue;
    await refuseDetails(tx, payoutId, bankDetailsVersion, at);
    await progress.takeAccount(tx, subject, actor);
  }
}
