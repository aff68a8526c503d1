/**
 * Guards taken away one at a time: the guard refuses a statement; without it the very
 * same statement goes through, and invariants.sql finds the damage. So it is this guard that stops it.
 */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { InstructionsFreezer } from '../../src/payments/instructions-freezer.ts';
import { Caller } from '../support/caller.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { invariantFaults } from '../support/invariants.ts';
import { startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';
import { keyed, on } from './race-track.ts';

let cast: Cast;
let stories: Stories;
/** Payouts by what has become of them; of the failed and the retried one, `finance2` recorded the failure. */
let told: Record<
  'pending' | 'half' | 'approved' | 'changed' | 'ready' | 'sent' | 'failed' | 'retried' | 'toStaff' | 'held',
  Story
>;
let free: Caller[];
let payee: number;
const clusterUrl = inject('clusterUrl');
const newName = () => `payout_guard_${process.pid}_${randomBytes(5).toString('hex')}`;
/** Told once, then copied for each guard. */
const source = newName();
const opened: (() => Promise<void>)[] = [];

beforeAll(async () => {
  await createDatabase(clusterUrl, source, inject('templateDatabase'));
  cast = await startCast({
    funded: 30,
    beside: { databaseUrl: databaseUrl(clusterUrl, source) },
  });
  stories = new Stories(cast);
  const failed = async (): Promise<Story> => {
    const story = await stories.ready();
    await cast.finance2.post(on(story.payoutId, 'fail'), { reason: 'The bank was closed.' });
    return story;
  };
  const half = await stories.initiated();
  await cast.admin2.post(on(half.payoutId, 'approve'), {}, keyed('kept-for-ever'));
  const changed = await stories.payable();
  const another = stories.bankInfo(changed.name, '999900001111');
  await changed.member.post(`/api/members/${changed.member.userId}/bank-info`, another);
  const held = await stories.approved();
  await cast.admin.post(on(held.payoutId, 'hold'), { reason: 'Wait.' });
  const retried = await failed();
  await cast.finance.post(on(retried.payoutId, 'generate-instructions'));
  told = {
    pending: await stories.initiated(),
    half,
    approved: await stories.payable(),
    changed,
    held,
    ready: await stories.ready(),
    sent: await stories.sent(),
    failed: await failed(),
    retried,
    toStaff: await stories.initiated(),
  };
  free = await Promise.all(Array.from({ length: 8 }, () => cast.service.newMember()));
  const [row] = await cast.service.sql<{ id: number }[]>`
    INSERT INTO admin_users (user_id, role) VALUES (${told.toStaff.member.userId}, 'finance_manager') RETURNING id`;
  payee = row?.id ?? 0;
  // A database that somebody is connected to cannot be copied.
  await cast.service.stop();
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of opened.splice(0).toReversed()) await close();
});
afterAll(() => dropDatabase(clusterUrl, source));

/** A copy of the database in which the stories were told, and the owner's connection to it. */
async function copy(): Promise<{ url: string; sql: postgres.Sql; close: () => Promise<void> }> {
  const name = newName();
  await createDatabase(clusterUrl, name, source);
  const url = databaseUrl(clusterUrl, name);
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  const close = async () => {
    await sql.end();
    await dropDatabase(clusterUrl, name);
  };
  return { url, sql, close };
}

/** Another instance of the service, on a copy. Whoever was signed in is so there too. */
async function serve(url: string): Promise<TestService> {
  const service = await startTestService({ beside: { databaseUrl: url } });
  opened.push(() => service.stop());
  return service;
}

interface Guard {
  name: string;
  /** Said by the service's own role, or by the owner where that has not even the right. */
  as: 'payout_service' | 'owner';
  statement: () => string;
  /** The constraint that the refusal names, or its SQLSTATE. */
  refusal: string;
  /** Taken away beforehand, where another guard stands before this one. */
  before?: string;
  remove?: string;
  /** The rule of invariants.sql that sees what has happened. */
  damage: string;
  /** Set for a guard of 0002: it stands beside those of 0001. Otherwise all of 0002 and 0011 are taken away beforehand. */
  second?: keyof typeof SECOND_LINE;
}

