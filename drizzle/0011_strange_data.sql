-- What the main app's tables may hold, beside what ours would: a person who is in admin_users more than once, roles that we
-- do not know, sessions and subscriptions whose ids are no UUIDs, payments without a date that can be told or with an amount
-- that is none.
-- And an owner who is no superuser: from PostgreSQL 16 on, whoever makes a role is a member of it, and may not take it on.
DO $$
DECLARE wanted text;
BEGIN
  IF current_setting('server_version_num')::integer >= 160000 THEN
    FOREACH wanted IN ARRAY ARRAY['payout_service', 'payout_main_app', 'payout_archivist'] LOOP
      BEGIN
        IF NOT pg_has_role(current_user, wanted, 'SET') THEN
          EXECUTE format('GRANT %I TO %I WITH SET TRUE', wanted, current_user);
        END IF;
      EXCEPTION WHEN insufficient_privilege OR unique_violation THEN NULL;
      END;
    END LOOP;
  END IF;
END $$;
--> statement-breakpoint
-- First, before anybody is kept waiting, those whom the functions below count anew; from the start, where a sum went wrong.
INSERT INTO queue_touched SELECT NULL FROM queue_totals WHERE revenue = 'NaN';
--> statement-breakpoint
INSERT INTO queue_touched SELECT user_id FROM user_payments
 WHERE status::text = 'succeeded' AND user_id IS NOT NULL
   AND ((created_at >= '0001-01-01Z' AND created_at < '9999-12-31Z') IS NOT TRUE
        OR (abs(amount) < 1e10) IS NOT TRUE OR amount <> round(amount, 2));
--> statement-breakpoint
-- Who somebody is on the staff: one person has one number, that of their first row, whether it is active or not, and the role
-- of their first active one. So whoever has two rows is still one person for everything that two different people must do.
-- It has no settings of its own, so that PostgreSQL makes it a part of what asks; it says the schema instead. Numbers beyond
-- those that our tables hold are nobody's.
CREATE FUNCTION staff_of(person uuid) RETURNS TABLE (id integer, role text, ids jsonb) LANGUAGE sql STABLE ROWS 1 AS $$
  SELECT min(a.id)::integer, (array_agg(a.role::text ORDER BY a.id)
           FILTER (WHERE a.is_active AND a.role::text IN ('admin', 'finance_manager', 'viewer')))[1],
         jsonb_agg(a.id ORDER BY a.id)
    FROM public.admin_users a WHERE a.user_id = person AND a.id <= 2147483647
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION staff_of FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION staff_of TO payout_service;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION staff_may(staff integer, VARIADIC roles text[]) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM admin_users a, staff_of(a.user_id) s
                  WHERE a.id = staff AND s.id = staff AND s.role = ANY (roles))
