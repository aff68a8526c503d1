import { randomBytes, randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Database } from '../../src/db/client.ts';
import { MemberQueue } from '../../src/queue/member-queue.ts';
import type { QueueMember } from '../../src/queue/queue-member.ts';
import { createDatabase, databaseUrl, dropDatabase } from '../support/databases.ts';
import { TestTime } from '../support/fakes.ts';
import { differences, makePlainView } from '../support/plain-queue.ts';

const clusterUrl = inject('clusterUrl');

/** A database with members of every kind, the queue on it as the service has it, and the owner beside it. */
class Scene {
  readonly sql: postgres.Sql;
  readonly database: Database;
  readonly queue: MemberQueue;
  readonly name: string;

  private constructor(name: string) {
    const url = databaseUrl(clusterUrl, name);
    this.name = name;
    this.sql = postgres(url, { max: 4, onnotice: () => {} });
    this.database = new Database({ url, poolSize: 4, role: 'payout_service' });
    this.queue = new MemberQueue(this.database, new TestTime());
  }

  static async open(): Promise<Scene> {
    const name = `payout_queue_${process.pid}_${randomBytes(4).toString('hex')}`;
    await createDatabase(clusterUrl, name, inject('templateDatabase'));
    const scene = new Scene(name);
    await makePlainView(scene.sql);
    await scene.sql.unsafe(PEOPLE);
    return scene;
  }

  async close(): Promise<void> {
    await Promise.all([this.sql.end(), this.database.close()]);
    await dropDatabase(clusterUrl, this.name);
  }

  async userNamed(number: number): Promise<string> {
    const [row] = await this.sql<
      { id: string }[]
    >`SELECT id FROM users WHERE email = ${`m${number}@example.com`}`;
    return row?.id ?? '';
  }

  async pay(userId: string, more: Record<string, unknown> = {}): Promise<void> {
    await this
      .sql`INSERT INTO user_payments ${this.sql({ user_id: userId, amount: '10.00', status: 'succeeded', ...more })}`;
  }

  async waiting(): Promise<number> {
    return (await this.sql`SELECT 1 FROM queue_touched`).length;
  }

  /** What a decision would find. */
  decide<T>(look: (queue: ReturnType<MemberQueue['settled']>) => Promise<T>): Promise<T> {
    return this.database.transaction(async (tx) => {
      await this.queue.settle(tx);
      return look(this.queue.settled(tx));
    });
  }

  /** The rollup says what the tables say, whatever waits in the log. */
  async expectExact(): Promise<void> {
    expect(await differences(this.sql)).toEqual([]);
    const [plain] = await this.sql<{ revenue: string; candidates: string }[]>`
      SELECT (SELECT coalesce(sum(amount), 0) FROM user_payments WHERE status = 'succeeded' AND upper(currency) = 'USD') AS revenue,
             (SELECT count(*) FROM plain_queue_view WHERE is_eligible AND NOT has_received_payout) AS candidates`;
    expect(await this.queue.totals()).toMatchObject({
      revenueCents: Math.round(Number(plain?.revenue) * 100),
      candidates: Number(plain?.candidates),
    });
    expect(await this.queue.check()).toEqual({
      isExact: true,
      isWatched: true,
      driftedMembers: 0,
      examples: [],
      wrongSums: [],
    });
  }
}

