/**
 * `npm run jobs:prove`: five instances, processes of their own with clocks up to 10 minutes apart, run two jobs that are
 * due every hour, and are killed in the middle of them. Then every slot's effects are counted. `-- --quick` for a few
 * dozen of the 1,000 fires. Exit status 1 when an effect is missing or there twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { createDatabase, databaseUrl } from '../test/support/databases.ts';
import { InstanceProcess } from './jobs-prove/instance-process.ts';
import { withThrowawayServer } from './throwaway-server.ts';
import { ITEMS, JOBS, runInstance, START_MS } from './jobs-prove/instance.ts';

const DATABASE = 'proof';
const QUICK = process.argv.includes('--quick');
const HOURS = QUICK ? 20 : 500;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** Minutes by which each instance's clock is ahead. */
const SKEWS = [-5, -2.5, 0, 2.5, 5];
/** Minutes around the hour at which all clocks are moved on: each instance comes to the hour at another one. */
const STEPS = [-6, -4, -2, 0, 2, 4, 6];
/** Every so often all instances are killed before the hour, and come back after it. */
const ALL_DOWN_EVERY = QUICK ? 8 : 50;
const SLOT_LIMIT_MS = 120_000;
const PROGRESS_EVERY = 50;

const say = (line: string) => process.stdout.write(`${line}\n`);
const figure = (name: string, value: number | string) => say(`${name.padEnd(52)}${value}`);

class Proof {
  readonly #url: string;
  readonly #sql: postgres.Sql;
  #instances: InstanceProcess[] = [];
  #nowMs = START_MS;
  isEnding = false;
  kills = 0;
  caughtUp = 0;

  constructor(url: string, sql: postgres.Sql) {
    this.#url = url;
    this.#sql = sql;
  }

  async start(): Promise<void> {
    this.#instances = await Promise.all(SKEWS.map((_minutes, index) => this.#startOne(index)));
  }

  /** An instance that dies is followed by another with the same clock. */
  async #startOne(index: number): Promise<InstanceProcess> {
    const skewMs = (SKEWS[index] ?? 0) * MINUTE_MS;
    const instance = await InstanceProcess.start(this.#url, skewMs, this.#nowMs);
    void instance.ended.then(async () => {
      if (this.isEnding) return;
      this.kills += 1;
      const next = await this.#startOne(index);
      if (this.isEnding) next.end();
      this.#instances[index] = next;
    });
    return instance;
  }

  #moveTo(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const instance of this.#instances) instance.tell(nowMs);
  }

  async hour(number: number): Promise<void> {
    const hourMs = START_MS + number * HOUR_MS;
    if (number % ALL_DOWN_EVERY === 0) {
      for (const instance of this.#instances) instance.kill();
      this.#moveTo(hourMs + 10 * MINUTE_MS);
      this.caughtUp += JOBS.length;
    } else {
      for (const minutes of STEPS) {
        this.#moveTo(hourMs + minutes * MINUTE_MS);
        await sleep(Math.random() * 15);
      }
    }
    await this.#untilDone(new Date(hourMs));
  }

  async #untilDone(slot: Date): Promise<void> {
    const giveUpAt = performance.now() + SLOT_LIMIT_MS;
    const sql = this.#sql;
    while (performance.now() < giveUpAt) {
      const done = await sql`SELECT 1 FROM job_runs WHERE slot = ${slot} AND status = 'succeeded'`;
      if (done.length >= JOBS.length) return;
      await sleep(10);
    }
    say(`Nobody has run everything of ${slot.toISOString()}.`);
  }

  end(): void {
    this.isEnding = true;
    for (const instance of this.#instances) instance.end();
  }
}

async function prepare(url: string): Promise<postgres.Sql> {
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  // No constraint keeps an effect from being there twice: only the jobs do.
  await sql`CREATE TABLE effects (job text NOT NULL, slot timestamptz NOT NULL, item integer NOT NULL)`;
  await sql`CREATE TABLE items (slot timestamptz, item integer, is_done boolean NOT NULL, PRIMARY KEY (slot, item))`;
  await sql`GRANT SELECT, INSERT, UPDATE ON effects, items TO payout_service`;
  return sql;
}

/** How often each effect that should be there once is there. */
async function judge(sql: postgres.Sql): Promise<{ wanted: number; missing: number; doubled: number }> {
  const counts = await sql<{ wanted: number; missing: number; doubled: number }[]>`
    WITH slots AS (
      SELECT ${new Date(START_MS)}::timestamptz + n * interval '1 hour' AS slot FROM generate_series(1, ${HOURS}::int) n
    ), wanted AS (
      SELECT 'enclosed' AS job, slot, 1 AS item FROM slots
      UNION ALL SELECT 'in-steps', slot, item FROM slots, generate_series(1, ${ITEMS}::int) item
    ), found AS (
      SELECT w.job, w.slot, w.item, (SELECT count(*) FROM effects e
        WHERE (e.job, e.slot, e.item) = (w.job, w.slot, w.item)) AS times FROM wanted w
    )
    SELECT count(*)::int AS wanted, count(*) FILTER (WHERE times = 0)::int AS missing,
           count(*) FILTER (WHERE times > 1)::int AS doubled FROM found`;
  return counts[0] ?? { wanted: 0, missing: 1, doubled: 0 };
}

async function prove(url: string): Promise<boolean> {
  const began = performance.now();
  const sql = await prepare(url);
  const proof = new Proof(url, sql);
  try {
    await proof.start();
    for (let number = 1; number <= HOURS; number += 1) {
      await proof.hour(number);
      if (number % PROGRESS_EVERY === 0) say(`… ${number * JOBS.length} fires, ${proof.kills} kills`);
    }
    const [runs] = await sql<{ fires: number; taken: number; succeeded: number; most: number }[]>`
      SELECT count(DISTINCT (job, slot))::int AS fires, count(*) FILTER (WHERE attempts > 1)::int AS taken,
             count(*) FILTER (WHERE status = 'succeeded')::int AS succeeded, max(attempts) AS most FROM job_runs`;
    const { wanted, missing, doubled } = await judge(sql);
    const fires = HOURS * JOBS.length;
    figure('instances', SKEWS.length);
    figure('minutes between their clocks, at most', Math.max(...SKEWS) - Math.min(...SKEWS));
    figure('fires', fires);
    figure('instances killed', proof.kills);
    figure('fires in which an instance died, taken over', runs?.taken ?? 0);
    figure('most instances that one fire took', runs?.most ?? 0);
    figure('fires missed while all were down, caught up', proof.caughtUp);
    figure('fires that succeeded', runs?.succeeded ?? 0);
    figure('effects wanted', wanted);
    figure('effects missing', missing);
    figure('effects there twice', doubled);
    figure('seconds', Math.round((performance.now() - began) / 1000));
    // A clock that is ahead may have begun the hour after the last one: more have run then than were wanted.
    return missing === 0 && doubled === 0 && (runs?.succeeded ?? 0) >= fires;
  } finally {
    proof.end();
    await sql.end();
  }
}

// The same file is what each instance runs.
if (process.send) runInstance();
else {
  await withThrowawayServer(async ({ url, templateDatabase }) => {
    await createDatabase(url, DATABASE, templateDatabase);
    if (!(await prove(databaseUrl(url, DATABASE)))) process.exitCode = 1;
  });
}
