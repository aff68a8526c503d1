-- The key of fingerprints, liabilities of withheld tax, the issuing of a year's forms in steps, and what may be deleted
-- after seven years.

-- Keys of our own, each wrapped by the master key as a record's data key is.
CREATE TABLE "vault_keys" (
	"name" text PRIMARY KEY NOT NULL,
	"envelope" text NOT NULL,
	"key_id" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "withholding_liabilities" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"payout_id" text NOT NULL,
	"attempt" integer NOT NULL,
	"liability_date" date NOT NULL,
	"amount" numeric(12, 2) NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"reversed_at" timestamp with time zone,
	"reversal_reason" text,
	CONSTRAINT "withholding_liabilities_amount_positive" CHECK ("withholding_liabilities"."amount" > 0)
);
--> statement-breakpoint
CREATE TABLE "tax_issue_runs" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "tax_issue_runs_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tax_year" integer NOT NULL,
	"status" text NOT NULL,
	"actor" jsonb NOT NULL,
	"request_id" text,
	"payees" integer NOT NULL,
	"issued" integer NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"finished_at" timestamp with time zone,
	CONSTRAINT "tax_issue_runs_status_known" CHECK ("tax_issue_runs"."status" IN ('running', 'done'))
);
--> statement-breakpoint
CREATE TABLE "tax_issue_payees" (
	"run_id" bigint NOT NULL,
	"user_id" uuid NOT NULL,
	CONSTRAINT "tax_issue_payees_run_id_user_id_pk" PRIMARY KEY("run_id","user_id")
);
--> statement-breakpoint
ALTER TABLE "tax_forms" ADD COLUMN "w9_form_id" text;
--> statement-breakpoint
ALTER TABLE "withholding_liabilities" ADD CONSTRAINT "withholding_liabilities_payout_id_payout_management_payout_id_fk" FOREIGN KEY ("payout_id") REFERENCES "public"."payout_management"("payout_id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "tax_issue_payees" ADD CONSTRAINT "tax_issue_payees_run_id_tax_issue_runs_id_fk" FOREIGN KEY ("run_id") REFERENCES "public"."tax_issue_runs"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
ALTER TABLE "tax_issue_payees" ADD CONSTRAINT "tax_issue_payees_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;
--> statement-breakpoint
CREATE UNIQUE INDEX "withholding_liabilities_one_per_attempt" ON "withholding_liabilities" USING btree ("payout_id","attempt");
--> statement-breakpoint
CREATE INDEX "withholding_liabilities_date_idx" ON "withholding_liabilities" USING btree ("liability_date");
--> statement-breakpoint
CREATE UNIQUE INDEX "tax_issue_runs_one_running" ON "tax_issue_runs" USING btree ("tax_year") WHERE status = 'running';
--> statement-breakpoint
CREATE INDEX "tax_issue_payees_user_id_idx" ON "tax_issue_payees" USING btree ("user_id");
--> statement-breakpoint
CREATE INDEX "tax_forms_w9_form_id_idx" ON "tax_forms" USING btree ("w9_form_id");
--> statement-breakpoint
-- What was withheld before: the date sent makes it due, and a return takes it back.
INSERT INTO withholding_liabilities (payout_id, attempt, liability_date, amount, created_at, reversed_at, reversal_reason)
SELECT t.payout_id, t.number, t.sent_date, t.withheld_amount, t.sent_at, t.failed_at, t.failure_reason
  FROM payment_attempts t
 WHERE t.sent_at IS NOT NULL AND t.withheld_amount > 0;
--> statement-breakpoint
UPDATE tax_forms f SET w9_form_id = (
  SELECT w.form_id FROM tax_forms w
   WHERE w.user_id = f.user_id AND w.form_type = 'W-9' AND w.status IN ('approved', 'superseded')
     AND w.reviewed_at <= f.created_at
   ORDER BY w.reviewed_at DESC, w.created_at DESC LIMIT 1)
 WHERE f.form_type = '1099-MISC' AND f.tin_last4 IS NOT NULL;
--> statement-breakpoint
-- What ended before this moment may be deleted: seven whole calendar years have passed since the year in which it
-- ended. Demo data have a clock of their own, which only moves on.
CREATE FUNCTION payout_retention_before() RETURNS timestamptz LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
  SELECT date_trunc('year', (now() + coalesce(
           (SELECT (s.value #>> '{}')::double precision FROM service_state s WHERE s.name = 'demo_clock_offset_ms'), 0
         ) * interval '1 millisecond') AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '7 years'
$$;
--> statement-breakpoint
-- What holds a full number and may be deleted: bank details of a payout that has long been over, and W-9s that have long
-- not counted, unless a 1099 of a year that is still kept was made from them. Guards, job and report all look here.
CREATE VIEW retention_due AS
SELECT 'bank_details'::text AS kind, b.id, b.payout_id AS subject
  FROM bank_details b JOIN payout_management p ON p.payout_id = b.payout_id
 WHERE p.status IN ('completed', 'rejected', 'cancelled') AND p.updated_at < payout_retention_before()
UNION ALL
SELECT 'w9'::text, w.id, w.form_id
  FROM tax_forms w
 WHERE w.form_type = 'W-9' AND w.status IN ('superseded', 'rejected') AND w.updated_at < payout_retention_before()
   AND NOT EXISTS (SELECT 1 FROM tax_forms f WHERE f.w9_form_id = w.form_id
                    AND make_timestamptz(f.tax_year + 1, 1, 1, 0, 0, 0, 'UTC') >= payout_retention_before());
--> statement-breakpoint
-- A version of bank details never changes; its envelope may be wrapped anew, and it may be refused, once and for all.
-- It is deleted only when its payout has been over for seven years.
CREATE OR REPLACE FUNCTION bank_details_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF NOT EXISTS (SELECT 1 FROM retention_due d WHERE d.id = OLD.id) THEN
      PERFORM payout_refuse('bank_details_kept', 'Bank details are kept for seven years after their payout.');
    END IF;
    RETURN OLD;
  END IF;
  IF (OLD.id, OLD.payout_id, OLD.version, OLD.account_holder_name, OLD.account_type, OLD.routing_last4,
      OLD.account_last4, OLD.fingerprint, OLD.created_at)
     IS DISTINCT FROM
     (NEW.id, NEW.payout_id, NEW.version, NEW.account_holder_name, NEW.account_type, NEW.routing_last4,
      NEW.account_last4, NEW.fingerprint, NEW.created_at)
     OR (OLD.refused_at IS NOT NULL AND NEW.refused_at IS DISTINCT FROM OLD.refused_at)
     OR (NEW.key_id = OLD.key_id AND NEW.envelope <> OLD.envelope) THEN
    PERFORM payout_refuse('bank_details_frozen', 'A version of bank details never changes. Add another.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
-- What a form says never changes: a new W-9 is a new row, and so is a corrected 1099. A W-9 that no longer counts is
-- deleted after seven years, unless a 1099 of a year that is still kept was made from it.
CREATE FUNCTION tax_forms_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF NOT EXISTS (SELECT 1 FROM retention_due d WHERE d.id = OLD.id) THEN
      PERFORM payout_refuse('tax_form_kept', 'A tax form is kept for seven years after it last counted.');
    END IF;
    RETURN OLD;
  END IF;
  IF (OLD.id, OLD.form_id, OLD.user_id, OLD.form_type, OLD.tax_year, OLD.w9, OLD.income_details, OLD.other_income,
      OLD.federal_tax_withheld, OLD.tin_last4, OLD.corrects, OLD.w9_form_id, OLD.created_at)
     IS DISTINCT FROM
     (NEW.id, NEW.form_id, NEW.user_id, NEW.form_type, NEW.tax_year, NEW.w9, NEW.income_details, NEW.other_income,
      NEW.federal_tax_withheld, NEW.tin_last4, NEW.corrects, NEW.w9_form_id, NEW.created_at)
     OR (OLD.reviewed_by IS NOT NULL AND (OLD.reviewed_by, OLD.reviewed_at) IS DISTINCT FROM (NEW.reviewed_by, NEW.reviewed_at))
     OR (NEW.key_id IS NOT DISTINCT FROM OLD.key_id AND NEW.envelope IS DISTINCT FROM OLD.envelope) THEN
    PERFORM payout_refuse('tax_form_frozen', 'What a tax form says never changes. Make another.');
  END IF;
  IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN
     (('submitted', 'approved'), ('submitted', 'rejected'), ('submitted', 'superseded'), ('approved', 'superseded'),
      ('issued', 'corrected'), ('issued', 'void')) THEN
    PERFORM payout_refuse('tax_form_move', format('A tax form cannot go from %s to %s.', OLD.status, NEW.status));
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER tax_forms_guard BEFORE UPDATE OR DELETE ON tax_forms FOR EACH ROW EXECUTE FUNCTION tax_forms_guard();
--> statement-breakpoint
CREATE FUNCTION withholding_liability_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF NOT EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payout_id = NEW.payout_id AND t.number = NEW.attempt
                    AND t.status = 'sent' AND t.withheld_amount = NEW.amount AND t.sent_date = NEW.liability_date) THEN
      PERFORM payout_refuse('liability_of_payment', 'A liability is what was withheld from a payment that was sent.');
    END IF;
    RETURN NEW;
  END IF;
  IF TG_OP = 'DELETE' THEN
    PERFORM payout_refuse('liability_kept', 'A liability is never deleted.');
  END IF;
  IF (OLD.id, OLD.payout_id, OLD.attempt, OLD.liability_date, OLD.amount, OLD.created_at)
     IS DISTINCT FROM (NEW.id, NEW.payout_id, NEW.attempt, NEW.liability_date, NEW.amount, NEW.created_at)
     OR OLD.reversed_at IS NOT NULL OR NEW.reversed_at IS NULL THEN
    PERFORM payout_refuse('liability_frozen', 'A liability is reversed once, and otherwise never changes.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER withholding_liability_guard BEFORE INSERT OR UPDATE OR DELETE ON withholding_liabilities
  FOR EACH ROW EXECUTE FUNCTION withholding_liability_guard();
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON vault_keys, withholding_liabilities, tax_issue_runs TO payout_service;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON tax_issue_payees TO payout_service;
--> statement-breakpoint
GRANT SELECT ON retention_due TO payout_service;
--> statement-breakpoint
-- The service has no right to delete; it may call this, which deletes what is due and nothing else.
CREATE FUNCTION payout_retention_delete(most integer) RETURNS TABLE (kind text, subject text)
  LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH due AS MATERIALIZED (SELECT d.kind, d.id FROM retention_due d ORDER BY d.kind, d.id LIMIT most),
  details AS (DELETE FROM bank_details b USING due WHERE due.kind = 'bank_details' AND b.id = due.id
              RETURNING 'bank_details'::text, b.payout_id || ' version ' || b.version),
  forms AS (DELETE FROM tax_forms f USING due WHERE due.kind = 'w9' AND f.id = due.id RETURNING 'w9'::text, f.form_id)
  SELECT * FROM details UNION ALL SELECT * FROM forms
$$;
--> statement-breakpoint
REVOKE ALL ON FUNCTION payout_retention_delete(integer) FROM PUBLIC;
--> statement-breakpoint
GRANT EXECUTE ON FUNCTION payout_retention_delete(integer) TO payout_service;