/** 400 people: tenures that begin together, one or two subscriptions or none, refunds, foreign money, wins, removals. */
const PEOPLE = `
  INSERT INTO users (email, first_name, middle_name, last_name)
    SELECT 'm' || n || '@example.com', 'Ada', CASE WHEN n % 3 = 0 THEN 'M.' END, 'Member' FROM generate_series(1, 400) n;
  CREATE TEMP TABLE person AS SELECT id, substr(split_part(email, '@', 1), 2)::integer AS n FROM users WHERE email LIKE 'm%';
  INSERT INTO user_subscriptions (user_id, status, provider_subscription_id, created_at)
    SELECT id, CASE n % 7 WHEN 0 THEN 'trialing' WHEN 1 THEN 'cancelled' ELSE 'active' END, 'sub_' || n,
           timestamptz '2024-01-01Z' + n * interval '1 hour' FROM person WHERE n % 11 <> 0;
  INSERT INTO user_subscriptions (user_id, status, created_at)
    SELECT id, CASE n % 2 WHEN 0 THEN 'active' ELSE 'trialing' END, timestamptz '2024-06-01Z' FROM person WHERE n % 5 = 0;
  INSERT INTO user_payments (user_id, amount, status, currency, created_at)
    SELECT id, 10 + n % 90 + k / 100.0, CASE (n + k) % 13 WHEN 0 THEN 'refunded' WHEN 1 THEN 'failed' ELSE 'succeeded' END,
           CASE WHEN n % 17 = 0 THEN 'EUR' WHEN n % 19 = 0 THEN 'usd' ELSE 'USD' END,
           timestamptz '2024-01-01Z' + (n / 4) * interval '7 hours' + k * interval '1 month'
      FROM person, generate_series(0, 16) k WHERE k < n % 18;
  INSERT INTO kyc_verification (user_id, status, verified_at)
    SELECT id, CASE n % 4 WHEN 0 THEN 'pending' ELSE 'verified' END, now() FROM person WHERE n % 9 <> 0;
  INSERT INTO admin_users (user_id, role) SELECT id, 'admin' FROM person WHERE n = 400;
  INSERT INTO user_payments (user_id, amount, status) SELECT id, 90000000, 'succeeded' FROM person WHERE n = 400;
  INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
      eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
    SELECT 'PO-2026-' || lpad(n::text, 8, '0'), id, 1, 100000, 'pending_approval', 300, 99700, '{}',
           (SELECT max(id) FROM admin_users), n, 0, 2, now(), now() FROM person WHERE n % 23 = 0;
  UPDATE payout_management SET status = 'cancelled', version = 2 WHERE funding_tranche % 3 = 0;
  INSERT INTO membership_removals (payout_id, user_id, due_date, status, removed_at, created_at)
    SELECT payout_id, user_id, '2024-09-01', 'removed', '2024-09-01Z', now() FROM payout_management WHERE funding_tranche % 46 = 0;
  INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
      eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
    SELECT 'PO-2027-' || lpad(n::text, 8, '0'), id, 1, 100000, 'pending_approval', 300, 99700, '{}',
           (SELECT max(id) FROM admin_users), 1000 + n, 1, 2, now(), now() FROM person WHERE n % 92 = 0;
`;

