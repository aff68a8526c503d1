-- Roles, rights, and the rules that the database enforces whoever writes to it.
--
-- Refusals carry SQLSTATE 'PO001' and a short name as the constraint, which the service turns into its own errors.

-- Roles belong to the whole server, so another database's migration may be making them at this moment.
DO $$
DECLARE wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['payout_service', 'payout_main_app'] LOOP
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    BEGIN
      IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
        EXECUTE format('GRANT %I TO %I', wanted, current_user);
      END IF;
    EXCEPTION WHEN unique_violation THEN NULL;
    END;
  END LOOP;
END $$;
--> statement-breakpoint
CREATE FUNCTION payout_refuse(rule text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PO001', CONSTRAINT = rule, MESSAGE = message;
END $$;
--> statement-breakpoint
INSERT INTO payout_moves (from_status, to_status) VALUES
  ('pending_approval', 'approved'), ('pending_approval', 'rejected'),
  ('pending_approval', 'requires_manual_review'), ('pending_approval', 'cancelled'),
  ('approved', 'pending_bank_info'), ('approved', 'pending_tax_info'), ('approved', 'ready_for_payment'),
  ('approved', 'requires_manual_review'), ('approved', 'cancelled'),
  ('pending_bank_info', 'pending_tax_info'), ('pending_bank_info', 'approved'),
  ('pending_bank_info', 'ready_for_payment'), ('pending_bank_info', 'requires_manual_review'),
  ('pending_bank_info', 'cancelled'),
  ('pending_tax_info', 'approved'), ('pending_tax_info', 'ready_for_payment'),
  ('pending_tax_info', 'requires_manual_review'), ('pending_tax_info', 'cancelled'),
  ('ready_for_payment', 'approved'), ('ready_for_payment', 'pending_bank_info'),
  ('ready_for_payment', 'pending_tax_info'), ('ready_for_payment', 'payment_sent'),
  ('ready_for_payment', 'payment_failed'), ('ready_for_payment', 'requires_manual_review'),
  ('ready_for_payment', 'cancelled'),
  ('payment_sent', 'completed'), ('payment_sent', 'payment_failed'),
  ('completed', 'payment_failed'),
  ('payment_failed', 'pending_bank_info'), ('payment_failed', 'ready_for_payment'),
  ('payment_failed', 'requires_manual_review'), ('payment_failed', 'cancelled'),
  ('requires_manual_review', 'pending_approval'), ('requires_manual_review', 'approved'),
  ('requires_manual_review', 'pending_bank_info'), ('requires_manual_review', 'pending_tax_info'),
  ('requires_manual_review', 'payment_failed'), ('requires_manual_review', 'cancelled');
--> statement-breakpoint
ALTER TABLE payout_management ADD CONSTRAINT payout_management_two_approvals
  CHECK (required_approvals >= 1 AND (amount < 100000 OR required_approvals >= 2));
--> statement-breakpoint
CREATE FUNCTION payout_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM payout_refuse('payout_kept', 'A payout is never deleted.');
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.status <> 'pending_approval' OR NEW.approval_round <> 1 THEN
      PERFORM payout_refuse('payout_starts_pending', 'A payout starts as pending_approval in round 1.');
    END IF;
    IF EXISTS (SELECT 1 FROM admin_users a WHERE a.id = NEW.initiated_by AND a.user_id = NEW.user_id) THEN
      PERFORM payout_refuse('payee_never_acts', 'Nobody initiates a payout to themselves.');
    END IF;
    RETURN NEW;
  END IF;
  IF (OLD.id, OLD.payout_id, OLD.user_id, OLD.amount, OLD.retention_fee, OLD.currency, OLD.initiated_by,
      OLD.funding_tranche, OLD.tenure_number, OLD.required_approvals, OLD.queue_position, OLD.eligibility_check,
      OLD.created_at)
     IS DISTINCT FROM
     (NEW.id, NEW.payout_id, NEW.user_id, NEW.amount, NEW.retention_fee, NEW.currency, NEW.initiated_by,
      NEW.funding_tranche, NEW.tenure_number, NEW.required_approvals, NEW.queue_position, NEW.eligibility_check,
      NEW.created_at) THEN
    PERFORM payout_refuse('payout_frozen', 'What was decided at initiation never changes.');
  END IF;
  -- The trail also takes what happened to messages, which is no change that a reader could have missed.
  IF NEW.version <> OLD.version + 1
     AND (to_jsonb(NEW) - 'audit_trail') IS DISTINCT FROM (to_jsonb(OLD) - 'audit_trail') THEN
    PERFORM payout_refuse('payout_version', 'Every change counts the version up by one.');
  END IF;
  IF NEW.status = OLD.status AND NEW.held_from IS DISTINCT FROM OLD.held_from THEN
    PERFORM payout_refuse('resume_where_held', 'Where a payout was held from does not change while it is held.');
  END IF;
  IF OLD.status IN ('payment_sent', 'completed') AND NEW.status IN ('payment_sent', 'completed')
     AND (NEW.net_amount, NEW.withheld_amount) IS DISTINCT FROM (OLD.net_amount, OLD.withheld_amount) THEN
    PERFORM payout_refuse('payout_frozen', 'What was paid does not change.');
  END IF;
  IF NEW.status <> OLD.status THEN
    IF NOT EXISTS (SELECT 1 FROM payout_moves m WHERE m.from_status = OLD.status AND m.to_status = NEW.status) THEN
      PERFORM payout_refuse('payout_move', format('A payout cannot go from %s to %s.', OLD.status, NEW.status));
    END IF;
    IF OLD.status = 'pending_approval' AND NEW.status = 'approved' AND
       (SELECT count(*) FROM payout_approvals a
         WHERE a.payout_id = NEW.payout_id AND a.round = OLD.approval_round AND a.decision = 'approved')
       < NEW.required_approvals THEN
      PERFORM payout_refuse('approvals_missing', 'The required approvals are not there.');
    END IF;
    -- Back to where it came from; what was approved and not failed may have come to need something else meanwhile.
    IF OLD.status = 'requires_manual_review' AND NEW.status NOT IN ('cancelled', OLD.held_from)
       AND NOT (OLD.held_from IN ('ready_for_payment', 'approved', 'pending_bank_info', 'pending_tax_info')
                AND NEW.status IN ('approved', 'pending_bank_info', 'pending_tax_info')) THEN
      PERFORM payout_refuse('resume_where_held', format('The payout was held from %s.', OLD.held_from));
    END IF;
    IF NEW.status = 'requires_manual_review' AND NEW.held_from <> OLD.status THEN
      PERFORM payout_refuse('resume_where_held', 'held_from is the status that the payout had.');
    END IF;
    IF NEW.status = 'ready_for_payment' AND NOT EXISTS (
      SELECT 1 FROM payment_attempts t WHERE t.payout_id = NEW.payout_id AND t.status = 'ready') THEN
      PERFORM payout_refuse('attempt_missing', 'Ready for payment needs instructions.');
    END IF;
    IF NEW.status = 'payment_sent' AND NOT EXISTS (
      SELECT 1 FROM payment_attempts t WHERE t.payout_id = NEW.payout_id AND t.status = 'sent'
        AND t.net_amount = NEW.net_amount) THEN
      PERFORM payout_refuse('attempt_missing', 'A sent payment needs a sent attempt of the same amount.');
    END IF;
    IF NEW.status = 'completed' AND NOT EXISTS (
      SELECT 1 FROM payment_attempts t WHERE t.payout_id = NEW.payout_id AND t.status = 'completed') THEN
      PERFORM payout_refuse('attempt_missing', 'A completed payment needs a completed attempt.');
    END IF;
    IF NEW.status = 'payment_failed' AND EXISTS (
      SELECT 1 FROM payment_attempts t WHERE t.payout_id = NEW.payout_id AND t.status IN ('ready', 'sent', 'completed')) THEN
      PERFORM payout_refuse('attempt_missing', 'A payment has not failed while an attempt is live.');
    END IF;
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payout_guard BEFORE INSERT OR UPDATE OR DELETE ON payout_management
  FOR EACH ROW EXECUTE FUNCTION payout_guard();
--> statement-breakpoint
CREATE FUNCTION payout_approval_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE p payout_management;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM payout_refuse('approval_immutable', 'A decision is never changed or taken away.');
  END IF;
  SELECT * INTO p FROM payout_management WHERE payout_id = NEW.payout_id FOR UPDATE;
  IF p.status <> 'pending_approval' OR p.approval_round <> NEW.round THEN
    PERFORM payout_refuse('approval_not_pending', 'The payout is not waiting for a decision in this round.');
  END IF;
  IF NEW.admin_id = p.initiated_by AND NEW.decision = 'approved' THEN
    PERFORM payout_refuse('initiator_never_approves', 'Whoever initiated a payout never approves it.');
  END IF;
  IF EXISTS (SELECT 1 FROM admin_users a WHERE a.id = NEW.admin_id AND a.user_id = p.user_id) THEN
    PERFORM payout_refuse('payee_never_acts', 'Nobody decides on a payout to themselves.');
  END IF;
  IF (SELECT count(*) FROM payout_approvals a
       WHERE a.payout_id = NEW.payout_id AND a.round = NEW.round AND a.decision = 'approved')
     >= p.required_approvals THEN
    PERFORM payout_refuse('approvals_complete', 'The payout has the approvals that it needs.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payout_approval_guard BEFORE INSERT OR UPDATE OR DELETE ON payout_approvals
  FOR EACH ROW EXECUTE FUNCTION payout_approval_guard();
--> statement-breakpoint
CREATE FUNCTION payment_attempt_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM payout_refuse('attempt_kept', 'A payment attempt is never deleted.');
  END IF;
  IF TG_OP = 'INSERT' THEN
    IF NEW.status <> 'ready' THEN
      PERFORM payout_refuse('attempt_starts_ready', 'A payment attempt starts as ready.');
    END IF;
    -- Taken from the table, not from the writer, so that nobody can leave it out.
    IF NEW.number <> 1 + coalesce((SELECT max(t.number) FROM payment_attempts t WHERE t.payout_id = NEW.payout_id), 0) THEN
      PERFORM payout_refuse('attempt_number', 'Attempts are numbered one after the other.');
    END IF;
    NEW.previous_failure_by := (SELECT t.failed_by FROM payment_attempts t
      WHERE t.payout_id = NEW.payout_id AND t.status = 'failed' ORDER BY t.number DESC LIMIT 1);
  ELSE
    IF (OLD.id, OLD.payout_id, OLD.number, OLD.payment_method, OLD.net_amount, OLD.withheld_amount,
        OLD.instructions_hash, OLD.payee_name, OLD.mailing_address, OLD.bank_details_version, OLD.bank_fingerprint,
        OLD.w9_form_id, OLD.generated_by, OLD.generated_at, OLD.previous_failure_by)
       IS DISTINCT FROM
       (NEW.id, NEW.payout_id, NEW.number, NEW.payment_method, NEW.net_amount, NEW.withheld_amount,
        NEW.instructions_hash, NEW.payee_name, NEW.mailing_address, NEW.bank_details_version, NEW.bank_fingerprint,
        NEW.w9_form_id, NEW.generated_by, NEW.generated_at, NEW.previous_failure_by) THEN
      PERFORM payout_refuse('attempt_frozen', 'Instructions never change once they are made.');
    END IF;
    -- Who did what is set once, with the move it belongs to.
    IF (OLD.sent_by IS NOT NULL AND (NEW.sent_by, NEW.sent_at, NEW.sent_date) IS DISTINCT FROM (OLD.sent_by, OLD.sent_at, OLD.sent_date))
       OR (OLD.completed_by IS NOT NULL AND NEW.completed_by IS DISTINCT FROM OLD.completed_by)
       OR (OLD.failed_by IS NOT NULL AND (NEW.failed_by, NEW.return_code, NEW.stop_payment_reference)
           IS DISTINCT FROM (OLD.failed_by, OLD.return_code, OLD.stop_payment_reference)) THEN
      PERFORM payout_refuse('attempt_frozen', 'Who did what to a payment is never rewritten.');
    END IF;
    IF NEW.status = 'failed' AND NEW.failed_by IS NULL THEN
      PERFORM payout_refuse('attempt_evidence', 'A failure says who recorded it.');
    END IF;
    IF NEW.status = 'completed' AND NEW.completed_by IS NULL THEN
      PERFORM payout_refuse('attempt_evidence', 'A completion says who confirmed it.');
    END IF;
    IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN
       (('ready', 'sent'), ('ready', 'failed'), ('ready', 'voided'),
        ('sent', 'completed'), ('sent', 'failed'), ('completed', 'failed')) THEN
      PERFORM payout_refuse('attempt_move', format('A payment attempt cannot go from %s to %s.', OLD.status, NEW.status));
    END IF;
    IF NEW.status = 'sent' AND (NEW.sent_by IS NULL OR NEW.sent_at IS NULL) THEN
      PERFORM payout_refuse('attempt_sender', 'A sent payment says who sent it and when.');
    END IF;
    IF NEW.status = 'failed' AND OLD.status = 'completed'
       AND (NEW.return_code IS NULL OR NEW.payment_method <> 'ach') THEN
      PERFORM payout_refuse('attempt_evidence', 'A completed payment fails by an ACH return only.');
    END IF;
  END IF;
  IF EXISTS (
    SELECT 1 FROM admin_users a JOIN payout_management p ON p.user_id = a.user_id
     WHERE p.payout_id = NEW.payout_id AND a.id IN (NEW.generated_by, NEW.sent_by, NEW.completed_by, NEW.failed_by)) THEN
    PERFORM payout_refuse('payee_never_acts', 'Nobody acts on a payout to themselves.');
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER payment_attempt_guard BEFORE INSERT OR UPDATE OR DELETE ON payment_attempts
  FOR EACH ROW EXECUTE FUNCTION payment_attempt_guard();
--> statement-breakpoint
-- A version of bank details never changes; its envelope may be wrapped anew, and it may be refused, once and for all.
CREATE FUNCTION bank_details_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
CREATE TRIGGER bank_details_guard BEFORE UPDATE OR DELETE ON bank_details
  FOR EACH ROW EXECUTE FUNCTION bank_details_guard();
--> statement-breakpoint
CREATE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'PO001', CONSTRAINT = 'audit_append_only', MESSAGE = format('%s is only added to.', TG_TABLE_NAME);
END $$;
--> statement-breakpoint
CREATE TRIGGER audit_guard BEFORE UPDATE OR DELETE ON user_audit_logs FOR EACH ROW EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER audit_guard_truncate BEFORE TRUNCATE ON user_audit_logs FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER approvals_guard_truncate BEFORE TRUNCATE ON payout_approvals
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
CREATE TRIGGER attempts_guard_truncate BEFORE TRUNCATE ON payment_attempts
  FOR EACH STATEMENT EXECUTE FUNCTION audit_guard();
--> statement-breakpoint
-- A tenure starts with the first succeeded payment after this service last removed the member, or ever.
CREATE VIEW active_member_queue_view AS
WITH removed AS (
  SELECT r.user_id, max(r.removed_at) AS last_removed_at, count(*)::integer AS removals
    FROM membership_removals r WHERE r.status = 'removed' GROUP BY r.user_id
), paid AS (
  SELECT p.user_id, min(p.created_at) AS tenure_start_date, max(p.created_at) AS last_payment_date,
         count(*) AS total_successful_payments, sum(p.amount) AS lifetime_payment_total,
         coalesce(max(r.removals), 0) AS tenure_number
    FROM user_payments p LEFT JOIN removed r ON r.user_id = p.user_id
   WHERE p.status = 'succeeded' AND (r.last_removed_at IS NULL OR p.created_at > r.last_removed_at)
   GROUP BY p.user_id
), subscribed AS (
  SELECT DISTINCT ON (s.user_id) s.user_id, s.id, s.status, s.provider_subscription_id
    FROM user_subscriptions s WHERE s.status IN ('active', 'trialing')
   ORDER BY s.user_id, (s.status = 'active') DESC, s.created_at DESC, s.id
)
SELECT u.id AS user_id, u.email, u.created_at AS user_created_at, u.first_name, u.last_name, u.middle_name,
       nullif(concat_ws(' ', u.first_name, u.middle_name, u.last_name), '') AS full_name,
       s.id::text AS subscription_id, s.status AS subscription_status, s.provider_subscription_id,
       p.tenure_start_date, p.last_payment_date, p.total_successful_payments, p.lifetime_payment_total,
       EXISTS (SELECT 1 FROM payout_management m
                WHERE m.user_id = u.id AND m.tenure_number = p.tenure_number
                  AND m.status NOT IN ('rejected', 'cancelled')) AS has_received_payout,
       row_number() OVER (ORDER BY p.tenure_start_date, u.id) AS queue_position,
       s.status = 'active' AS is_eligible,
       p.total_successful_payments >= 12 AS meets_time_requirement,
       now() AS calculated_at,
       p.tenure_number
  FROM paid p
  JOIN subscribed s ON s.user_id = p.user_id
  JOIN users u ON u.id = p.user_id;
--> statement-breakpoint
GRANT USAGE ON SCHEMA public, payout_service TO payout_service, payout_main_app;
--> statement-breakpoint
GRANT SELECT ON users, sessions, admin_users, user_subscriptions, user_payments,
  user_addresses, kyc_verification, active_member_queue_view, payout_moves, payout_service.migrations
  TO payout_service;
--> statement-breakpoint
GRANT SELECT, INSERT ON payout_approvals, eligibility_checks, tax_form_documents, user_audit_logs, audit_verifications
  TO payout_service;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE ON payout_management, payment_attempts, bank_details, membership_removals, tax_forms,
  audit_chains, admin_alerts, notifications, job_runs, service_state TO payout_service;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO payout_service;
--> statement-breakpoint
-- Stands in for the main app outside production: people sign in and subscriptions end.
GRANT SELECT, INSERT, UPDATE ON users, user_subscriptions, user_payments TO payout_main_app;
--> statement-breakpoint
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, accounts, verifications TO payout_main_app;
