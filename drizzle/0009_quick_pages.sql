-- Pages that cost as much as they show: of the queue, and of the audit log.
-- First what an initiation takes, in its order, so that neither stops the other for good: the fold's lock, the queue, and
-- the audit log last. Folds that wait go on with the functions below.
SELECT pg_advisory_xact_lock(7203007);
--> statement-breakpoint
LOCK TABLE queue_members, queue_totals IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
ALTER TABLE "queue_totals" ADD COLUMN "first_start" timestamp with time zone, ADD COLUMN "first_user" uuid,
  ADD COLUMN "ahead" bigint DEFAULT 0 NOT NULL;
--> statement-breakpoint
ALTER TABLE "queue_members" ADD COLUMN "kyc_verified" boolean DEFAULT false NOT NULL;
--> statement-breakpoint
-- A plan that was made when a table was small read all of it for each member, and was kept while the table grew.
ALTER FUNCTION queue_compute(uuid[]) SET enable_seqscan = off;
--> statement-breakpoint
-- As it was, but planned once, and everybody in the log is worked out once, however often they are in it.
CREATE OR REPLACE FUNCTION queue_fold() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  batch constant integer := 20000;
  ids uuid[];
  everybody boolean;
BEGIN
  IF EXISTS (SELECT FROM public.queue_touched) THEN
    PERFORM pg_advisory_xact_lock(7203007);
    WITH gone AS (DELETE FROM public.queue_touched RETURNING user_id)
    SELECT array_agg(DISTINCT user_id), coalesce(bool_or(user_id IS NULL), false) INTO ids, everybody FROM gone;
    IF everybody THEN
      PERFORM public.queue_refill();
    ELSE
      FOR place IN 1 .. coalesce(cardinality(ids), 0) BY batch LOOP
        PERFORM public.queue_recompute(ids[place : place + batch - 1]);
      END LOOP;
    END IF;
  END IF;
  RETURN public.queue_watched();
END $$;
--> statement-breakpoint
-- A kind of step that is forbidden counts, up to PostgreSQL 17, as so long a one that JIT compiles every plan with it: half a
-- second where a session has not turned that off, as the service's do.
ALTER FUNCTION queue_compute SET jit = off;
--> statement-breakpoint
ALTER FUNCTION queue_rank SET jit = off;
--> statement-breakpoint
ALTER FUNCTION queue_candidates SET jit = off;
--> statement-breakpoint
ALTER FUNCTION queue_find SET jit = off;
--> statement-breakpoint
-- Whoever is paid twice in one statement is logged twice: to leave them out was an aggregate at each payment that comes alone,
-- and the fold works them out once.
CREATE OR REPLACE FUNCTION queue_log_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO public.queue_touched SELECT user_id FROM added WHERE status::text = 'succeeded' AND user_id IS NOT NULL;
  RETURN NULL;
END $$;
--> statement-breakpoint
-- The newest identity check of everybody from `low` to `high` who has one, by reading the table once.
CREATE FUNCTION queue_kyc_range(low uuid, high uuid) RETURNS TABLE (user_id uuid, is_verified boolean) LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT ON (k.user_id) k.user_id, k.status::text = 'verified' FROM public.kyc_verification k
   WHERE k.user_id BETWEEN low AND high ORDER BY k.user_id, k.verified_at DESC NULLS LAST, k.id
$$;
--> statement-breakpoint
-- Notes who is the first candidate, and how many stand ahead. Only under the fold's lock.
CREATE FUNCTION queue_note_first() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  start timestamptz;
  member uuid;
  counted bigint;
BEGIN
  SELECT m.tenure_start, m.user_id, public.queue_rank(m.tenure_start, m.user_id) - 1 INTO start, member, counted
    FROM public.queue_members m WHERE m.is_candidate ORDER BY m.tenure_start, m.user_id LIMIT 1;
  UPDATE public.queue_totals t SET first_start = start, first_user = member, ahead = coalesce(counted, 0)
   WHERE (t.first_start, t.first_user, t.ahead) IS DISTINCT FROM (start, member, coalesce(counted, 0));
