import { z } from 'zod';
import { route, type Route } from '../http/route.ts';
import { instant, listOf, pageQuery } from '../http/schemas.ts';
import type { JobRunner } from './job-runner.ts';
import type { JobRunView } from './job-view.ts';

const tag = 'Jobs';

const runView = z
  .object({
    job: z.string(),
    trigger: z.enum(['schedule', 'manual']),
    slot: instant.meta({ description: 'The moment at which it was due.' }),
    startedAt: instant,
    finishedAt: instant.nullable(),
    durationMs: z.number().nullable(),
    status: z.enum(['running', 'succeeded', 'failed']),
    attempts: z
      .number()
      .meta({ description: 'More than 1 where an instance died in it and another went on.' }),
    progress: z.record(z.string(), z.unknown()).nullable(),
    result: z.record(z.string(), z.unknown()).nullable(),
    error: z.string().nullable(),
  })
  .meta({ id: 'JobRun' });

const example: JobRunView = {
  job: 'eligibility-check',
  trigger: 'manual',
  slot: '2026-11-20T10:00:00.000Z',
  startedAt: '2026-11-20T10:00:00.000Z',
  finishedAt: '2026-11-20T10:00:00.040Z',
  durationMs: 40,
  status: 'succeeded',
  attempts: 1,
  progress: null,
  result: { isEligible: true, availableSlots: 3 },
  error: null,
};

export function jobRoutes(jobs: JobRunner): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/jobs',
      tag,
      summary: 'List the jobs with their last and next runs',
      needs: 'jobs.read',
      query: z.strictObject(pageQuery),
      reply: listOf(
        z.object({
          name: z.string(),
          summary: z.string(),
          schedule: z.string().meta({ description: 'Five cron fields, UTC.' }),
          nextRun: instant,
          lastRun: runView.nullable(),
        }),
      ),
      example: {
        reply: {
          data: [
            {
              name: 'eligibility-check',
              summary: 'Finds out whether payouts can be issued, and tells the admins.',
              schedule: '0 2 * * *',
              nextRun: '2026-11-21T02:00:00.000Z',
              lastRun: example,
            },
          ],
          nextCursor: null,
        },
      },
      handle: ({ query }) => jobs.page(query),
    }),
    route({
      method: 'post',
      path: '/api/jobs/:name/run',
      tag,
      summary: 'Run a job now and get its result',
      needs: 'jobs.run',
      idempotency: 'recorded',
      params: z.strictObject({ name: z.string().max(60) }),
      reply: runView,
      errors: ['ALREADY_RUNNING'],
      example: { reply: example },
      handle: ({ actor, params }) => jobs.runNow(actor, params.name),
    }),
  ];
}
