-- What must be true of the money whatever ran before, found out from the tables alone and by none of the service's code.
-- One row for each violation: the rule, what breaks it, and how. No rows: all is well.
--
-- `live` is a payout that holds its tranche of revenue; its live attempt is the one that is or was paid by.
WITH live AS (
  SELECT * FROM payout_management WHERE status NOT IN ('rejected', 'cancelled')
), created AS (
  -- The order in which payouts were made; the log's own numbers, as clocks may stand still in a test.
  SELECT entity_id AS payout_id, min(sequence) AS sequence, count(*) AS entries
    FROM user_audit_logs WHERE entity_type = 'payout' AND action = 'created' AND success GROUP BY entity_id
), last_failure AS (
  SELECT t.id, (SELECT f.failed_by FROM payment_attempts f
                 WHERE f.payout_id = t.payout_id AND f.status = 'failed' AND f.number < t.number
                 ORDER BY f.number DESC LIMIT 1) AS failed_by
    FROM payment_attempts t
), decided AS (
  SELECT p.payout_id, (entry->>'round')::int AS round, (entry->>'adminId')::int AS admin_id, entry->>'decision' AS decision,
         entry->>'reason' AS reason, (entry->>'timestamp')::timestamptz AS decided_at
    FROM payout_management p, jsonb_array_elements(p.approval_workflow) entry
), decision_rows AS (
  SELECT payout_id, round, admin_id, decision, reason, date_trunc('milliseconds', decided_at) AS decided_at
    FROM payout_approvals
), past_approval AS (
  SELECT * FROM payout_management
   WHERE approved_at IS NOT NULL
      OR coalesce(held_from, status) IN ('approved', 'pending_bank_info', 'pending_tax_info', 'ready_for_payment',
                                         'payment_sent', 'completed', 'payment_failed')
), versions AS (
  SELECT entity_id AS payout_id, count(*) AS entries, count(DISTINCT new_values->>'version') AS kinds,
         max((new_values->>'version')::int) AS newest
    FROM user_audit_logs
   WHERE success AND entity_type IN ('payout', 'approval', 'payment') AND new_values ? 'version' GROUP BY entity_id
), links AS (
  SELECT entity_type, entity_id, count(*) AS entries, max(chain_index) AS newest
    FROM user_audit_logs GROUP BY entity_type, entity_id
)
SELECT 'amounts add up' AS rule, payout_id AS subject,
       format('%s <> %s + %s + %s', amount, net_amount, retention_fee, withheld_amount) AS detail
  FROM payout_management WHERE amount <> net_amount + retention_fee + withheld_amount
UNION ALL
SELECT 'amounts are told alike', payout_id, format('net %s, processing %s', net_amount, processing->>'net_amount')
  FROM payout_management
 WHERE (processing->>'net_amount')::numeric <> net_amount OR (processing->>'tax_withholding')::numeric <> withheld_amount
    OR (processing->>'gross_amount')::numeric <> amount
UNION ALL
SELECT 'tranche funds one payout', min(payout_id), format('tranche %s: %s', funding_tranche, string_agg(payout_id, ' '))
  FROM live GROUP BY funding_tranche HAVING count(*) > 1
UNION ALL
SELECT 'one payout per member and tenure', min(payout_id),
       format('%s tenure %s: %s', user_id, tenure_number, string_agg(payout_id, ' '))
  FROM live GROUP BY user_id, tenure_number HAVING count(*) > 1
UNION ALL
-- Of what was awarded before it, what is live still was so then: together they must fit into the revenue of that time.
SELECT 'awarded within revenue', p.payout_id, format('%s live of revenue %s', sum(q.amount), p.eligibility_check->>'totalRevenue')
  FROM live p LEFT JOIN created pc USING (payout_id)
  JOIN (live q LEFT JOIN created qc USING (payout_id))
    ON coalesce(qc.sequence, 9223372036854775807) <= coalesce(pc.sequence, 9223372036854775807)
 GROUP BY p.payout_id, p.eligibility_check HAVING sum(q.amount) > (p.eligibility_check->>'totalRevenue')::numeric
