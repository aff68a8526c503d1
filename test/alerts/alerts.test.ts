import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AlertCategory } from '../../src/alerts/raise-alert.ts';
import { AuditKeys } from '../../src/audit/audit-keys.ts';
import { CheckpointFolder } from '../../src/audit/checkpoint-place.ts';
import { Checkpoints } from '../../src/audit/checkpoints.ts';
import { CheckpointLoop } from '../../src/jobs/checkpoint-loop.ts';
import { silentLogger } from '../../src/kernel/logger.ts';
import { MailRefused } from '../../src/notifications/mailer.ts';
import type { TemplateName } from '../../src/notifications/mail-templates.ts';
import { InstanceWatch } from '../../src/watch/instance-watch.ts';
import { withoutDatabase } from '../support/lost-database.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

let cast: Cast;
let stories: Stories;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'payout-alerts-'));
  cast = await startCast();
  stories = new Stories(cast);
});
afterAll(async () => {
  await cast.service.stop();
  await rm(folder, { recursive: true, force: true });
});

const ADMINS = ['admin', 'admin2'];
const DECIDERS = ['admin2', 'finance', 'finance2'];
const PAYERS = ['admin', 'admin2', 'finance', 'finance2'];

/** A cause, whether it can come again while it lasts, and how it goes. */
interface Scene {
  subject: string;
  payoutId?: string;
  again?: () => Promise<unknown>;
  gone?: () => Promise<unknown>;
}
interface Row {
  severity: 'info' | 'warning' | 'critical';
  mail: TemplateName;
  to: readonly string[];
  cause: () => Promise<Scene>;
}

const act = async (who: 'admin' | 'admin2' | 'finance' | 'finance2', path: string, body = {}) =>
  expectOk(await cast[who].post(path, body)).body;
const about = (story: Story, rest: Omit<Scene, 'subject' | 'payoutId'> = {}): Scene => ({
  subject: story.payoutId,
  payoutId: story.payoutId,
  ...rest,
});
const move = (who: Parameters<typeof act>[0], { payoutId }: Story, action: string, body = {}) =>
  act(who, `/api/payouts/${payoutId}/${action}`, body);
const job = (name: string) => act('admin', `/api/jobs/${name}/run`);
const check = () => act('admin', '/api/payouts/check-eligibility');
const revenue = (status: string) =>
  cast.service.sql`UPDATE user_payments SET status = ${status} WHERE amount >= 100000`;

/** A job that fails as long as a table is away. */
async function brokenJob(name: string, table: string): Promise<Scene> {
  const { sql } = cast.service;
  await sql.unsafe(`ALTER TABLE ${table} RENAME TO ${table}_away`);
  const run = () => cast.admin.post(`/api/jobs/${name}/run`);
  await run();
  const gone = async () => {
    await sql.unsafe(`ALTER TABLE ${table}_away RENAME TO ${table}`);
    expectOk(await run());
  };
  return { subject: name, again: run, gone };
}

/** A watch of this machine, whose clock can be moved. */
function watchOf(name: string) {
  const machine = { byMs: 0, now: () => new Date(Date.now() + machine.byMs) };
  const { database, time } = cast.service;
  const watch = new InstanceWatch({
    database,
    clock: time,
    machineClock: machine,
    logger: silentLogger,
    name,
  });
  return { machine, watch };
}

