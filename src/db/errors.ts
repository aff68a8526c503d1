import { DomainError, type ErrorCode } from '../kernel/errors.ts';

interface DatabaseFault {
  code: string;
  constraint_name?: string;
  message: string;
}

/** Finds the driver's error below what Drizzle wraps around it. */
export function databaseFault(error: unknown): DatabaseFault | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code = (at as { code?: unknown }).code;
    if (typeof code === 'string') return at as unknown as DatabaseFault;
  }
  return undefined;
}

/** In a line: what PostgreSQL says, without the statement and its parameters. */
export function reasonOf(error: unknown): string {
  const fault = databaseFault(error instanceof AggregateError ? error.errors[0] : error);
  if (fault) return `${fault.message} (${fault.code})`;
  return error instanceof Error ? error.message : String(error);
}

/** Serialization failure, deadlock: the whole transaction was undone and may be run again. */
export const isRetryable = (error: unknown): boolean =>
  ['40001', '40P01'].includes(databaseFault(error)?.code ?? '');

const CONNECTION_CODES =
  /^(CONNECT(ION)?_.*|ECONN.*|ETIMEDOUT|EPIPE|E(HOST|NET)(UNREACH|DOWN)|ENOTFOUND|EAI_AGAIN|57P0[123]|08\d\d\d|53300)$/;

export const isConnectionFailure = (error: unknown): boolean =>
  CONNECTION_CODES.test(databaseFault(error)?.code ?? '');

/** The connection that a statement ran on is gone. What the server says of its end never reaches a statement. */
export const isLostConnection = (error: unknown): boolean =>
  /^(CONNECTION_CLOSED|CONNECTION_DESTROYED|ECONN(RESET|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN))$/.test(
    databaseFault(error)?.code ?? '',
  );

/** Out of disk, memory or another resource; or a primary that has become a replica: nothing was changed. */
const isFullOrReadOnly = (code: string): boolean => /^(53\d\d\d|25006)$/.test(code);

/** Which refusal of the database is which fault of the caller (constraints and triggers in drizzle/). */
export const CONSTRAINTS: Record<string, [ErrorCode, string]> = {
  payout_management_one_payout_per_tranche: [
    'NO_FUNDED_SLOT',
    'Somebody else has just taken the last funded payout.',
  ],
  payout_management_one_win_per_tenure: ['INVALID_WINNER', 'The member already has a payout in this tenure.'],
  payout_approvals_one_decision_per_person: [
    'SEPARATION_OF_DUTIES',
    'The same person decides once in a round. Somebody else must decide.',
  ],
  initiator_never_approves: ['SEPARATION_OF_DUTIES', 'Whoever initiated a payout never approves it.'],
  payee_never_acts: ['SEPARATION_OF_DUTIES', 'Nobody acts on a payout of which they are the payee.'],
  payment_attempts_generator_never_sends: [
    'SEPARATION_OF_DUTIES',
    'Whoever generated the instructions never marks them sent.',
  ],
  payment_attempts_failure_recorder_never_generates: [
    'SEPARATION_OF_DUTIES',
    'Whoever recorded the failure does not generate the next instructions.',
  ],
  payment_attempts_failure_recorder_never_sends: [
    'SEPARATION_OF_DUTIES',
    'Whoever recorded the failure does not send the next payment.',
  ],
  approval_not_pending: ['INVALID_STATE', 'The payout is not waiting for a decision.'],
  approvals_complete: ['INVALID_STATE', 'The payout has the approvals that it needs.'],
  payout_move: ['INVALID_STATE', 'The payout cannot make this move.'],
  payment_attempts_one_live: ['INVALID_STATE', 'The payout already has a live payment attempt.'],
  award_unfunded: ['NO_FUNDED_SLOT', 'Revenue does not fund another payout.'],
  payout_tenure: ['INVALID_WINNER', 'The member is in another tenure by now.'],
  staff_only: ['FORBIDDEN', 'Your role does not allow this any more.'],
  rejection_stands: ['INVALID_STATE', 'The payout was rejected.'],
  attempt_not_due: ['INVALID_STATE', 'No payment of this payout is due.'],
  attempt_refused: [
    'BANK_DETAILS_REFUSED',
    'A payment to this account has failed. The member must give another one.',
  ],
  attempt_account: ['INVALID_STATE', 'The bank details have changed meanwhile. Make new instructions.'],
  tax_forms_one_w9_to_review: ['INVALID_STATE', 'Another W-9 of the member has just come in. Look again.'],
  tax_forms_one_approved_w9: [
    'INVALID_STATE',
    'Another W-9 of the member has just been approved. Look again.',
  ],
  tax_forms_one_live_1099: [
    'INVALID_STATE',
    'A 1099 of this payee and year has just been issued. Look again.',
  ],
  job_runs_one_running: ['ALREADY_RUNNING', 'The job is running already. Wait for it to end.'],
};

/** Names the fault behind a database error; anything unknown comes back as it is and becomes a 500 at the edge. */
export function domainErrorFromDatabase(error: unknown): unknown {
  if (error instanceof DomainError) return error;
  const fault = databaseFault(error);
  if (!fault) return error;
  const known = fault.constraint_name ? CONSTRAINTS[fault.constraint_name] : undefined;
  if (known) return new DomainError(known[0], known[1], undefined, { cause: error });
  if (isConnectionFailure(error)) {
    return new DomainError('UNAVAILABLE', 'The database cannot be reached. Try again shortly.', undefined, {
      cause: error,
    });
  }
  if (isRetryable(error) || fault.code === '55P03') {
    return new DomainError(
      'UNAVAILABLE',
      'Too many requests worked on the same payout. Try again.',
      undefined,
      { cause: error },
    );
  }
  if (isFullOrReadOnly(fault.code)) {
    return new DomainError('UNAVAILABLE', 'The database takes no changes now. Try again later.', undefined, {
      cause: error,
    });
  }
  if (fault.code === '57014') {
    return new DomainError('UNAVAILABLE', 'The database took too long. Try again shortly.', undefined, {
      cause: error,
    });
  }
  return error;
}
