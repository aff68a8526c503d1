DROP INDEX "membership_removals_unclear_idx";
--> statement-breakpoint
DROP INDEX "membership_removals_payout_id_idx";
--> statement-breakpoint
DROP INDEX "membership_removals_one_open_per_payout";
--> statement-breakpoint
-- Fails where a payout has had two removals: the older schema cannot hold them, and neither may be forgotten.
CREATE UNIQUE INDEX "membership_removals_one_per_payout" ON "membership_removals" USING btree ("payout_id");
--> statement-breakpoint
ALTER TABLE "membership_removals" DROP COLUMN "call_started_at";
--> statement-breakpoint
DROP TABLE "job_schedules";
--> statement-breakpoint
ALTER TABLE "job_runs" DROP COLUMN "progress";
--> statement-breakpoint
ALTER TABLE "job_runs" DROP COLUMN "attempts";
--> statement-breakpoint
ALTER TABLE "job_runs" DROP COLUMN "lease_until";
--> statement-breakpoint
ALTER TABLE "job_runs" DROP COLUMN "claim";
