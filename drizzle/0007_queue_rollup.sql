-- The queue at a million members. Triggers on the tables that decide about a place in the queue only write down who was
-- touched (queue_touched); one fold at a time works those members out again and keeps the result in queue_members, with
-- counts by day (queue_days) and sums over all (queue_totals). docs/queue.md says how and why.

-- Only ever added to by triggers and emptied by the fold. A row without a member means everybody.
CREATE TABLE queue_touched (user_id uuid) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_insert_threshold = -1
);
--> statement-breakpoint
CREATE TABLE queue_members (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"is_known" boolean NOT NULL,
	"payments" integer NOT NULL,
	"lifetime_total" numeric(18, 2) NOT NULL,
	"revenue" numeric(18, 2) NOT NULL,
	"tenure_start" timestamp with time zone,
	"last_payment" timestamp with time zone,
	"tenure_number" integer NOT NULL,
	"subscription_id" uuid,
	"subscription_status" text,
	"provider_subscription_id" text,
	"has_payout" boolean NOT NULL,
	"live_payouts" integer NOT NULL,
	"live_gross" numeric(18, 2) NOT NULL,
	"in_queue" boolean NOT NULL GENERATED ALWAYS AS (is_known AND payments > 0 AND subscription_status IS NOT NULL) STORED,
	"is_candidate" boolean NOT NULL GENERATED ALWAYS AS
	  (is_known AND payments > 0 AND coalesce(subscription_status = 'active', false) AND NOT has_payout) STORED
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
--> statement-breakpoint
CREATE INDEX queue_members_order ON queue_members (tenure_start, user_id) WHERE in_queue;
--> statement-breakpoint
CREATE INDEX queue_members_candidates ON queue_members (tenure_start, user_id) WHERE is_candidate;
--> statement-breakpoint
-- How many tenures began on a day (UTC): a position is the sum of the days before and a count within the day.
CREATE TABLE queue_days (
	"day" date PRIMARY KEY NOT NULL,
	"members" bigint NOT NULL,
	"candidates" bigint NOT NULL
) WITH (fillfactor = 50);
--> statement-breakpoint
CREATE TABLE queue_totals (
	"one" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"revenue" numeric(18, 2) DEFAULT 0 NOT NULL,
	"members" bigint DEFAULT 0 NOT NULL,
	"candidates" bigint DEFAULT 0 NOT NULL,
	"live_payouts" bigint DEFAULT 0 NOT NULL,
	"live_gross" numeric(18, 2) DEFAULT 0 NOT NULL,
	CONSTRAINT "queue_totals_one_row" CHECK (one)
) WITH (fillfactor = 50);
--> statement-breakpoint
INSERT INTO queue_totals DEFAULT VALUES;
--> statement-breakpoint
-- What the triggers run. They belong to the owner of the queue, so that whoever writes a payment needs no right here.
CREATE FUNCTION queue_log_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO public.queue_touched SELECT DISTINCT user_id FROM added WHERE status::text = 'succeeded' AND user_id IS NOT NULL;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE FUNCTION queue_log_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.user_id IS NOT NULL THEN
    INSERT INTO public.queue_touched VALUES (OLD.user_id);
  END IF;
  IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NEW.user_id IS DISTINCT FROM OLD.user_id) THEN
    IF NEW.user_id IS NOT NULL THEN
      INSERT INTO public.queue_touched VALUES (NEW.user_id);
    END IF;
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE FUNCTION queue_log_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    INSERT INTO public.queue_touched VALUES (OLD.id);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO public.queue_touched VALUES (NEW.id);
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE FUNCTION queue_log_everybody() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO public.queue_touched VALUES (NULL);
  RETURN NULL;
END $$;
--> statement-breakpoint
-- Are the tables watched? A table that was swapped for another, or whose triggers were switched off, is not.
CREATE FUNCTION queue_watched() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT count(*) = 16 FROM pg_trigger
   WHERE tgenabled <> 'D' AND tgname IN ('queue_added', 'queue_rows', 'queue_changes', 'queue_truncated')
     AND tgrelid IN (to_regclass('public.users'), to_regclass('public.user_payments'),
                     to_regclass('public.user_subscriptions'), to_regclass('public.payout_management'),
                     to_regclass('public.membership_removals'))
$$;
--> statement-breakpoint
-- Sets the triggers, as far as whoever calls it may. Without rights on the main app's tables the queue is compared by
-- time and before each decision instead. Changes that arrive by replication fire only what is ENABLE ALWAYS or REPLICA,
-- and no statement's trigger; to say so takes the owner of a table.
CREATE FUNCTION queue_watch() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
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
  FOREACH watched IN ARRAY ARRAY['users', 'user_payments', 'user_subscriptions', 'payout_management', 'membership_removals'] LOOP
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
    FOREACH watched IN ARRAY ARRAY['users', 'user_payments', 'user_subscriptions', 'payout_management', 'membership_removals'] LOOP
      EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER queue_rows, ENABLE ALWAYS TRIGGER queue_changes,
        ENABLE ALWAYS TRIGGER queue_truncated', watched);
    END LOOP;
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END;
  RETURN true;
