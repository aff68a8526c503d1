import { createHash } from 'node:crypto';
import { canonicalJson } from '../kernel/canonical-json.ts';
import { dollars, type Cents } from '../kernel/money.ts';
import type { Payout } from '../payouts/payout.ts';

const TWO_APPROVALS_FROM_CENTS = 10_000_000;

/** Two for a gross of at least $100,000, one below (specification, section 7). */
export const approvalsNeeded = (grossCents: Cents): number =>
  grossCents >= TWO_APPROVALS_FROM_CENTS ? 2 : 1;

/** SHA-256 in hex of what an approver approves: payout, payee, gross, currency and the snapshot. */
export const approvedHash = (payout: Payout): string =>
  createHash('sha256')
    .update(
      canonicalJson([
        payout.payoutId,
        payout.userId,
        dollars(payout.grossCents),
        payout.currency,
        payout.eligibilityCheck,
      ]),
    )
    .digest('hex');
