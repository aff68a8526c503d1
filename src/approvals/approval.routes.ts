import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { paragraph } from '../http/schemas.ts';
import { examplePayout } from '../payouts/payout-example.ts';
import { payoutMove } from '../payouts/payout.routes.ts';
import type { ApprovalManager } from './approval-manager.ts';

const reason = paragraph(1000);

export function approvalRoutes(approvals: ApprovalManager): Route[] {
  return [
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/approve',
      tag: 'Approvals',
      summary: 'Approve a payout',
      description:
        'The last required approval moves the payout on at once. With `version`, it counts only for what you saw.',
      needs: 'payouts.approve',
      stepUp: true,
      limit: 'approvals',
      keepsKey: true,
      body: z.strictObject({ reason: reason.optional(), version: z.number().int().positive().optional() }),
      errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES', 'STALE_VERSION', 'STEP_UP_REQUIRED'],
      example: { body: { reason: 'Queue position and identity checked.', version: 1 }, reply: examplePayout },
      handle: ({ actor, params, body }) =>
        approvals.submitApproval(actor, params.id, { approved: true, ...body }),
    }),
    route({
      ...payoutMove,
      method: 'post',
      path: '/api/payouts/:id/reject',
      tag: 'Approvals',
      summary: 'Reject a payout',
      description: 'One rejection ends it; its tranche of revenue is free again.',
      needs: 'payouts.reject',
      limit: 'approvals',
      body: z.strictObject({ reason }),
      example: {
        body: { reason: 'The identity check is out of date.' },
        reply: { ...examplePayout, status: 'rejected' },
      },
      handle: ({ actor, params, body }) =>
        approvals.submitApproval(actor, params.id, { approved: false, ...body }),
    }),
  ];
}
