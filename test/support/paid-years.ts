/** Payments of whole years, written straight into the tables: what the tax room reads, without the way there. */
import { randomUUID } from 'node:crypto';
import type postgres from 'postgres';

export interface MadeAttempt {
  sentDate: string;
  withheldCents: number;
  /** 'failed' came back. */
  status: 'sent' | 'completed' | 'failed';
}

export interface MadePayout {
  userId: string;
  grossCents: number;
  attempts: MadeAttempt[];
}

const dollars = (cents: number) => (cents / 100).toFixed(2);

/** As many people as wanted, with a name, an address and an identity check. */
export async function insertPeople(sql: postgres.Sql, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await withoutTriggers(sql, async (tx) => {
    await tx`INSERT INTO users (id, email, name, first_name, last_name)
      SELECT id, id || '@example.com', 'Pay Ee', 'Pay', 'Ee' FROM unnest(${ids}::uuid[]) AS id`;
    await tx`INSERT INTO kyc_verification (user_id, status, legal_name, verified_at)
      SELECT id, 'verified', 'Pay Ee', now() FROM unnest(${ids}::uuid[]) AS id`;
    await tx`INSERT INTO user_addresses (user_id, line1, city, state, postal_code, is_primary)
      SELECT id, '1 Main Street', 'Springfield', 'IL', '62701', true FROM unnest(${ids}::uuid[]) AS id`;
  });
  return ids;
}

const CHUNK = 5_000;

/** A year in which so many people were paid $100,000 each; of every fifth 24% was withheld. */
export async function insertPaidYear(sql: postgres.Sql, year: number, payees: number): Promise<void> {
  for (let from = 0; from < payees; from += CHUNK) {
    const people = await insertPeople(sql, Math.min(CHUNK, payees - from));
    const payouts = people.map((userId, index) => ({
      userId,
      grossCents: 10_000_000,
      attempts: [
        {
          sentDate: `${year}-0${(index % 9) + 1}-15`,
          withheldCents: index % 5 === 0 ? 2_400_000 : 0,
          status: 'completed' as const,
        },
      ],
    }));
    await insertPayouts(sql, payouts, from + 1);
  }
}

/** Returns the payouts' ids. `from` numbers the first; payouts that are there must have others. */
export async function insertPayouts(
  sql: postgres.Sql,
  payouts: readonly MadePayout[],
  from = 1,
): Promise<string[]> {
  const rows = payouts.map(({ userId, grossCents, attempts }, index) => {
    const last = attempts.at(-1);
    const withheldCents = last?.status === 'failed' ? 0 : (last?.withheldCents ?? 0);
    return {
      payout_id: payoutId(from + index),
      user_id: userId,
      tranche: from + index,
      status:
        last?.status === 'failed' ? 'payment_failed' : last?.status === 'sent' ? 'payment_sent' : 'completed',
      gross: dollars(grossCents),
      withheld: dollars(withheldCents),
      net: dollars(grossCents - 30_000 - withheldCents),
    };
  });
  const attempts = payouts.flatMap(({ grossCents, attempts: made }, index) =>
    made.map(({ sentDate, withheldCents, status }, number) => ({
      payout_id: payoutId(from + index),
      number: number + 1,
      status,
      net: dollars(grossCents - 30_000 - withheldCents),
      withheld: dollars(withheldCents),
      sent_date: sentDate,
    })),
  );
  await withoutTriggers(sql, async (tx) => {
    await tx`INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee,
        withheld_amount, net_amount, eligibility_check, created_at, updated_at, initiated_by, funding_tranche,
        tenure_number, required_approvals)
      SELECT r.payout_id, r.user_id, 1, r.gross, r.status, 300, r.withheld, r.net, '{}', now(), now(), 1, r.tranche,
             r.tranche, 2
        FROM jsonb_to_recordset(${tx.json(rows)}) AS r(payout_id text, user_id uuid, tranche integer, status text,
             gross numeric, withheld numeric, net numeric)`;
    await tx`INSERT INTO payment_attempts (payout_id, number, status, payment_method, net_amount, withheld_amount,
        instructions_hash, payee_name, generated_by, generated_at, sent_by, sent_date, sent_at, failed_by, failed_at,
        return_code)
      SELECT r.payout_id, r.number, r.status, 'ach', r.net, r.withheld, 'x', 'Pay Ee', 1, r.sent_date, 2, r.sent_date,
             r.sent_date, CASE WHEN r.status = 'failed' THEN 1 END, CASE WHEN r.status = 'failed' THEN now() END,
             CASE WHEN r.status = 'failed' THEN 'R01' END
        FROM jsonb_to_recordset(${tx.json(attempts)}) AS r(payout_id text, number integer, status text, net numeric,
             withheld numeric, sent_date date)`;
    await tx`INSERT INTO withholding_liabilities (payout_id, attempt, liability_date, amount, created_at, reversed_at)
      SELECT t.payout_id, t.number, t.sent_date, t.withheld_amount, t.sent_at, t.failed_at
        FROM payment_attempts t WHERE t.withheld_amount > 0 AND t.payout_id IN ${tx(rows.map((row) => row.payout_id))}`;
  });
  return rows.map((row) => row.payout_id);
}

/** Everything that was inserted here, and the forms made of it. */
export async function removePayouts(sql: postgres.Sql): Promise<void> {
  await withoutTriggers(sql, async (tx) => {
    await tx`DELETE FROM withholding_liabilities`;
    await tx`DELETE FROM payment_attempts`;
    await tx`DELETE FROM payout_management`;
    await tx`DELETE FROM tax_forms`;
  });
}

/** The payments came back: what `fail` does to the attempt and the payout. */
export async function markReturned(sql: postgres.Sql, payoutIds: readonly string[]): Promise<void> {
  await withoutTriggers(sql, async (tx) => {
    await tx`UPDATE payment_attempts SET status = 'failed', failed_by = 1, failed_at = now(), return_code = 'R01'
      WHERE payout_id IN ${tx([...payoutIds])} AND status IN ('sent', 'completed')`;
    await tx`UPDATE payout_management SET status = 'payment_failed', net_amount = net_amount + withheld_amount,
      withheld_amount = 0 WHERE payout_id IN ${tx([...payoutIds])}`;
  });
}

/** The owner may; the service's role may not. */
export async function withoutTriggers(
  sql: postgres.Sql,
  work: (tx: postgres.TransactionSql) => Promise<void>,
): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`SET LOCAL session_replication_role = replica`;
    await work(tx);
  });
}

const payoutId = (number: number): string => `PO-2026-${String(number).padStart(8, '0')}`;
