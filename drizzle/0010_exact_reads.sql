-- Members of the queue as they are at this moment, in one journey: whoever waits for a fold is folded first. Not STABLE, as
-- what is read then is of a later snapshot than the fold.
CREATE FUNCTION queue_lookup_exact(ids uuid[]) RETURNS TABLE (
  user_id uuid, email text, full_name text, queue_position bigint, tenure_start timestamptz, last_payment timestamptz,
  payments integer, lifetime_total numeric, subscription_status text, has_payout boolean, tenure_number integer, kyc_verified boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
  IF EXISTS (SELECT FROM public.queue_touched) THEN
    PERFORM public.queue_fold();
  END IF;
  RETURN QUERY
  SELECT l.user_id, l.email, l.full_name, l.queue_position, l.tenure_start, l.last_payment, l.payments, l.lifetime_total,
         l.subscription_status, l.has_payout, l.tenure_number, l.kyc_verified
    FROM public.queue_lookup(ids) l WHERE l.user_id IS NOT NULL;
END $$;
--> statement-breakpoint
REVOKE EXECUTE ON FUNCTION queue_lookup_exact FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION queue_lookup_exact TO payout_service;
--> statement-breakpoint
-- As it was, without a search path of its own: setting one for each call took more than a third of what the trigger costs the
-- main app's insert. Every name in it says its schema instead, the operator's and the type's too, so that the caller's search
-- path decides nothing.
CREATE OR REPLACE FUNCTION queue_log_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO public.queue_touched SELECT user_id FROM added
   WHERE status::pg_catalog.text OPERATOR(pg_catalog.=) 'succeeded'::pg_catalog.text AND user_id IS NOT NULL;
  RETURN NULL;
END $$;
--> statement-breakpoint
-- Whoever may make a trigger with one of these on a table of their own would run casts of their own under the owner's rights.
REVOKE EXECUTE ON FUNCTION queue_log_added, queue_log_row, queue_log_user, queue_log_everybody FROM PUBLIC;
