-- When a session was last used here, so that idle ones of staff end. The table of sessions is the main app's, and may be
-- emptied by it, so nothing here refers to it.
CREATE TABLE session_activity (
  session_id uuid PRIMARY KEY NOT NULL,
  last_seen_at timestamp with time zone NOT NULL
);
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON session_activity TO payout_service;
--> statement-breakpoint
CREATE INDEX user_audit_logs_entity_id_idx ON user_audit_logs USING btree (entity_id, sequence);
--> statement-breakpoint
-- The transaction that moved a chain's head last: a checkpoint takes the heads moved since the one before.
ALTER TABLE audit_chains ADD COLUMN moved_in xid8 NOT NULL DEFAULT pg_current_xact_id();
--> statement-breakpoint
CREATE INDEX audit_chains_moved_in_idx ON audit_chains USING btree (moved_in);
--> statement-breakpoint
-- A head only moves on, by one entry at a time.
CREATE FUNCTION audit_chain_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.entity_type, NEW.entity_id) IS DISTINCT FROM (OLD.entity_type, OLD.entity_id)
     OR NOT (NEW.length = OLD.length + 1 OR (NEW.length = OLD.length AND NEW.hash = OLD.hash)) THEN
    RAISE EXCEPTION USING ERRCODE = 'PO001', CONSTRAINT = 'audit_append_only',
      MESSAGE = 'The head of an audit chain only moves on by one entry.';
  END IF;
  NEW.moved_in := CASE WHEN NEW.length = OLD.length THEN OLD.moved_in ELSE pg_current_xact_id() END;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_chain_guard BEFORE UPDATE ON audit_chains FOR EACH ROW EXECUTE FUNCTION audit_chain_guard();
--> statement-breakpoint
CREATE TRIGGER audit_chains_kept BEFORE DELETE ON audit_chains FOR EACH ROW EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_chains_kept_truncate BEFORE TRUNCATE ON audit_chains
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
-- What was signed and written outside of this database, and when. The newest also says from which transaction on heads
-- have moved that it does not hold.
CREATE TABLE audit_checkpoints (
  number integer PRIMARY KEY NOT NULL,
  made_at timestamp with time zone NOT NULL,
  digest text NOT NULL,
  horizon xid8 NOT NULL
);
--> statement-breakpoint
-- Where a chain begins after its oldest entries were exported and removed: the number and hash of the last one removed,
-- signed by the key that signs checkpoints.
CREATE TABLE audit_anchors (
  entity_type text NOT NULL,
  entity_id text NOT NULL,
  length integer NOT NULL,
  hash text NOT NULL,
  export_digest text NOT NULL,
  signed_at timestamp with time zone NOT NULL,
  key_id text NOT NULL,
  signature text NOT NULL,
  CONSTRAINT audit_anchors_entity_type_entity_id_length_pk PRIMARY KEY (entity_type, entity_id, length)
);
--> statement-breakpoint
ALTER TABLE audit_verifications ADD COLUMN checkpoint integer, ADD COLUMN covered_entries bigint;
--> statement-breakpoint
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit_checkpoints FOR EACH ROW EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard_truncate BEFORE TRUNCATE ON audit_checkpoints
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit_anchors FOR EACH ROW EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard_truncate BEFORE TRUNCATE ON audit_anchors
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON audit_verifications FOR EACH ROW EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard_truncate BEFORE TRUNCATE ON audit_verifications
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
-- Removes what has been kept for seven years. The service never has this role.
DO $$
BEGIN
  BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'payout_archivist') THEN
      CREATE ROLE payout_archivist NOLOGIN;
    END IF;
  EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
  END;
  BEGIN
    IF NOT pg_has_role(current_user, 'payout_archivist', 'MEMBER') THEN
      EXECUTE format('GRANT payout_archivist TO %I', current_user);
    END IF;
  EXCEPTION WHEN unique_violation THEN NULL;
  END;
END $$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'user_audit_logs' AND current_user = 'payout_archivist' THEN
    IF OLD.created_at < now() - interval '7 years' AND EXISTS (
      SELECT 1 FROM audit_anchors a
       WHERE a.entity_type = OLD.entity_type AND a.entity_id = OLD.entity_id AND a.length >= OLD.chain_index) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'PO001', CONSTRAINT = 'audit_append_only', MESSAGE = format('%s is only added to.', TG_TABLE_NAME);
END $$;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO payout_archivist;
--> statement-breakpoint
GRANT SELECT, DELETE ON user_audit_logs TO payout_archivist;
--> statement-breakpoint
GRANT SELECT ON audit_chains TO payout_archivist;
--> statement-breakpoint
GRANT SELECT, INSERT ON audit_anchors TO payout_archivist;
--> statement-breakpoint
GRANT SELECT, INSERT ON audit_checkpoints TO payout_service;
--> statement-breakpoint
GRANT SELECT ON audit_anchors TO payout_service;
