import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { instant, memberParams, moment } from '../http/schemas.ts';
import type { MembershipManager, MembershipStatus } from './membership-manager.ts';

const tag = 'Membership';

const membershipView = z
  .object({
    userId: z.guid(),
    hasReceivedPayout: z.boolean(),
    payoutDate: instant.optional(),
    scheduledRemovalDate: instant.optional(),
    isActive: z.boolean(),
    canReactivate: z.boolean(),
  })
  .meta({ id: 'MembershipStatus' });

const example: MembershipStatus = {
  userId: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11',
  hasReceivedPayout: true,
  payoutDate: '2026-11-24T00:00:00.000Z',
  scheduledRemovalDate: '2027-11-24T00:00:00.000Z',
  isActive: true,
  canReactivate: false,
};

export function membershipRoutes(membership: MembershipManager): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/members/:userId/membership',
      tag,
      summary: 'Read a membership’s standing after a payout',
      needs: 'membership.read',
      params: memberParams,
      reply: membershipView,
      example: { reply: example },
      handle: ({ params }) => membership.getMembershipStatus(params.userId),
    }),
    route({
      method: 'post',
      path: '/api/members/:userId/reactivate',
      tag,
      summary: 'Report that a removed member has paid again',
      description: 'Their new tenure starts with that payment. Reporting it twice changes nothing.',
      needs: 'membership.reactivate',
      params: memberParams,
      body: z.strictObject({
        paymentDate: moment.meta({ description: 'The day (UTC) or instant of the new payment.' }),
      }),
      reply: membershipView,
      errors: ['MEMBERSHIP_NOT_REMOVED', 'NO_NEW_PAYMENT'],
      example: { body: { paymentDate: '2027-12-01' }, reply: { ...example, hasReceivedPayout: false } },
      handle: ({ actor, params, body }) =>
        membership.reactivateMembership(actor, params.userId, body.paymentDate),
    }),
  ];
}