describe('the queue', () => {
  let scene: Scene;
  let whole: QueueMember[];
  let view: readonly postgres.Row[];
  beforeAll(async () => {
    scene = await Scene.open();
    expect(await scene.waiting()).toBeGreaterThan(0);
    // Nothing is folded yet: the view is exact all the same.
    expect(await differences(scene.sql)).toEqual([]);
    whole = await scene.queue.candidates({ limit: 1000 });
    view = await scene.sql`SELECT * FROM plain_queue_view ORDER BY queue_position`;
  });
  afterAll(() => scene.close());

  it('is by its rollup what it is by its definition, tenures after a removal too', async () => {
    expect(view.length).toBeGreaterThan(200);
    expect(view.filter((row) => row['tenure_number'] === 1).length).toBeGreaterThan(2);
    expect(await scene.waiting()).toBe(0);
    await scene.expectExact();
  });

  it('gives each candidate the position that they have among all', async () => {
    const candidates = view.filter((row) => row['is_eligible'] && !row['has_received_payout']);
    expect(whole.map(({ userId, queuePosition }) => [userId, queuePosition])).toEqual(
      candidates.map((row) => [row['user_id'], Number(row['queue_position'])]),
    );
    expect(whole.map((member) => member.totalPayments)).toEqual(
      candidates.map((row) => Number(row['total_successful_payments'])),
    );
  });

  it('comes in pages that go on where the last one ended', async () => {
    const paged: QueueMember[] = [];
    for (let page = whole.slice(0, 0), more = true; more;) {
      page = await scene.queue.candidates({ after: paged.at(-1)?.place, limit: 23 });
      paged.push(...page);
      more = page.length > 0;
    }
    expect(paged).toEqual(whole);
  });

  it('finds any member, and none who is not in it', async () => {
    const all = await scene.queue.find([...view.map((row) => String(row['user_id'])), randomUUID()]);
    expect(all.map(({ userId, queuePosition }) => [userId, queuePosition])).toEqual(
      view.map((row) => [row['user_id'], Number(row['queue_position'])]),
    );
    expect(await scene.queue.find([randomUUID()])).toEqual([]);
  });

  it('tells who stands ahead: the first, the first who are valid, and how many', async () => {
    const last = whole[150] as QueueMember;
    await scene.decide(async (queue) => {
      const ahead = await queue.candidates({ before: last.place, limit: 20 });
      expect(ahead).toEqual(whole.slice(0, 20));
      const valid = await queue.candidates({ before: last.place, limit: 5, isValid: true });
      expect(valid).toEqual(
        whole.filter((member) => member.kycVerified && member.meetsTimeRequirement).slice(0, 5),
      );
      expect(await queue.countAhead([last.userId])).toEqual(new Map([[last.userId, 150]]));
      expect(await queue.candidates({ before: whole[0]?.place, limit: 5 })).toEqual([]);
    });
  });

  it('holds a payment from the moment of its commit, and none that was taken back', async () => {
    const userId = await scene.userNamed(2);
    const paid = async () => (await scene.queue.find([userId]))[0]?.totalPayments ?? 0;
    const before = await paid();
    await scene.sql
      .begin(async (tx) => {
        await tx`INSERT INTO user_payments (user_id, amount, status) VALUES (${userId}, 5, 'succeeded')`;
        expect(await paid()).toBe(before);
        throw new Error('taken back');
      })
      .catch(() => undefined);
    expect(await paid()).toBe(before);
    await scene.pay(userId);
    expect(await paid()).toBe(before + 1);
    // Within a transaction too, as each statement has a snapshot of its own.
    await scene.database.enclose(async () => {
      await scene.pay(userId);
      expect(await paid()).toBe(before + 2);
    });
    await scene.expectExact();
  });

  it('holds the newest identity check from the moment of its commit, however it came', async () => {
    const [first] = await scene.queue.candidates({ limit: 1 });
    const userId = first?.userId ?? '';
    const isVerified = async () => {
      const [[found], [candidate]] = [
        await scene.queue.find([userId]),
        await scene.queue.candidates({ limit: 1 }),
      ];
      expect(candidate?.userId).toBe(userId);
      expect(candidate?.kycVerified).toBe(found?.kycVerified);
      return found?.kycVerified;
    };
    const check = (status: string, day: string) =>
      scene.sql`INSERT INTO kyc_verification (user_id, status, verified_at) VALUES (${userId}, ${status}, ${day})`;
    await check('verified', '2030-01-01');
    expect(await isVerified()).toBe(true);
    await check('rejected', '2029-01-01');
    expect(await isVerified()).toBe(true);
    await scene.sql`UPDATE kyc_verification SET verified_at = '2031-01-01' WHERE user_id = ${userId} AND status = 'rejected'`;
    expect(await isVerified()).toBe(false);
    await scene.sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`UPDATE kyc_verification SET status = 'verified' WHERE user_id = ${userId} AND status = 'rejected'`;
    });
    expect(await isVerified()).toBe(true);
    await scene.sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`ALTER TABLE kyc_verification DISABLE TRIGGER queue_changes`;
      await tx`UPDATE kyc_verification SET status = 'pending' WHERE user_id = ${userId}`;
      await tx`ALTER TABLE kyc_verification ENABLE ALWAYS TRIGGER queue_changes`;
    });
    // Past the triggers nobody is told; the nightly comparison finds it.
    expect(await isVerified()).toBe(true);
    expect(await scene.queue.checkAndMend()).toMatchObject({ driftedMembers: 1, examples: [userId] });
    expect(await isVerified()).toBe(false);
    await scene.sql`DELETE FROM kyc_verification WHERE user_id = ${userId}`;
    expect(await isVerified()).toBe(false);
    await scene.queue.checkAndMend();
    await scene.expectExact();
  });

  it('holds a payment whatever the search path of its writer leads to', async () => {
    const userId = await scene.userNamed(2);
    await scene.sql.unsafe(`
      CREATE SCHEMA elsewhere;
      CREATE DOMAIN elsewhere.text AS pg_catalog.text CHECK (VALUE <> 'succeeded');
      CREATE TABLE elsewhere.queue_touched (user_id uuid);
      CREATE FUNCTION elsewhere.never(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
      CREATE OPERATOR elsewhere.= (FUNCTION = elsewhere.never, LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text)`);
    try {
      await scene.queue.fold();
      await scene.sql.begin(async (tx) => {
        await tx`SET LOCAL search_path = elsewhere, public, pg_catalog`;
        await tx`INSERT INTO user_payments (user_id, amount, status) VALUES (${userId}, 5, 'succeeded')`;
      });
      expect(await scene.waiting()).toBe(1);
      await scene.expectExact();
    } finally {
      await scene.sql`DROP SCHEMA elsewhere CASCADE`;
    }
  });

  it('never makes the main app wait for a fold', async () => {
    await scene.database.transaction(async (tx) => {
      await scene.pay(await scene.userNamed(3));
      await scene.queue.settle(tx);
      const began = performance.now();
      await scene.pay(await scene.userNamed(3));
      await scene.sql`UPDATE user_payments SET amount = 11 WHERE user_id = ${await scene.userNamed(3)}`;
      expect(performance.now() - began).toBeLessThan(2000);
    });
    await scene.expectExact();
  });

  it('outlives a fold that is killed before its commit', async () => {
    const userId = await scene.userNamed(4);
    await scene.pay(userId);
    const folder = postgres(databaseUrl(clusterUrl, scene.name), { max: 1, onnotice: () => {} });
    try {
      const killed = folder.begin(async (tx) => {
        await tx`SELECT queue_fold()`;
        expect(await tx`SELECT 1 FROM queue_touched`).toHaveLength(0);
        const [own] = await tx<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
        await scene.sql`SELECT pg_terminate_backend(${own?.pid ?? 0}, 5000)`;
        // Whatever the driver were asked now, it would send where no connection is any more.
        await new Promise(() => {});
      });
      await expect(killed).rejects.toThrow();
    } finally {
      await folder.end();
    }
    expect(await scene.waiting()).toBe(1);
    await scene.expectExact();
  });

  it('follows changes that arrive by logical replication', async () => {
    const [mover, leaver] = [await scene.userNamed(5), await scene.userNamed(6)];
    await scene.queue.fold();
    await scene.sql.begin(async (tx) => {
      // As an apply worker is: triggers fire only when they are ENABLE REPLICA or ALWAYS.
      await tx`SET LOCAL session_replication_role = replica`;
      await tx`INSERT INTO user_payments (user_id, amount, status) VALUES (${mover}, 5, 'succeeded'), (${mover}, 6, 'succeeded')`;
      await tx`UPDATE user_payments SET amount = amount + 1 WHERE user_id = ${leaver}`;
      await tx`UPDATE user_subscriptions SET status = 'cancelled' WHERE user_id = ${leaver}`;
      await tx`DELETE FROM user_payments WHERE user_id = ${await scene.userNamed(7)}`;
    });
    expect(await scene.waiting()).toBeGreaterThan(0);
    await scene.expectExact();
  });

  it('counts and mends drift that somebody made past the triggers, and tells the admins until it is gone', async () => {
    const [lost, ghost] = [whole[10]?.userId ?? '', randomUUID()];
    await scene.sql`DELETE FROM queue_members WHERE user_id = ${lost}`;
    await scene.sql`INSERT INTO queue_members (user_id, is_known, payments, lifetime_total, revenue, tenure_number, has_payout, live_payouts, live_gross)
      VALUES (${ghost}, true, 40, 1000000, 1000000, 0, false, 0, 0)`;
    await scene.sql`UPDATE queue_totals SET revenue = revenue + 1`;
    const alerts = () =>
      scene.sql`SELECT severity FROM admin_alerts WHERE category = 'queue_drift' AND closed_at IS NULL`;
    const found = await scene.queue.checkAndMend();
    expect(found).toMatchObject({ isExact: false, driftedMembers: 2 });
    expect(found.examples.sort()).toEqual([lost, ghost].sort());
    expect(found.wrongSums).toContain('totals');
    expect(await alerts()).toEqual([{ severity: 'critical' }]);
    await scene.expectExact();
    expect(await scene.queue.checkAndMend()).toMatchObject({ isExact: true });
    expect(await alerts()).toEqual([]);
  });

  it('knows who stands ahead of its first candidate, whoever wins or loses a payout', async () => {
    const pages = async () => {
      const [first] = await scene.queue.candidates({ limit: 1 });
      const [plain] = await scene.sql<{ id: string; position: string }[]>`
        SELECT user_id AS id, queue_position AS position FROM plain_queue_view
         WHERE is_eligible AND NOT has_received_payout ORDER BY queue_position LIMIT 1`;
      expect([first?.userId, first?.queuePosition]).toEqual([plain?.id, Number(plain?.position)]);
      await scene.expectExact();
      return first?.queuePosition ?? 0;
    };
    const before = await pages();
    const [payout] = await scene.sql<{ id: string }[]>`
      INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
          eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
        SELECT 'PO-2028-00000001', m.user_id, 1, 100000, 'pending_approval', 300, 99700, '{}',
               (SELECT max(id) FROM admin_users), 5000, m.tenure_number, 2, now(), now()
          FROM queue_members m WHERE m.is_candidate ORDER BY m.tenure_start, m.user_id LIMIT 1 RETURNING id`;
    expect(await pages()).toBeGreaterThan(before);
    await scene.sql`UPDATE payout_management SET status = 'cancelled', version = 2 WHERE id = ${payout?.id ?? ''}`;
    expect(await pages()).toBe(before);
    for (const wrong of ['ahead = ahead + 1', 'first_user = NULL'] as const) {
      await scene.sql.unsafe(`UPDATE queue_totals SET ${wrong}`);
      expect(await scene.queue.checkAndMend()).toMatchObject({ isExact: false, wrongSums: ['first'] });
    }
    expect(await pages()).toBe(before);
    await scene.queue.checkAndMend();
  });

  it('is compared with the tables before a decision where their triggers are off, or the table is another one', async () => {
    const userId = await scene.userNamed(10);
    const paid = () => scene.decide(async (queue) => (await queue.find([userId]))[0]?.totalPayments ?? 0);
    const before = await paid();
    await scene.sql`ALTER TABLE user_payments DISABLE TRIGGER queue_added`;
    await scene.pay(userId);
    expect(await scene.waiting()).toBe(0);
    expect(await paid()).toBe(before + 1);
    expect(await scene.queue.fold()).toBe(false);
    expect(await scene.queue.check()).toMatchObject({ isWatched: false });
    await scene.sql`DROP TRIGGER queue_added ON user_payments`;
    await scene.pay(userId);
    // As `npm run queue:rebuild` does: what is missing is set again, and everybody looked at anew.
    const [set] = await scene.sql<{ watched: boolean }[]>`SELECT queue_watch() AS watched`;
    expect(set).toEqual({ watched: true });
    expect(await paid()).toBe(before + 2);
    await scene.expectExact();
  });

  it('works everybody out once in a fold, however often they were touched', async () => {
    const [one, two] = [await scene.userNamed(1), await scene.userNamed(2)];
    const [paid] = await scene.sql<{ payments: number }[]>`
      SELECT count(*)::integer AS payments FROM user_payments WHERE user_id IN (${one}, ${two})`;
    // All on one connection, as each tells what it read when it likes.
    const sql = postgres(databaseUrl(clusterUrl, scene.name), { max: 1, onnotice: () => {} });
    try {
      const read = async () => {
        await sql`SELECT pg_stat_force_next_flush()`;
        const [row] = await sql<
          { rows: string }[]
        >`SELECT pg_stat_get_tuples_fetched('user_payments'::regclass) AS rows`;
        return Number(row?.rows);
      };
      await sql`SELECT queue_fold()`;
      const before = await read();
      await sql`INSERT INTO queue_touched SELECT CASE n % 2 WHEN 0 THEN ${one}::uuid ELSE ${two}::uuid END FROM generate_series(1, 90000) n`;
      await sql`SELECT queue_fold()`;
      const rows = (await read()) - before;
      expect(rows).toBeGreaterThan(0);
      expect(rows).toBeLessThanOrEqual(paid?.payments ?? 0);
      expect(await scene.waiting()).toBe(0);
    } finally {
      await sql.end();
    }
  });

  it('is written by its own functions alone', async () => {
    for (const [role, statement] of [
      ['payout_service', 'DELETE FROM queue_members'],
      ['payout_service', 'UPDATE queue_totals SET revenue = 1'],
      ['payout_service', 'INSERT INTO queue_touched VALUES (NULL)'],
      ['payout_service', 'SELECT queue_refill()'],
      ['payout_service', 'SELECT queue_unwatch()'],
      ['payout_main_app', 'SELECT queue_fold()'],
      ['payout_main_app', 'SELECT * FROM queue_touched'],
    ] as const) {
      const outcome = scene.sql.begin(async (tx) => {
        await tx.unsafe(`SET LOCAL ROLE ${role}`);
        await tx.unsafe(statement);
      });
      await expect(outcome).rejects.toMatchObject({ code: '42501' });
    }
    // And whoever writes payments needs no right on it.
    const userId = await scene.userNamed(9);
    await scene.sql.begin(async (tx) => {
      await tx`SET LOCAL ROLE payout_main_app`;
      await tx`INSERT INTO user_payments (user_id, amount, status) VALUES (${userId}, 5, 'succeeded')`;
    });
    await scene.expectExact();
  });

  it('has no plan that JIT would compile: up to PostgreSQL 17 a step that is forbidden counts as a very long one', async () => {
    const compiled = await scene.sql`
      SELECT proname FROM pg_proc
       WHERE proname LIKE 'queue\\_%' AND array_to_string(proconfig, ' ') ~ 'enable_|force_generic_plan'
         AND NOT 'jit=off' = ANY (proconfig)`;
    expect(compiled.map(({ proname }) => proname as string)).toEqual([]);
  });

  it('is empty after a TRUNCATE, and fills again', async () => {
    await scene.sql`TRUNCATE user_payments`;
    expect(await differences(scene.sql)).toEqual([]);
    expect(await scene.queue.candidates({ limit: 5 })).toEqual([]);
    expect((await scene.queue.totals()).revenueCents).toBe(0);
    await scene.expectExact();
    const userId = await scene.userNamed(2);
    await scene.pay(userId);
    await scene.sql`INSERT INTO kyc_verification (user_id, status, verified_at) VALUES (${userId}, 'verified', '2040-01-01')`;
    expect(await scene.queue.candidates({ limit: 5 })).toMatchObject([{ kycVerified: true }]);
    await scene.expectExact();
    await scene.sql`TRUNCATE kyc_verification`;
    expect(await scene.queue.candidates({ limit: 5 })).toMatchObject([{ kycVerified: false }]);
    await scene.expectExact();
  });
});

