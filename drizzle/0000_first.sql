-- Written by drizzle-kit, then changed by hand in one place: a table that the main app owns is created only where it is
-- missing, and the name of each one so created is kept, so that the way back drops those and no others.
CREATE SCHEMA IF NOT EXISTS payout_service;
--> statement-breakpoint
CREATE TABLE payout_service.created_shared_tables (name text PRIMARY KEY);
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.users') IS NULL THEN
		CREATE TABLE "users" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"email" text NOT NULL,
			"email_verified" boolean DEFAULT false NOT NULL,
			"name" text DEFAULT '' NOT NULL,
			"image" text,
			"first_name" text,
			"middle_name" text,
			"last_name" text,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL,
			"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
			CONSTRAINT "users_email_unique" UNIQUE("email")
		);
		INSERT INTO payout_service.created_shared_tables VALUES ('users');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.sessions') IS NULL THEN
		CREATE TABLE "sessions" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"token" text NOT NULL,
			"expires_at" timestamp with time zone NOT NULL,
			"ip_address" text,
			"user_agent" text,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL,
			"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
			CONSTRAINT "sessions_token_unique" UNIQUE("token")
		);
		ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
		CREATE INDEX "sessions_user_id_idx" ON "sessions" USING btree ("user_id");
		INSERT INTO payout_service.created_shared_tables VALUES ('sessions');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.accounts') IS NULL THEN
		CREATE TABLE "accounts" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"account_id" text NOT NULL,
			"provider_id" text NOT NULL,
			"access_token" text,
			"refresh_token" text,
			"id_token" text,
			"access_token_expires_at" timestamp with time zone,
			"refresh_token_expires_at" timestamp with time zone,
			"scope" text,
			"password" text,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL,
			"updated_at" timestamp with time zone DEFAULT now() NOT NULL
		);
		ALTER TABLE "accounts" ADD CONSTRAINT "accounts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
		CREATE INDEX "accounts_user_id_idx" ON "accounts" USING btree ("user_id");
		INSERT INTO payout_service.created_shared_tables VALUES ('accounts');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.verifications') IS NULL THEN
		CREATE TABLE "verifications" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"identifier" text NOT NULL,
			"value" text NOT NULL,
			"expires_at" timestamp with time zone NOT NULL,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL,
			"updated_at" timestamp with time zone DEFAULT now() NOT NULL
		);
		INSERT INTO payout_service.created_shared_tables VALUES ('verifications');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.admin_users') IS NULL THEN
		CREATE TABLE "admin_users" (
			"id" serial PRIMARY KEY NOT NULL,
			"user_id" uuid NOT NULL,
			"role" text NOT NULL,
			"is_active" boolean DEFAULT true NOT NULL,
			CONSTRAINT "admin_users_user_id_unique" UNIQUE("user_id"),
			CONSTRAINT "admin_users_role_known" CHECK ("admin_users"."role" IN ('admin', 'finance_manager', 'viewer'))
		);
		ALTER TABLE "admin_users" ADD CONSTRAINT "admin_users_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
		INSERT INTO payout_service.created_shared_tables VALUES ('admin_users');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.user_subscriptions') IS NULL THEN
		CREATE TABLE "user_subscriptions" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"status" text NOT NULL,
			"provider_subscription_id" text,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL
		);
		ALTER TABLE "user_subscriptions" ADD CONSTRAINT "user_subscriptions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
		CREATE INDEX "user_subscriptions_user_id_idx" ON "user_subscriptions" USING btree ("user_id");
		INSERT INTO payout_service.created_shared_tables VALUES ('user_subscriptions');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.user_payments') IS NULL THEN
		CREATE TABLE "user_payments" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"amount" numeric(12, 2) NOT NULL,
			"currency" text DEFAULT 'USD' NOT NULL,
			"status" text NOT NULL,
			"created_at" timestamp with time zone DEFAULT now() NOT NULL
		);
		ALTER TABLE "user_payments" ADD CONSTRAINT "user_payments_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
		CREATE INDEX "user_payments_user_id_created_at_idx" ON "user_payments" USING btree ("user_id","created_at");
		INSERT INTO payout_service.created_shared_tables VALUES ('user_payments');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.user_addresses') IS NULL THEN
		CREATE TABLE "user_addresses" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"line1" text NOT NULL,
			"line2" text,
			"city" text NOT NULL,
			"state" text NOT NULL,
			"postal_code" text NOT NULL,
			"country" text DEFAULT 'US' NOT NULL,
			"is_primary" boolean DEFAULT false NOT NULL
		);
		ALTER TABLE "user_addresses" ADD CONSTRAINT "user_addresses_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
		CREATE INDEX "user_addresses_user_id_idx" ON "user_addresses" USING btree ("user_id");
		INSERT INTO payout_service.created_shared_tables VALUES ('user_addresses');
	END IF;
