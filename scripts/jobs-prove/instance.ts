/** One instance: a job runner with the house's own code, told the time by its parent, and dying now and then. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { Database } from '../../src/db/client.ts';
import { JobRunner } from '../../src/jobs/job-runner.ts';
import type { Job } from '../../src/jobs/job-table.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLogger } from '../../src/kernel/logger.ts';

export const START_MS = Date.parse('2027-01-01T00:00:00Z');
export const JOBS = ['enclosed', 'in-steps'] as const;
/** Effects of one fire of the job that works in steps. */
export const ITEMS = 4;

/** Far longer than a busy machine keeps a process waiting: only the dead lose it. */
const LEASE_MS = 2500;
const LOOK_EVERY_MS = 50;
/** At each of the points of a run. */
const CHANCE_OF_DEATH = 0.01;

async function perhapsDie(): Promise<void> {
  await sleep(Math.random() * 4);
  if (Math.random() < CHANCE_OF_DEATH) process.kill(process.pid, 'SIGKILL');
}

/** `enclosed` as the eligibility check is, `in-steps` as the removals are: each item a compare-and-set of its own. */
function jobs(database: Database): Job[] {
  const common = {
    summary: 'For the proof.',
    schedule: { kind: 'hourly', minute: 0 },
    limitMs: 60_000,
  } as const;
  return [
    {
      ...common,
      name: JOBS[0],
      enclosed: true,
      run: async (_actor, { slot }) => {
        await perhapsDie();
        await database.transaction((tx) =>
          tx.execute(sql`INSERT INTO effects VALUES (${JOBS[0]}, ${slot.toISOString()}, 1)`),
        );
        await perhapsDie();
        return {};
      },
    },
    {
      ...common,
      name: JOBS[1],
      run: async (_actor, { slot }) => {
        await perhapsDie();
        for (let item = 1; item <= ITEMS; item += 1) {
          await database.transaction(async (tx) => {
            const claimed = await tx.execute(
              sql`INSERT INTO items VALUES (${slot.toISOString()}, ${item}, true) ON CONFLICT DO NOTHING RETURNING item`,
            );
            await perhapsDie();
            if (claimed.length > 0)
              await tx.execute(sql`INSERT INTO effects VALUES (${JOBS[1]}, ${slot.toISOString()}, ${item})`);
          });
          await perhapsDie();
        }
        return {};
      },
    },
  ];
}

export function runInstance(): void {
  const skewMs = Number(process.env['PROOF_SKEW_MS']);
  let nowMs = START_MS;
  const clock = { now: () => new Date(nowMs + skewMs) };
  const database = new Database({
    url: process.env['PROOF_URL'] ?? '',
    poolSize: 3,
    role: 'payout_service',
  });
  // On its schedule from a moment at which no instance's clock has come to the first slot.
  // The proof's time is none that the database knows, so what it says of clocks is about each other's alone.
  const runner = new JobRunner(
    { database, clock, machineClock: systemClock, logger: silentLogger, jobs: jobs(database) },
    LEASE_MS,
  );
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    // A run that was taken over while this process was slow is no fault of the proof's.
    await runner.runMissed().catch(() => undefined);
    isLooking = false;
  };
  process.on('message', (message: number) => {
    nowMs = message;
    void look();
  });
  process.on('disconnect', () => process.exit(0));
  setInterval(() => void look(), LOOK_EVERY_MS);
  process.send?.('up');
}