/** The triggers of drizzle/0002_no_dollar_twice.sql and 0011_strange_data.sql (test/db/main-app-data), by their tables. */
const SECOND_LINE = {
  payout_award_guard: ['payout_management'],
  payout_round_guard: ['payout_management'],
  payout_account_guard: ['payout_management'],
  approver_guard: ['payout_approvals'],
  payment_attempt_terms_guard: ['payment_attempts'],
  payout_whole: ['payout_management', 'payment_attempts', 'payout_approvals'],
  idempotency_guard: ['idempotency_keys'],
  decider_guard: ['payout_approvals'],
  payment_payer_guard_made: ['payment_attempts'],
  payment_payer_guard_sent: ['payment_attempts'],
} as const;
const drop = (...names: (keyof typeof SECOND_LINE)[]): string =>
  names.flatMap((name) => SECOND_LINE[name].map((table) => `DROP TRIGGER ${name} ON ${table}`)).join('; ');
const otherThan = (name: Guard['second']): string =>
  drop(...(Object.keys(SECOND_LINE) as (keyof typeof SECOND_LINE)[]).filter((other) => other !== name));

const service = 'payout_service' as const;
const id = (story: keyof typeof told) => `payout_id = '${told[story].payoutId}'`;
const json = (values: Record<string, unknown>) => `'${JSON.stringify(values)}'::jsonb`;
/** Another payout, like the one that waits for approval but for these columns. */
const newPayout = (changes: Record<string, unknown>): string =>
  `INSERT INTO payout_management SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid(),
     'payout_id', 'PO-2026-ZZZZZZZ1') || ${json(changes)})).* FROM payout_management p WHERE ${id('pending')}`;
const elsewhere = () => ({ user_id: free[0]?.userId, funding_tranche: 29 });
const change = (story: keyof typeof told, columns: string): string =>
  `UPDATE payout_management SET ${columns} WHERE ${id(story)}`;
const newVersion = 'version = version + 1';
const decision = (story: keyof typeof told, adminId: number, said = 'approved'): string =>
  `INSERT INTO payout_approvals (payout_id, round, admin_id, decision, reason, decided_at, approved_hash)
   VALUES ('${told[story].payoutId}', 1, ${adminId}, '${said}', 'Why not.', now(), 'x')`;
/** Another attempt, like the last one of the payout but for these columns. */
const newAttempt = (story: keyof typeof told, changes: Record<string, unknown>): string =>
  `INSERT INTO payment_attempts SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid(), 'status', 'ready',
     'failed_by', null, 'failed_at', null) || ${json(changes)})).* FROM payment_attempts t
    WHERE ${id(story)} ORDER BY number DESC LIMIT 1`;
const changeAttempt = (story: keyof typeof told, columns: string): string =>
  `UPDATE payment_attempts SET ${columns} WHERE ${id(story)} AND status IN ('ready', 'sent')`;

const NO_PAYOUT_GUARD = 'DROP TRIGGER payout_guard ON payout_management';
const NO_APPROVAL_GUARD = 'DROP TRIGGER payout_approval_guard ON payout_approvals';
const NO_ATTEMPT_GUARD = 'DROP TRIGGER payment_attempt_guard ON payment_attempts';
const NO_ACCOUNT_GUARD = 'DROP TRIGGER bank_details_guard ON bank_details';
const noTruncateGuard = (table: string, name: string) => `DROP TRIGGER ${name}_guard_truncate ON ${table}`;
const NO_AUDIT_GUARD = 'DROP TRIGGER audit_guard ON user_audit_logs';
const without = (table: string, constraint: string) => `ALTER TABLE ${table} DROP CONSTRAINT ${constraint}`;

