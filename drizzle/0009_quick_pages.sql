-- The audit log is read by time: a page of some month years ago is found by its index, where by number it was walked to from
-- the newest entry. The version before finds the same entries with what remains, only more slowly.
DROP INDEX "user_audit_logs_admin_id_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_action_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_created_at_idx";
--> statement-breakpoint
ALTER TABLE "queue_totals" ADD COLUMN "ahead" bigint DEFAULT 0 NOT NULL;
--> statement-breakpoint
CREATE INDEX "user_audit_logs_admin_id_time_idx" ON "user_audit_logs" USING btree ("admin_id","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_action_time_idx" ON "user_audit_logs" USING btree ("action","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_time_idx" ON "user_audit_logs" USING btree ("created_at","sequence");
--> statement-breakpoint
-- A plan that was made when a table was small read all of it for each member, and was kept while the table grew.
ALTER FUNCTION queue_compute(uuid[]) SET enable_seqscan = off;
--> statement-breakpoint
-- Notes how many stand ahead of the first candidate. Only under the fold's lock.
CREATE FUNCTION queue_note_ahead() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  counted bigint;
BEGIN
  SELECT public.queue_rank(m.tenure_start, m.user_id) - 1 INTO counted
    FROM public.queue_members m WHERE m.is_candidate ORDER BY m.tenure_start, m.user_id LIMIT 1;
  UPDATE public.queue_totals SET ahead = coalesce(counted, 0) WHERE ahead <> coalesce(counted, 0);
END $$;
--> statement-breakpoint
-- As it was, but by index alone, for the same reason; and notes who stands ahead.
CREATE OR REPLACE FUNCTION queue_recompute(ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  WITH cur AS MATERIALIZED (
    SELECT * FROM public.queue_compute(ids)
  ), old AS MATERIALIZED (
    SELECT m.* FROM unnest(ids) i(id) JOIN public.queue_members m ON m.user_id = i.id
  ), gone AS (
    DELETE FROM public.queue_members m USING (
      SELECT i.id FROM unnest(ids) i(id) EXCEPT SELECT user_id FROM cur) g WHERE m.user_id = g.id
  ), kept AS (
    INSERT INTO public.queue_members AS m (user_id, is_known, payments, lifetime_total, revenue, tenure_start, last_payment,
      tenure_number, subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross)
    SELECT * FROM cur
    ON CONFLICT (user_id) DO UPDATE SET is_known = excluded.is_known, payments = excluded.payments,
      lifetime_total = excluded.lifetime_total, revenue = excluded.revenue, tenure_start = excluded.tenure_start,
      last_payment = excluded.last_payment, tenure_number = excluded.tenure_number,
      subscription_id = excluded.subscription_id, subscription_status = excluded.subscription_status,
      provider_subscription_id = excluded.provider_subscription_id, has_payout = excluded.has_payout,
      live_payouts = excluded.live_payouts, live_gross = excluded.live_gross
    WHERE (m.is_known, m.payments, m.lifetime_total, m.revenue, m.tenure_start, m.last_payment, m.tenure_number,
           m.subscription_id, m.subscription_status, m.provider_subscription_id, m.has_payout, m.live_payouts, m.live_gross)
      IS DISTINCT FROM (excluded.is_known, excluded.payments, excluded.lifetime_total, excluded.revenue,
           excluded.tenure_start, excluded.last_payment, excluded.tenure_number, excluded.subscription_id,
           excluded.subscription_status, excluded.provider_subscription_id, excluded.has_payout, excluded.live_payouts,
           excluded.live_gross)
  ), moved AS (
    SELECT day, sum(q) AS members, sum(c) AS candidates FROM (
      SELECT (tenure_start AT TIME ZONE 'UTC')::date AS day, 1 AS q,
             (subscription_status = 'active' AND NOT has_payout)::integer AS c
        FROM cur WHERE is_known AND payments > 0 AND subscription_status IS NOT NULL
      UNION ALL
      SELECT (tenure_start AT TIME ZONE 'UTC')::date, -1, -is_candidate::integer FROM old WHERE in_queue) x
     GROUP BY day
  ), days AS (
    INSERT INTO public.queue_days AS d SELECT * FROM moved WHERE members <> 0 OR candidates <> 0
    ON CONFLICT (day) DO UPDATE SET members = d.members + excluded.members, candidates = d.candidates + excluded.candidates
  )
  UPDATE public.queue_totals t SET
    revenue = t.revenue + c.revenue - o.revenue, live_payouts = t.live_payouts + c.payouts - o.payouts,
    live_gross = t.live_gross + c.gross - o.gross, members = t.members + v.members, candidates = t.candidates + v.candidates
    FROM (SELECT coalesce(sum(revenue), 0) AS revenue, coalesce(sum(live_payouts), 0) AS payouts,
                 coalesce(sum(live_gross), 0) AS gross FROM cur) c,
         (SELECT coalesce(sum(revenue), 0) AS revenue, coalesce(sum(live_payouts), 0) AS payouts,
                 coalesce(sum(live_gross), 0) AS gross FROM old) o,
         (SELECT coalesce(sum(members), 0) AS members, coalesce(sum(candidates), 0) AS candidates FROM moved) v
   WHERE (c.revenue, c.payouts, c.gross) IS DISTINCT FROM (o.revenue, o.payouts, o.gross) OR v.members <> 0 OR v.candidates <> 0;
  PERFORM public.queue_note_ahead();
END $$;
--> statement-breakpoint
-- As it was, and notes who stands ahead.
CREATE OR REPLACE FUNCTION queue_recount() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7203007);
  DELETE FROM public.queue_days;
  INSERT INTO public.queue_days
    SELECT (tenure_start AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE is_candidate)
      FROM public.queue_members WHERE in_queue GROUP BY 1;
  UPDATE public.queue_totals t SET revenue = n.revenue, members = n.members, candidates = n.candidates,
         live_payouts = n.live_payouts, live_gross = n.live_gross
    FROM (SELECT coalesce(sum(revenue), 0) AS revenue, count(*) FILTER (WHERE in_queue) AS members,
                 count(*) FILTER (WHERE is_candidate) AS candidates, coalesce(sum(live_payouts), 0) AS live_payouts,
                 coalesce(sum(live_gross), 0) AS live_gross FROM public.queue_members) n;
  PERFORM public.queue_note_ahead();
END $$;
--> statement-breakpoint
-- As it was, but what stands ahead of the first page has been counted by the fold.
CREATE OR REPLACE FUNCTION queue_candidate_page(after_start timestamptz, after_user uuid, before_start timestamptz, before_user uuid,
  only_valid boolean, most integer) RETURNS TABLE (
  is_waiting boolean, user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz,
  last_payment timestamptz, payments integer, lifetime_total numeric, subscription_status text, has_payout boolean,
  tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET enable_memoize = off AS $$
#variable_conflict use_column
DECLARE
  waiting boolean;
  first_start timestamptz;
  first_user uuid;
  ahead bigint;
BEGIN
  SELECT m.tenure_start, m.user_id, EXISTS (SELECT FROM public.queue_touched),
         CASE WHEN after_start IS NULL THEN (SELECT t.ahead FROM public.queue_totals t) END
    INTO first_start, first_user, waiting, ahead
    FROM public.queue_members m
   WHERE m.is_candidate
     AND (m.tenure_start, m.user_id) >
         (coalesce(after_start, '-infinity'), coalesce(after_user, '00000000-0000-0000-0000-000000000000'))
   ORDER BY m.tenure_start, m.user_id LIMIT 1;
  IF ahead IS NULL THEN
    ahead := public.queue_rank(first_start, first_user) - 1;
  END IF;
  RETURN QUERY
  SELECT waiting, z.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         ahead + z.step, z.tenure_start, z.last_payment, z.payments, z.lifetime_total, z.subscription_status, z.has_payout,
         z.tenure_number, coalesce(c.is_verified, false)
    FROM (SELECT m.user_id, m.tenure_start, m.last_payment, m.payments, m.lifetime_total, m.subscription_status, m.has_payout,
                 m.tenure_number, m.is_candidate, row_number() OVER (ORDER BY m.tenure_start, m.user_id) AS step
            FROM public.queue_members m
           WHERE m.in_queue AND (m.tenure_start, m.user_id) >= (first_start, first_user)
             AND (m.tenure_start, m.user_id) <
                 (coalesce(before_start, 'infinity'), coalesce(before_user, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))) z
    JOIN public.users u ON u.id = z.user_id
    LEFT JOIN LATERAL (SELECT k.status::text = 'verified' AS is_verified FROM public.kyc_verification k WHERE k.user_id = z.user_id
                        ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1) c ON true
   WHERE z.is_candidate AND (NOT only_valid OR (z.payments >= 12 AND c.is_verified))
   ORDER BY z.tenure_start, z.user_id LIMIT most;
  IF NOT FOUND THEN
    is_waiting := EXISTS (SELECT FROM public.queue_touched);
    RETURN NEXT;
  END IF;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION queue_note_ahead FROM PUBLIC;
--> statement-breakpoint
SELECT queue_note_ahead();