UNION ALL
SELECT 'creation is audited once', p.payout_id, format('%s entries', coalesce(c.entries, 0))
  FROM payout_management p LEFT JOIN created c USING (payout_id) WHERE c.entries IS DISTINCT FROM 1
UNION ALL
SELECT 'payout is what was created', p.payout_id, 'payee, gross or tranche differ from the audit entry of the creation'
  FROM payout_management p
  JOIN user_audit_logs l ON l.entity_type = 'payout' AND l.entity_id = p.payout_id AND l.action = 'created' AND l.success
 WHERE l.new_values->>'userId' <> p.user_id::text OR (l.new_values->>'grossAmount')::numeric <> p.amount
    OR (l.new_values->>'fundingTranche')::int <> p.funding_tranche
UNION ALL
-- A change without its entry, or an entry without its change, is half a change.
SELECT 'every version is audited once', p.payout_id,
       format('version %s, %s entries up to %s', p.version, coalesce(v.entries, 0), coalesce(v.newest, 1))
  FROM payout_management p LEFT JOIN versions v USING (payout_id)
 WHERE coalesce(v.entries, 0) <> p.version - 1 OR coalesce(v.kinds, 0) <> p.version - 1 OR coalesce(v.newest, 1) <> p.version
UNION ALL
SELECT 'status is the one last audited', p.payout_id, format('%s, audited %s', p.status, l.new_values->>'status')
  FROM payout_management p
  JOIN user_audit_logs l ON l.entity_id = p.payout_id AND l.success AND l.entity_type IN ('payout', 'approval', 'payment')
   AND l.new_values->>'version' = p.version::text
 WHERE l.new_values->>'status' <> p.status
UNION ALL
SELECT 'two approvals from $100,000', payout_id, format('%s of %s', required_approvals, amount)
  FROM payout_management WHERE required_approvals < 1 OR (amount >= 100000 AND required_approvals < 2)
UNION ALL
SELECT 'one person decides once a round', payout_id, format('staff %s, round %s: %s times', admin_id, round, count(*))
  FROM payout_approvals GROUP BY payout_id, round, admin_id HAVING count(*) > 1
UNION ALL
SELECT 'no more approvals than needed', a.payout_id, format('round %s: %s', a.round, count(*))
  FROM payout_approvals a JOIN payout_management p USING (payout_id)
 WHERE a.decision = 'approved' GROUP BY a.payout_id, a.round, p.required_approvals HAVING count(*) > p.required_approvals
UNION ALL
SELECT 'initiator never approves', a.payout_id, format('staff %s', a.admin_id)
  FROM payout_approvals a JOIN payout_management p USING (payout_id)
 WHERE a.decision = 'approved' AND a.admin_id = p.initiated_by
UNION ALL
SELECT 'payee never acts', p.payout_id, format('staff %s', s.id)
  FROM payout_management p JOIN admin_users s ON s.user_id = p.user_id
 WHERE s.id = p.initiated_by
    OR EXISTS (SELECT 1 FROM payout_approvals a WHERE a.payout_id = p.payout_id AND a.admin_id = s.id)
    OR EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payout_id = p.payout_id
                AND s.id IN (t.generated_by, t.sent_by, t.completed_by, t.failed_by))
UNION ALL
SELECT 'approved by enough people', p.payout_id, format('%s, needs %s', p.status, p.required_approvals)
  FROM past_approval p
 WHERE NOT EXISTS (SELECT 1 FROM payout_approvals a WHERE a.payout_id = p.payout_id AND a.decision = 'approved'
                    GROUP BY a.round HAVING count(DISTINCT a.admin_id) >= p.required_approvals)
UNION ALL
SELECT 'rejected by somebody', payout_id, status FROM payout_management p
 WHERE (status = 'rejected') <> EXISTS (SELECT 1 FROM payout_approvals a
                                         WHERE a.payout_id = p.payout_id AND a.decision = 'rejected')
UNION ALL
SELECT 'workflow is the decisions', payout_id, format('only in the column: %s in round %s by staff %s', decision, round, admin_id)
  FROM (SELECT * FROM decided EXCEPT ALL SELECT * FROM decision_rows) only_in_column