const GUARDS: Guard[] = [
  {
    name: 'a tranche of revenue funds one payout',
    as: service,
    statement: () => newPayout({ user_id: free[0]?.userId }),
    refusal: 'payout_management_one_payout_per_tranche',
    remove: 'DROP INDEX payout_management_one_payout_per_tranche',
    damage: 'tranche funds one payout',
  },
  {
    name: 'a member wins once in a tenure',
    as: service,
    statement: () => newPayout({ funding_tranche: 29 }),
    refusal: 'payout_management_one_win_per_tenure',
    remove: 'DROP INDEX payout_management_one_win_per_tenure',
    damage: 'one payout per member and tenure',
  },
  {
    name: 'amounts add up',
    as: service,
    statement: () => change('pending', `net_amount = net_amount + 1, ${newVersion}`),
    refusal: 'payout_management_amounts_add_up',
    remove: without('payout_management', 'payout_management_amounts_add_up'),
    damage: 'amounts add up',
  },
  {
    name: '$100,000 needs two approvals',
    as: service,
    statement: () => newPayout({ ...elsewhere(), required_approvals: 1 }),
    refusal: 'payout_management_two_approvals',
    remove: without('payout_management', 'payout_management_two_approvals'),
    damage: 'two approvals from $100,000',
  },
  {
    name: 'a status does not jump',
    as: service,
    statement: () => change('pending', `status = 'payment_sent', ${newVersion}`),
    refusal: 'payout_move',
    remove: NO_PAYOUT_GUARD,
    damage: 'attempt fits the status',
  },
  {
    name: 'nothing is approved without the approvals',
    as: service,
    statement: () => change('half', `status = 'approved', approved_at = now(), ${newVersion}`),
    refusal: 'approvals_missing',
    remove: NO_PAYOUT_GUARD,
    damage: 'approved by enough people',
  },
  {
    name: 'nothing is ready without instructions',
    as: service,
    statement: () => change('approved', `status = 'ready_for_payment', ${newVersion}`),
    refusal: 'attempt_missing',
    remove: NO_PAYOUT_GUARD,
    damage: 'attempt fits the status',
  },
  {
    name: 'a payout starts at its beginning',
    as: service,
    statement: () => newPayout({ ...elsewhere(), status: 'approved' }),
    refusal: 'payout_starts_pending',
    remove: NO_PAYOUT_GUARD,
    damage: 'approved by enough people',
  },
  {
    name: 'the payee stays who was approved',
    as: service,
    statement: () => change('approved', `user_id = '${free[0]?.userId}', ${newVersion}`),
    refusal: 'payout_frozen',
    remove: NO_PAYOUT_GUARD,
    damage: 'payout is what was created',
  },
  {
    name: 'a change counts the version up',
    as: service,
    statement: () => change('approved', `status = 'cancelled'`),
    refusal: 'payout_version',
    remove: NO_PAYOUT_GUARD,
    damage: 'status is the one last audited',
  },
  {
    name: 'nobody initiates a payout to themselves',
    as: service,
    statement: () =>
      newPayout({
        user_id: told.toStaff.member.userId,
        tenure_number: 9,
        funding_tranche: 29,
        initiated_by: payee,
      }),
    refusal: 'payee_never_acts',
    remove: NO_PAYOUT_GUARD,
    damage: 'payee never acts',
  },
  {
    name: 'a payout is never deleted',
    as: 'owner',
    statement: () => `DELETE FROM payout_management WHERE ${id('pending')}`,
    refusal: 'payout_kept',
    remove: NO_PAYOUT_GUARD,
    damage: 'message belongs to a payout',
  },
  {
    name: 'the service has no right to delete a payout',
    as: service,
    statement: () => `DELETE FROM payout_management WHERE ${id('pending')}`,
    refusal: '42501',
    before: NO_PAYOUT_GUARD,
    remove: 'GRANT DELETE ON payout_management TO payout_service',
    damage: 'message belongs to a payout',
  },
  {
    name: 'the same person decides once',
    as: service,
    statement: () => decision('half', cast.admin2.adminId),
    refusal: 'payout_approvals_one_decision_per_person',
    remove: 'DROP INDEX payout_approvals_one_decision_per_person',
    damage: 'one person decides once a round',
  },
  {
    name: 'the initiator does not approve',
    as: service,
    statement: () => decision('pending', cast.admin.adminId),
    refusal: 'initiator_never_approves',
    remove: NO_APPROVAL_GUARD,
    damage: 'initiator never approves',
  },
  {
    name: 'the payee does not approve',
    as: service,
    statement: () => decision('toStaff', payee),
    refusal: 'payee_never_acts',
    remove: NO_APPROVAL_GUARD,
    damage: 'payee never acts',
  },
  {
    name: 'there is no third approval',
    as: service,
    statement: () =>
      [cast.admin2, cast.finance, cast.finance2]
        .map(({ adminId }) => decision('pending', adminId))
        .join('; '),
    refusal: 'approvals_complete',
    remove: NO_APPROVAL_GUARD,
    damage: 'no more approvals than needed',
  },
  {
    name: 'what is decided is not decided again',
    as: service,
    statement: () => decision('approved', cast.finance2.adminId),
    refusal: 'approval_not_pending',
    remove: NO_APPROVAL_GUARD,
    damage: 'no more approvals than needed',
  },
  {
    name: 'a decision is never changed',
    as: 'owner',
    statement: () => `UPDATE payout_approvals SET admin_id = ${cast.finance2.adminId} WHERE ${id('half')}`,
    refusal: 'approval_immutable',
    remove: NO_APPROVAL_GUARD,
    damage: 'workflow is the decisions',
  },
  {
    name: 'the service has no right to take a decision away',
    as: service,
    statement: () => `DELETE FROM payout_approvals WHERE ${id('half')}`,
    refusal: '42501',
    before: NO_APPROVAL_GUARD,
    remove: 'GRANT DELETE ON payout_approvals TO payout_service',
    damage: 'workflow is the decisions',
  },
  {
    name: 'one attempt is live',
    as: service,
    statement: () => newAttempt('ready', { number: 2 }),
    refusal: 'payment_attempts_one_live',
    remove: 'DROP INDEX payment_attempts_one_live',
    damage: 'one live attempt',
  },
  {
    name: 'attempts have numbers of their own',
    as: service,
    statement: () => newAttempt('failed', { number: 1 }),
    refusal: 'attempt_number',
    remove: `${NO_ATTEMPT_GUARD}; DROP INDEX payment_attempts_number`,
    damage: 'attempts are numbered without gaps',
  },
  {
    name: 'whoever generated does not send',
    as: service,
    statement: () => changeAttempt('ready', `status = 'sent', sent_by = generated_by, sent_at = now()`),
    refusal: 'payment_attempts_generator_never_sends',
    remove: without('payment_attempts', 'payment_attempts_generator_never_sends'),
    damage: 'generator never sends',
  },
  {
    name: 'whoever recorded the failure does not generate',
    as: service,
    statement: () => newAttempt('failed', { number: 2, generated_by: cast.finance2.adminId }),
    refusal: 'payment_attempts_failure_recorder_never_generates',
    remove: without('payment_attempts', 'payment_attempts_failure_recorder_never_generates'),
    damage: 'failure recorder neither generates nor sends',
  },
  {
    name: 'who recorded the failure cannot be left out',
    as: service,
    statement: () =>
      newAttempt('failed', { number: 2, generated_by: cast.finance2.adminId, previous_failure_by: null }),
    refusal: 'payment_attempts_failure_recorder_never_generates',
    remove: NO_ATTEMPT_GUARD,
    damage: 'failure recorder neither generates nor sends',
  },
  {
    name: 'whoever recorded the failure does not send',
    as: service,
    statement: () =>
      changeAttempt('retried', `status = 'sent', sent_by = ${cast.finance2.adminId}, sent_at = now()`),
    refusal: 'payment_attempts_failure_recorder_never_sends',
    remove: without('payment_attempts', 'payment_attempts_failure_recorder_never_sends'),
    damage: 'failure recorder neither generates nor sends',
  },
  {
    name: 'what was sent fails with evidence only',
    as: service,
    statement: () => changeAttempt('sent', `status = 'failed', failed_by = ${cast.finance.adminId}`),
    refusal: 'payment_attempts_sent_failure_has_evidence',
    remove: without('payment_attempts', 'payment_attempts_sent_failure_has_evidence'),
    damage: 'sent payment failed with evidence',
  },
  {
    name: 'the frozen amount stays',
    as: service,
    statement: () => changeAttempt('ready', 'net_amount = net_amount + 100'),
    refusal: 'attempt_frozen',
    remove: NO_ATTEMPT_GUARD,
    damage: 'attempt pays what the payout says',
  },
  {
    name: 'the hash of the instructions stays',
    as: service,
    statement: () => changeAttempt('ready', `instructions_hash = 'of something else'`),
    refusal: 'attempt_frozen',
    remove: NO_ATTEMPT_GUARD,
    damage: 'instructions are what was audited',
  },
  {
    name: 'an attempt does not skip the sending',
    as: service,
    statement: () => changeAttempt('ready', `status = 'completed', completed_by = generated_by`),
    refusal: 'attempt_move',
    remove: NO_ATTEMPT_GUARD,
    damage: 'attempt fits the status',
  },
  {
    name: 'the audit log loses nothing',
    as: 'owner',
    statement: () => `DELETE FROM user_audit_logs WHERE entity_id = '${told.pending.payoutId}'`,
    refusal: 'audit_append_only',
    remove: NO_AUDIT_GUARD,
    damage: 'audit chain has its head',
  },
  {
    name: 'the audit log is not emptied',
    as: 'owner',
    statement: () => 'TRUNCATE user_audit_logs',
    refusal: 'audit_append_only',
    remove: 'DROP TRIGGER audit_guard_truncate ON user_audit_logs',
    damage: 'creation is audited once',
  },
  {
    name: 'the service has no right to change the audit log',
    as: service,
    statement: () =>
      `UPDATE user_audit_logs SET new_values = new_values || '{"userId": "somebody else"}'
        WHERE entity_id = '${told.pending.payoutId}' AND action = 'created'`,
    refusal: '42501',
    before: NO_AUDIT_GUARD,
    remove: 'GRANT UPDATE ON user_audit_logs TO payout_service',
    damage: 'payout is what was created',
  },
  {
    name: 'where a payout was held from stays',
    as: service,
    statement: () => change('held', `held_from = 'payment_failed', ${newVersion}`),
    refusal: 'resume_where_held',
    remove: NO_PAYOUT_GUARD,
    damage: 'held from where it was',
  },
  {
    name: 'a payout is held from where it is',
    as: service,
    statement: () =>
      change('approved', `status = 'requires_manual_review', held_from = 'payment_failed', ${newVersion}`),
    refusal: 'resume_where_held',
    remove: NO_PAYOUT_GUARD,
    damage: 'held from where it was',
  },
  {
    name: 'nothing is completed without a completed attempt',
    as: service,
    statement: () => change('sent', `status = 'completed', ${newVersion}`),
    refusal: 'attempt_missing',
    remove: NO_PAYOUT_GUARD,
    damage: 'attempt fits the status',
  },
  {
    name: 'nothing has failed while its attempt is live',
    as: service,
    statement: () => change('sent', `status = 'payment_failed', ${newVersion}`),
    refusal: 'attempt_missing',
    remove: NO_PAYOUT_GUARD,
    damage: 'attempt fits the status',
  },
  {
    name: 'what was paid stays',
    as: service,
    statement: () =>
      change('sent', `net_amount = net_amount - 1, withheld_amount = withheld_amount + 1, ${newVersion}`),
    refusal: 'payout_frozen',
    remove: NO_PAYOUT_GUARD,
    damage: 'attempt pays what the payout says',
  },
  {
    name: 'who sent stays',
    as: service,
    statement: () => changeAttempt('sent', `sent_by = ${cast.admin2.adminId}`),
    refusal: 'attempt_frozen',
    remove: NO_ATTEMPT_GUARD,
    damage: 'who did it is who was audited',
  },
  {
    name: 'who recorded the failure stays',
    as: service,
    statement: () => `UPDATE payment_attempts SET failed_by = ${cast.admin2.adminId} WHERE ${id('failed')}`,
    refusal: 'attempt_frozen',
    remove: NO_ATTEMPT_GUARD,
    damage: 'who did it is who was audited',
  },
  {
    name: 'given bank details stay',
    as: service,
    statement: () => `UPDATE bank_details SET account_last4 = '6666' WHERE ${id('approved')}`,
    refusal: 'bank_details_frozen',
    remove: NO_ACCOUNT_GUARD,
    damage: 'account in force is the newest',
  },
  {
    name: 'the attempts are not emptied',
    as: 'owner',
    statement: () => 'TRUNCATE payment_attempts CASCADE',
    refusal: 'audit_append_only',
    remove: noTruncateGuard('payment_attempts', 'attempts'),
    damage: 'attempt fits the status',
  },
  {
    name: 'the decisions are not emptied',
    as: 'owner',
    statement: () => 'TRUNCATE payout_approvals',
    refusal: 'audit_append_only',
    remove: noTruncateGuard('payout_approvals', 'approvals'),
    damage: 'workflow is the decisions',
  },
  {
    name: 'an award is funded',
    as: service,
    statement: () => newPayout({ ...elsewhere(), amount: 9_000_000, net_amount: 8_999_700 }),
    refusal: 'award_unfunded',
    second: 'payout_award_guard',
    damage: 'awarded within revenue',
  },
  {
    name: 'a member does not win in a tenure to come',
    as: service,
    statement: () => newPayout({ funding_tranche: 29, tenure_number: 7 }),
    refusal: 'payout_tenure',
    second: 'payout_award_guard',
    damage: 'tenure is one that the member has reached',
  },
  {
    name: 'a viewer does not initiate',
    as: service,
    statement: () => newPayout({ ...elsewhere(), initiated_by: cast.viewer.adminId }),
    refusal: 'staff_only',
    second: 'payout_award_guard',
    damage: 'who only looks does nothing',
  },
  {
    name: 'a viewer does not approve',
    as: service,
    statement: () => decision('half', cast.viewer.adminId),
    refusal: 'staff_only',
    second: 'approver_guard',
    damage: 'who only looks does nothing',
  },
  {
    name: 'a round begins by a resumption only',
    as: service,
    statement: () => change('half', `approval_round = approval_round + 1, ${newVersion}`),
    refusal: 'approval_round',
    second: 'payout_round_guard',
    damage: 'a round for each return to the approvers',
  },
  {
    name: 'what one rejects two do not approve',
    as: service,
    statement: () =>
      [
        decision('pending', cast.admin2.adminId, 'rejected'),
        decision('pending', cast.finance.adminId),
        decision('pending', cast.finance2.adminId),
        change('pending', `status = 'approved', approved_at = now(), ${newVersion}`),
      ].join('; '),
    refusal: 'rejection_stands',
    second: 'payout_round_guard',
    damage: 'rejected by somebody',
  },
  {
    name: 'nothing is rejected by nobody',
    as: service,
    statement: () => change('pending', `status = 'rejected', ${newVersion}`),
    refusal: 'rejection_missing',
    second: 'payout_round_guard',
    damage: 'rejected by somebody',
  },
  {
    name: 'the account in force is not an older one',
    as: service,
    statement: () => change('changed', `bank_details_version = 1, ${newVersion}`),
    refusal: 'account_newest',
    second: 'payout_account_guard',
    damage: 'account in force is the newest',
  },
  {
    name: 'the cool-off is not taken away',
    as: service,
    statement: () => change('changed', `bank_details_changed_at = NULL, ${newVersion}`),
    refusal: 'cooloff_kept',
    second: 'payout_account_guard',
    damage: 'a change of account says when',
  },
  {
    name: 'nothing is due of a payout that was not approved',
    as: service,
    statement: () => newAttempt('ready', { payout_id: told.pending.payoutId }),
    refusal: 'attempt_not_due',
    second: 'payment_attempt_terms_guard',
    damage: 'attempt fits the status',
  },
  {
    name: 'an attempt pays no more than there is',
    as: service,
    statement: () =>
      newAttempt('failed', { number: 2, generated_by: cast.finance.adminId, net_amount: 100_000 }),
    refusal: 'attempt_amounts',
    second: 'payment_attempt_terms_guard',
    damage: 'attempt adds up',
  },
  {
    name: 'without a W-9 an attempt withholds',
    as: service,
    statement: () =>
      newAttempt('failed', { number: 2, generated_by: cast.finance.adminId, w9_form_id: null }),
    refusal: 'attempt_withholding',
    second: 'payment_attempt_terms_guard',
    damage: 'without a W-9 there is withholding',
  },
  {
    name: 'an attempt pays the account in force',
    as: service,
    statement: () =>
      newAttempt('failed', { number: 2, generated_by: cast.finance.adminId, bank_fingerprint: 'another' }),
    refusal: 'attempt_account',
    second: 'payment_attempt_terms_guard',
    damage: 'attempt pays an account that was given',
  },
  {
    name: 'nothing is sent to an account that is no more in force',
    as: service,
    statement: () =>
      [
        `INSERT INTO bank_details SELECT (jsonb_populate_record(b, jsonb_build_object('id', gen_random_uuid(), 'version', 2))).*
           FROM bank_details b WHERE ${id('ready')}`,
        change('ready', `bank_details_version = 2, bank_details_changed_at = now(), ${newVersion}`),
        changeAttempt('ready', `status = 'sent', sent_by = ${cast.finance2.adminId}, sent_at = now()`),
        change('ready', `status = 'payment_sent', ${newVersion}`),
      ].join('; '),
    refusal: 'attempt_account',
    second: 'payment_attempt_terms_guard',
    damage: 'attempt pays an account that was given',
  },
  {
    name: 'a viewer does not send',
    as: service,
    statement: () =>
      changeAttempt('ready', `status = 'sent', sent_by = ${cast.viewer.adminId}, sent_at = now()`),
    refusal: 'staff_only',
    second: 'payment_attempt_terms_guard',
    damage: 'who only looks does nothing',
  },
  {
    name: 'who sends is written when it is sent',
    as: service,
    statement: () => changeAttempt('ready', `sent_by = ${cast.finance2.adminId}`),
    refusal: 'attempt_frozen',
    second: 'payment_attempt_terms_guard',
    damage: 'who did it is who was audited',
  },
  {
    name: 'an ACH payment fails by a return, not by a stop',
    as: service,
    statement: () =>
      changeAttempt(
        'sent',
        `status = 'failed', failed_by = ${cast.finance.adminId}, stop_payment_reference = 'STOP-1'`,
      ),
    refusal: 'attempt_evidence',
    second: 'payment_attempt_terms_guard',
    damage: 'a return proves it for ACH, a stop for a check',
  },
  {
    name: 'a payout does not leave its live attempt behind',
    as: service,
    statement: () => change('ready', `status = 'approved', ${newVersion}`),
    refusal: 'payout_whole',
    second: 'payout_whole',
    damage: 'attempt fits the status',
  },
  {
    name: 'an attempt does not go on without its payout',
    as: service,
    statement: () =>
      changeAttempt('ready', `status = 'sent', sent_by = ${cast.finance2.adminId}, sent_at = now()`),
    refusal: 'payout_whole',
    second: 'payout_whole',
    damage: 'attempt fits the status',
  },
  {
    name: 'a payout says what its attempt pays',
    as: service,
    statement: () =>
      change('ready', `net_amount = net_amount - 1, withheld_amount = withheld_amount + 1, ${newVersion}`),
    refusal: 'payout_whole',
    second: 'payout_whole',
    damage: 'attempt pays what the payout says',
  },
  {
    name: 'a decision is in the workflow',
    as: service,
    statement: () => decision('pending', cast.admin2.adminId),
    refusal: 'payout_whole',
    second: 'payout_whole',
    damage: 'workflow is the decisions',
  },
  {
    name: 'an answer kept for ever is kept',
    as: service,
    statement: () => `UPDATE idempotency_keys SET status = NULL, body = NULL WHERE permanent`,
    refusal: 'key_kept',
    second: 'idempotency_guard',
    damage: 'kept key has its answer',
  },
];

