DROP FUNCTION session_caller;
--> statement-breakpoint
DROP INDEX payout_management_released_tranche_idx;
--> statement-breakpoint
DROP FUNCTION queue_candidate_page, queue_lookup;
