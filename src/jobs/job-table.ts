import type { AlertCategory } from '../alerts/raise-alert.ts';
import type { AuditLogger } from '../audit/audit-logger.ts';
import type { Checkpoints } from '../audit/checkpoints.ts';
import type { EligibilityChecker } from '../eligibility/eligibility-checker.ts';
import type { Actor } from '../kernel/actor.ts';
import type { IdempotencyKeys } from '../idempotency/idempotency.ts';
import type { MembershipManager } from '../membership/membership-manager.ts';
import type { DelayWatch } from '../payouts/delay-watch.ts';
import type { MemberQueue } from '../queue/member-queue.ts';
import type { Retention } from '../retention/retention.ts';
import type { YearEndIssuing } from '../tax/year-end-issuing.ts';
import type { Schedule } from './schedule-rules.ts';

/** What a run is told, and may tell. */
export interface JobContext {
  /** The moment at which it was due. */
  slot: Date;
  /** Aborted when another instance has taken the run over, when its time is up, and when this instance stops. */
  signal: AbortSignal;
  /** How far it is, for GET /api/jobs. */
  progress: (figures: Record<string, unknown>) => void;
}

/** A job: what it does, when it is due, and how long it may take. */
export interface Job {
  name: string;
  summary: string;
  schedule: Schedule;
  limitMs: number;
  /**
   * Short and nothing but database work: it commits together with the record of the run, so that it happens once.
   * Without it a job must bear being run again from its middle.
   */
  enclosed?: boolean;
  /** The critical alert that is raised when it fails, in place of a `job_failed`, and closed when it succeeds. */
  failureAlert?: AlertCategory;
  /** Returns figures for the record. */
  run(actor: Actor, context: JobContext): Promise<Record<string, unknown>>;
}

const MINUTE_MS = 60_000;

/** All jobs. To add one, add a row; what it does belongs to a service. */
export function jobTable(services: {
  eligibility: EligibilityChecker;
  membership: MembershipManager;
  delays: DelayWatch;
  audit: AuditLogger;
  checkpoints: Checkpoints;
  idempotency: IdempotencyKeys;
  queue: MemberQueue;
  issuing: YearEndIssuing;
  retention: Retention;
}): readonly Job[] {
  return [
    {
      name: 'queue-check',
      summary: 'Compares the queue with the payments, and mends it where it differs.',
      schedule: { kind: 'daily', hour: 1, minute: 0 },
      limitMs: 60 * MINUTE_MS,
      run: async () => ({ ...(await services.queue.checkAndMend()) }),
    },
    {
      name: 'eligibility-check',
      summary: 'Finds out whether payouts can be issued, and tells the admins.',
      schedule: { kind: 'daily', hour: 2, minute: 0 },
      limitMs: 10 * MINUTE_MS,
      enclosed: true,
      failureAlert: 'eligibility_check_failed',
      run: async (actor) => ({ ...(await services.eligibility.recordCheck(actor)) }),
    },
    {
      name: 'membership-removals',
      summary: 'Ends memberships 12 months after a payout, and gives 30 days’ notice.',
      schedule: { kind: 'daily', hour: 3, minute: 0 },
      limitMs: 60 * MINUTE_MS,
      run: async (_actor, watch) => {
        const noticed = await services.membership.sendRemovalNotices(watch);
        const results = await services.membership.checkMembershipRemovals(watch);
        const removed = results.filter((result) => result.removed).length;
        return { noticed, due: results.length, removed, failed: results.length - removed };
      },
    },
    {
      name: 'delay-checks',
      summary: 'Warns of approvals older than 3 days and payments older than 5.',
      schedule: { kind: 'hourly', minute: 15 },
      limitMs: 10 * MINUTE_MS,
      run: async () => ({ ...(await services.delays.check()) }),
    },
    {
      name: 'upkeep',
      summary: 'Forgets Idempotency-Keys that need not be kept.',
      schedule: { kind: 'daily', hour: 5, minute: 0 },
      limitMs: 10 * MINUTE_MS,
      run: async () => ({ forgottenKeys: await services.idempotency.forgetOld() }),
    },
    {
      name: 'tax-form-issuing',
      summary: 'Goes on with the issuing of a year’s 1099s that was begun and is not done.',
      schedule: { kind: 'hourly', minute: 45 },
      limitMs: 120 * MINUTE_MS,
      run: (_actor, { signal, progress }) =>
        services.issuing.goOn(
          () => signal.aborted,
          (now) => progress({ ...now }),
        ),
    },
    {
      name: 'retention',
      summary: 'Deletes account numbers and W-9s seven years after they last counted.',
      schedule: { kind: 'daily', hour: 6, minute: 0 },
      limitMs: 60 * MINUTE_MS,
      run: (actor, { signal }) => services.retention.apply(actor, () => signal.aborted),
    },
    {
      name: 'audit-checkpoint',
      summary: 'Signs how long every chain of the audit log is, and writes it outside of the database.',
      schedule: { kind: 'hourly', minute: 0 },
      limitMs: 10 * MINUTE_MS,
      failureAlert: 'audit_broken',
      run: async () => ({ checkpoint: await services.checkpoints.make() }),
    },
    {
      name: 'audit-verification',
      summary: 'Recomputes every chain of the audit log.',
      schedule: { kind: 'daily', hour: 4, minute: 0 },
      limitMs: 60 * MINUTE_MS,
      failureAlert: 'audit_broken',
      run: async () => {
        const result = await services.audit.verify();
        if (!result.valid)
          throw new Error('The audit log has been tampered with: see its last verification.');
        return { ...result };
      },
    },
  ];
}
