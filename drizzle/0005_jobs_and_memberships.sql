-- A run of a job holds a lease on the database's clock, which is one for all instances, whatever theirs say.
ALTER TABLE "job_runs" ADD COLUMN "claim" uuid DEFAULT gen_random_uuid() NOT NULL;
--> statement-breakpoint
ALTER TABLE "job_runs" ADD COLUMN "lease_until" timestamp with time zone DEFAULT now() NOT NULL;
--> statement-breakpoint
ALTER TABLE "job_runs" ADD COLUMN "attempts" integer DEFAULT 1 NOT NULL;
--> statement-breakpoint
ALTER TABLE "job_runs" ADD COLUMN "progress" jsonb;
--> statement-breakpoint
CREATE TABLE "job_schedules" (
	"job" text PRIMARY KEY NOT NULL,
	"since" timestamp with time zone NOT NULL
);
--> statement-breakpoint
-- Jobs that have run before have been on their schedule since then.
INSERT INTO job_schedules (job, since) SELECT job, min(slot) FROM job_runs GROUP BY job;
--> statement-breakpoint
ALTER TABLE "membership_removals" ADD COLUMN "call_started_at" timestamp with time zone;
--> statement-breakpoint
-- One removal of a payout at a time; one paid again after its member was removed and came back gets another.
DROP INDEX "membership_removals_one_per_payout";
--> statement-breakpoint
CREATE UNIQUE INDEX "membership_removals_one_open_per_payout" ON "membership_removals" USING btree ("payout_id") WHERE status <> 'removed';
--> statement-breakpoint
CREATE INDEX "membership_removals_payout_id_idx" ON "membership_removals" USING btree ("payout_id");
--> statement-breakpoint
CREATE INDEX "membership_removals_unclear_idx" ON "membership_removals" USING btree ("call_started_at") WHERE call_started_at IS NOT NULL AND status <> 'removed';
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON job_schedules TO payout_service;
