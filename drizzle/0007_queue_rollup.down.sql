SELECT queue_unwatch();
--> statement-breakpoint
DROP VIEW active_member_queue_view;
--> statement-breakpoint
DROP FUNCTION queue_candidates, queue_find, queue_rank, queue_touch_drifted, queue_drifted, queue_fold, queue_refill, queue_recount, queue_recompute,
  queue_compute_range, queue_compute, queue_unwatch, queue_watch, queue_watched, queue_log_everybody, queue_log_user,
  queue_log_row, queue_log_added;
--> statement-breakpoint
DROP TABLE queue_totals, queue_days, queue_members, queue_touched;
--> statement-breakpoint
CREATE VIEW active_member_queue_view AS
WITH removed AS (
  SELECT r.user_id, max(r.removed_at) AS last_removed_at, count(*)::integer AS removals
    FROM membership_removals r WHERE r.status = 'removed' GROUP BY r.user_id
), paid AS (
  SELECT p.user_id, min(p.created_at) AS tenure_start_date, max(p.created_at) AS last_payment_date,
         count(*) AS total_successful_payments, sum(p.amount) AS lifetime_payment_total,
         coalesce(max(r.removals), 0) AS tenure_number
    FROM user_payments p LEFT JOIN removed r ON r.user_id = p.user_id
   WHERE p.status = 'succeeded' AND (r.last_removed_at IS NULL OR p.created_at > r.last_removed_at)
   GROUP BY p.user_id
), subscribed AS (
  SELECT DISTINCT ON (s.user_id) s.user_id, s.id, s.status, s.provider_subscription_id
    FROM user_subscriptions s WHERE s.status IN ('active', 'trialing')
   ORDER BY s.user_id, (s.status = 'active') DESC, s.created_at DESC, s.id
)
SELECT u.id AS user_id, u.email, u.created_at AS user_created_at, u.first_name, u.last_name, u.middle_name,
       nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), '') AS full_name,
       s.id::text AS subscription_id, s.status AS subscription_status, s.provider_subscription_id,
       p.tenure_start_date, p.last_payment_date, p.total_successful_payments, p.lifetime_payment_total,
       EXISTS (SELECT 1 FROM payout_management m
                WHERE m.user_id = u.id AND m.tenure_number = p.tenure_number
                  AND m.status NOT IN ('rejected', 'cancelled')) AS has_received_payout,
       row_number() OVER (ORDER BY p.tenure_start_date, u.id) AS queue_position,
       s.status = 'active' AS is_eligible,
       p.total_successful_payments >= 12 AS meets_time_requirement,
       now() AS calculated_at,
       p.tenure_number
  FROM paid p
  JOIN subscribed s ON s.user_id = p.user_id
  JOIN users u ON u.id = p.user_id;
--> statement-breakpoint
GRANT SELECT ON active_member_queue_view TO payout_service;