UNION ALL
SELECT 'workflow is the decisions', payout_id, format('only as a row: %s in round %s by staff %s', decision, round, admin_id)
  FROM (SELECT * FROM decision_rows EXCEPT ALL SELECT * FROM decided) only_as_row
UNION ALL
SELECT 'one live attempt', payout_id, format('%s', string_agg(format('%s %s', number, status), ', '))
  FROM payment_attempts WHERE status IN ('ready', 'sent', 'completed') GROUP BY payout_id HAVING count(*) > 1
UNION ALL
SELECT 'attempts are numbered without gaps', payout_id, string_agg(number::text, ' ' ORDER BY number)
  FROM payment_attempts GROUP BY payout_id
HAVING min(number) <> 1 OR max(number) <> count(*) OR count(DISTINCT number) <> count(*)
UNION ALL
SELECT 'attempt fits the status', p.payout_id,
       format('%s with %s', p.status, coalesce(string_agg(t.status, ' '), 'no live attempt'))
  FROM payout_management p
  LEFT JOIN payment_attempts t ON t.payout_id = p.payout_id AND t.status IN ('ready', 'sent', 'completed')
 GROUP BY p.payout_id, p.status
HAVING coalesce(string_agg(t.status, ' '), '') <>
       CASE p.status WHEN 'ready_for_payment' THEN 'ready' WHEN 'payment_sent' THEN 'sent'
                     WHEN 'completed' THEN 'completed' ELSE '' END
UNION ALL
SELECT 'attempt pays what the payout says', p.payout_id,
       format('attempt %s: %s and %s withheld', t.number, t.net_amount, t.withheld_amount)
  FROM payout_management p JOIN payment_attempts t USING (payout_id)
 WHERE t.status IN ('ready', 'sent', 'completed')
   AND (t.net_amount <> p.net_amount OR t.withheld_amount <> p.withheld_amount OR t.payment_method <> p.payment_method)
UNION ALL
SELECT 'nothing is withheld without instructions', payout_id, format('%s: %s', status, withheld_amount)
  FROM payout_management WHERE withheld_amount <> 0 AND status NOT IN ('ready_for_payment', 'payment_sent', 'completed')
UNION ALL
-- What was frozen is what was audited when it was made.
SELECT 'instructions are what was audited', t.payout_id, format('attempt %s', t.number)
  FROM payment_attempts t
 WHERE NOT EXISTS (SELECT 1 FROM user_audit_logs l
                    WHERE l.entity_type = 'payment' AND l.entity_id = t.payout_id AND l.success
                      AND l.action = 'instructions_generated' AND l.new_values->>'attempt' = t.number::text
                      AND l.new_values->>'instructionsHash' = t.instructions_hash
                      AND (l.new_values->>'netAmount')::numeric = t.net_amount
                      AND (l.new_values->>'withheldAmount')::numeric = t.withheld_amount)
UNION ALL
SELECT 'generator never sends', payout_id, format('attempt %s: staff %s', number, sent_by)
  FROM payment_attempts WHERE sent_by = generated_by
UNION ALL
SELECT 'failure recorder neither generates nor sends', t.payout_id, format('attempt %s: staff %s', t.number, f.failed_by)
  FROM payment_attempts t JOIN last_failure f USING (id) WHERE f.failed_by IN (t.generated_by, t.sent_by)
UNION ALL
SELECT 'sent payment failed with evidence', payout_id, format('attempt %s', number)
  FROM payment_attempts
 WHERE status = 'failed' AND sent_at IS NOT NULL AND return_code IS NULL AND stop_payment_reference IS NULL
UNION ALL
SELECT 'a return proves it for ACH, a stop for a check', payout_id, format('attempt %s', number)
  FROM payment_attempts
 WHERE status = 'failed' AND sent_at IS NOT NULL
   AND CASE payment_method WHEN 'ach' THEN return_code ELSE stop_payment_reference END IS NULL
