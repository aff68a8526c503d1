DROP FUNCTION payout_retention_delete(integer);
--> statement-breakpoint
DROP TRIGGER withholding_liability_guard ON withholding_liabilities;
--> statement-breakpoint
DROP TRIGGER tax_forms_guard ON tax_forms;
--> statement-breakpoint
DROP FUNCTION withholding_liability_guard(), tax_forms_guard();
--> statement-breakpoint
CREATE OR REPLACE FUNCTION bank_details_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM payout_refuse('bank_details_kept', 'Bank details are never deleted here.');
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
DROP VIEW retention_due;
--> statement-breakpoint
DROP FUNCTION payout_retention_before();
--> statement-breakpoint
ALTER TABLE "tax_forms" DROP COLUMN "w9_form_id";
--> statement-breakpoint
DROP TABLE "tax_issue_payees";
--> statement-breakpoint
DROP TABLE "tax_issue_runs";
--> statement-breakpoint
DROP TABLE "withholding_liabilities";
--> statement-breakpoint
DROP TABLE "vault_keys";
