DROP VIEW active_member_queue_view;
--> statement-breakpoint
DROP TRIGGER attempts_guard_truncate ON payment_attempts;
--> statement-breakpoint
DROP TRIGGER bank_details_guard ON bank_details;
--> statement-breakpoint
DROP TRIGGER approvals_guard_truncate ON payout_approvals;
--> statement-breakpoint
DROP TRIGGER audit_guard_truncate ON user_audit_logs;
--> statement-breakpoint
DROP TRIGGER audit_guard ON user_audit_logs;
--> statement-breakpoint
DROP TRIGGER payment_attempt_guard ON payment_attempts;
--> statement-breakpoint
DROP TRIGGER payout_approval_guard ON payout_approvals;
--> statement-breakpoint
DROP TRIGGER payout_guard ON payout_management;
--> statement-breakpoint
DROP FUNCTION bank_details_guard(), audit_guard(), payment_attempt_guard(), payout_approval_guard(), payout_guard(), payout_refuse(text, text);
--> statement-breakpoint
ALTER TABLE payout_management DROP CONSTRAINT payout_management_two_approvals;
--> statement-breakpoint
DELETE FROM payout_moves;
--> statement-breakpoint
-- The roles stay: they belong to the server, and other databases may use them. Their rights here go.
REVOKE ALL ON ALL TABLES IN SCHEMA public, payout_service FROM payout_service, payout_main_app;
--> statement-breakpoint
REVOKE ALL ON SCHEMA public, payout_service FROM payout_service, payout_main_app;
