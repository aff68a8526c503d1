import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { listOf, moment, pageQuery, paragraph, payoutParams, until, userId } from '../http/schemas.ts';
import { PAYOUT_STATUSES } from '../kernel/payout-lifecycle.ts';
import { examplePayout } from './payout-example.ts';
import type { PayoutReview } from './payout-review.ts';
import { payoutView } from './payout-view.ts';
import type { Payouts } from './payouts.ts';

const tag = 'Payouts';
const subject = ({ id = '' }: Record<string, string>) => ({ entityType: 'payout' as const, entityId: id });
const reasonBody = z.strictObject({
  reason: paragraph(1000).meta({ description: 'Why; kept with the payout.' }),
});
const noteBody = z.strictObject({ note: paragraph(2000).meta({ description: 'Kept with the payout.' }) });

/** A move that takes a reason or a note and answers with the payout. */
const move = {
  tag,
  params: payoutParams,
  reply: payoutView,
  subject,
  errors: ['INVALID_STATE', 'SEPARATION_OF_DUTIES'] as const,
};

export function payoutRoutes(payouts: Payouts, review: PayoutReview): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/payouts',
      tag,
      summary: 'List payouts, newest first',
      needs: 'payouts.read',
      query: z.strictObject({
        ...pageQuery,
        status: z.enum(PAYOUT_STATUSES).optional(),
        userId: userId.optional(),
        from: moment.optional(),
        to: until.optional(),
      }),
      reply: listOf(payoutView),
      example: { reply: { data: [{ ...examplePayout, auditTrail: undefined }], nextCursor: null } },
      handle: ({ actor, query }) => payouts.list(actor, query),
    }),
    route({
      method: 'get',
      path: '/api/payouts/:id',
      tag,
      summary: 'Read a payout',
      description: 'Members read their own, once it is approved.',
      needs: 'payouts.read-one',
      params: payoutParams,
      reply: payoutView,
      subject,
      example: { reply: examplePayout },
      handle: ({ actor, params }) => payouts.get(actor, params.id),
    }),
    route({
      ...move,
      method: 'post',
      path: '/api/payouts/:id/hold',
      summary: 'Put a payout aside for manual review',
      needs: 'payouts.hold',
      body: reasonBody,
      example: { body: { reason: 'The member reported a stolen phone.' }, reply: examplePayout },
      handle: ({ actor, params, body }) => review.hold(actor, params.id, body.reason),
    }),
    route({
      ...move,
      method: 'post',
      path: '/api/payouts/:id/resume',
      summary: 'Take a payout back from manual review',
      description:
        'It goes back to where it came from: to a new round of approvals, or to what is missing by now.',
      needs: 'payouts.resume',
      body: noteBody,
      example: { body: { note: 'Called the member: all is well.' }, reply: examplePayout },
      handle: ({ actor, params, body }) => review.resume(actor, params.id, body.note),
    }),
    route({
      ...move,
      method: 'post',
      path: '/api/payouts/:id/cancel',
      summary: 'Cancel a payout that has not been sent',
      needs: 'payouts.cancel',
      body: reasonBody,
      example: { body: { reason: 'The member declined the payout.' }, reply: examplePayout },
      handle: ({ actor, params, body }) => review.cancel(actor, params.id, body.reason),
    }),
    route({
      ...move,
      method: 'post',
      path: '/api/payouts/:id/notes',
      summary: 'Add an internal note',
      needs: 'payouts.note',
      body: noteBody,
      example: {
        body: { note: 'Asked the member for their bank details by telephone.' },
        reply: examplePayout,
      },
      handle: ({ actor, params, body }) => review.note(actor, params.id, body.note),
    }),
  ];
}

/** Shared by the rooms whose routes act on one payout. */
export const payoutMove = move;
