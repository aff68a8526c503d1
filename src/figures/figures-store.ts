import { sql } from 'drizzle-orm';
import type { Reader } from '../db/client.ts';

export interface PayoutFigures {
  status: string;
  count: number;
  grossDollars: number;
  /** Since when the one that has not moved for longest has not moved. */
  oldestSeconds: number;
}

/** Payouts by status. Their age counts from their last change. */
export async function payoutFigures(reader: Reader, now: Date): Promise<PayoutFigures[]> {
  return reader.execute<PayoutFigures & Record<string, unknown>>(sql`
    SELECT status, count(*)::integer AS count, sum(amount)::float AS "grossDollars",
           greatest(0, extract(epoch FROM ${now.toISOString()}::timestamptz - min(updated_at)))::float AS "oldestSeconds"
      FROM payout_management GROUP BY status`);
}

export interface JobFigures {
  job: string;
  /** Seconds since 1970 of the last run that ended well; null when none has. */
  lastSuccess: number | null;
  lastFailed: boolean;
  runningSeconds: number;
  durationSeconds: number | null;
}

/** Each job that has ever run. */
export async function jobFigures(reader: Reader, now: Date): Promise<JobFigures[]> {
  return reader.execute<JobFigures & Record<string, unknown>>(sql`
    SELECT job, extract(epoch FROM max(finished_at) FILTER (WHERE status = 'succeeded'))::float AS "lastSuccess",
           (array_agg(status ORDER BY started_at DESC, id DESC))[1] = 'failed' AS "lastFailed",
           coalesce(extract(epoch FROM ${now.toISOString()}::timestamptz
             - min(started_at) FILTER (WHERE status = 'running')), 0)::float AS "runningSeconds",
           extract(epoch FROM (array_agg(finished_at - started_at ORDER BY started_at DESC)
             FILTER (WHERE finished_at IS NOT NULL))[1])::float AS "durationSeconds"
      FROM job_runs GROUP BY job`);
}

export interface OtherFigures {
  mails: Record<string, number>;
  alerts: Record<string, number>;
  sessions: Record<string, number>;
  /** The audit log's entries; numbered without gaps that matter here. */
  auditEntries: number;
  auditValid: boolean | null;
  auditVerifiedAt: number | null;
  databaseTime: number;
  databaseBytes: number;
}

/** Everything else that is one number or a few, in one round trip. */
export async function otherFigures(reader: Reader): Promise<OtherFigures | undefined> {
  const [row] = await reader.execute<OtherFigures & Record<string, unknown>>(sql`
    SELECT (SELECT coalesce(jsonb_object_agg(status, n), '{}')
              FROM (SELECT status, count(*) AS n FROM notifications GROUP BY status) by_status) AS mails,
           (SELECT coalesce(jsonb_object_agg(severity, n), '{}')
              FROM (SELECT severity, count(*) AS n FROM admin_alerts
                     WHERE closed_at IS NULL AND acknowledged_at IS NULL GROUP BY severity) by_severity) AS alerts,
           (SELECT coalesce(jsonb_object_agg(coalesce(state, 'unknown'), n), '{}')
              FROM (SELECT state, count(*) AS n FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name LIKE 'payout-service%'
                     GROUP BY state) by_state) AS sessions,
           coalesce((SELECT max(sequence) FROM user_audit_logs), 0)::float AS "auditEntries",
           last.valid AS "auditValid", extract(epoch FROM last.verified_at)::float AS "auditVerifiedAt",
           extract(epoch FROM clock_timestamp())::float AS "databaseTime",
           pg_database_size(current_database())::float AS "databaseBytes"
      FROM (VALUES (1)) one
      LEFT JOIN LATERAL (SELECT valid, verified_at FROM audit_verifications ORDER BY id DESC LIMIT 1) last ON true`);
  return row;
}
