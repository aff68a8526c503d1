/** The composition root: the one place where services are built. */
import { join } from 'node:path';
import { AlertDesk } from './alerts/alert-desk.ts';
import { ApprovalManager } from './approvals/approval-manager.ts';
import { AuditKeys } from './audit/audit-keys.ts';
import { AuditLogger } from './audit/audit-logger.ts';
import { CheckpointFolder } from './audit/checkpoint-place.ts';
import { Checkpoints } from './audit/checkpoints.ts';
import { createAuth, type Auth } from './auth/better-auth.ts';
import { Callers } from './auth/callers.ts';
import { sessionCookieNames } from './auth/session-token.ts';
import type { Config } from './config.ts';
import { Vault } from './crypto/envelope.ts';
import { Fingerprints } from './crypto/fingerprints.ts';
import { createMasterKeys } from './crypto/master-keys.ts';
import type { Database } from './db/client.ts';
import type { Redis } from './db/redis.ts';
import { readPrimary, type ReplicaReports, type ReportSource } from './db/report-source.ts';
import { DemoClock } from './demo/demo-clock.ts';
import { DocumentRenderer } from './documents/document-renderer.ts';
import { EligibilityChecker } from './eligibility/eligibility-checker.ts';
import { ServiceFigures } from './figures/service-figures.ts';
import { allowedOrigins } from './http/origin-check.ts';
import { IdempotencyKeys } from './idempotency/idempotency.ts';
import { RedisJobElection } from './jobs/job-election.ts';
import { CheckpointLoop } from './jobs/checkpoint-loop.ts';
import { JobRunner } from './jobs/job-runner.ts';
import { jobTable } from './jobs/job-table.ts';
import { systemClock, type Clock, type MovableClock } from './kernel/clock.ts';
import type { Logger } from './kernel/logger.ts';
import { MembershipManager } from './membership/membership-manager.ts';
import {
  HttpSubscriptionGateway,
  LocalSubscriptionGateway,
  type SubscriptionGateway,
} from './membership/subscription-gateway.ts';
import { DeliveryLoop } from './notifications/delivery-loop.ts';
import { Links } from './notifications/links.ts';
import { MailDelivery } from './notifications/mail-delivery.ts';
import { MailQueueKeeper } from './notifications/mail-queue-keeper.ts';
import { createMailer, type Mailer } from './notifications/mailer.ts';
import { NotificationService } from './notifications/notification-service.ts';
import { BankDetailsService } from './payments/bank-details-service.ts';
import { InstructionsFreezer } from './payments/instructions-freezer.ts';
import { PaymentAftermath } from './payments/payment-aftermath.ts';
import { PaymentDocuments } from './payments/payment-documents.ts';
import { PaymentProcessor } from './payments/payment-processor.ts';
import { DelayWatch } from './payouts/delay-watch.ts';
import { PayoutProgress } from './payouts/payout-progress.ts';
import { PayoutReview } from './payouts/payout-review.ts';
import { Payouts } from './payouts/payouts.ts';
import { MemberQueue } from './queue/member-queue.ts';
import { QueueKeeper } from './queue/queue-keeper.ts';
import { ReportService } from './reports/report-service.ts';
import { Retention } from './retention/retention.ts';
import { TaxComplianceService } from './tax/tax-compliance.ts';
import { TaxPapers } from './tax/tax-papers.ts';
import { TaxReports } from './tax/tax-reports.ts';
import { TaxYears } from './tax/tax-years-rules.ts';
import { W9Desk } from './tax/w9-desk.ts';
import { W9Safe } from './tax/w9-safe.ts';
import { YearEndIssuing } from './tax/year-end-issuing.ts';
import { InstanceWatch } from './watch/instance-watch.ts';
import { PayoutAward } from './winners/payout-award.ts';
import { WinnerSelector } from './winners/winner-selector.ts';

export interface Parts {
  config: Config;
  logger: Logger;
  clock: MovableClock;
  /** Connected as the least-privileged role. */
  database: Database;
  /** Connected as the stand-in for the main app, where this service has to stand in for it. */
  mainApp: Database | undefined;
  publicUrl: string;
  /** The Redis that instances share, where REDIS_URL names one. */
  redis?: Redis | undefined;
  /** Where reports read, where DATABASE_REPLICA_URL names a replica. */
  reportSource?: ReplicaReports | undefined;
  /** What tests put in the place of the outside world. */
  mailer?: Mailer | undefined;
  gateway?: SubscriptionGateway | undefined;
}

export type Services = ReturnType<typeof createServices>;

