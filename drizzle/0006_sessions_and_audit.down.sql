DROP TABLE session_activity;
--> statement-breakpoint
DROP INDEX user_audit_logs_entity_id_idx;
--> statement-breakpoint
DROP TRIGGER audit_guard_truncate ON audit_verifications;
--> statement-breakpoint
DROP TRIGGER audit_guard ON audit_verifications;
--> statement-breakpoint
ALTER TABLE audit_verifications DROP COLUMN checkpoint, DROP COLUMN covered_entries;
--> statement-breakpoint
DROP TABLE audit_anchors;
--> statement-breakpoint
DROP TABLE audit_checkpoints;
--> statement-breakpoint
DROP TRIGGER audit_chains_kept_truncate ON audit_chains;
--> statement-breakpoint
DROP TRIGGER audit_chains_kept ON audit_chains;
--> statement-breakpoint
DROP TRIGGER audit_chain_guard ON audit_chains;
--> statement-breakpoint
DROP FUNCTION audit_chain_guard();
--> statement-breakpoint
DROP INDEX audit_chains_moved_in_idx;
--> statement-breakpoint
ALTER TABLE audit_chains DROP COLUMN moved_in;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PO001', CONSTRAINT = 'audit_append_only', MESSAGE = format('%s is only added to.', TG_TABLE_NAME);
END $$;
--> statement-breakpoint
-- The role stays: it belongs to the server, and other databases may use it. Its rights here go.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM payout_archivist;
--> statement-breakpoint
REVOKE ALL ON SCHEMA public FROM payout_archivist;