/** Every category has a row, or this does not compile. */
const ROWS: Record<AlertCategory, Row> = {
  payout_created: {
    severity: 'info',
    mail: 'payouts-created',
    to: ADMINS,
    async cause() {
      const story = await stories.initiated();
      return about(story, {
        again: () => move('admin2', story, 'approve'),
        gone: () => move('finance', story, 'approve'),
      });
    },
  },
  payment_completed: {
    severity: 'info',
    mail: 'staff-notice',
    to: PAYERS,
    async cause() {
      const story = await stories.completed();
      const gone = () => move('finance', story, 'fail', { reason: 'Returned.', returnCode: 'R01' });
      return about(story, { gone });
    },
  },
  manual_review: {
    severity: 'warning',
    mail: 'manual-review',
    to: PAYERS,
    async cause() {
      const story = await stories.approved();
      await move('finance', story, 'hold', { reason: 'A doubt.' });
      return about(story, { gone: () => move('finance', story, 'resume', { note: 'None left.' }) });
    },
  },
  approval_overdue: {
    severity: 'warning',
    mail: 'approval-reminder',
    to: DECIDERS,
    async cause() {
      const story = await stories.initiated();
      cast.service.time.advanceDays(3.1);
      await job('delay-checks');
      return about(story, {
        again: () => job('delay-checks'),
        gone: () => move('finance', story, 'reject', { reason: 'No.' }),
      });
    },
  },
  payment_delayed: {
    severity: 'warning',
    mail: 'payment-delayed',
    to: PAYERS,
    async cause() {
      const story = await stories.sent();
      cast.service.time.advanceDays(6);
      await job('delay-checks');
      return about(story, {
        again: () => job('delay-checks'),
        gone: () => move('finance', story, 'confirm', { completedDate: stories.today }),
      });
    },
  },
  payout_eligible: {
    severity: 'info',
    mail: 'payouts-available',
    to: ADMINS,
    async cause() {
      await check();
      const { awardedPayouts, availableSlots } = expectOk(
        await cast.viewer.get('/api/payouts/eligibility'),
      ).body;
      const gone = async () => {
        await revenue('refunded');
        await check();
        await revenue('succeeded');
      };
      return { subject: String(awardedPayouts + availableSlots), again: check, gone };
    },
  },
  revenue_shortfall: {
    severity: 'warning',
    mail: 'staff-notice',
    to: ADMINS,
    async cause() {
      await stories.initiated();
      await check();
      await revenue('refunded');
      await check();
      const gone = async () => {
        await revenue('succeeded');
        await check();
      };
      return { subject: 'all', again: check, gone };
    },
  },
  dead_letter: {
    severity: 'warning',
    mail: 'dead-letter',
    to: ADMINS,
    async cause() {
      const { mailer, services, sql } = cast.service;
      const story = await stories.approved();
      const deliver = () => services.mailDelivery.deliverDue();
      mailer.failWith = ({ to, subject }) =>
        to.address === story.member.email && subject.startsWith('You have won')
          ? new MailRefused('550 No such user.', true)
          : undefined;
      await deliver();
      mailer.failWith = undefined;
      const [failed] = await sql<{ id: string }[]>`SELECT id FROM notifications WHERE status = 'failed'`;
      const subject = failed?.id ?? '';
      const gone = () => act('admin', `/api/notifications/${subject}/resend`);
      return { subject, payoutId: story.payoutId, again: deliver, gone };
    },
  },
  // Each reveal is an occurrence of its own, whose cause never goes.
  secret_revealed: {
    severity: 'warning',
    mail: 'staff-notice',
    to: ADMINS,
    async cause() {
      const { payoutId } = await stories.withBank();
      await act('finance', `/api/payouts/${payoutId}/bank-info/reveal`, { reason: 'The bank asks.' });
      return { subject: payoutId };
    },
  },
  eligibility_check_failed: {
    severity: 'critical',
    mail: 'critical-failure',
    to: ADMINS,
    cause: () => brokenJob('eligibility-check', 'eligibility_checks'),
  },
  job_failed: {
    severity: 'warning',
    mail: 'staff-notice',
    to: ADMINS,
    cause: () => brokenJob('upkeep', 'idempotency_keys'),
  },
  audit_broken: {
    severity: 'critical',
    mail: 'critical-failure',
    to: ADMINS,
    async cause() {
      const path = join(folder, 'checkpoints');
      await writeFile(path, 'This is no folder.');
      const { database, time: clock } = cast.service;
      const keys = new AuditKeys(Buffer.alloc(32, 5).toString('base64'));
      const checkpoints = new Checkpoints({ database, clock, keys, place: new CheckpointFolder(path) });
      const loop = new CheckpointLoop({ checkpoints, database, clock, logger: silentLogger, name: 'one' });
      await loop.look();
      const gone = async () => {
        await rm(path);
        await loop.look();
      };
      return { subject: 'checkpoint:one', again: () => loop.look(), gone };
    },
  },
  queue_drift: {
    severity: 'critical',
    mail: 'critical-failure',
    to: ADMINS,
    async cause() {
      const drift = async () => {
        await cast.service.sql`UPDATE queue_totals SET revenue = revenue + 1`;
        await job('queue-check');
      };
      await drift();
      return { subject: 'all', again: drift, gone: () => job('queue-check') };
    },
  },
  database_lost: {
    severity: 'critical',
    mail: 'critical-failure',
    to: ADMINS,
    async cause() {
      const { machine, watch } = watchOf('one');
      const other = watchOf('two').watch;
      await withoutDatabase(cast.service, async () => {
        await watch.look();
        await other.look();
      });
      await watch.look();
      const gone = async () => {
        machine.byMs = 301_000;
        await watch.look();
      };
      return { subject: 'database', again: () => other.look(), gone };
    },
  },
  // An instance that stops takes its wrong clock with it; test/watch has the clock that is set right.
  clock_skew: {
    severity: 'warning',
    mail: 'staff-notice',
    to: ADMINS,
    async cause() {
      const { machine, watch } = watchOf('late');
      machine.byMs = 9000;
      await watch.look();
      return { subject: 'late', again: () => watch.look(), gone: () => watch.stop() };
    },
  },
  removal_failing: {
    severity: 'warning',
    mail: 'staff-notice',
    to: ADMINS,
    async cause() {
      const { subscriptions, time } = cast.service;
      const story = await stories.completed();
      time.advanceDays(366);
      subscriptions.failWith = (userId) =>
        userId === story.member.userId ? new Error('It answered 503.') : undefined;
      const run = () => job('membership-removals');
      for (let times = 0; times < 3; times += 1) await run();
      const gone = async () => {
        subscriptions.failWith = undefined;
        await move('finance', story, 'fail', { reason: 'Returned.', returnCode: 'R01' });
      };
      return { subject: story.payoutId, again: run, gone };
    },
  },
  removal_after_return: {
    severity: 'critical',
    mail: 'critical-failure',
    to: ADMINS,
    async cause() {
      const { sql, subscriptions, time } = cast.service;
      const story = await stories.completed();
      const { userId } = story.member;
      time.advanceDays(366);
      subscriptions.effect = async (id) => {
        if (id === userId) await move('finance', story, 'fail', { reason: 'Returned.', returnCode: 'R01' });
      };
      await job('membership-removals');
      subscriptions.effect = undefined;
      const [removal] = await sql<{ id: string }[]>`
        SELECT id FROM membership_removals WHERE payout_id = ${story.payoutId}`;
      const gone = async () => {
        time.advanceDays(1);
        await sql`INSERT INTO user_payments (user_id, amount, status, created_at)
          VALUES (${userId}, '100.00', 'succeeded', ${time.now()})`;
        await act('admin', `/api/members/${userId}/reactivate`, { paymentDate: stories.today });
      };
      return { subject: removal?.id ?? '', again: () => job('membership-removals'), gone };
    },
  },
};

