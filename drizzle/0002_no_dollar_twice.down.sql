DROP TRIGGER payouts_guard_truncate ON payout_management;
--> statement-breakpoint
DROP TRIGGER idempotency_guard ON idempotency_keys;
--> statement-breakpoint
DROP TRIGGER payout_whole ON payout_approvals;
--> statement-breakpoint
DROP TRIGGER payout_whole ON payment_attempts;
--> statement-breakpoint
DROP TRIGGER payout_whole ON payout_management;
--> statement-breakpoint
DROP TRIGGER payment_attempt_terms_guard ON payment_attempts;
--> statement-breakpoint
DROP TRIGGER approver_guard ON payout_approvals;
--> statement-breakpoint
DROP TRIGGER payout_account_guard ON payout_management;
--> statement-breakpoint
DROP TRIGGER payout_round_guard ON payout_management;
--> statement-breakpoint
DROP TRIGGER payout_award_guard ON payout_management;
--> statement-breakpoint
DROP FUNCTION idempotency_guard(), payout_whole_guard(), attempt_terms_guard(), approver_guard(), payout_account_guard(),
  payout_round_guard(), payout_award_guard(), staff_may(integer, text[]);