$$;
--> statement-breakpoint
-- Are these two numbers of one person?
CREATE FUNCTION same_person(one integer, other integer) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM admin_users a JOIN admin_users b ON b.user_id = a.user_id WHERE a.id = one AND b.id = other)
$$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION same_person FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION same_person TO payout_service;
--> statement-breakpoint
-- The columns are rewritten, with the indexes: some seconds at a million members. Locks are taken in the order of 0009.
SELECT pg_advisory_xact_lock(7203007);
--> statement-breakpoint
LOCK TABLE queue_members, queue_totals IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
DROP VIEW active_member_queue_view;
--> statement-breakpoint
DROP FUNCTION queue_compute, queue_compute_range;
--> statement-breakpoint
ALTER TABLE queue_members ALTER COLUMN subscription_id SET DATA TYPE text;
--> statement-breakpoint
-- As they were; a payment counts for the tenure if its date can be told, and for anything if its amount is one.
CREATE FUNCTION queue_compute(ids uuid[]) RETURNS TABLE (
  user_id uuid, is_known boolean, payments integer, lifetime_total numeric, revenue numeric, tenure_start timestamptz,
  last_payment timestamptz, tenure_number integer, subscription_id text, subscription_status text,
  provider_subscription_id text, has_payout boolean, live_payouts integer, live_gross numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
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
       FROM (SELECT round(q.amount, 2) AS amount, q.currency, q.created_at,
                    q.created_at >= '0001-01-01Z' AND q.created_at < '9999-12-31Z'
                      AND (r.last_removed_at IS NULL OR q.created_at > r.last_removed_at) AS in_tenure
               FROM public.user_payments q
              WHERE q.user_id = i.id AND q.status::text = 'succeeded' AND abs(q.amount) < 1e10) y) p
   CROSS JOIN LATERAL (
     SELECT count(*)::integer AS n, coalesce(sum(x.amount), 0) AS gross,
            coalesce(bool_or(x.tenure_number = r.removals), false) AS in_tenure
       FROM public.payout_management x WHERE x.user_id = i.id AND x.status NOT IN ('rejected', 'cancelled')) w
    LEFT JOIN LATERAL (
     SELECT z.id::text AS id, z.status::text AS status, z.provider_subscription_id::text AS provider_id
       FROM public.user_subscriptions z WHERE z.user_id = i.id AND z.status::text IN ('active', 'trialing')
      ORDER BY (z.status::text = 'active') DESC, z.created_at DESC, z.id LIMIT 1) s ON true
   WHERE p.n > 0 OR p.revenue <> 0 OR w.n > 0;
