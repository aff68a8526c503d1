import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { instant } from '../http/schemas.ts';
import type { DemoClock } from './demo-clock.ts';

export function demoRoutes(clock: DemoClock): Route[] {
  return [
    route({
      method: 'post',
      path: '/api/demo/clock',
      tag: 'Demo',
      summary: 'Move the service’s clock on',
      description: 'With demo data only. Jobs that fall due run before the answer.',
      needs: 'demo.clock',
      idempotency: 'recorded',
      body: z.strictObject({
        advance: z.string().max(60).meta({ description: 'An ISO 8601 duration.', example: 'P12M' }),
      }),
      reply: z.object({ now: instant }),
      example: { body: { advance: 'P12M' }, reply: { now: '2027-11-20T10:00:00.000Z' } },
      handle: ({ actor, body }) => clock.advance(actor, body.advance),
    }),
  ];
}
