-- The functions and columns as they were. An id that is no UUID is forgotten: a fold finds the subscription again.
SELECT pg_advisory_xact_lock(7203007);
--> statement-breakpoint
LOCK TABLE queue_members, queue_totals IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
DROP TRIGGER decider_guard ON payout_approvals;
--> statement-breakpoint
DROP TRIGGER payment_payer_guard_made ON payment_attempts;
--> statement-breakpoint
DROP TRIGGER payment_payer_guard_sent ON payment_attempts;
--> statement-breakpoint
DROP FUNCTION decider_guard, payer_guard;
--> statement-breakpoint
DROP VIEW active_member_queue_view;
--> statement-breakpoint
DROP FUNCTION queue_compute, queue_compute_range;
--> statement-breakpoint
ALTER TABLE queue_members ALTER COLUMN subscription_id SET DATA TYPE uuid
  USING CASE WHEN subscription_id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN subscription_id::uuid END;
--> statement-breakpoint
CREATE FUNCTION queue_compute(ids uuid[]) RETURNS TABLE (
  user_id uuid, is_known boolean, payments integer, lifetime_total numeric, revenue numeric, tenure_start timestamptz,
  last_payment timestamptz, tenure_number integer, subscription_id uuid, subscription_status text,
  provider_subscription_id text, has_payout boolean, live_payouts integer, live_gross numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT i.id, EXISTS (SELECT FROM public.users u WHERE u.id = i.id), p.n, p.total, p.revenue, p.first, p.last, r.removals,
         s.id, s.status, s.provider_id, w.in_tenure, w.n, w.gross
    FROM unnest(ids) AS i(id)
   CROSS JOIN LATERAL (
     SELECT max(m.removed_at) AS last_removed_at, count(*)::integer AS removals
       FROM public.membership_removals m WHERE m.user_id = i.id AND m.status = 'removed') r
   CROSS JOIN LATERAL (
     SELECT count(*) FILTER (WHERE in_tenure)::integer AS n, coalesce(sum(y.amount) FILTER (WHERE in_tenure), 0) AS total,
            min(y.created_at) FILTER (WHERE in_tenure) AS first, max(y.created_at) FILTER (WHERE in_tenure) AS last,
            coalesce(sum(y.amount) FILTER (WHERE upper(y.currency::text) = 'USD'), 0) AS revenue
       FROM (SELECT q.*, r.last_removed_at IS NULL OR q.created_at > r.last_removed_at AS in_tenure
               FROM public.user_payments q WHERE q.user_id = i.id AND q.status::text = 'succeeded') y) p
   CROSS JOIN LATERAL (
     SELECT count(*)::integer AS n, coalesce(sum(x.amount), 0) AS gross,
            coalesce(bool_or(x.tenure_number = r.removals), false) AS in_tenure
       FROM public.payout_management x WHERE x.user_id = i.id AND x.status NOT IN ('rejected', 'cancelled')) w
    LEFT JOIN LATERAL (
     SELECT z.id, z.status::text AS status, z.provider_subscription_id::text AS provider_id
       FROM public.user_subscriptions z WHERE z.user_id = i.id AND z.status::text IN ('active', 'trialing')
      ORDER BY (z.status::text = 'active') DESC, z.created_at DESC, z.id LIMIT 1) s ON true
   WHERE p.n > 0 OR p.revenue <> 0 OR w.n > 0;
END $$;
--> statement-breakpoint
ALTER FUNCTION queue_compute(uuid[]) SET enable_seqscan = off;
--> statement-breakpoint
ALTER FUNCTION queue_compute SET jit = off;
--> statement-breakpoint
CREATE FUNCTION queue_compute_range(low uuid, high uuid) RETURNS TABLE (
  user_id uuid, is_known boolean, payments integer, lifetime_total numeric, revenue numeric, tenure_start timestamptz,
  last_payment timestamptz, tenure_number integer, subscription_id uuid, subscription_status text,
  provider_subscription_id text, has_payout boolean, live_payouts integer, live_gross numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH removed AS (
    SELECT m.user_id AS id, max(m.removed_at) AS last_removed_at, count(*)::integer AS removals
      FROM public.membership_removals m WHERE m.status = 'removed' AND m.user_id BETWEEN low AND high GROUP BY m.user_id
  ), paid AS (
    SELECT y.id, count(*) FILTER (WHERE in_tenure)::integer AS n, coalesce(sum(y.amount) FILTER (WHERE in_tenure), 0) AS total,
           min(y.created_at) FILTER (WHERE in_tenure) AS first, max(y.created_at) FILTER (WHERE in_tenure) AS last,
           coalesce(sum(y.amount) FILTER (WHERE upper(y.currency::text) = 'USD'), 0) AS revenue
      FROM (SELECT q.user_id AS id, q.amount, q.currency, q.created_at,
                   d.last_removed_at IS NULL OR q.created_at > d.last_removed_at AS in_tenure
              FROM public.user_payments q LEFT JOIN removed d ON d.id = q.user_id
             WHERE q.status::text = 'succeeded' AND q.user_id BETWEEN low AND high) y
     GROUP BY y.id
  ), won AS (
    SELECT x.user_id AS id, count(*)::integer AS n, sum(x.amount) AS gross,
           bool_or(x.tenure_number = coalesce(d.removals, 0)) AS in_tenure
      FROM public.payout_management x LEFT JOIN removed d ON d.id = x.user_id
     WHERE x.status NOT IN ('rejected', 'cancelled') AND x.user_id BETWEEN low AND high GROUP BY x.user_id
  ), subscribed AS (
    SELECT DISTINCT ON (z.user_id) z.user_id AS owner, z.id, z.status::text AS status, z.provider_subscription_id::text AS provider_id
      FROM public.user_subscriptions z
     WHERE z.status::text IN ('active', 'trialing') AND z.user_id BETWEEN low AND high
     ORDER BY z.user_id, (z.status::text = 'active') DESC, z.created_at DESC, z.id
  ), known AS (
    SELECT u.id FROM public.users u WHERE u.id BETWEEN low AND high
  )
  SELECT coalesce(p.id, w.id), k.id IS NOT NULL, coalesce(p.n, 0), coalesce(p.total, 0), coalesce(p.revenue, 0), p.first, p.last,
         coalesce(d.removals, 0), s.id, s.status, s.provider_id, coalesce(w.in_tenure, false), coalesce(w.n, 0), coalesce(w.gross, 0)
    FROM paid p FULL JOIN won w ON w.id = p.id
    LEFT JOIN known k ON k.id = coalesce(p.id, w.id)
    LEFT JOIN removed d ON d.id = coalesce(p.id, w.id)
    LEFT JOIN subscribed s ON s.owner = coalesce(p.id, w.id)
   WHERE p.n > 0 OR p.revenue <> 0 OR w.n > 0;
END $$;
--> statement-breakpoint
CREATE VIEW active_member_queue_view AS
WITH waiting AS MATERIALIZED (
  SELECT DISTINCT t.user_id FROM queue_touched t WHERE t.user_id IS NOT NULL
), member AS (
  SELECT m.user_id, m.payments, m.lifetime_total::numeric AS lifetime_total, m.tenure_start, m.last_payment, m.tenure_number,
         m.subscription_id, m.subscription_status, m.provider_subscription_id, m.has_payout
    FROM queue_members m
   WHERE m.in_queue AND m.user_id NOT IN (SELECT w.user_id FROM waiting w)
     AND NOT EXISTS (SELECT FROM queue_touched t WHERE t.user_id IS NULL)
  UNION ALL
  SELECT c.user_id, c.payments, c.lifetime_total, c.tenure_start, c.last_payment, c.tenure_number,
         c.subscription_id, c.subscription_status, c.provider_subscription_id, c.has_payout
    FROM queue_compute(ARRAY(SELECT w.user_id FROM waiting w)) c
   WHERE c.is_known AND c.payments > 0 AND c.subscription_status IS NOT NULL
     AND NOT EXISTS (SELECT FROM queue_touched t WHERE t.user_id IS NULL)
  UNION ALL
  SELECT c.user_id, c.payments, c.lifetime_total, c.tenure_start, c.last_payment, c.tenure_number,
         c.subscription_id, c.subscription_status, c.provider_subscription_id, c.has_payout
    FROM queue_compute_range('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') c
   WHERE c.is_known AND c.payments > 0 AND c.subscription_status IS NOT NULL
     AND EXISTS (SELECT FROM queue_touched t WHERE t.user_id IS NULL)
)
SELECT u.id AS user_id, u.email, u.created_at AS user_created_at, u.first_name, u.last_name, u.middle_name,
       nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), '') AS full_name,
       m.subscription_id::text AS subscription_id, m.subscription_status, m.provider_subscription_id,
       m.tenure_start AS tenure_start_date, m.last_payment AS last_payment_date,
       m.payments::bigint AS total_successful_payments, m.lifetime_total AS lifetime_payment_total,
       m.has_payout AS has_received_payout,
       row_number() OVER (ORDER BY m.tenure_start, m.user_id) AS queue_position,
       m.subscription_status = 'active' AS is_eligible,
       m.payments >= 12 AS meets_time_requirement,
       now() AS calculated_at,
       m.tenure_number
  FROM member m
  JOIN users u ON u.id = m.user_id;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION queue_compute, queue_compute_range FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION queue_compute, queue_compute_range TO payout_service;
