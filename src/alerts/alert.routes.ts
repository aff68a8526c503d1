import { z } from 'zod';
import { ALERT_SEVERITIES } from '../db/schema/index.ts';
import { route, type Route } from '../http/route.ts';
import { instant, line, listOf, pageQuery } from '../http/schemas.ts';
import type { AlertDesk } from './alert-desk.ts';

const TAG = 'Alerts';

const alertView = z
  .object({
    id: z.guid(),
    severity: z.enum(ALERT_SEVERITIES),
    category: z.string().meta({ example: 'payout_eligible' }),
    title: z.string(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
    createdAt: instant,
    acknowledgedBy: z.number().int().nullable().meta({ description: 'The number of the member of staff.' }),
    acknowledgedAt: instant.nullable(),
    closedAt: instant.nullable().meta({ description: 'When its cause had gone.' }),
  })
  .meta({ id: 'AdminAlert', description: 'Something that staff should look at.' });

const EXAMPLE: z.infer<typeof alertView> = {
  id: '4c2a9f1e-8f0e-4c7e-9d20-3a5e3b9f6c01',
  severity: 'info',
  category: 'payout_eligible',
  title: 'Payouts can be issued',
  message: 'Revenue funds 2 more payouts.',
  details: { availableSlots: 2 },
  createdAt: '2026-11-20T02:00:00.000Z',
  acknowledgedBy: null,
  acknowledgedAt: null,
  closedAt: null,
};

export const alertRoutes = (desk: AlertDesk): Route[] => [
  route({
    method: 'get',
    path: '/api/admin-alerts',
    tag: TAG,
    summary: 'List alerts',
    description: 'Newest first.',
    needs: 'alerts.read',
    query: z.strictObject({
      severity: z.enum(ALERT_SEVERITIES).optional(),
      category: line(100).optional().meta({ example: 'payout_eligible' }),
      open: z
        .enum(['true', 'false'])
        .transform((text) => text === 'true')
        .optional()
        .meta({ description: 'true: neither acknowledged nor closed. false: the others.', example: 'true' }),
      ...pageQuery,
    }),
    reply: listOf(alertView),
    example: { reply: { data: [EXAMPLE], nextCursor: null } },
    handle: ({ query }) => desk.list(query),
  }),
  route({
    method: 'post',
    path: '/api/admin-alerts/:id/acknowledge',
    tag: TAG,
    summary: 'Acknowledge an alert',
    description:
      'Says that somebody has taken it on. The first one stays named; a second time changes nothing.',
    needs: 'alerts.acknowledge',
    params: z.strictObject({ id: z.guid('must be the id of an alert') }),
    reply: alertView,
    example: { reply: { ...EXAMPLE, acknowledgedBy: 1, acknowledgedAt: '2026-11-20T08:15:00.000Z' } },
    handle: ({ actor, params }) => desk.acknowledge(actor, params.id),
  }),
];