/** As a transaction of its own would end: what is checked at the commit is checked now. */
async function say(tx: postgres.TransactionSql, { as, statement }: Guard): Promise<void> {
  await tx.savepoint(async (part) => {
    if (as === service) await part`SET LOCAL ROLE payout_service`;
    await part.unsafe(statement());
    await part`SET CONSTRAINTS ALL IMMEDIATE`;
    await part`SET CONSTRAINTS ALL DEFERRED`;
    await part`RESET ROLE`;
  });
}

const NOT_KEPT = new Error('Everything is rolled back.');

describe('a guard of the database', () => {
  let sql: postgres.Sql;
  let close: () => Promise<void>;
  beforeAll(async () => {
    // One copy for all of them: whatever a guard's test does, DDL too, is rolled back.
    ({ sql, close } = await copy());
  });
  afterAll(() => close());

  it('stands before no harm that was done already', async () => {
    expect(await invariantFaults(sql)).toEqual([]);
  });

  it.for(GUARDS.map((guard) => [guard.name, guard] as const))('%s', async ([, guard]) => {
    const outcome = sql.begin(async (tx) => {
      await tx.unsafe(otherThan(guard.second));
      if (guard.before) await tx.unsafe(guard.before);
      const refused = await say(tx, guard).then(
        () => undefined,
        (error: postgres.PostgresError) => error,
      );
      expect(refused?.constraint_name ?? refused?.code ?? refused?.message).toBe(guard.refusal);
      await tx.unsafe(guard.second ? drop(guard.second) : (guard.remove ?? ''));
      await say(tx, guard);
      const found = await invariantFaults(tx);
      expect(found.map((fault) => fault.split(':')[0])).toContain(guard.damage);
      throw NOT_KEPT;
    });
    await expect(outcome).rejects.toBe(NOT_KEPT);
  });
});

