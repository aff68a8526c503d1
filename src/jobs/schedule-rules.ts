/** When a job is due, in UTC. */
export type Schedule = { kind: 'daily'; hour: number; minute: number } | { kind: 'hourly'; minute: number };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const periodMs = (schedule: Schedule) => (schedule.kind === 'daily' ? DAY_MS : HOUR_MS);

/** Five cron fields. */
export const cronExpression = (schedule: Schedule): string =>
  schedule.kind === 'daily' ? `${schedule.minute} ${schedule.hour} * * *` : `${schedule.minute} * * * *`;

/** The latest moment at or before `now` at which the job was due. */
export function slotAtOrBefore(schedule: Schedule, now: Date): Date {
  const slot = new Date(now);
  slot.setUTCMinutes(schedule.minute, 0, 0);
  if (schedule.kind === 'daily') slot.setUTCHours(schedule.hour);
  return slot <= now ? slot : new Date(slot.getTime() - periodMs(schedule));
}

/** The next moment after `now` at which it will be due. */
export const slotAfter = (schedule: Schedule, now: Date): Date =>
  new Date(slotAtOrBefore(schedule, now).getTime() + periodMs(schedule));
