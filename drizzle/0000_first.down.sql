DROP TABLE
  service_state, idempotency_keys, job_runs, notifications, admin_alerts, audit_verifications, audit_chains,
  user_audit_logs, tax_form_documents, tax_forms, eligibility_checks, membership_removals, bank_details,
  payment_attempts, payout_approvals, payout_moves, payout_management;
--> statement-breakpoint
DO $$
DECLARE shared text;
BEGIN
  FOREACH shared IN ARRAY ARRAY['kyc_verification', 'user_addresses', 'user_payments', 'user_subscriptions',
    'admin_users', 'verifications', 'accounts', 'sessions', 'users'] LOOP
    IF EXISTS (SELECT 1 FROM payout_service.created_shared_tables WHERE name = shared) THEN
      EXECUTE format('DROP TABLE %I', shared);
    END IF;
  END LOOP;
END $$;
--> statement-breakpoint
DROP TABLE payout_service.created_shared_tables;
