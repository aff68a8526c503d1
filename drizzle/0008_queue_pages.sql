-- Reads of the queue that answer in one function whether somebody waits for a fold, and walk along the queue once for a
-- page in place of once for each candidate on it. queue_candidates and queue_find stay for the version before this one.

-- A page of candidates between two places, in queue order. The first one's position is the sum of the days before and a
-- count within its day; the others' follow by walking on. `is_waiting`, of the same moment as the rest: somebody was
-- touched since the last fold, and so this may not be exact. Where there is nobody, it stands in a row of its own.
-- Planned once and only for walks along indexes: not knowing the limit, PostgreSQL would rather sort everybody.
CREATE FUNCTION queue_candidate_page(after_start timestamptz, after_user uuid, before_start timestamptz, before_user uuid,
  only_valid boolean, most integer) RETURNS TABLE (
  is_waiting boolean, user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz,
  last_payment timestamptz, payments integer, lifetime_total numeric, subscription_status text, has_payout boolean,
  tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  waiting constant boolean := EXISTS (SELECT FROM public.queue_touched);
  first_start timestamptz;
  first_user uuid;
  ahead bigint;
BEGIN
  SELECT m.tenure_start, m.user_id,
         (SELECT coalesce(sum(d.members), 0) FROM public.queue_days d WHERE d.day < (m.tenure_start AT TIME ZONE 'UTC')::date)
         + (SELECT count(*) FROM public.queue_members o
             WHERE o.in_queue AND o.tenure_start >= (m.tenure_start AT TIME ZONE 'UTC')::date::timestamp AT TIME ZONE 'UTC'
               AND (o.tenure_start, o.user_id) < (m.tenure_start, m.user_id))
    INTO first_start, first_user, ahead
    FROM public.queue_members m
   WHERE m.is_candidate
     AND (m.tenure_start, m.user_id) >
         (coalesce(after_start, '-infinity'), coalesce(after_user, '00000000-0000-0000-0000-000000000000'))
   ORDER BY m.tenure_start, m.user_id LIMIT 1;
  RETURN QUERY
  SELECT waiting, z.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         ahead + z.step, z.tenure_start, z.last_payment, z.payments, z.lifetime_total, z.subscription_status, z.has_payout,
         z.tenure_number, coalesce(c.is_verified, false)
    FROM (SELECT m.*, row_number() OVER (ORDER BY m.tenure_start, m.user_id) AS step
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
    is_waiting := waiting;
    RETURN NEXT;
  END IF;
END $$;
--> statement-breakpoint
-- These members, if they are in the queue; `is_waiting` as above.
CREATE FUNCTION queue_lookup(ids uuid[]) RETURNS TABLE (
  is_waiting boolean, user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz,
  last_payment timestamptz, payments integer, lifetime_total numeric, subscription_status text, has_payout boolean,
  tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  waiting constant boolean := EXISTS (SELECT FROM public.queue_touched);
BEGIN
  RETURN QUERY
  SELECT waiting, m.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         public.queue_rank(m.tenure_start, m.user_id), m.tenure_start, m.last_payment, m.payments, m.lifetime_total,
         m.subscription_status, m.has_payout, m.tenure_number,
         coalesce((SELECT k.status::text = 'verified' FROM public.kyc_verification k WHERE k.user_id = m.user_id
                    ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1), false)
    FROM public.queue_members m JOIN public.users u ON u.id = m.user_id
   WHERE m.in_queue AND m.user_id = ANY (ids)
   ORDER BY m.tenure_start, m.user_id;
  IF NOT FOUND THEN
    is_waiting := waiting;
    RETURN NEXT;
  END IF;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION queue_candidate_page, queue_lookup FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION queue_candidate_page, queue_lookup TO payout_service;
--> statement-breakpoint
-- Tranches that are free again are found among those that were given back, by number.
CREATE INDEX "payout_management_released_tranche_idx" ON "payout_management" USING btree ("funding_tranche") WHERE status IN ('rejected', 'cancelled');
--> statement-breakpoint
-- Whose session this is, asked at every request: planned once, as planning took twice as long as the rest. Columns that the
-- main app's schema may lack are read by `to_jsonb`, where they are then null. Times are the database's own.
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
