-- More that the database refuses whoever writes to it, beside 0001_guards.sql: what plain SQL under the service's own role
-- could still do towards a second payment, one without two approvals, to another account, or of another amount.

CREATE FUNCTION staff_may(staff integer, VARIADIC roles text[]) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM admin_users a WHERE a.id = staff AND a.is_active AND a.role = ANY (roles))
$$;
--> statement-breakpoint
-- A payout is made by an admin, in the tenure that the member is in, and within the revenue that has come in. The queue's
-- totals are folded first; the service's role cannot write them.
CREATE FUNCTION payout_award_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT staff_may(NEW.initiated_by, 'admin') THEN
    PERFORM payout_refuse('staff_only', 'A payout is initiated by an active admin.');
  END IF;
  IF NEW.tenure_number <> (SELECT count(*) FROM membership_removals r
                            WHERE r.user_id = NEW.user_id AND r.status = 'removed') THEN
    PERFORM payout_refuse('payout_tenure', 'A payout belongs to the tenure that the member is in.');
  END IF;
  -- As every initiation of the service takes it (winners/initiation-store.ts).
  PERFORM pg_advisory_xact_lock(7203003);
  PERFORM queue_fold();
  IF NEW.amount + (SELECT coalesce(sum(p.amount), 0) FROM payout_management p
                    WHERE p.status NOT IN ('rejected', 'cancelled'))
     > (SELECT t.revenue FROM queue_totals t) THEN
    PERFORM payout_refuse('award_unfunded', 'Revenue does not fund another payout.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payout_award_guard BEFORE INSERT ON payout_management
  FOR EACH ROW EXECUTE FUNCTION payout_award_guard();
--> statement-breakpoint
CREATE FUNCTION payout_round_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  is_again boolean := OLD.status = 'requires_manual_review' AND NEW.status = 'pending_approval';
  is_rejected boolean := EXISTS (SELECT 1 FROM payout_approvals a WHERE a.payout_id = OLD.payout_id
                                   AND a.round = OLD.approval_round AND a.decision = 'rejected');
BEGIN
  IF NEW.approval_round <> OLD.approval_round + is_again::integer THEN
    PERFORM payout_refuse('approval_round', 'A payout that comes back to its approvers gets a new round, and no other does.');
  END IF;
  IF OLD.status = 'pending_approval' AND NEW.status = 'approved' AND is_rejected THEN
    PERFORM payout_refuse('rejection_stands', 'A payout that was rejected is not approved.');
  END IF;
  IF NEW.status = 'rejected' AND OLD.status <> 'rejected' AND NOT is_rejected THEN
    PERFORM payout_refuse('rejection_missing', 'Somebody must have rejected it.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payout_round_guard BEFORE UPDATE ON payout_management FOR EACH ROW
  WHEN (OLD.approval_round IS DISTINCT FROM NEW.approval_round OR OLD.status IS DISTINCT FROM NEW.status)
  EXECUTE FUNCTION payout_round_guard();
--> statement-breakpoint
-- The account in force is the newest that was given and not refused; when it changed is not made undone, as the cool-off
-- counts from then.
CREATE FUNCTION payout_account_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE given bank_details;
BEGIN
  IF NEW.bank_details_version IS NOT NULL AND NEW.bank_details_version IS DISTINCT FROM OLD.bank_details_version THEN
    SELECT * INTO given FROM bank_details b WHERE b.payout_id = NEW.payout_id ORDER BY b.version DESC LIMIT 1;
    IF given.version IS DISTINCT FROM NEW.bank_details_version OR given.refused_at IS NOT NULL THEN
      PERFORM payout_refuse('account_newest', 'The account in force is the newest that was given and not refused.');
    END IF;
    IF given.version > 1 AND (NEW.bank_details_changed_at IS NULL
         OR NEW.bank_details_changed_at < given.created_at - interval '1 minute') THEN
      PERFORM payout_refuse('cooloff_kept', 'A change of bank details says when it was made.');
    END IF;
  ELSIF NEW.bank_details_changed_at IS DISTINCT FROM OLD.bank_details_changed_at THEN
    PERFORM payout_refuse('cooloff_kept', 'When bank details were changed does not change by itself.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payout_account_guard BEFORE UPDATE ON payout_management FOR EACH ROW
  WHEN ((OLD.bank_details_version, OLD.bank_details_changed_at)
        IS DISTINCT FROM (NEW.bank_details_version, NEW.bank_details_changed_at))
  EXECUTE FUNCTION payout_account_guard();
--> statement-breakpoint
CREATE FUNCTION approver_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT staff_may(NEW.admin_id, 'admin', 'finance_manager') THEN
    PERFORM payout_refuse('staff_only', 'An active admin or finance_manager decides.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER approver_guard BEFORE INSERT ON payout_approvals FOR EACH ROW EXECUTE FUNCTION approver_guard();
--> statement-breakpoint
-- What an attempt freezes is the payout's own: its amounts, its account in force, its payee's approved W-9.
CREATE FUNCTION attempt_terms_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  p payout_management;
  account bank_details;
BEGIN
  SELECT * INTO p FROM payout_management WHERE payout_id = NEW.payout_id FOR UPDATE;
  IF TG_OP = 'INSERT' THEN
    IF p.status NOT IN ('approved', 'pending_bank_info', 'pending_tax_info', 'payment_failed') THEN
      PERFORM payout_refuse('attempt_not_due', format('No payment is due of a payout that is %s.', p.status));
    END IF;
    IF NEW.net_amount + NEW.withheld_amount + p.retention_fee <> p.amount OR NEW.withheld_amount < 0 THEN
      PERFORM payout_refuse('attempt_amounts', 'An attempt pays the gross less the fee and what is withheld.');
    END IF;
    IF NOT EXISTS (SELECT 1 FROM tax_forms f WHERE f.form_id = NEW.w9_form_id AND f.user_id = p.user_id
                     AND f.form_type = 'W-9' AND f.status = 'approved')
       AND (NEW.w9_form_id IS NOT NULL OR NEW.withheld_amount = 0) THEN
      PERFORM payout_refuse('attempt_withholding', 'Without an approved W-9 of the payee there is withholding.');
    END IF;
    IF NOT staff_may(NEW.generated_by, 'admin', 'finance_manager') THEN
      PERFORM payout_refuse('staff_only', 'An active admin or finance_manager generates instructions.');
    END IF;
  END IF;
  IF TG_OP = 'INSERT' OR (NEW.status = 'sent' AND OLD.status = 'ready') THEN
    SELECT * INTO account FROM bank_details b
     WHERE b.payout_id = NEW.payout_id AND b.version = p.bank_details_version AND b.refused_at IS NULL;
    IF NEW.payment_method = 'ach' AND (account.version, account.fingerprint)
       IS DISTINCT FROM (NEW.bank_details_version, NEW.bank_fingerprint)
       OR NEW.payment_method = 'ach' AND account.version IS NULL
       OR NEW.payment_method = 'check' AND NEW.mailing_address IS NULL THEN
      PERFORM payout_refuse('attempt_account', 'A payment goes to the account in force, or to an address.');
    END IF;
  END IF;
  IF TG_OP = 'UPDATE' THEN
    IF (NEW.sent_by IS DISTINCT FROM OLD.sent_by AND NOT staff_may(NEW.sent_by, 'admin', 'finance_manager'))
       OR (NEW.completed_by IS DISTINCT FROM OLD.completed_by AND NOT staff_may(NEW.completed_by, 'admin', 'finance_manager'))
       OR (NEW.failed_by IS DISTINCT FROM OLD.failed_by AND NOT staff_may(NEW.failed_by, 'admin', 'finance_manager')) THEN
      PERFORM payout_refuse('staff_only', 'An active admin or finance_manager follows a payment.');
    END IF;
    IF (NEW.sent_by IS DISTINCT FROM OLD.sent_by AND NEW.status <> 'sent')
       OR (NEW.completed_by IS DISTINCT FROM OLD.completed_by AND NEW.status <> 'completed')
       OR (NEW.failed_by IS DISTINCT FROM OLD.failed_by AND NEW.status <> 'failed') THEN
      PERFORM payout_refuse('attempt_frozen', 'Who did what is written when it is done.');
    END IF;
    IF NEW.status = 'failed' AND OLD.status IN ('sent', 'completed') AND length(coalesce(
         CASE NEW.payment_method WHEN 'ach' THEN NEW.return_code ELSE NEW.stop_payment_reference END, '')) = 0 THEN
      PERFORM payout_refuse('attempt_evidence', 'A sent payment fails by an ACH return, or by a stopped check.');
    END IF;
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payment_attempt_terms_guard BEFORE INSERT OR UPDATE ON payment_attempts
  FOR EACH ROW EXECUTE FUNCTION attempt_terms_guard();
--> statement-breakpoint
-- At the end of a transaction a payout, its live attempt and its decisions say the same: nothing is done by half.
CREATE FUNCTION payout_whole_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  p payout_management;
  live text;
BEGIN
  SELECT * INTO p FROM payout_management WHERE payout_id = NEW.payout_id;
  SELECT string_agg(t.status, ' ') INTO live FROM payment_attempts t
   WHERE t.payout_id = NEW.payout_id AND t.status IN ('ready', 'sent', 'completed');
  IF live IS DISTINCT FROM (CASE p.status WHEN 'ready_for_payment' THEN 'ready' WHEN 'payment_sent' THEN 'sent'
                                          WHEN 'completed' THEN 'completed' END) THEN
    PERFORM payout_refuse('payout_whole', format('A payout that is %s has no attempt that is %s.', p.status, live));
  END IF;
  IF live IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM payment_attempts t WHERE t.payout_id = p.payout_id AND t.status = live
       AND (t.net_amount, t.withheld_amount, t.payment_method) = (p.net_amount, p.withheld_amount, p.payment_method)) THEN
    PERFORM payout_refuse('payout_whole', 'A payment is of what the payout says.');
  END IF;
  IF jsonb_array_length(p.approval_workflow) <> (SELECT count(*) FROM payout_approvals a WHERE a.payout_id = p.payout_id) THEN
    PERFORM payout_refuse('payout_whole', 'The workflow is the decisions.');
  END IF;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER payout_whole AFTER INSERT OR UPDATE ON payout_management
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payout_whole_guard();
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER payout_whole AFTER INSERT OR UPDATE ON payment_attempts
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payout_whole_guard();
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER payout_whole AFTER INSERT ON payout_approvals
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payout_whole_guard();
--> statement-breakpoint
-- An answer that is kept for ever is what stops an old request from being done again.
CREATE FUNCTION idempotency_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM payout_refuse('key_kept', 'An answer that is kept for ever is never changed or taken away.');
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER idempotency_guard BEFORE UPDATE OR DELETE ON idempotency_keys FOR EACH ROW
  WHEN (OLD.permanent AND OLD.status IS NOT NULL) EXECUTE FUNCTION idempotency_guard();
--> statement-breakpoint
CREATE TRIGGER payouts_guard_truncate BEFORE TRUNCATE ON payout_management
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
