import { z } from 'zod';
import { PAYMENT_METHODS } from '../db/schema/index.ts';
import { route, type Route } from '../http/route.ts';
import { instant, listOf, money, pageQuery, paragraph, userId } from '../http/schemas.ts';
import { examplePayout } from '../payouts/payout-example.ts';
import { payoutView } from '../payouts/payout-view.ts';
import type { WinnerSelector } from './winner-selector.ts';

const candidateView = z
  .object({
    userId: z.guid(),
    email: z.string(),
    fullName: z.string(),
    queuePosition: z.number().int(),
    tenureStartDate: instant,
    lastPaymentDate: instant,
    totalPayments: z.number().int(),
    lifetimeTotal: money,
    subscriptionStatus: z.string(),
    validation: z.object({
      isValid: z.boolean(),
      kycVerified: z.boolean(),
      hasActiveSubscription: z.boolean(),
      meetsTimeRequirement: z.boolean(),
      errors: z.array(z.string()).meta({ description: 'Every reason against it.' }),
    }),
  })
  .meta({ id: 'Candidate', description: 'A member in the queue who has not won in this tenure.' });

export function winnerRoutes(winners: WinnerSelector): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/payouts/eligible-members',
      tag: 'Winners',
      summary: 'List the members who could win, in queue order',
      needs: 'candidates.read',
      query: z.strictObject(pageQuery),
      reply: listOf(candidateView).extend({ availableSlots: z.number().int() }),
      example: {
        reply: {
          data: [
            {
              userId: examplePayout.userId,
              email: 'member0001@example.com',
              fullName: 'Ada Albright',
              queuePosition: 1,
              tenureStartDate: '2023-12-01T00:00:00.000Z',
              lastPaymentDate: '2026-11-01T00:00:00.000Z',
              totalPayments: 36,
              lifetimeTotal: 14400,
              subscriptionStatus: 'active',
              validation: {
                isValid: true,
                kycVerified: true,
                hasActiveSubscription: true,
                meetsTimeRequirement: true,
                errors: [],
              },
            },
          ],
          nextCursor: null,
          availableSlots: 3,
        },
      },
      handle: ({ query }) => winners.listCandidates(query),
    }),
    route({
      method: 'post',
      path: '/api/payouts/initiate',
      tag: 'Winners',
      summary: 'Create payouts for chosen members',
      description:
        'All or none. Passing over a valid member further up in the queue needs an overrideReason.',
      needs: 'payouts.initiate',
      body: z.strictObject({
        userIds: z
          .array(userId)
          .min(1, 'must name at least one member')
          .max(100, 'must name at most 100 members')
          .refine(
            (ids) => new Set(ids.map((id) => id.toLowerCase())).size === ids.length,
            'must not name a member twice',
          ),
        paymentMethod: z.enum(PAYMENT_METHODS).optional().meta({ description: 'ach unless said.' }),
        overrideReason: paragraph(1000).optional(),
      }),
      status: 201,
      keepsKey: true,
      reply: z.object({ data: z.array(payoutView) }),
      errors: [
        'NOT_ELIGIBLE',
        'NO_FUNDED_SLOT',
        'INVALID_WINNER',
        'QUEUE_ORDER_OVERRIDE_REQUIRED',
        'SEPARATION_OF_DUTIES',
        'STEP_UP_REQUIRED',
      ],
      example: { body: { userIds: [examplePayout.userId] }, reply: { data: [examplePayout] } },
      handle: async ({ actor, body }) => ({ data: await winners.createPayoutRecords(actor, body) }),
    }),
  ];
}
