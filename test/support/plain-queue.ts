import { readFileSync } from 'node:fs';
import type postgres from 'postgres';

const COLUMNS = `user_id, email, user_created_at, first_name, last_name, middle_name, full_name, subscription_id,
  subscription_status, provider_subscription_id, tenure_start_date, last_payment_date, total_successful_payments,
  lifetime_payment_total, has_received_payout, queue_position, is_eligible, meets_time_requirement, tenure_number`;

export async function makePlainView(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(readFileSync(new URL('plain-queue-view.sql', import.meta.url), 'utf8'));
}

/** Rows in which the service's view and the plain one differ, both ways, at one moment. */
export async function differences(sql: postgres.Sql): Promise<readonly postgres.Row[]> {
  return sql.unsafe(`
    WITH ours AS MATERIALIZED (SELECT ${COLUMNS} FROM active_member_queue_view),
         plain AS MATERIALIZED (SELECT ${COLUMNS} FROM plain_queue_view)
    SELECT 'ours' AS only_in, o.* FROM (SELECT * FROM ours EXCEPT ALL SELECT * FROM plain) o
    UNION ALL
    SELECT 'plain', p.* FROM (SELECT * FROM plain EXCEPT ALL SELECT * FROM ours) p`);
}