END $$;
--> statement-breakpoint
DO $$ BEGIN
	IF to_regclass('public.kyc_verification') IS NULL THEN
		CREATE TABLE "kyc_verification" (
			"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
			"user_id" uuid NOT NULL,
			"status" text NOT NULL,
			"legal_name" text,
			"verified_at" timestamp with time zone
		);
		ALTER TABLE "kyc_verification" ADD CONSTRAINT "kyc_verification_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
		CREATE INDEX "kyc_verification_user_id_idx" ON "kyc_verification" USING btree ("user_id");
		INSERT INTO payout_service.created_shared_tables VALUES ('kyc_verification');
	END IF;
END $$;
--> statement-breakpoint
CREATE TABLE "bank_details" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"version" integer NOT NULL,
	"account_holder_name" text NOT NULL,
	"account_type" text NOT NULL,
	"routing_last4" text NOT NULL,
	"account_last4" text NOT NULL,
	"envelope" text NOT NULL,
	"key_id" text NOT NULL,
	"fingerprint" text NOT NULL,
	"refused_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "bank_details_account_type_known" CHECK ("bank_details"."account_type" IN ('checking', 'savings'))
);
--> statement-breakpoint
CREATE TABLE "eligibility_checks" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "eligibility_checks_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"checked_at" timestamp with time zone NOT NULL,
	"checked_by" text NOT NULL,
	"result" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "membership_removals" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"user_id" uuid NOT NULL,
	"due_date" date NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	"noticed_at" timestamp with time zone,
	"removed_at" timestamp with time zone,
	"returned_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "membership_removals_status_known" CHECK ("membership_removals"."status" IN ('scheduled', 'suspended', 'removed')),
	CONSTRAINT "membership_removals_removed_at_set" CHECK (("membership_removals"."status" = 'removed') = ("membership_removals"."removed_at" IS NOT NULL))
);
--> statement-breakpoint
CREATE TABLE "payment_attempts" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"number" integer NOT NULL,
	"status" text NOT NULL,
	"payment_method" text NOT NULL,
	"net_amount" numeric(12, 2) NOT NULL,
	"withheld_amount" numeric(12, 2) NOT NULL,
	"instructions_hash" text NOT NULL,
	"payee_name" text NOT NULL,
	"mailing_address" jsonb,
	"bank_details_version" integer,
	"bank_fingerprint" text,
	"w9_form_id" text,
	"withholding_reason" text,
	"callback_verification" text,
	"generated_by" integer NOT NULL,
	"generated_at" timestamp with time zone NOT NULL,
	"previous_failure_by" integer,
	"sent_by" integer,
	"sent_date" date,
	"sent_at" timestamp with time zone,
	"expected_arrival_date" date,
	"tracking_number" text,
	"completed_by" integer,
	"completed_date" date,
	"confirmation_number" text,
	"failed_by" integer,
	"failed_at" timestamp with time zone,
	"failure_reason" text,
	"return_code" text,
	"stop_payment_reference" text,
	"voided_at" timestamp with time zone,
	"void_reason" text,
	CONSTRAINT "payment_attempts_status_known" CHECK ("payment_attempts"."status" IN ('ready', 'sent', 'completed', 'failed', 'voided')),
	CONSTRAINT "payment_attempts_generator_never_sends" CHECK ("payment_attempts"."sent_by" <> "payment_attempts"."generated_by"),
	CONSTRAINT "payment_attempts_failure_recorder_never_generates" CHECK ("payment_attempts"."previous_failure_by" <> "payment_attempts"."generated_by"),
	CONSTRAINT "payment_attempts_failure_recorder_never_sends" CHECK ("payment_attempts"."previous_failure_by" <> "payment_attempts"."sent_by"),
	CONSTRAINT "payment_attempts_sent_failure_has_evidence" CHECK ("payment_attempts"."status" <> 'failed' OR "payment_attempts"."sent_at" IS NULL OR "payment_attempts"."return_code" IS NOT NULL OR "payment_attempts"."stop_payment_reference" IS NOT NULL)
);
--> statement-breakpoint
CREATE TABLE "payout_approvals" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"round" integer NOT NULL,
	"admin_id" integer NOT NULL,
	"decision" text NOT NULL,
	"reason" text,
	"decided_at" timestamp with time zone NOT NULL,
	"approved_hash" text NOT NULL,
	CONSTRAINT "payout_approvals_decision_known" CHECK ("payout_approvals"."decision" IN ('approved', 'rejected')),
	CONSTRAINT "payout_approvals_rejection_has_reason" CHECK ("payout_approvals"."decision" = 'approved' OR length(coalesce("payout_approvals"."reason", '')) > 0)
);
--> statement-breakpoint
CREATE TABLE "payout_management" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"user_id" uuid NOT NULL,
	"queue_position" integer NOT NULL,
	"amount" numeric(12, 2) NOT NULL,
	"currency" text DEFAULT 'USD' NOT NULL,
	"status" text NOT NULL,
	"retention_fee" numeric(12, 2) NOT NULL,
	"withheld_amount" numeric(12, 2) DEFAULT '0' NOT NULL,
	"net_amount" numeric(12, 2) NOT NULL,
	"membership_removal_date" date,
	"eligibility_check" jsonb NOT NULL,
	"approval_workflow" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"scheduled_date" date,
	"payment_method" text DEFAULT 'ach' NOT NULL,
	"bank_details" jsonb,
	"tax_withholding" jsonb,
	"processing" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"receipt_url" text,
	"internal_notes" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"audit_trail" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"initiated_by" integer NOT NULL,
	"funding_tranche" integer NOT NULL,
	"tenure_number" integer NOT NULL,
	"required_approvals" integer NOT NULL,
	"approval_round" integer DEFAULT 1 NOT NULL,
	"approved_at" timestamp with time zone,
	"held_from" text,
	"hold_reason" text,
	"bank_details_version" integer,
	"bank_details_changed_at" timestamp with time zone,
	"accepted_names" text,
	CONSTRAINT "payout_management_payout_id_unique" UNIQUE("payout_id"),
	CONSTRAINT "payout_management_status_known" CHECK ("payout_management"."status" IN ('pending_approval', 'pending_bank_info', 'pending_tax_info', 'approved', 'ready_for_payment', 'payment_sent', 'completed', 'payment_failed', 'rejected', 'cancelled', 'requires_manual_review')),
	CONSTRAINT "payout_management_method_known" CHECK ("payout_management"."payment_method" IN ('ach', 'check')),
	CONSTRAINT "payout_management_payout_id_form" CHECK ("payout_management"."payout_id" ~ '^PO-[0-9]{4}-[0-9A-HJKMNP-TV-Z]{8}$'),
	CONSTRAINT "payout_management_currency_usd" CHECK ("payout_management"."currency" = 'USD'),
	CONSTRAINT "payout_management_amounts_add_up" CHECK ("payout_management"."amount" = "payout_management"."net_amount" + "payout_management"."retention_fee" + "payout_management"."withheld_amount"),
	CONSTRAINT "payout_management_amounts_positive" CHECK ("payout_management"."amount" > 0 AND "payout_management"."net_amount" > 0 AND "payout_management"."retention_fee" >= 0 AND "payout_management"."withheld_amount" >= 0),
	CONSTRAINT "payout_management_tranche_positive" CHECK ("payout_management"."funding_tranche" > 0),
	CONSTRAINT "payout_management_held_from_set" CHECK (("payout_management"."status" = 'requires_manual_review') = ("payout_management"."held_from" IS NOT NULL))
);
--> statement-breakpoint
CREATE TABLE "payout_moves" (
	"from_status" text NOT NULL,
	"to_status" text NOT NULL,
	CONSTRAINT "payout_moves_from_status_to_status_pk" PRIMARY KEY("from_status","to_status")
);
--> statement-breakpoint
CREATE TABLE "tax_form_documents" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"form_id" text NOT NULL,
	"copy" text NOT NULL,
	"version" integer NOT NULL,
	"content" "bytea" NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "tax_form_documents_copy_known" CHECK ("tax_form_documents"."copy" IN ('B', 'C'))
);
--> statement-breakpoint
CREATE TABLE "tax_forms" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"form_id" text NOT NULL,
	"user_id" uuid NOT NULL,
	"form_type" text NOT NULL,
	"tax_year" integer NOT NULL,
	"status" text NOT NULL,
	"w9" jsonb,
	"income_details" jsonb,
	"other_income" numeric(12, 2),
	"federal_tax_withheld" numeric(12, 2),
	"tin_last4" text,
	"envelope" text,
	"key_id" text,
	"needs_correction" text,
	"corrects" text,
	"reason" text,
	"reviewed_by" integer,
	"reviewed_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "tax_forms_form_id_unique" UNIQUE("form_id"),
	CONSTRAINT "tax_forms_type_known" CHECK ("tax_forms"."form_type" IN ('W-9', '1099-MISC')),
	CONSTRAINT "tax_forms_status_known" CHECK (("tax_forms"."form_type" = 'W-9' AND "tax_forms"."status" IN ('submitted', 'approved', 'rejected', 'superseded'))
       OR ("tax_forms"."form_type" = '1099-MISC' AND "tax_forms"."status" IN ('issued', 'corrected', 'void')))
);
--> statement-breakpoint
CREATE TABLE "admin_alerts" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"severity" text NOT NULL,
	"category" text NOT NULL,
	"title" text NOT NULL,
	"message" text NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"occurrence_key" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"acknowledged_by" integer,
	"acknowledged_at" timestamp with time zone,
	"closed_at" timestamp with time zone,
	CONSTRAINT "admin_alerts_severity_known" CHECK ("admin_alerts"."severity" IN ('info', 'warning', 'critical'))
);
--> statement-breakpoint
CREATE TABLE "audit_chains" (
	"entity_type" text NOT NULL,
	"entity_id" text NOT NULL,
	"length" integer NOT NULL,
	"hash" text NOT NULL,
	CONSTRAINT "audit_chains_entity_type_entity_id_pk" PRIMARY KEY("entity_type","entity_id")
);
--> statement-breakpoint
CREATE TABLE "audit_verifications" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_verifications_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"verified_at" timestamp with time zone NOT NULL,
	"valid" boolean NOT NULL,
	"entries" bigint NOT NULL,
	"chains" bigint NOT NULL,
	"first_fault" jsonb
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"caller" text NOT NULL,
	"route" text NOT NULL,
	"key" text NOT NULL,
	"request_hmac" text NOT NULL,
	"status" integer,
	"body" "bytea",
	"permanent" boolean NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	CONSTRAINT "idempotency_keys_caller_route_key_pk" PRIMARY KEY("caller","route","key")
);
--> statement-breakpoint
CREATE TABLE "job_runs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "job_runs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"job" text NOT NULL,
	"slot" timestamp with time zone NOT NULL,
	"trigger" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"finished_at" timestamp with time zone,
	"status" text NOT NULL,
	"result" jsonb,
	"error" text,
	CONSTRAINT "job_runs_status_known" CHECK ("job_runs"."status" IN ('running', 'succeeded', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "notifications" (
	"id" uuid PRIMARY KEY NOT NULL,
	"template" text NOT NULL,
	"user_id" uuid NOT NULL,
	"payout_id" text,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp with time zone NOT NULL,
	"lease_until" timestamp with time zone,
	"last_error" text,
	"message_id" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"sent_at" timestamp with time zone,
	CONSTRAINT "notifications_status_known" CHECK ("notifications"."status" IN ('queued', 'sending', 'sent', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "service_state" (
	"name" text PRIMARY KEY NOT NULL,
	"value" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "user_audit_logs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "user_audit_logs_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_id" uuid,
	"admin_id" integer,
	"actor" text NOT NULL,
	"entity_type" text NOT NULL,
	"entity_id" text NOT NULL,
	"action" text NOT NULL,
	"old_values" jsonb,
	"new_values" jsonb,
	"success" boolean NOT NULL,
	"error_message" text,
	"metadata" jsonb NOT NULL,
	"ip_address" text,
	"user_agent" text,
	"request_id" text,
	"created_at" timestamp with time zone NOT NULL,
	"chain_index" integer NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "bank_details" ADD CONSTRAINT "bank_details_payout_id_payout_management_payout_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payout_management"("payout_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "membership_removals" ADD CONSTRAINT "membership_removals_payout_id_payout_management_payout_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payout_management"("payout_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "membership_removals" ADD CONSTRAINT "membership_removals_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_payout_id_payout_management_payout_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payout_management"("payout_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_generated_by_admin_users_id_fk" FOREIGN KEY ("generated_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_previous_failure_by_admin_users_id_fk" FOREIGN KEY ("previous_failure_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_sent_by_admin_users_id_fk" FOREIGN KEY ("sent_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_completed_by_admin_users_id_fk" FOREIGN KEY ("completed_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payment_attempts" ADD CONSTRAINT "payment_attempts_failed_by_admin_users_id_fk" FOREIGN KEY ("failed_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payout_approvals" ADD CONSTRAINT "payout_approvals_payout_id_payout_management_payout_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payout_management"("payout_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payout_approvals" ADD CONSTRAINT "payout_approvals_admin_id_admin_users_id_fk" FOREIGN KEY ("admin_id") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payout_management" ADD CONSTRAINT "payout_management_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "payout_management" ADD CONSTRAINT "payout_management_initiated_by_admin_users_id_fk" FOREIGN KEY ("initiated_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "tax_form_documents" ADD CONSTRAINT "tax_form_documents_form_id_tax_forms_form_id_fk" FOREIGN KEY ("form_id") REFERENCES "public"."tax_forms"("form_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "tax_forms" ADD CONSTRAINT "tax_forms_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "tax_forms" ADD CONSTRAINT "tax_forms_reviewed_by_admin_users_id_fk" FOREIGN KEY ("reviewed_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "admin_alerts" ADD CONSTRAINT "admin_alerts_acknowledged_by_admin_users_id_fk" FOREIGN KEY ("acknowledged_by") REFERENCES "public"."admin_users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "notifications" ADD CONSTRAINT "notifications_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
CREATE UNIQUE INDEX "bank_details_version" ON "bank_details" USING btree ("payout_id","version");
--> statement-breakpoint
CREATE INDEX "bank_details_key_id_idx" ON "bank_details" USING btree ("key_id");
--> statement-breakpoint
CREATE INDEX "eligibility_checks_checked_at_idx" ON "eligibility_checks" USING btree ("checked_at");
--> statement-breakpoint
CREATE UNIQUE INDEX "membership_removals_one_per_payout" ON "membership_removals" USING btree ("payout_id");
--> statement-breakpoint
CREATE INDEX "membership_removals_user_id_idx" ON "membership_removals" USING btree ("user_id","removed_at");
--> statement-breakpoint
CREATE INDEX "membership_removals_due_idx" ON "membership_removals" USING btree ("status","due_date");
--> statement-breakpoint
CREATE UNIQUE INDEX "payment_attempts_number" ON "payment_attempts" USING btree ("payout_id","number");
--> statement-breakpoint
CREATE UNIQUE INDEX "payment_attempts_one_live" ON "payment_attempts" USING btree ("payout_id") WHERE status IN ('ready', 'sent', 'completed');
--> statement-breakpoint
CREATE INDEX "payment_attempts_generated_by_idx" ON "payment_attempts" USING btree ("generated_by");
--> statement-breakpoint
CREATE INDEX "payment_attempts_sent_by_idx" ON "payment_attempts" USING btree ("sent_by");
--> statement-breakpoint
CREATE INDEX "payment_attempts_completed_by_idx" ON "payment_attempts" USING btree ("completed_by");
--> statement-breakpoint
CREATE INDEX "payment_attempts_failed_by_idx" ON "payment_attempts" USING btree ("failed_by");
--> statement-breakpoint
CREATE INDEX "payment_attempts_previous_failure_by_idx" ON "payment_attempts" USING btree ("previous_failure_by");
--> statement-breakpoint
CREATE INDEX "payment_attempts_sent_date_idx" ON "payment_attempts" USING btree ("sent_date");
--> statement-breakpoint
CREATE UNIQUE INDEX "payout_approvals_one_decision_per_person" ON "payout_approvals" USING btree ("payout_id","round","admin_id");
--> statement-breakpoint
CREATE INDEX "payout_approvals_admin_id_idx" ON "payout_approvals" USING btree ("admin_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "payout_management_one_payout_per_tranche" ON "payout_management" USING btree ("funding_tranche") WHERE status NOT IN ('rejected', 'cancelled');
--> statement-breakpoint
CREATE UNIQUE INDEX "payout_management_one_win_per_tenure" ON "payout_management" USING btree ("user_id","tenure_number") WHERE status NOT IN ('rejected', 'cancelled');
--> statement-breakpoint
CREATE INDEX "payout_management_user_id_idx" ON "payout_management" USING btree ("user_id");
--> statement-breakpoint
CREATE INDEX "payout_management_initiated_by_idx" ON "payout_management" USING btree ("initiated_by");
--> statement-breakpoint
CREATE INDEX "payout_management_created_at_idx" ON "payout_management" USING btree ("created_at","payout_id");
--> statement-breakpoint
CREATE INDEX "payout_management_status_idx" ON "payout_management" USING btree ("status","created_at");
--> statement-breakpoint
CREATE UNIQUE INDEX "tax_form_documents_version" ON "tax_form_documents" USING btree ("form_id","copy","version");
--> statement-breakpoint
CREATE UNIQUE INDEX "tax_forms_one_approved_w9" ON "tax_forms" USING btree ("user_id") WHERE form_type = 'W-9' AND status = 'approved';
--> statement-breakpoint
CREATE UNIQUE INDEX "tax_forms_one_w9_to_review" ON "tax_forms" USING btree ("user_id") WHERE form_type = 'W-9' AND status = 'submitted';
--> statement-breakpoint
CREATE UNIQUE INDEX "tax_forms_one_live_1099" ON "tax_forms" USING btree ("user_id","tax_year") WHERE form_type = '1099-MISC' AND status = 'issued';
--> statement-breakpoint
CREATE INDEX "tax_forms_user_id_idx" ON "tax_forms" USING btree ("user_id");
--> statement-breakpoint
CREATE INDEX "tax_forms_year_idx" ON "tax_forms" USING btree ("tax_year","form_type","status");
--> statement-breakpoint
CREATE INDEX "tax_forms_created_at_idx" ON "tax_forms" USING btree ("created_at","form_id");
--> statement-breakpoint
CREATE INDEX "tax_forms_reviewed_by_idx" ON "tax_forms" USING btree ("reviewed_by");
--> statement-breakpoint
CREATE INDEX "tax_forms_key_id_idx" ON "tax_forms" USING btree ("key_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "admin_alerts_one_open" ON "admin_alerts" USING btree ("occurrence_key") WHERE closed_at IS NULL;
--> statement-breakpoint
CREATE INDEX "admin_alerts_created_at_idx" ON "admin_alerts" USING btree ("created_at");
--> statement-breakpoint
CREATE INDEX "admin_alerts_acknowledged_by_idx" ON "admin_alerts" USING btree ("acknowledged_by");
--> statement-breakpoint
CREATE INDEX "idempotency_keys_created_at_idx" ON "idempotency_keys" USING btree ("created_at");
--> statement-breakpoint
CREATE UNIQUE INDEX "job_runs_slot" ON "job_runs" USING btree ("job","slot") WHERE trigger = 'schedule';
--> statement-breakpoint
CREATE UNIQUE INDEX "job_runs_one_running" ON "job_runs" USING btree ("job") WHERE status = 'running';
--> statement-breakpoint
CREATE INDEX "job_runs_job_idx" ON "job_runs" USING btree ("job","started_at");
--> statement-breakpoint
CREATE INDEX "notifications_due_idx" ON "notifications" USING btree ("next_attempt_at") WHERE status IN ('queued', 'sending');
--> statement-breakpoint
CREATE INDEX "notifications_created_at_idx" ON "notifications" USING btree ("created_at","id");
--> statement-breakpoint
CREATE INDEX "notifications_payout_id_idx" ON "notifications" USING btree ("payout_id");
--> statement-breakpoint
CREATE INDEX "notifications_user_id_idx" ON "notifications" USING btree ("user_id");
--> statement-breakpoint
CREATE UNIQUE INDEX "user_audit_logs_sequence" ON "user_audit_logs" USING btree ("sequence");
--> statement-breakpoint
CREATE UNIQUE INDEX "user_audit_logs_chain" ON "user_audit_logs" USING btree ("entity_type","entity_id","chain_index");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_user_id_idx" ON "user_audit_logs" USING btree ("user_id","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_admin_id_idx" ON "user_audit_logs" USING btree ("admin_id","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_action_idx" ON "user_audit_logs" USING btree ("action","sequence");
--> statement-breakpoint
CREATE INDEX "user_audit_logs_created_at_idx" ON "user_audit_logs" USING btree ("created_at");