--> statement-breakpoint
GRANT SELECT ON active_member_queue_view TO payout_service;
--> statement-breakpoint
DROP FUNCTION session_caller;
--> statement-breakpoint
CREATE FUNCTION session_caller(given text) RETURNS TABLE (
  session_id text, user_id uuid, email text, admin_id integer, role text, age_seconds double precision,
  idle_seconds double precision, touch_due boolean, banned boolean, impersonated boolean, two_factors boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT s.id::text, u.id, u.email::text, a.id, a.role::text,
         extract(epoch FROM now() - s.created_at)::double precision,
         extract(epoch FROM now() - coalesce(seen.last_seen_at, s.created_at))::double precision,
         coalesce(seen.last_seen_at < now() - interval '1 minute', true),
         coalesce(to_jsonb(u)->>'banned' IN ('true', 't', '1'), false),
         to_jsonb(s)->>'impersonated_by' IS NOT NULL,
         CASE WHEN jsonb_exists(to_jsonb(u), 'two_factor_enabled')
              THEN coalesce(to_jsonb(u)->>'two_factor_enabled' = 'true', false) END
    FROM public.sessions s
    JOIN public.users u ON u.id = s.user_id
    LEFT JOIN public.admin_users a ON a.user_id = u.id AND a.is_active
    LEFT JOIN public.session_activity seen ON seen.session_id = s.id
   WHERE s.token = given AND s.expires_at > now();
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION session_caller FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION session_caller TO payout_service;
--> statement-breakpoint
DROP FUNCTION session_key;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION staff_may(staff integer, VARIADIC roles text[]) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM admin_users a WHERE a.id = staff AND a.is_active AND a.role = ANY (roles))
$$;
--> statement-breakpoint
DROP FUNCTION same_person, staff_of;