interface AlertRow {
  id: string;
  severity: string;
  title: string;
  closed_at: Date | null;
}
/** Of rows before this one. */
let earlier: string[] = [];
const alertsOf = (category: string, { subject }: Scene) => cast.service.sql<AlertRow[]>`
  SELECT id, severity, title, closed_at FROM admin_alerts
   WHERE occurrence_key LIKE ${`${category}:${subject}%`} AND id <> ALL(${earlier}) ORDER BY created_at`;

/** Who has been written to about it by that template, in messages that were not there before. */
async function mailed(mail: TemplateName, before: string[], scene: Scene): Promise<string[]> {
  const names = new Map(PAYERS.map((name) => [cast[name as 'admin'].userId, name]));
  const rows = await cast.service.sql<{ user_id: string; payout_id: string | null }[]>`
    SELECT user_id, payout_id FROM notifications WHERE template = ${mail} AND id <> ALL(${before})`;
  return rows
    .filter(({ payout_id: payoutId }) => payoutId === null || payoutId === scene.payoutId)
    .map(({ user_id: userId }) => names.get(userId) ?? userId)
    .sort();
}
const idsIn = async (table: 'admin_alerts' | 'notifications'): Promise<string[]> =>
  (await cast.service.sql<{ id: string }[]>`SELECT id FROM ${cast.service.sql(table)}`).map(({ id }) => id);

describe('the alert', () => {
  it.each(Object.entries(ROWS))(
    '%s is raised and mailed once, and closes with its cause',
    async (category, row) => {
      earlier = await idsIn('admin_alerts');
      const before = await idsIn('notifications');
      const scene = await row.cause();
      const [alert, ...more] = await alertsOf(category, scene);
      expect(alert).toMatchObject({ severity: row.severity, closed_at: null });
      expect(more).toEqual([]);
      expect(await mailed(row.mail, before, scene)).toEqual([...row.to].sort());

      await scene.again?.();
      expect(await alertsOf(category, scene)).toEqual([alert]);
      expect(await mailed(row.mail, before, scene)).toEqual([...row.to].sort());

      if (scene.gone) {
        await scene.gone();
        expect(await alertsOf(category, scene)).toMatchObject([
          { id: alert?.id, closed_at: expect.any(Date) },
        ]);
      } else {
        await act('admin', `/api/admin-alerts/${alert?.id}/acknowledge`);
      }
      const open = expectOk(await cast.viewer.get(`/api/admin-alerts?category=${category}&open=true`)).body
        .data;
      expect(open.map(({ id }: { id: string }) => id)).not.toContain(alert?.id);
    },
  );

  it('of a payout that is created closes however it is decided, by the hourly check too', async () => {
    for (const end of ['reject', 'cancel', 'hold'] as const) {
      const story = await stories.initiated();
      const who = end === 'cancel' ? 'admin' : 'finance';
      await move(who, story, end, { reason: 'No.' });
      expect(await alertsOf('payout_created', about(story))).toMatchObject([{ closed_at: expect.any(Date) }]);
    }
    const story = await stories.initiated();
    const decided = await stories.approved();
    const reopen = ({ payoutId }: Story) => cast.service.sql`
      UPDATE admin_alerts SET closed_at = NULL WHERE occurrence_key = ${`payout_created:${payoutId}`}`;
    await reopen(decided);
    await job('delay-checks');
    expect(await alertsOf('payout_created', about(decided))).toMatchObject([{ closed_at: expect.any(Date) }]);
    expect(await alertsOf('payout_created', about(story))).toMatchObject([{ closed_at: null }]);
  });

  it('has nothing that its message lacks', async () => {
    const { mailDelivery } = cast.service.services;
    while ((await mailDelivery.deliverDue()) > 0);
    const left = await cast.service
      .sql`SELECT template, last_error FROM notifications WHERE status <> 'sent'`;
    expect([...left]).toEqual([]);
  });
});