export function createServices(parts: Parts) {
  const { config, logger, clock, database } = parts;
  const { business } = config;
  const reportSource = parts.reportSource ?? readPrimary(database);
  const vault = new Vault(createMasterKeys(config.masterKeys));
  const fingerprints = new Fingerprints(database, vault, clock);
  const checkpoints = new Checkpoints({
    database,
    clock,
    keys: new AuditKeys(config.audit.signingKey, config.audit.oldKeys),
    place: new CheckpointFolder(config.audit.checkpointDirectory),
  });
  const audit = new AuditLogger({ database, clock, logger, checkpoints });
  const payouts = new Payouts(database, clock);
  const notifications = new NotificationService(database, clock);
  const progress = new PayoutProgress(payouts, notifications, clock);
  const approvals = new ApprovalManager(payouts, progress, notifications, clock);
  const review = new PayoutReview(payouts, progress, notifications, clock);
  const queue = new MemberQueue(database, clock);
  const eligibility = new EligibilityChecker(database, clock, business, queue);
  const award = new PayoutAward(clock, business, payouts, approvals);
  const winners = new WinnerSelector(database, queue, eligibility, award);
  const renderer = new DocumentRenderer();
  const tax = createTax({ parts, reportSource, vault, payouts, progress, renderer });
  const bankDetails = new BankDetailsService({
    database,
    clock,
    vault,
    fingerprints,
    payouts,
    progress,
  });
  const gateway = parts.gateway ?? createGateway(parts);
  const membership = new MembershipManager({ database, clock, payouts, gateway, logger });
  const payments = createPayments({
    config,
    clock,
    payouts,
    progress,
    notifications,
    bankDetails,
    tax: tax.compliance,
    membership,
  });
  const documents = new PaymentDocuments({ database, clock, payouts, bankDetails, renderer });
  const mailer = parts.mailer ?? createMailer({ ...config.email, outboxDirectory: outboxOf(config) });
  const links = new Links(
    { ...config.jwt, memberPortalUrl: config.memberPortalUrl, adminDashboardUrl: config.adminDashboardUrl },
    clock,
  );
  const mailDelivery = new MailDelivery({
    database,
    clock,
    mailer,
    links,
    logger,
    settings: { from: config.email.from, retrySeconds: config.email.retry.delaySeconds },
  });
  const idempotency = new IdempotencyKeys(database, clock, config.auth.secret);
  const retention = new Retention(database, clock);
  const delivery = new DeliveryLoop(
    mailDelivery,
    new MailQueueKeeper(database, logger, config.email.retry),
    logger,
  );
  const jobs = new JobRunner({
    database,
    clock,
    machineClock: systemClock,
    logger,
    election: parts.redis ? new RedisJobElection(parts.redis, logger) : undefined,
    jobs: jobTable({
      eligibility,
      membership,
      delays: new DelayWatch(database, clock),
      audit,
      checkpoints,
      idempotency,
      queue,
      issuing: tax.issuing,
      retention,
    }),
  });
  tax.issuing.onLeftOver = () => jobs.wake('tax-form-issuing');
  const demoClock = new DemoClock(database, clock, async () => {
    await jobs.runMissedEverywhere();
    await mailDelivery.deliverDue();
  });
  const { auth, callers } = createAuthentication(parts);
  return {
    alerts: new AlertDesk(database, clock),
    approvals,
    audit,
    auth,
    bankDetails,
    callers,
    checkpointLoop: new CheckpointLoop({ checkpoints, database, clock, logger }),
    checkpoints,
    delivery,
    demoClock,
    documents,
    eligibility,
    figures: new ServiceFigures({
      database,
      clock,
      logger,
      scheduler: jobs,
      redis: parts.redis,
      replica: parts.reportSource,
      breaker: () => gateway.breakerState,
    }),
    idempotency,
    instanceWatch: new InstanceWatch({ database, clock, machineClock: systemClock, logger }),
    jobs,
    links,
    mailDelivery,
    mailer,
    membership,
    notifications,
    payments,
    payouts,
    queue,
    queueKeeper: new QueueKeeper(queue, database, logger),
    renderer,
    reports: new ReportService(reportSource),
    retention,
    review,
    taxRoom: tax,
    w9Desk: tax.desk,
    fingerprints,
    winners,
  };
}

function createTax(deps: {
  parts: Parts;
  reportSource: ReportSource;
  vault: Vault;
  payouts: Payouts;
  progress: PayoutProgress;
  renderer: DocumentRenderer;
}) {
  const { parts, reportSource, vault, payouts, progress, renderer } = deps;
  const { config, clock, database } = parts;
  const { payer, years } = config.tax;
  const safe = new W9Safe(database, clock, vault);
  const terms = new TaxYears(years);
  const issuing = new YearEndIssuing(database, clock, terms);
  const compliance = new TaxComplianceService(database, clock, terms, issuing);
  return {
    safe,
    desk: new W9Desk({ database, clock, safe, payouts, progress }),
    compliance,
    issuing,
    papers: new TaxPapers(database, clock, payer, renderer),
    reports: new TaxReports({ database, source: reportSource, clock, compliance, issuing, safe, payer }),
  };
}

/** Where development mail goes. */
export const outboxOf = (config: Config): string => join(config.dataDirectory, 'outbox');

function createPayments(deps: {
  config: Config;
  clock: Clock;
  payouts: Payouts;
  progress: PayoutProgress;
  notifications: NotificationService;
  bankDetails: BankDetailsService;
  tax: TaxComplianceService;
  membership: MembershipManager;
}): PaymentProcessor {
  const { clock, payouts, progress } = deps;
  const { bankChangeCooloffHours, retentionFeeCents } = deps.config.business;
  return new PaymentProcessor({
    clock,
    terms: { cooloffHours: bankChangeCooloffHours, retentionFeeCents },
    payouts,
    progress,
    freezer: new InstructionsFreezer(clock, payouts, deps.bankDetails, deps.tax),
    aftermath: new PaymentAftermath(clock, deps.membership, deps.tax, deps.notifications),
  });
}

function createGateway({ config, mainApp }: Parts): SubscriptionGateway {
  const { url, token } = config.subscriptionService;
  if (url) return new HttpSubscriptionGateway(url, token);
  if (!mainApp) throw new Error('SUBSCRIPTION_SERVICE_URL is missing.');
  return new LocalSubscriptionGateway(mainApp);
}

function createAuthentication({ config, database, mainApp, publicUrl, logger }: Parts): {
  auth: Auth;
  callers: Callers;
} {
  const auth = createAuth(
    config,
    config.auth.handler && mainApp ? mainApp : database,
    publicUrl,
    allowedOrigins(config, publicUrl),
    logger,
  );
  const cookieNames = sessionCookieNames('better-auth.session_token', publicUrl.startsWith('https:'));
  return { auth, callers: new Callers(database, { ...config.auth, cookieNames }, config.jwt) };
}
