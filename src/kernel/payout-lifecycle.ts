/** Every status of a payout, in the order of a payout's usual life. */
export const PAYOUT_STATUSES = [
  'pending_approval',
  'pending_bank_info',
  'pending_tax_info',
  'approved',
  'ready_for_payment',
  'payment_sent',
  'completed',
  'payment_failed',
  'rejected',
  'cancelled',
  'requires_manual_review',
] as const;
export type PayoutStatus = (typeof PAYOUT_STATUSES)[number];

const lifecycle = <const S extends string>(
  moves: Record<S, readonly NoInfer<S>[]>,
): Record<S, readonly S[]> => moves;

/**
 * Every legal move (specification, section 3). The database holds the same pairs in `payout_moves` and refuses any
 * other, whoever writes it; a test compares the two.
 */
export const PAYOUT_MOVES: Record<PayoutStatus, readonly PayoutStatus[]> = lifecycle({
  pending_approval: ['approved', 'rejected', 'requires_manual_review', 'cancelled'],
  approved: [
    'pending_bank_info',
    'pending_tax_info',
    'ready_for_payment',
    'requires_manual_review',
    'cancelled',
  ],
  pending_bank_info: [
    'pending_tax_info',
    'approved',
    'ready_for_payment',
    'requires_manual_review',
    'cancelled',
  ],
  pending_tax_info: ['approved', 'ready_for_payment', 'requires_manual_review', 'cancelled'],
  ready_for_payment: [
    'approved',
    'pending_bank_info',
    'pending_tax_info',
    'payment_sent',
    'payment_failed',
    'requires_manual_review',
    'cancelled',
  ],
  payment_sent: ['completed', 'payment_failed'],
  completed: ['payment_failed'],
  payment_failed: ['pending_bank_info', 'ready_for_payment', 'requires_manual_review', 'cancelled'],
  requires_manual_review: [
    'pending_approval',
    'approved',
    'pending_bank_info',
    'pending_tax_info',
    'payment_failed',
    'cancelled',
  ],
  rejected: [],
  cancelled: [],
});

export const canMove = (from: PayoutStatus, to: PayoutStatus): boolean => PAYOUT_MOVES[from].includes(to);

export const statesBefore = (to: PayoutStatus): PayoutStatus[] =>
  PAYOUT_STATUSES.filter((from) => PAYOUT_MOVES[from].includes(to));

/** A payout that holds its tranche of revenue and its member's one win in the tenure. */
export const RELEASED_STATUSES = ['rejected', 'cancelled'] as const satisfies readonly PayoutStatus[];

/** Statuses in which bank details are taken (specification, section 8). */
export const BANK_INFO_STATUSES = [
  'approved',
  'pending_bank_info',
  'pending_tax_info',
  'ready_for_payment',
  'payment_failed',
] as const satisfies readonly PayoutStatus[];
