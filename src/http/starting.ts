import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { systemClock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorReply } from './error-reply.ts';

const RETRY_AFTER_SECONDS = 2;

/** What everybody is told until the service is up: 503 UNAVAILABLE, in the form of all errors. */
export function answerStarting(publicUrl: () => string): RequestListener {
  return (_request, response) => {
    const error = new DomainError('UNAVAILABLE', 'The service is starting. Try again shortly.');
    const context = { requestId: randomUUID(), now: systemClock.now(), publicUrl: publicUrl() };
    response
      .writeHead(503, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'retry-after': String(RETRY_AFTER_SECONDS),
      })
      .end(JSON.stringify(errorReply(error, context)));
  };
}