END $$;
--> statement-breakpoint
-- As it was, but by index alone, for the same reason; it keeps the identity check, and notes who is first.
CREATE OR REPLACE FUNCTION queue_recompute(ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan AS $$
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
      tenure_number, subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross,
      kyc_verified)
    SELECT cur.*, coalesce(k.is_verified, false) FROM cur
      LEFT JOIN LATERAL (SELECT c.status::text = 'verified' AS is_verified FROM public.kyc_verification c WHERE c.user_id = cur.user_id
                          ORDER BY c.verified_at DESC NULLS LAST, c.id LIMIT 1) k ON true
    ON CONFLICT (user_id) DO UPDATE SET is_known = excluded.is_known, payments = excluded.payments,
      lifetime_total = excluded.lifetime_total, revenue = excluded.revenue, tenure_start = excluded.tenure_start,
      last_payment = excluded.last_payment, tenure_number = excluded.tenure_number,
      subscription_id = excluded.subscription_id, subscription_status = excluded.subscription_status,
      provider_subscription_id = excluded.provider_subscription_id, has_payout = excluded.has_payout,
      live_payouts = excluded.live_payouts, live_gross = excluded.live_gross, kyc_verified = excluded.kyc_verified
    WHERE (m.is_known, m.payments, m.lifetime_total, m.revenue, m.tenure_start, m.last_payment, m.tenure_number,
           m.subscription_id, m.subscription_status, m.provider_subscription_id, m.has_payout, m.live_payouts, m.live_gross,
           m.kyc_verified)
      IS DISTINCT FROM (excluded.is_known, excluded.payments, excluded.lifetime_total, excluded.revenue,
           excluded.tenure_start, excluded.last_payment, excluded.tenure_number, excluded.subscription_id,
           excluded.subscription_status, excluded.provider_subscription_id, excluded.has_payout, excluded.live_payouts,
           excluded.live_gross, excluded.kyc_verified)
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
  PERFORM public.queue_note_first();
END $$;
--> statement-breakpoint
-- As it was, and notes who is first.
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
  PERFORM public.queue_note_first();
END $$;
--> statement-breakpoint
-- As it was, with the identity check.
CREATE OR REPLACE FUNCTION queue_refill() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
  DELETE FROM public.queue_members;
  INSERT INTO public.queue_members (user_id, is_known, payments, lifetime_total, revenue, tenure_start, last_payment,
      tenure_number, subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross,
      kyc_verified)
    SELECT c.*, coalesce(k.is_verified, false)
      FROM public.queue_compute_range('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') c
      LEFT JOIN public.queue_kyc_range('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') k
        ON k.user_id = c.user_id;
  PERFORM public.queue_recount();
