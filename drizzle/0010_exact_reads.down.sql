GRANT EXECUTE ON FUNCTION queue_log_added, queue_log_row, queue_log_user, queue_log_everybody TO PUBLIC;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION queue_log_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO public.queue_touched SELECT user_id FROM added WHERE status::text = 'succeeded' AND user_id IS NOT NULL;
  RETURN NULL;
END $$;
--> statement-breakpoint
DROP FUNCTION queue_lookup_exact;
