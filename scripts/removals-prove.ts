/**
 * `npm run removals:prove`: 10,000 memberships are due, and 5% of the calls to the subscription service fail, time out or
 * are answered twice. Then every membership is looked at. `-- --quick` for 300. Exit status 1 when one ended wrong.
 */
import { MembershipManager } from '../src/membership/membership-manager.ts';
import { HttpSubscriptionGateway } from '../src/membership/subscription-gateway.ts';
import { silentLogger } from '../src/kernel/logger.ts';
import { startCast, Stories, type Cast } from '../test/support/stories.ts';
import { MoodyService } from './removals-prove/moody-service.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const QUICK = process.argv.includes('--quick');
const DUE = QUICK ? 300 : 10_000;
const SHARE = 0.05;
/** Shorter than the service's own 10 s, 1 s, 4 s and 30 s, so that a run takes a minute and not an hour. */
const TIMES = { timeoutMs: 400, retryWaitsMs: [20, 50], pauseMs: 500 };
const MOST_RUNS = 6;

const say = (line: string) => process.stdout.write(`${line}\n`);
const figure = (name: string, value: number | string) => say(`${name.padEnd(56)}${value}`);

/** One payout is completed as people do it; the others are its likenesses, each with a member of its own. */
async function fill({ service }: Cast, payoutId: string): Promise<void> {
  await service.sql.begin(async (sql) => {
    await sql`SET LOCAL session_replication_role = replica`;
    await sql`CREATE TEMP TABLE likeness ON COMMIT DROP AS
      SELECT gen_random_uuid() AS user_id, n, 'PO-2026-' || lpad(n::text, 8, '0') AS payout_id
        FROM generate_series(2, ${DUE}::int) n`;
    await sql`INSERT INTO users (id, email, first_name, last_name)
      SELECT user_id, 'due-' || n || '@example.com', 'Due', 'Member' FROM likeness`;
    await sql`INSERT INTO user_subscriptions (user_id, status) SELECT user_id, 'active' FROM likeness`;
    await sql`INSERT INTO payout_management
      SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid(), 'user_id', l.user_id,
               'payout_id', l.payout_id, 'funding_tranche', 1000 + l.n))).*
        FROM payout_management p, likeness l WHERE p.payout_id = ${payoutId}`;
    for (const table of ['membership_removals', 'payment_attempts', 'payout_approvals']) {
      await sql`INSERT INTO ${sql(table)} OVERRIDING SYSTEM VALUE
        SELECT (jsonb_populate_record(r, to_jsonb(l) || jsonb_build_object('id', gen_random_uuid()))).*
          FROM ${sql(table)} r, likeness l WHERE r.payout_id = ${payoutId}`;
    }
  });
  await service.sql`ANALYZE`;
}

/** What is wrong, by name; all of it should be 0. */
async function faultsOf({ service }: Cast, moody: MoodyService): Promise<Record<string, number>> {
  const [row] = await service.sql<Record<string, number>[]>`
    SELECT count(*) FILTER (WHERE r.status <> 'removed' OR r.call_started_at IS NOT NULL)::int AS "not removed",
           count(*) FILTER (WHERE EXISTS (SELECT 1 FROM user_subscriptions s
             WHERE s.user_id = r.user_id AND s.status = 'active'))::int AS "with a live subscription",
           count(*) FILTER (WHERE 1 <> (SELECT count(*) FROM notifications n
             WHERE n.user_id = r.user_id AND n.template = 'membership-removed'))::int AS "not told exactly once",
           count(*) FILTER (WHERE 1 <> (SELECT count(*) FROM user_audit_logs a WHERE a.entity_type = 'membership'
             AND a.entity_id = r.user_id::text AND a.action = 'removed'))::int AS "not recorded exactly once",
           count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM user_audit_logs a WHERE a.entity_type = 'membership'
             AND a.entity_id = r.user_id::text AND a.action = 'removal_requested'))::int AS "not recorded before",
           count(*) FILTER (WHERE (p.processing->>'membership_removed')::boolean IS NOT TRUE)::int AS "payouts that say otherwise"
      FROM membership_removals r JOIN payout_management p USING (payout_id)`;
  return {
    ...row,
    'ended more than once': [...moody.ended.values()].filter((times) => times !== 1).length,
    'never ended': DUE - moody.ended.size,
    'asked for with two keys': [...moody.keys.values()].filter((keys) => keys.size !== 1).length,
  };
}

async function prove(cast: Cast): Promise<boolean> {
  const { service } = cast;
  const story = await new Stories(cast).completed();
  await fill(cast, story.payoutId);
  service.time.advanceDays(366);
  const moody = await MoodyService.start(SHARE, async (userId) => {
    await service.sql`UPDATE user_subscriptions SET status = 'canceled' WHERE user_id = ${userId}`;
  });
  const membership = new MembershipManager({
    database: service.database,
    clock: service.time,
    payouts: service.services.payouts,
    gateway: new HttpSubscriptionGateway(moody.url, undefined, TIMES),
    logger: silentLogger,
    pauseMs: TIMES.pauseMs,
  });
  const began = performance.now();
  let runs = 0;
  for (let left = DUE; left > 0 && runs < MOST_RUNS; runs += 1) {
    const results = await membership.checkMembershipRemovals();
    left = results.filter(({ removed }) => !removed).length;
    say(`… run ${runs + 1}: ${results.length} due, ${results.length - left} removed`);
    service.time.advanceDays(1);
  }
  const seconds = (performance.now() - began) / 1000;
  moody.stop();
  figure('memberships due', DUE);
  figure('calls', moody.calls);
  for (const [mood, times] of moody.moods) figure(`calls that met the mood: ${mood}`, times);
  figure('runs until none was due', runs);
  figure('seconds', Math.round(seconds));
  figure('removals a second', Math.round(DUE / seconds));
  const faults = await faultsOf(cast, moody);
  for (const [name, times] of Object.entries(faults)) figure(name, times);
  return Object.values(faults).every((times) => times === 0);
}

await withThrowawayServer(async (cluster) => {
  const cast = await startCast({ cluster });
  try {
    if (!(await prove(cast))) process.exitCode = 1;
  } finally {
    await cast.service.stop();
  }
});
