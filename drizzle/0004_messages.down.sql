ALTER TABLE "notifications" ADD COLUMN "lease_until" timestamp with time zone;
--> statement-breakpoint
-- Everything in it is the queue's. What is not delivered yet stays in notifications, which older versions deliver from.
DROP SCHEMA payout_queue CASCADE;