UNION ALL
SELECT 'who did it is who was audited', t.payout_id, format('attempt %s: sent by %s, failed by %s', t.number, t.sent_by, t.failed_by)
  FROM payment_attempts t
 WHERE (t.sent_by IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM user_audit_logs l WHERE l.entity_type = 'payment' AND l.entity_id = t.payout_id AND l.success
            AND l.action = 'sent' AND l.new_values->>'attempt' = t.number::text AND l.admin_id = t.sent_by))
    OR (t.failed_by IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM user_audit_logs l WHERE l.entity_type = 'payment' AND l.entity_id = t.payout_id AND l.success
            AND l.action = 'failed' AND l.new_values->>'attempt' = t.number::text AND l.admin_id = t.failed_by))
UNION ALL
SELECT 'who only looks does nothing', p.payout_id, format('staff %s', s.id)
  FROM payout_management p JOIN admin_users s ON s.role = 'viewer'
 WHERE s.id = p.initiated_by
    OR EXISTS (SELECT 1 FROM payout_approvals a WHERE a.payout_id = p.payout_id AND a.admin_id = s.id)
    OR EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payout_id = p.payout_id
                AND s.id IN (t.generated_by, t.sent_by, t.completed_by, t.failed_by))
UNION ALL
SELECT 'tenure is one that the member has reached', p.payout_id, format('tenure %s', p.tenure_number)
  FROM payout_management p
 WHERE p.tenure_number > (SELECT count(*) FROM membership_removals r WHERE r.user_id = p.user_id AND r.status = 'removed')
UNION ALL
SELECT 'a round for each return to the approvers', p.payout_id, format('round %s', p.approval_round)
  FROM payout_management p
 WHERE p.approval_round <> 1 + (SELECT count(*) FROM user_audit_logs l
                                 WHERE l.entity_type = 'payout' AND l.entity_id = p.payout_id AND l.success
                                   AND l.action = 'resumed' AND l.new_values->>'status' = 'pending_approval')
UNION ALL
SELECT 'held from where it was', p.payout_id, p.held_from
  FROM payout_management p
 WHERE p.status = 'requires_manual_review'
   AND p.held_from IS DISTINCT FROM (SELECT l.new_values->>'heldFrom' FROM user_audit_logs l
                                      WHERE l.entity_type = 'payout' AND l.entity_id = p.payout_id AND l.success
                                        AND l.action = 'held' ORDER BY l.sequence DESC LIMIT 1)
UNION ALL
SELECT 'account in force is the newest', p.payout_id, format('version %s', p.bank_details_version)
  FROM payout_management p
  LEFT JOIN bank_details b ON b.payout_id = p.payout_id AND b.version = p.bank_details_version AND b.refused_at IS NULL
 WHERE p.bank_details_version IS NOT NULL
   AND (b.id IS NULL OR b.version <> (SELECT max(n.version) FROM bank_details n WHERE n.payout_id = p.payout_id)
        OR p.bank_details->>'accountHolderName' <> b.account_holder_name
        OR right(p.bank_details->>'accountNumber', 4) <> b.account_last4)
UNION ALL
SELECT 'an account that failed is in force nowhere', p.payout_id, format('version %s, refused for %s', b.version, r.payout_id)
  FROM payout_management p
  JOIN bank_details b ON b.payout_id = p.payout_id AND b.version = p.bank_details_version
  JOIN payout_management o ON o.user_id = p.user_id
  JOIN bank_details r ON r.payout_id = o.payout_id AND r.fingerprint = b.fingerprint AND r.refused_at IS NOT NULL
 WHERE p.status NOT IN ('payment_sent', 'completed', 'rejected', 'cancelled')
UNION ALL
SELECT 'a change of account says when', payout_id, format('version %s', bank_details_version)
  FROM payout_management WHERE bank_details_version > 1 AND bank_details_changed_at IS NULL
UNION ALL
SELECT 'attempt adds up', t.payout_id, format('attempt %s: %s and %s withheld', t.number, t.net_amount, t.withheld_amount)
  FROM payment_attempts t JOIN payout_management p USING (payout_id)
 WHERE t.net_amount + t.withheld_amount + p.retention_fee <> p.amount
UNION ALL
SELECT 'without a W-9 there is withholding', t.payout_id, format('attempt %s', t.number)
  FROM payment_attempts t WHERE t.w9_form_id IS NULL AND t.withheld_amount = 0
