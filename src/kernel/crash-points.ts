/**
 * Where `npm run crash` kills the service: named points between receiving a mutation and answering it, in the order in
 * which a request with an Idempotency-Key passes them. A point does nothing unless it was armed at the start, by the
 * setting CRASH_POINT, which production refuses.
 */
export const CRASH_POINTS = [
  'request-received',
  'caller-known',
  'input-read',
  'transaction-begun',
  'key-claimed',
  'payout-locked',
  'effect-written',
  'audit-written',
  'messages-enqueued',
  'answer-made',
  'key-stored',
  'before-commit',
  'after-commit',
  'before-answer',
  'after-answer',
] as const;

/** Where `npm run mail:prove` kills it: on the way of a message out of the queue, in their order. */
export const DELIVERY_CRASH_POINTS = [
  'message-taken',
  'message-rendered',
  'message-handed-over',
  'message-recorded',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number] | (typeof DELIVERY_CRASH_POINTS)[number];

let armed: { point: CrashPoint; passes: number } | undefined;

/** The process dies when it passes the point for the `passes`-th time. */
export function armCrashPoint(point: CrashPoint, passes: number): void {
  armed = { point, passes };
}

export function crashPoint(point: CrashPoint): void {
  if (armed?.point !== point) return;
  armed.passes -= 1;
  // As a power cut would: nothing is flushed, closed or rolled back by us.
  if (armed.passes === 0) process.kill(process.pid, 'SIGKILL');
}
