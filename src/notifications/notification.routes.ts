import { z } from 'zod';
import { NOTIFICATION_STATUSES } from '../db/schema/index.ts';
import { route, type Route } from '../http/route.ts';
import { instant, listOf, pageQuery, payoutId } from '../http/schemas.ts';
import { DomainError } from '../kernel/errors.ts';
import type { Links } from './links.ts';
import type { NotificationService, NotificationView } from './notification-service.ts';

const tag = 'Notifications';

const notificationView = z
  .object({
    id: z.guid(),
    template: z.string(),
    userId: z.guid().meta({ description: 'To whom.' }),
    payoutId: z.string().nullable(),
    status: z.enum(NOTIFICATION_STATUSES),
    attempts: z.number().int(),
    lastError: z.string().nullable(),
    nextAttemptAt: instant,
    createdAt: instant,
    sentAt: instant.nullable(),
  })
  .meta({ id: 'Notification' });

const example: NotificationView = {
  id: '8d6f8a52-9f55-4c0a-8f0e-5f6a7b8c9d10',
  template: 'winner',
  userId: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11',
  payoutId: 'PO-2026-7K3M9QXA',
  status: 'sent',
  attempts: 1,
  lastError: null,
  nextAttemptAt: '2026-11-20T09:30:00.000Z',
  createdAt: '2026-11-20T09:30:00.000Z',
  sentAt: '2026-11-20T09:30:02.000Z',
};

export function notificationRoutes(service: NotificationService, links: Links): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/notifications',
      tag,
      summary: 'List messages, newest first',
      needs: 'notifications.read',
      query: z.strictObject({
        ...pageQuery,
        status: z.enum(NOTIFICATION_STATUSES).optional(),
        payoutId: payoutId.optional(),
      }),
      reply: listOf(notificationView),
      example: { reply: { data: [example], nextCursor: null } },
      handle: ({ query }) => service.list(query),
    }),
    route({
      method: 'post',
      path: '/api/notifications/:id/resend',
      tag,
      summary: 'Send a message again',
      needs: 'notifications.resend',
      params: z.strictObject({ id: z.guid() }),
      reply: notificationView,
      errors: ['NOT_RESENDABLE'],
      example: { reply: { ...example, status: 'queued', attempts: 0, sentAt: null } },
      handle: ({ actor, params }) => service.resend(actor, params.id),
    }),
    route({
      method: 'post',
      path: '/api/links/verify',
      tag,
      summary: 'Find out what a link in a message was for',
      description: 'For the signed-in person to whom it was sent. The link gives no rights of its own.',
      needs: 'links.verify',
      body: z.strictObject({ token: z.string().min(1).max(4000) }),
      reply: z.object({ purpose: z.string(), payoutId: z.string().nullable() }),
      errors: ['LINK_INVALID'],
      example: {
        body: { token: 'eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl' },
        reply: { purpose: 'bank-info', payoutId: 'PO-2026-7K3M9QXA' },
      },
      handle: ({ actor, body }) => {
        if (actor.kind === 'service') throw new DomainError('FORBIDDEN', 'Links are for people.');
        return links.verify(actor, body.token);
      },
    }),
  ];
}