/** Takes a lock function away: a function of that name which does nothing stands before the server's own. */
async function unlock(sql: postgres.Sql, name: string, returns: string, body: string): Promise<void> {
  await sql.unsafe(`CREATE FUNCTION public.${name}(bigint) RETURNS ${returns} LANGUAGE sql AS '${body}'`);
}

/** What many callers bring about at once on two instances, on a copy changed by `change`. */
async function atOnce<T>(
  alter: (sql: postgres.Sql) => Promise<unknown>,
  act: (urls: string[], sql: postgres.Sql) => Promise<T>,
): Promise<{ outcome: T; found: string[] }> {
  const { url, sql, close } = await copy();
  opened.push(close);
  await alter(sql);
  // So that a function of ours goes before one of the server's own.
  const hiding = `${url}?search_path=public,pg_catalog`;
  const instances = [await serve(hiding), await serve(hiding)];
  const outcome = await act(
    instances.map((instance) => instance.url),
    sql,
  );
  return { outcome, found: await invariantFaults(sql) };
}

describe('the lock and the index of the tranches', () => {
  const noIndex = 'DROP INDEX payout_management_one_payout_per_tranche';
  const noSum = drop('payout_award_guard');
  const noLock = (sql: postgres.Sql) => unlock(sql, 'pg_advisory_xact_lock', 'void', 'SELECT');
  /** How many of 8 get the last funded slot. */
  const winners = async (urls: string[], sql: postgres.Sql): Promise<number> => {
    await sql`UPDATE user_payments SET amount = amount
      - ((SELECT floor(sum(amount) / 100000) FROM user_payments WHERE status = 'succeeded')
         - (SELECT count(*) FROM payout_management) - 1) * 100000 WHERE amount > 100000`;
    // What waits to be folded would be folded by one at a time, under a lock of the queue's own.
    await sql`SELECT queue_fold()`;
    const answers = await Promise.all(
      free.map(({ userId }, index) =>
        new Caller(urls[index % 2] ?? '', { token: cast.admin.token }).post('/api/payouts/initiate', {
          userIds: [userId],
          overrideReason: 'A race.',
        }),
      ),
    );
    expect(answers.every(({ status }) => status === 201 || status === 422)).toBe(true);
    return answers.filter(({ status }) => status === 201).length;
  };

  it('hold each by itself', async () => {
    const lockAlone = (sql: postgres.Sql) => sql.unsafe(`${noIndex}; ${noSum}`);
    expect(await atOnce(lockAlone, winners)).toEqual({ outcome: 1, found: [] });
    const indexAlone = async (sql: postgres.Sql) => {
      await sql.unsafe(noSum);
      await noLock(sql);
    };
    expect(await atOnce(indexAlone, winners)).toEqual({ outcome: 1, found: [] });
  });

  it('are what holds: without either, more is awarded than there is', async () => {
    const { outcome, found } = await atOnce(async (sql) => {
      await sql.unsafe(`${noIndex}; ${noSum}`);
      await noLock(sql);
    }, winners);
    expect(outcome).toBeGreaterThan(1);
    const rules = found.map((fault) => fault.split(':')[0]);
    expect(rules).toContain('tranche funds one payout');
    expect(rules).toContain('awarded within revenue');
  });
});

