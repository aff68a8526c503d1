import { eq, sql } from 'drizzle-orm';
import { recordAudit } from '../audit/record-audit.ts';
import type { Database } from '../db/client.ts';
import { serviceState } from '../db/schema/index.ts';
import type { CallerActor } from '../kernel/actor.ts';
import { addDuration } from '../kernel/calendar.ts';
import { systemClock, type MovableClock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';

const OFFSET = 'demo_clock_offset_ms';
const DEMO = 'demo_data';
const CHANNEL = 'payout_demo_clock';
const LOOK_EVERY_MS = 1000;
const FARTHEST_MS = 50 * 366 * 86_400_000;

/** Is this a database of demo data? */
export async function holdsDemoData(database: Database): Promise<boolean> {
  const [row] = await database.reader.select().from(serviceState).where(eq(serviceState.name, DEMO));
  return row?.value === true;
}

export async function markDemoData(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.insert(serviceState).values({ name: DEMO, value: true }).onConflictDoNothing();
  });
}

/** Moves the service's clock on, in all instances, for demo data only. */
export class DemoClock {
  readonly #database: Database;
  readonly #clock: MovableClock;
  /** Runs what fell due. */
  readonly #afterMove: () => Promise<void>;

  constructor(database: Database, clock: MovableClock, afterMove: () => Promise<void>) {
    this.#database = database;
    this.#clock = clock;
    this.#afterMove = afterMove;
  }

  /** Takes over how far another instance, or an earlier run, has moved the clock. */
  async follow(): Promise<void> {
    const [row] = await this.#database.reader
      .select()
      .from(serviceState)
      .where(eq(serviceState.name, OFFSET));
    if (typeof row?.value === 'number') this.#clock.setOffsetMs(row.value);
  }

  /** Follows from now on: told at once, and looking now and then in case that a word was lost. */
  async keepFollowing(onError: (error: unknown) => void): Promise<() => Promise<void>> {
    const follow = () => void this.follow().catch(onError);
    await this.follow();
    const timer = setInterval(follow, LOOK_EVERY_MS);
    const listening = await this.#database.sql.listen(CHANNEL, follow, follow);
    return async () => {
      clearInterval(timer);
      await listening.unlisten();
    };
  }

  /** `advance`: an ISO 8601 duration. Returns the service's new time. Throws VALIDATION_ERROR. */
  async advance(actor: CallerActor, advance: string): Promise<{ now: string }> {
    await this.#database.transaction(async (tx) => {
      await tx.insert(serviceState).values({ name: OFFSET, value: 0 }).onConflictDoNothing();
      const [row] = await tx.select().from(serviceState).where(eq(serviceState.name, OFFSET)).for('update');
      const realNow = systemClock.now().getTime();
      const before = new Date(realNow + Number(row?.value ?? 0));
      const offsetMs = moved(before, advance).getTime() - realNow;
      if (offsetMs > FARTHEST_MS) throw badDuration('goes beyond 50 years');
      await tx.update(serviceState).set({ value: offsetMs }).where(eq(serviceState.name, OFFSET));
      await tx.execute(sql`SELECT pg_notify(${CHANNEL}, '')`);
      this.#clock.setOffsetMs(offsetMs);
      await recordAudit(tx, {
        actor,
        at: this.#clock.now(),
        entityType: 'clock',
        entityId: 'demo',
        action: 'advanced',
        newValues: { offsetMs },
      });
    });
    await this.#afterMove();
    return { now: this.#clock.now().toISOString() };
  }
}

function moved(from: Date, advance: string): Date {
  try {
    return addDuration(from, advance);
  } catch {
    throw badDuration('must be an ISO 8601 duration that goes forward, such as P12M');
  }
}

const badDuration = (message: string) =>
  new DomainError('VALIDATION_ERROR', `advance ${message}.`, { issues: [{ path: 'body.advance', message }] });
