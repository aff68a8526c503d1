/** Every route of the API, in the order of the document. */
import { alertRoutes } from './alerts/alert.routes.ts';
import { approvalRoutes } from './approvals/approval.routes.ts';
import { auditRoutes } from './audit/audit.routes.ts';
import { demoRoutes } from './demo/demo.routes.ts';
import { eligibilityRoutes } from './eligibility/eligibility.routes.ts';
import type { Route } from './http/route.ts';
import { jobRoutes } from './jobs/job.routes.ts';
import { membershipRoutes } from './membership/membership.routes.ts';
import { notificationRoutes } from './notifications/notification.routes.ts';
import { memberRoutes } from './payments/member.routes.ts';
import { paymentRoutes } from './payments/payment.routes.ts';
import { payoutRoutes } from './payouts/payout.routes.ts';
import { reportRoutes } from './reports/report.routes.ts';
import type { Services } from './services.ts';
import { taxRoutes } from './tax/tax.routes.ts';
import { winnerRoutes } from './winners/winner.routes.ts';

/** `demo`: with demo data there is a clock to move. */
export function allRoutes(services: Services, options: { demo: boolean }): Route[] {
  return [
    ...eligibilityRoutes(services.eligibility),
    ...winnerRoutes(services.winners),
    ...payoutRoutes(services.payouts, services.review),
    ...approvalRoutes(services.approvals),
    ...paymentRoutes(services.payments, services.documents, services.bankDetails),
    ...memberRoutes(services.payouts, services.bankDetails),
    ...membershipRoutes(services.membership),
    ...taxRoutes(services.taxRoom),
    ...reportRoutes(services.reports),
    ...auditRoutes(services.audit),
    ...notificationRoutes(services.notifications, services.links),
    ...alertRoutes(services.alerts),
    ...jobRoutes(services.jobs),
    ...(options.demo ? demoRoutes(services.demoClock) : []),
  ];
}
