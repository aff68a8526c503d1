import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/kernel/logger.ts';
import type { Clock } from '../../src/kernel/clock.ts';
import { InstanceWatch } from '../../src/watch/instance-watch.ts';
import { withoutDatabase } from '../support/lost-database.ts';
import { startCast, type Cast } from '../support/stories.ts';

let cast: Cast;
beforeAll(async () => {
  cast = await startCast();
});
afterAll(() => cast.service.stop());

/** This machine's clock, moved by so many milliseconds. */
class ShiftedClock implements Clock {
  byMs = 0;

  now(): Date {
    return new Date(Date.now() + this.byMs);
  }
}

function watchOf(name: string): { watch: InstanceWatch; machineClock: ShiftedClock } {
  const machineClock = new ShiftedClock();
  const { database, time } = cast.service;
  return {
    machineClock,
    watch: new InstanceWatch({ database, clock: time, machineClock, logger: silentLogger, name }),
  };
}

interface AlertRow {
  severity: string;
  message: string;
  closed_at: Date | null;
}
const alertsOf = (category: string) => cast.service.sql<AlertRow[]>`
  SELECT severity, message, closed_at FROM admin_alerts WHERE category = ${category} ORDER BY created_at`;
const mailsOf = async (template: string): Promise<number> =>
  (await cast.service.sql`SELECT 1 FROM notifications WHERE template = ${template}`).length;

describe('a lost database', () => {
  it('is told once it is back, once for all instances, and closes when it has stayed', async () => {
    const first = watchOf('one');
    const second = watchOf('two');
    const both = async () => {
      await first.watch.look();
      await second.watch.look();
    };
    await both();
    expect(await alertsOf('database_lost')).toHaveLength(0);
    await withoutDatabase(cast.service, both);
    await both();
    const [alert, ...more] = await alertsOf('database_lost');
    expect(alert).toMatchObject({ severity: 'critical', closed_at: null });
    expect(alert?.message).toMatch(/did not answer from \S+Z on\. It has been back since \S+Z\./);
    expect(more).toEqual([]);
    expect(await mailsOf('critical-failure')).toBe(2); // one for each admin

    first.machineClock.byMs = 299_000;
    await first.watch.look();
    expect(await alertsOf('database_lost')).toMatchObject([{ closed_at: null }]);
    first.machineClock.byMs = 301_000;
    await first.watch.look();
    expect((await alertsOf('database_lost'))[0]?.closed_at).not.toBeNull();
    first.machineClock.byMs = 0;
    await first.watch.look();

    await withoutDatabase(cast.service, () => second.watch.look());
    await second.watch.look();
    expect(await alertsOf('database_lost')).toHaveLength(2);
  });
});

describe('a clock that differs from the database’s', () => {
  it('is told once, and its alert closes when it is right again', async () => {
    const { watch, machineClock } = watchOf('host-with-a-bad-clock');
    const open = async () => (await alertsOf('clock_skew')).filter(({ closed_at }) => closed_at === null);
    const mails = await mailsOf('staff-notice');
    await watch.look();
    machineClock.byMs = 3000;
    await watch.look();
    expect(await open()).toEqual([]);
    machineClock.byMs = -7000;
    for (let times = 0; times < 2; times += 1) await watch.look();
    const [alert] = await open();
    expect(alert?.severity).toBe('warning');
    expect(alert?.message).toMatch(/^The clock of host-with-a-bad-clock is [67]\.\d seconds behind/);
    expect(await mailsOf('staff-notice')).toBe(mails + 2);
    machineClock.byMs = 4000; // between the limits: neither
    await watch.look();
    expect(await open()).toHaveLength(1);
    machineClock.byMs = 0;
    await watch.look();
    expect(await open()).toEqual([]);
    machineClock.byMs = 20_000;
    await watch.look();
    expect((await open())[0]?.message).toContain('ahead of');
    expect(await mailsOf('staff-notice')).toBe(mails + 4);
  });
});
