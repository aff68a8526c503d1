/** What a payout comes to in the tables, in a form in which two payouts of the same course are the same. */
import type postgres from 'postgres';
import type { Course } from './lives.ts';

export type Trace = Record<string, unknown>;

/** Everything that a mutation of the payout or of its member writes, without ids and times. */
export async function traceOf(sql: postgres.Sql, { userId, payoutId }: Course): Promise<Trace> {
  const [row] = await sql<{ trace: Trace }[]>`
    SELECT jsonb_build_object(
      'payouts', (SELECT count(*) FROM payout_management WHERE user_id = ${userId}),
      'payout', (SELECT jsonb_build_object('status', status, 'version', version, 'round', approval_round, 'net', net_amount,
          'withheld', withheld_amount, 'notes', jsonb_array_length(internal_notes), 'heldFrom', held_from,
          'bank', bank_details_version, 'decisions', jsonb_array_length(approval_workflow),
          'trail', (SELECT jsonb_agg(entry->>'action' ORDER BY place)
                      FROM jsonb_array_elements(audit_trail) WITH ORDINALITY AS trail (entry, place)))
        FROM payout_management WHERE payout_id = ${payoutId}),
      'approvals', (SELECT jsonb_agg(format('%s %s %s', round, admin_id, decision) ORDER BY decided_at)
        FROM payout_approvals WHERE payout_id = ${payoutId}),
      'attempts', (SELECT jsonb_agg(format('%s %s', number, status) ORDER BY number)
        FROM payment_attempts WHERE payout_id = ${payoutId}),
      'audit', (SELECT jsonb_agg(format('%s %s', entity_type, action) ORDER BY sequence) FROM user_audit_logs
        WHERE success AND (entity_id = ${payoutId} OR entity_id IN (SELECT form_id FROM tax_forms WHERE user_id = ${userId}))),
      'messages', (SELECT jsonb_agg(template ORDER BY template) FROM notifications WHERE payout_id = ${payoutId}),
      'alerts', (SELECT jsonb_agg(format('%s %s', category, closed_at IS NULL) ORDER BY category, created_at)
        FROM admin_alerts WHERE details->>'payoutId' = ${payoutId}),
      'bank', (SELECT jsonb_agg(format('%s %s', version, account_last4) ORDER BY version)
        FROM bank_details WHERE payout_id = ${payoutId}),
      'forms', (SELECT jsonb_agg(status ORDER BY created_at) FROM tax_forms WHERE user_id = ${userId}),
      'removals', (SELECT jsonb_agg(status) FROM membership_removals WHERE payout_id = ${payoutId}),
      'keys', (SELECT count(*) FROM idempotency_keys
        WHERE route LIKE ${`%${payoutId}%`} OR route LIKE ${`%${userId}%`})
    ) AS trace`;
  return row?.trace ?? {};
}

/** An answer without what differs from one payout to the next. */
export function likeness(status: number, body: string): string {
  return `${status} ${body}`
    .replace(/"eligibilityCheck":\{.*?"passedOver":\[.*?\]\}/g, '"eligibilityCheck":{}')
    .replace(/"queuePosition":\d+/g, '"queuePosition":0')
    .replace(/"fundingTranche":\d+/g, '"fundingTranche":0')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
    .replace(/PO-\d{4}-\w{8}/g, 'PAYOUT')
    .replace(/W9-\d{4}-\w{8}/g, 'FORM')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[0-9a-f]{64}/g, 'HASH')
    .replace(/person\d+@example\.com/g, 'MAIL');
}

export type Verdict = 'as once' | 'lost' | 'doubled' | 'half';

/** How a trace differs from that of the same course without a crash: all less, all more, or neither. */
export function compare(wanted: Trace, found: Trace): { verdict: Verdict; differences: string[] } {
  const differences: string[] = [];
  let less = 0;
  let more = 0;
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(found)])) {
    const [before, after] = [JSON.stringify(wanted[name]), JSON.stringify(found[name])];
    if (before === after) continue;
    differences.push(`${name}: ${before} wanted, ${after} found`);
    if (sizeOf(found[name]) < sizeOf(wanted[name])) less += 1;
    else more += 1;
  }
  if (differences.length === 0) return { verdict: 'as once', differences };
  return { verdict: less === 0 ? 'doubled' : more === 0 ? 'lost' : 'half', differences };
}

const sizeOf = (value: unknown): number =>
  typeof value === 'number'
    ? value
    : value === null || value === undefined
      ? 0
      : JSON.stringify(value).length;