it('a fold that began with few members looks each of many up by index', async () => {
  const name = `payout_grown_${process.pid}_${randomBytes(4).toString('hex')}`;
  await createDatabase(clusterUrl, name, inject('templateDatabase'));
  // One connection, as plans are kept by each.
  const sql = postgres(databaseUrl(clusterUrl, name), { max: 1, onnotice: () => {} });
  const members = 2000;
  const grow = async (from: number, to: number) => {
    await sql.unsafe(`
      WITH people AS (INSERT INTO users (email) SELECT 'g' || n || '@example.com' FROM generate_series(${from}, ${to}) n RETURNING id),
           subscribed AS (INSERT INTO user_subscriptions (user_id, status) SELECT id, 'active' FROM people)
      INSERT INTO user_payments (user_id, amount, status) SELECT id, 100000, 'succeeded' FROM people, generate_series(1, 3)`);
    await sql.begin(async (tx) => {
      await tx`SET LOCAL session_replication_role = replica`;
      await tx.unsafe(`
        INSERT INTO payout_management (payout_id, user_id, queue_position, amount, status, retention_fee, net_amount,
            eligibility_check, initiated_by, funding_tranche, tenure_number, required_approvals, created_at, updated_at)
          SELECT 'PO-2026-' || lpad(n::text, 8, '0'), u.id, 1, 100000, 'pending_approval', 300, 99700, '{}', 1, n, 0, 2, now(), now()
            FROM generate_series(${from}, ${to}) n JOIN users u ON u.email = 'g' || n || '@example.com' WHERE n % 4 = 1`);
    });
  };
  const scanned = async () => {
    const [row] = await sql<{ rows: number }[]>`
      SELECT sum(pg_stat_get_tuples_returned(oid))::integer AS rows FROM pg_class
       WHERE relname IN ('users', 'user_payments', 'user_subscriptions', 'queue_members', 'payout_management',
                         'membership_removals', 'kyc_verification')`;
    return row?.rows ?? 0;
  };
  try {
    await sql.unsafe(
      `ALTER TABLE user_payments SET (autovacuum_enabled = off); ALTER TABLE payout_management SET (autovacuum_enabled = off)`,
    );
    await grow(1, 1);
    await sql`ANALYZE`;
    await sql`SELECT queue_fold()`;
    await grow(2, members);
    await sql`SELECT pg_stat_force_next_flush()`;
    const before = await scanned();
    await sql`SELECT queue_fold()`;
    await sql`SELECT pg_stat_force_next_flush()`;
    expect((await scanned()) - before).toBe(0);
    expect((await sql`SELECT members, live_payouts FROM queue_totals`)[0]).toEqual({
      members: String(members),
      live_payouts: String(members / 4),
    });
  } finally {
    await sql.end();
    await dropDatabase(clusterUrl, name);
  }
});