describe('the lock and the row of an Idempotency-Key', () => {
  const noRow = without('idempotency_keys', 'idempotency_keys_caller_route_key_pk');
  const noLock = (sql: postgres.Sql) => unlock(sql, 'pg_try_advisory_xact_lock', 'boolean', 'SELECT true');
  /** How many notes 8 requests with one key leave. */
  const notes = async (urls: string[], sql: postgres.Sql): Promise<number> => {
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        new Caller(urls[index % 2] ?? '', { token: cast.admin.token }).post(
          on(told.pending.payoutId, 'notes'),
          { note: 'Once.' },
          keyed('same'),
        ),
      ),
    );
    const [row] = await sql<{ count: number }[]>`
      SELECT jsonb_array_length(internal_notes) AS count FROM payout_management WHERE payout_id = ${told.pending.payoutId}`;
    return row?.count ?? 0;
  };

  it('hold each by itself', async () => {
    expect(await atOnce((sql) => sql.unsafe(noRow), notes)).toEqual({ outcome: 1, found: [] });
    expect(await atOnce(noLock, notes)).toEqual({ outcome: 1, found: [] });
  });

  it('are what holds: without either, one request is done several times', async () => {
    const { outcome } = await atOnce(async (sql) => {
      await sql.unsafe(noRow);
      await noLock(sql);
    }, notes);
    expect(outcome).toBeGreaterThan(1);
  });
});

describe('the hash of what was frozen', () => {
  /** Somebody changes the payee's name after the instructions were made; then they are marked sent. */
  const sendToAnother = async ([url = '']: string[], sql: postgres.Sql): Promise<number> => {
    await sql`UPDATE kyc_verification SET legal_name = 'Somebody Else' WHERE user_id = ${told.ready.member.userId}`;
    const answer = await new Caller(url, { token: cast.finance2.token }).post(
      on(told.ready.payoutId, 'mark-sent'),
      { sentDate: stories.today, expectedArrivalDate: stories.today },
    );
    return answer.status;
  };
  const nothing = async (): Promise<void> => {};

  it('stops the payment to a payee that changed', async () => {
    expect(await atOnce(nothing, sendToAnother)).toEqual({ outcome: 409, found: [] });
  });

  it('is what stops it', async () => {
    vi.spyOn(InstructionsFreezer.prototype, 'stillHolds').mockResolvedValue(true);
    expect((await atOnce(nothing, sendToAnother)).outcome).toBe(200);
  });
});