END $$;
--> statement-breakpoint
CREATE FUNCTION queue_compute_range(low uuid, high uuid) RETURNS TABLE (
  user_id uuid, is_known boolean, payments integer, lifetime_total numeric, revenue numeric, tenure_start timestamptz,
  last_payment timestamptz, tenure_number integer, subscription_id text, subscription_status text,
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
      FROM (SELECT q.user_id AS id, round(q.amount, 2) AS amount, q.currency, q.created_at,
                   q.created_at >= '0001-01-01Z' AND q.created_at < '9999-12-31Z'
                     AND (d.last_removed_at IS NULL OR q.created_at > d.last_removed_at) AS in_tenure
              FROM public.user_payments q LEFT JOIN removed d ON d.id = q.user_id
             WHERE q.status::text = 'succeeded' AND abs(q.amount) < 1e10 AND q.user_id BETWEEN low AND high) y
     GROUP BY y.id
  ), won AS (
    SELECT x.user_id AS id, count(*)::integer AS n, sum(x.amount) AS gross,
           bool_or(x.tenure_number = coalesce(d.removals, 0)) AS in_tenure
      FROM public.payout_management x LEFT JOIN removed d ON d.id = x.user_id
     WHERE x.status NOT IN ('rejected', 'cancelled') AND x.user_id BETWEEN low AND high GROUP BY x.user_id
  ), subscribed AS (
    SELECT DISTINCT ON (z.user_id) z.user_id AS owner, z.id::text AS id, z.status::text AS status, z.provider_subscription_id::text AS provider_id
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
-- What two different people must do is not done by one under two numbers, one of them of an earlier time.
CREATE FUNCTION decider_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM payout_approvals a WHERE a.payout_id = NEW.payout_id AND a.round = NEW.round
                AND a.admin_id <> NEW.admin_id AND same_person(a.admin_id, NEW.admin_id)) THEN
    PERFORM payout_refuse('payout_approvals_one_decision_per_person', 'The same person decides once in a round.');
  END IF;
  IF NEW.decision = 'approved' AND EXISTS (SELECT 1 FROM payout_management p
       WHERE p.payout_id = NEW.payout_id AND same_person(p.initiated_by, NEW.admin_id)) THEN
    PERFORM payout_refuse('initiator_never_approves', 'Whoever initiated a payout never approves it.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER decider_guard BEFORE INSERT ON payout_approvals FOR EACH ROW EXECUTE FUNCTION decider_guard();
--> statement-breakpoint
-- The same for payments; and no payment goes to an account that failed for any payout of the member. It is looked at behind
-- payment_attempt_guard, which fills in who recorded the failure before.
CREATE FUNCTION payer_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF same_person(NEW.sent_by, NEW.generated_by) THEN
    PERFORM payout_refuse('payment_attempts_generator_never_sends', 'Whoever generates instructions never marks them sent.');
  END IF;
  IF same_person(NEW.previous_failure_by, NEW.generated_by) THEN
    PERFORM payout_refuse('payment_attempts_failure_recorder_never_generates', 'Whoever recorded a failure does not generate.');
  END IF;
  IF same_person(NEW.previous_failure_by, NEW.sent_by) THEN
    PERFORM payout_refuse('payment_attempts_failure_recorder_never_sends', 'Whoever recorded a failure does not send.');
  END IF;
  IF NEW.payment_method = 'ach' AND EXISTS (
       SELECT 1 FROM payout_management p JOIN payout_management o ON o.user_id = p.user_id
         JOIN bank_details b ON b.payout_id = o.payout_id
        WHERE p.payout_id = NEW.payout_id AND b.fingerprint = NEW.bank_fingerprint AND b.refused_at IS NOT NULL) THEN
    PERFORM payout_refuse('attempt_refused', 'A payment to this account has failed.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payment_payer_guard_made BEFORE INSERT ON payment_attempts FOR EACH ROW EXECUTE FUNCTION payer_guard();
--> statement-breakpoint
CREATE TRIGGER payment_payer_guard_sent BEFORE UPDATE ON payment_attempts FOR EACH ROW
  WHEN (OLD.status = 'ready' AND NEW.status = 'sent') EXECUTE FUNCTION payer_guard();
--> statement-breakpoint
-- Under what a session is noted: its id, or what stands for one that is no UUID.
CREATE FUNCTION session_key(id text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN id ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$' THEN id::uuid ELSE pg_catalog.md5(id)::uuid END
$$;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION session_key TO payout_service;
--> statement-breakpoint
DROP FUNCTION session_caller;
--> statement-breakpoint
-- As it was, with all numbers of the person; a session that did not begin in the past counts as too old for whatever asks.
CREATE FUNCTION session_caller(given text) RETURNS TABLE (
  session_id text, user_id uuid, email text, admin_id integer, role text, age_seconds double precision,
  idle_seconds double precision, touch_due boolean, banned boolean, impersonated boolean, two_factors boolean, admin_ids jsonb)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT s.id::text, u.id, u.email::text, a.id, a.role,
         CASE WHEN began THEN extract(epoch FROM now() - s.created_at)::double precision ELSE 'Infinity' END,
         CASE WHEN began THEN extract(epoch FROM now() - coalesce(seen.last_seen_at, s.created_at))::double precision
              ELSE 'Infinity' END,
         coalesce(seen.last_seen_at < now() - interval '1 minute', true),
         coalesce(to_jsonb(u)->>'banned' IN ('true', 't', '1'), false),
         to_jsonb(s)->>'impersonated_by' IS NOT NULL,
         CASE WHEN jsonb_exists(to_jsonb(u), 'two_factor_enabled')
              THEN coalesce(to_jsonb(u)->>'two_factor_enabled' = 'true', false) END,
         a.ids
    FROM public.sessions s
    JOIN public.users u ON u.id = s.user_id
   CROSS JOIN LATERAL (SELECT s.created_at > '-infinity' AND s.created_at < now() + interval '5 minutes') age(began)
    LEFT JOIN LATERAL public.staff_of(u.id) a ON a.role IS NOT NULL
    LEFT JOIN public.session_activity seen ON seen.session_id = public.session_key(s.id::text)
   WHERE s.token = given AND s.expires_at > now();
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION session_caller FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION session_caller TO payout_service;