describe('without the right to put triggers on the main app’s tables', () => {
  const name = `payout_untriggered_${process.pid}_${randomBytes(4).toString('hex')}`;
  const role = `${name}_owner`;
  const url = databaseUrl(clusterUrl, name);
  let sql: postgres.Sql;
  beforeAll(async () => {
    // The main app's tables belong to the superuser; ours will belong to a role that may read and refer to them.
    await createDatabase(clusterUrl, name, inject('templateDatabase'));
    sql = postgres(url, { max: 2, onnotice: () => {} });
    const password = randomBytes(12).toString('hex');
    await sql.unsafe(`CREATE ROLE ${role} LOGIN CREATEROLE PASSWORD '${password}'`);
    await sql.unsafe(`ALTER FUNCTION queue_watch OWNER TO ${role}`);
    await sql.unsafe('SELECT queue_unwatch()');
    await sql.unsafe(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`);
    await sql.unsafe(`GRANT INSERT ON queue_touched TO ${role}`);
    await sql.unsafe(
      `GRANT EXECUTE ON FUNCTION queue_log_added, queue_log_row, queue_log_user, queue_log_everybody TO ${role}`,
    );
    await sql.begin(async (tx) => {
      await tx.unsafe(`SET LOCAL ROLE ${role}`);
      const [set] = await tx<{ watched: boolean }[]>`SELECT queue_watch() AS watched`;
      expect(set).toEqual({ watched: false });
    });
    await makePlainView(sql);
    // Nothing is compared yet, so the rollup knows of no revenue, and no payout would be let in.
    await sql`ALTER TABLE payout_management DISABLE TRIGGER payout_award_guard`;
    await sql.unsafe(PEOPLE);
    await sql`ALTER TABLE payout_management ENABLE TRIGGER payout_award_guard`;
  });
  afterAll(async () => {
    await sql.unsafe(`REASSIGN OWNED BY ${role} TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await sql.end();
    await dropDatabase(clusterUrl, name);
  });

  it('a decision compares everybody first, and is exact', async () => {
    const database = new Database({ url, poolSize: 2, role: 'payout_service' });
    const queue = new MemberQueue(database, new TestTime());
    try {
      expect((await queue.totals()).revenueCents).toBe(0);
      const settled = () =>
        database.transaction(async (tx) => {
          await queue.settle(tx);
          return queue.settled(tx).totals();
        });
      const revenue = (await settled()).revenueCents;
      expect(revenue).toBeGreaterThan(0);
      expect(await differences(sql)).toEqual([]);
      await sql`UPDATE user_payments SET status = 'refunded' WHERE id = (
        SELECT id FROM user_payments WHERE status = 'succeeded' AND currency = 'USD' LIMIT 1)`;
      expect((await settled()).revenueCents).toBeLessThan(revenue);
      expect(await differences(sql)).toEqual([]);
      // What changed since the last comparison is no fault, and raises no alert.
      await sql`UPDATE user_payments SET amount = amount + 1`;
      expect(await queue.checkAndMend()).toMatchObject({ isExact: false, isWatched: false });
      expect(await sql`SELECT 1 FROM admin_alerts`).toHaveLength(0);
      expect(await queue.check()).toMatchObject({ isExact: true, isWatched: false });
      // Whoever may at least TRIGGER is told of changes from then on, those that replication brings aside.
      await sql.unsafe(`GRANT TRIGGER ON ALL TABLES IN SCHEMA public TO ${role}`);
      await sql.begin(async (tx) => {
        await tx.unsafe(`SET LOCAL ROLE ${role}`);
        await tx`SELECT queue_watch()`;
      });
      await sql`UPDATE user_payments SET amount = amount + 1`;
      await queue.totals();
      expect(await queue.check()).toMatchObject({ isExact: true, isWatched: true });
    } finally {
      await database.close();
    }
  });
});