END $$;
--> statement-breakpoint
-- As it was, with the identity check.
CREATE OR REPLACE FUNCTION queue_drifted(low uuid, high uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
  SELECT coalesce(c.user_id, m.user_id)
    FROM public.queue_compute_range(low, high) c
    FULL JOIN (SELECT user_id, is_known, payments, lifetime_total, revenue, tenure_start, last_payment, tenure_number,
                      subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross,
                      kyc_verified
                 FROM public.queue_members WHERE user_id BETWEEN low AND high) m ON m.user_id = c.user_id
    LEFT JOIN public.queue_kyc_range(low, high) k ON k.user_id = m.user_id
   WHERE ((c.user_id, c.is_known, c.payments, c.lifetime_total, c.revenue, c.tenure_start, c.last_payment, c.tenure_number,
          c.subscription_id, c.subscription_status, c.provider_subscription_id, c.has_payout, c.live_payouts, c.live_gross)
     IS DISTINCT FROM
         (m.user_id, m.is_known, m.payments, m.lifetime_total, m.revenue, m.tenure_start, m.last_payment, m.tenure_number,
          m.subscription_id, m.subscription_status, m.provider_subscription_id, m.has_payout, m.live_payouts, m.live_gross)
          OR m.kyc_verified <> coalesce(k.is_verified, false))
     AND NOT EXISTS (SELECT FROM public.queue_touched t WHERE t.user_id = coalesce(c.user_id, m.user_id))
     AND NOT EXISTS (SELECT FROM public.queue_touched t WHERE t.user_id IS NULL)
$$;
--> statement-breakpoint
-- As it was, but where the first page begins has been noted by the fold, which knows the identity check too.
CREATE OR REPLACE FUNCTION queue_candidate_page(after_start timestamptz, after_user uuid, before_start timestamptz, before_user uuid,
  only_valid boolean, most integer) RETURNS TABLE (
  is_waiting boolean, user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz,
  last_payment timestamptz, payments integer, lifetime_total numeric, subscription_status text, has_payout boolean,
  tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  waiting boolean;
  first_start timestamptz;
  first_user uuid;
  ahead bigint;
BEGIN
  IF after_start IS NULL THEN
    SELECT t.first_start, t.first_user, t.ahead, EXISTS (SELECT FROM public.queue_touched)
      INTO first_start, first_user, ahead, waiting FROM public.queue_totals t;
  ELSE
    SELECT m.tenure_start, m.user_id, public.queue_rank(m.tenure_start, m.user_id) - 1, EXISTS (SELECT FROM public.queue_touched)
      INTO first_start, first_user, ahead, waiting
      FROM public.queue_members m WHERE m.is_candidate AND (m.tenure_start, m.user_id) > (after_start, after_user)
     ORDER BY m.tenure_start, m.user_id LIMIT 1;
  END IF;
  RETURN QUERY
  SELECT waiting, z.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         ahead + z.step, z.tenure_start, z.last_payment, z.payments, z.lifetime_total, z.subscription_status, z.has_payout,
         z.tenure_number, z.kyc_verified
    FROM (SELECT m.user_id, m.tenure_start, m.last_payment, m.payments, m.lifetime_total, m.subscription_status, m.has_payout,
                 m.tenure_number, m.is_candidate, m.kyc_verified, row_number() OVER (ORDER BY m.tenure_start, m.user_id) AS step
            FROM public.queue_members m
           WHERE m.in_queue AND (m.tenure_start, m.user_id) >= (first_start, first_user)
             AND (m.tenure_start, m.user_id) <
                 (coalesce(before_start, 'infinity'), coalesce(before_user, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))) z
    JOIN public.users u ON u.id = z.user_id
   WHERE z.is_candidate AND (NOT only_valid OR (z.payments >= 12 AND z.kyc_verified))
   ORDER BY z.tenure_start, z.user_id LIMIT most;
  IF NOT FOUND THEN
    is_waiting := EXISTS (SELECT FROM public.queue_touched);
    RETURN NEXT;
  END IF;
END $$;
--> statement-breakpoint
-- As it was, with the identity check that the fold knows.
CREATE OR REPLACE FUNCTION queue_lookup(ids uuid[]) RETURNS TABLE (
  is_waiting boolean, user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz,
  last_payment timestamptz, payments integer, lifetime_total numeric, subscription_status text, has_payout boolean,
  tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  waiting constant boolean := EXISTS (SELECT FROM public.queue_touched);
BEGIN
  RETURN QUERY
  SELECT waiting, m.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         public.queue_rank(m.tenure_start, m.user_id), m.tenure_start, m.last_payment, m.payments, m.lifetime_total,
         m.subscription_status, m.has_payout, m.tenure_number,
         m.kyc_verified
    FROM public.queue_members m JOIN public.users u ON u.id = m.user_id
   WHERE m.in_queue AND m.user_id = ANY (ids)
   ORDER BY m.tenure_start, m.user_id;
  IF NOT FOUND THEN
    is_waiting := waiting;
    RETURN NEXT;
  END IF;
END $$;
--> statement-breakpoint
-- Identity checks are watched too.
CREATE OR REPLACE FUNCTION queue_watched() RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
SET jit = off SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  tables constant oid[] := ARRAY[to_regclass('public.users'), to_regclass('public.user_payments'),
    to_regclass('public.user_subscriptions'), to_regclass('public.kyc_verification'),
    to_regclass('public.payout_management'), to_regclass('public.membership_removals')];
BEGIN
  RETURN (SELECT count(*) = 19 FROM pg_trigger
           WHERE tgrelid = ANY (tables) AND tgname IN ('queue_added', 'queue_rows', 'queue_changes', 'queue_truncated')
             AND tgenabled <> 'D');
END $$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION queue_watch() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  tables constant text[] := ARRAY['users', 'user_payments', 'user_subscriptions', 'kyc_verification', 'payout_management',
    'membership_removals'];
  made text[] := ARRAY[
    'CREATE OR REPLACE TRIGGER queue_added AFTER INSERT ON public.user_payments REFERENCING NEW TABLE AS added
       FOR EACH STATEMENT EXECUTE FUNCTION public.queue_log_added()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER DELETE ON public.user_payments FOR EACH ROW
       WHEN (OLD.status::text = ''succeeded'') EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.user_payments FOR EACH ROW
       WHEN ((OLD.status::text = ''succeeded'' OR NEW.status::text = ''succeeded'')
         AND (OLD.status, OLD.user_id, OLD.amount, OLD.currency, OLD.created_at)
             IS DISTINCT FROM (NEW.status, NEW.user_id, NEW.amount, NEW.currency, NEW.created_at))
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER INSERT OR DELETE ON public.user_subscriptions FOR EACH ROW
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.user_subscriptions FOR EACH ROW
       WHEN ((OLD.id, OLD.user_id, OLD.status, OLD.provider_subscription_id, OLD.created_at)
             IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.status, NEW.provider_subscription_id, NEW.created_at))
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER INSERT OR DELETE ON public.users FOR EACH ROW
       EXECUTE FUNCTION public.queue_log_user()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.users FOR EACH ROW
       WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION public.queue_log_user()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER INSERT OR DELETE ON public.kyc_verification FOR EACH ROW
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.kyc_verification FOR EACH ROW
       WHEN ((OLD.id, OLD.user_id, OLD.status, OLD.verified_at) IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.status, NEW.verified_at))
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER INSERT OR DELETE ON public.payout_management FOR EACH ROW
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.payout_management FOR EACH ROW
       WHEN ((OLD.status, OLD.user_id, OLD.tenure_number, OLD.amount)
             IS DISTINCT FROM (NEW.status, NEW.user_id, NEW.tenure_number, NEW.amount))
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_rows AFTER INSERT OR DELETE ON public.membership_removals FOR EACH ROW
       EXECUTE FUNCTION public.queue_log_row()',
    'CREATE OR REPLACE TRIGGER queue_changes AFTER UPDATE ON public.membership_removals FOR EACH ROW
       WHEN ((OLD.status, OLD.user_id, OLD.removed_at) IS DISTINCT FROM (NEW.status, NEW.user_id, NEW.removed_at))
       EXECUTE FUNCTION public.queue_log_row()'
  ];
  watched text;
BEGIN
  IF public.queue_watched() THEN RETURN true; END IF;
  FOREACH watched IN ARRAY tables LOOP
    made := made || format('CREATE OR REPLACE TRIGGER queue_truncated AFTER TRUNCATE ON public.%I FOR EACH STATEMENT
      EXECUTE FUNCTION public.queue_log_everybody()', watched);
  END LOOP;
  BEGIN
    FOREACH watched IN ARRAY made LOOP EXECUTE watched; END LOOP;
    -- What happened before the triggers, or between two times of them.
    INSERT INTO public.queue_touched SELECT NULL WHERE EXISTS (SELECT FROM public.user_payments);
  EXCEPTION WHEN insufficient_privilege OR wrong_object_type OR undefined_table THEN
    RETURN false;
  END;
  BEGIN
    CREATE OR REPLACE TRIGGER queue_replicated AFTER INSERT ON public.user_payments FOR EACH ROW
      WHEN (NEW.status::text = 'succeeded') EXECUTE FUNCTION public.queue_log_row();
    ALTER TABLE public.user_payments ENABLE REPLICA TRIGGER queue_replicated;
    FOREACH watched IN ARRAY tables LOOP
      EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER queue_rows, ENABLE ALWAYS TRIGGER queue_changes,
        ENABLE ALWAYS TRIGGER queue_truncated', watched);
    END LOOP;
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END;
  RETURN true;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION queue_note_first, queue_kyc_range FROM PUBLIC;
--> statement-breakpoint
-- Where the queue is watched, it is from here on for identity checks too; the main app's other tables need not wait for that.
-- Without the right to it the queue is watched no more, until `npm run queue:rebuild` is run with the right. Where it was not
-- watched, the comparison finds whose identity check the rollup does not know.
DO $$
BEGIN
  IF (SELECT count(*) = 16 FROM pg_trigger
       WHERE tgenabled <> 'D' AND tgname IN ('queue_added', 'queue_rows', 'queue_changes', 'queue_truncated')
         AND tgrelid IN ('users'::regclass, 'user_payments'::regclass, 'user_subscriptions'::regclass,
                         'payout_management'::regclass, 'membership_removals'::regclass)) THEN
    BEGIN
      CREATE TRIGGER queue_rows AFTER INSERT OR DELETE ON kyc_verification FOR EACH ROW EXECUTE FUNCTION queue_log_row();
      CREATE TRIGGER queue_changes AFTER UPDATE ON kyc_verification FOR EACH ROW
        WHEN ((OLD.id, OLD.user_id, OLD.status, OLD.verified_at) IS DISTINCT FROM (NEW.id, NEW.user_id, NEW.status, NEW.verified_at))
        EXECUTE FUNCTION queue_log_row();
      CREATE TRIGGER queue_truncated AFTER TRUNCATE ON kyc_verification FOR EACH STATEMENT
        EXECUTE FUNCTION queue_log_everybody();
    EXCEPTION WHEN insufficient_privilege OR wrong_object_type THEN NULL;
    END;
    IF queue_watched() THEN
      BEGIN
        ALTER TABLE kyc_verification ENABLE ALWAYS TRIGGER queue_rows, ENABLE ALWAYS TRIGGER queue_changes,
          ENABLE ALWAYS TRIGGER queue_truncated;
      EXCEPTION WHEN insufficient_privilege THEN NULL;
      END;
    END IF;
  ELSE
    PERFORM queue_watch();
  END IF;
  UPDATE queue_members m SET kyc_verified = true
    FROM queue_kyc_range('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff') newest
   WHERE newest.user_id = m.user_id AND newest.is_verified;
  PERFORM queue_note_first();
END $$;
--> statement-breakpoint
-- The audit log is read by time: a page of some month years ago is found by its index, where by number it was walked to from
-- the newest entry. The version before finds the same entries with what remains, only more slowly.
DROP INDEX "user_audit_logs_user_id_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_entity_id_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_admin_id_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_action_idx";
--> statement-breakpoint
DROP INDEX "user_audit_logs_created_at_idx";
--> statement-breakpoint
CREATE INDEX "user_audit_logs_user_id_time_idx" ON "user_audit_logs" USING btree ("user_id","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_entity_id_time_idx" ON "user_audit_logs" USING btree ("entity_id","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_admin_id_time_idx" ON "user_audit_logs" USING btree ("admin_id","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_action_time_idx" ON "user_audit_logs" USING btree ("action","created_at","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_time_idx" ON "user_audit_logs" USING btree ("created_at","sequence");