UNION ALL
SELECT 'attempt pays an account that was given', t.payout_id, format('attempt %s', t.number)
  FROM payment_attempts t JOIN payout_management p USING (payout_id)
 WHERE t.payment_method = 'ach'
   AND (NOT EXISTS (SELECT 1 FROM bank_details b WHERE b.payout_id = t.payout_id AND b.version = t.bank_details_version
                       AND b.fingerprint = t.bank_fingerprint)
        OR (t.status IN ('sent', 'completed') AND t.bank_details_version IS DISTINCT FROM p.bank_details_version))
UNION ALL
SELECT 'completed payout has its removal', p.payout_id, coalesce(format('%s, due %s', r.status, r.due_date), 'no row')
  FROM payout_management p LEFT JOIN membership_removals r USING (payout_id)
 WHERE p.status = 'completed'
   AND (r.payout_id IS NULL OR (r.status = 'suspended') OR r.due_date IS DISTINCT FROM p.membership_removal_date)
UNION ALL
SELECT 'removal only after completion', p.payout_id, format('%s, %s', p.status, r.status)
  FROM membership_removals r JOIN payout_management p USING (payout_id)
 WHERE r.status = 'scheduled' AND p.status <> 'completed'
UNION ALL
SELECT 'message belongs to a payout', n.payout_id, format('%s %s', n.template, n.id)
  FROM notifications n WHERE n.payout_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM payout_management p WHERE p.payout_id = n.payout_id)
UNION ALL
SELECT 'what was withheld is owed while the payment is out', t.payout_id,
       format('attempt %s %s: withheld %s, owed %s', t.number, t.status, t.withheld_amount, coalesce(l.amount, 0))
  FROM payment_attempts t
  LEFT JOIN withholding_liabilities l ON l.payout_id = t.payout_id AND l.attempt = t.number AND l.reversed_at IS NULL
 WHERE CASE WHEN t.status IN ('sent', 'completed') THEN t.withheld_amount ELSE 0 END <> coalesce(l.amount, 0)
UNION ALL
SELECT 'a liability is of a payment', l.payout_id, format('attempt %s', l.attempt)
  FROM withholding_liabilities l
 WHERE NOT EXISTS (SELECT 1 FROM payment_attempts t WHERE t.payout_id = l.payout_id AND t.number = l.attempt
                    AND t.sent_date = l.liability_date)
UNION ALL
SELECT 'one W-9 counts', user_id::text, format('%s %s', count(*), status)
  FROM tax_forms WHERE form_type = 'W-9' AND status IN ('submitted', 'approved') GROUP BY user_id, status HAVING count(*) > 1
UNION ALL
-- The kept answer of a key is stored with its effect; without one it is a job that runs, or died, at this moment.
SELECT 'kept key has its answer', key, route FROM idempotency_keys WHERE permanent AND (status IS NULL OR body IS NULL)
UNION ALL
SELECT 'audit chain has its head', entity_type || ' ' || entity_id,
       format('head %s, rows %s up to %s', c.length, coalesce(l.entries, 0), coalesce(l.newest, 0))
  FROM audit_chains c FULL JOIN links l USING (entity_type, entity_id)
 WHERE c.length IS DISTINCT FROM l.entries OR c.length IS DISTINCT FROM l.newest
UNION ALL
SELECT 'audit chain ends in its last row', c.entity_type || ' ' || c.entity_id, format('entry %s', l.chain_index)
  FROM audit_chains c JOIN user_audit_logs l
    ON l.entity_type = c.entity_type AND l.entity_id = c.entity_id AND l.chain_index = c.length
 WHERE l.hash <> c.hash
UNION ALL
SELECT 'audit entry follows the one before', l.entity_type || ' ' || l.entity_id, format('entry %s', l.chain_index)
  FROM user_audit_logs l
  LEFT JOIN user_audit_logs b
    ON b.entity_type = l.entity_type AND b.entity_id = l.entity_id AND b.chain_index = l.chain_index - 1
 WHERE l.chain_index > 1 AND l.previous_hash IS DISTINCT FROM b.hash
ORDER BY rule, subject