END $$;
--> statement-breakpoint
-- Takes the triggers away again, for who changes those tables in a way that they would stop.
CREATE FUNCTION queue_unwatch() RETURNS void LANGUAGE plpgsql AS $$
DECLARE it record;
BEGIN
  FOR it IN SELECT tgname, tgrelid::regclass AS watched FROM pg_trigger
             WHERE tgname IN ('queue_added', 'queue_rows', 'queue_changes', 'queue_truncated', 'queue_replicated')
               AND NOT tgisinternal AND tgparentid = 0 LOOP
    EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.watched);
  END LOOP;
END $$;
--> statement-breakpoint
-- The members named, worked out from the tables, one index walk each. Members of whom there is nothing to keep are left out.
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
-- The same for everybody from `low` to `high`, by reading each table once.
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
-- Works the members named out again, and moves days and totals by the difference. Only under the fold's lock.
CREATE FUNCTION queue_recompute(ids uuid[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
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
END $$;
--> statement-breakpoint
-- Counts days and totals from the members. Takes the fold's lock; the members are then as the last fold left them.
CREATE FUNCTION queue_recount() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
END $$;
--> statement-breakpoint
-- Everybody anew: after the migration, and after a TRUNCATE. Only under the fold's lock.
CREATE FUNCTION queue_refill() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
  DELETE FROM public.queue_members;
  INSERT INTO public.queue_members (user_id, is_known, payments, lifetime_total, revenue, tenure_start, last_payment,
      tenure_number, subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross)
    SELECT * FROM public.queue_compute_range('00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
  PERFORM public.queue_recount();
END $$;
--> statement-breakpoint
-- Folds all that is logged and committed; answers whether the tables are watched, for where they are not, nothing was
-- logged. The statement that works members out is later than the one that took them from the log, so it sees at least
-- what they were logged for. All of it is one transaction: whatever ends it before its commit leaves the log as it was.
CREATE FUNCTION queue_fold() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  batch constant integer := 20000;
  ids uuid[];
  taken integer;
  everybody boolean;
BEGIN
  IF EXISTS (SELECT FROM public.queue_touched) THEN
    PERFORM pg_advisory_xact_lock(7203007);
    LOOP
      WITH gone AS (
        DELETE FROM public.queue_touched WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.queue_touched LIMIT batch))
        RETURNING user_id
      )
      SELECT array_agg(DISTINCT user_id), count(*), coalesce(bool_or(user_id IS NULL), false) INTO ids, taken, everybody FROM gone;
      IF everybody THEN
        DELETE FROM public.queue_touched;
        PERFORM public.queue_refill();
      ELSIF taken > 0 THEN
        PERFORM public.queue_recompute(ids);
      END IF;
      EXIT WHEN taken < batch;
    END LOOP;
  END IF;
  RETURN public.queue_watched();
END $$;
--> statement-breakpoint
-- Members from `low` to `high` of whom the rollup says something else than the tables, and who wait for no fold: one
-- statement and so one moment, at which a change and its line in the log are both there or both not.
CREATE FUNCTION queue_drifted(low uuid, high uuid) RETURNS SETOF uuid LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
  SELECT coalesce(c.user_id, m.user_id)
    FROM public.queue_compute_range(low, high) c
    FULL JOIN (SELECT user_id, is_known, payments, lifetime_total, revenue, tenure_start, last_payment, tenure_number,
                      subscription_id, subscription_status, provider_subscription_id, has_payout, live_payouts, live_gross
                 FROM public.queue_members WHERE user_id BETWEEN low AND high) m ON m.user_id = c.user_id
   WHERE (c.user_id, c.is_known, c.payments, c.lifetime_total, c.revenue, c.tenure_start, c.last_payment, c.tenure_number,
          c.subscription_id, c.subscription_status, c.provider_subscription_id, c.has_payout, c.live_payouts, c.live_gross)
     IS DISTINCT FROM
         (m.user_id, m.is_known, m.payments, m.lifetime_total, m.revenue, m.tenure_start, m.last_payment, m.tenure_number,
          m.subscription_id, m.subscription_status, m.provider_subscription_id, m.has_payout, m.live_payouts, m.live_gross)
     AND NOT EXISTS (SELECT FROM public.queue_touched t WHERE t.user_id = coalesce(c.user_id, m.user_id))
     AND NOT EXISTS (SELECT FROM public.queue_touched t WHERE t.user_id IS NULL)
$$;
--> statement-breakpoint
-- Logs those, so that the next fold mends them, and counts them.
CREATE FUNCTION queue_touch_drifted(low uuid, high uuid) RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  WITH logged AS (INSERT INTO public.queue_touched SELECT * FROM public.queue_drifted(low, high) RETURNING 1)
  SELECT count(*) FROM logged
$$;
--> statement-breakpoint
-- Where in the queue a place is: the days before, and a count within the day.
CREATE FUNCTION queue_rank(start timestamptz, member uuid) RETURNS bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
  RETURN (SELECT coalesce(sum(d.members), 0) FROM public.queue_days d WHERE d.day < (start AT TIME ZONE 'UTC')::date)
       + (SELECT count(*) FROM public.queue_members o
           WHERE o.in_queue AND o.tenure_start >= (start AT TIME ZONE 'UTC')::date::timestamp AT TIME ZONE 'UTC'
             AND (o.tenure_start, o.user_id) <= (start, member));
END $$;
--> statement-breakpoint
-- A page of candidates between two places, in queue order. The first one's position is the sum of the days before and a
-- count within its day; the others' follow by counting who stands between. Planned once and only for walks along indexes:
-- not knowing the limit, PostgreSQL would rather sort everybody.
CREATE FUNCTION queue_candidates(after_start timestamptz, after_user uuid, before_start timestamptz, before_user uuid,
  only_valid boolean, most integer) RETURNS TABLE (
  user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz, last_payment timestamptz,
  payments integer, lifetime_total numeric, subscription_status text, has_payout boolean, tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH page AS MATERIALIZED (
    SELECT m.*, u.email::text AS email, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), '') AS full_name,
           c.is_verified
      FROM public.queue_members m
      JOIN public.users u ON u.id = m.user_id
      LEFT JOIN LATERAL (SELECT k.status::text = 'verified' AS is_verified FROM public.kyc_verification k WHERE k.user_id = m.user_id
                          ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1) c ON true
     WHERE m.is_candidate
       AND (m.tenure_start, m.user_id) >
           (coalesce(after_start, '-infinity'), coalesce(after_user, '00000000-0000-0000-0000-000000000000'))
       AND (m.tenure_start, m.user_id) <
           (coalesce(before_start, 'infinity'), coalesce(before_user, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
       AND (NOT only_valid OR (m.payments >= 12 AND c.is_verified))
     ORDER BY m.tenure_start, m.user_id LIMIT most
  ), stepped AS (
    SELECT p.*, lag(p.tenure_start) OVER w AS last_start, lag(p.user_id) OVER w AS last_user
      FROM page p WINDOW w AS (ORDER BY p.tenure_start, p.user_id)
  )
  SELECT s.user_id, s.email, s.full_name,
         (sum(CASE WHEN s.last_user IS NULL THEN public.queue_rank(s.tenure_start, s.user_id) ELSE (
           SELECT count(*) FROM public.queue_members o
            WHERE o.in_queue AND (o.tenure_start, o.user_id) > (s.last_start, s.last_user)
              AND (o.tenure_start, o.user_id) <= (s.tenure_start, s.user_id)) END)
           OVER (ORDER BY s.tenure_start, s.user_id))::bigint,
         s.tenure_start, s.last_payment, s.payments, s.lifetime_total, s.subscription_status, s.has_payout, s.tenure_number,
         coalesce(s.is_verified, false)
    FROM stepped s ORDER BY s.tenure_start, s.user_id;
END $$;
--> statement-breakpoint
-- These members, if they are in the queue.
CREATE FUNCTION queue_find(ids uuid[]) RETURNS TABLE (
  user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz, last_payment timestamptz,
  payments integer, lifetime_total numeric, subscription_status text, has_payout boolean, tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT m.user_id, u.email::text, nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), ''),
         public.queue_rank(m.tenure_start, m.user_id), m.tenure_start, m.last_payment, m.payments, m.lifetime_total,
         m.subscription_status, m.has_payout, m.tenure_number,
         coalesce((SELECT k.status::text = 'verified' FROM public.kyc_verification k WHERE k.user_id = m.user_id
                    ORDER BY k.verified_at DESC NULLS LAST, k.id LIMIT 1), false)
    FROM public.queue_members m JOIN public.users u ON u.id = m.user_id
   WHERE m.in_queue AND m.user_id = ANY (ids);
END $$;
--> statement-breakpoint
-- The document's view, exact at every moment: from the rollup, but from the tables for members who wait for a fold.
DROP VIEW active_member_queue_view;
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
REVOKE EXECUTE ON FUNCTION queue_compute, queue_compute_range, queue_recompute, queue_recount, queue_refill, queue_fold,
  queue_drifted, queue_touch_drifted, queue_watch, queue_unwatch, queue_rank, queue_candidates, queue_find FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION queue_fold, queue_compute, queue_compute_range, queue_drifted, queue_touch_drifted, queue_recount, queue_rank,
  queue_candidates, queue_find TO payout_service;
--> statement-breakpoint
GRANT SELECT ON queue_touched, queue_members, queue_days, queue_totals, active_member_queue_view TO payout_service;
--> statement-breakpoint
SELECT queue_watch();
