import { hostname } from 'node:os';
import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { alertStaff } from '../notifications/alert-staff.ts';

const LOOK_EVERY_MS = 5000;
/** One that takes longer to say one word is lost as well. */
const ANSWER_LIMIT_MS = 10_000;
/** A database that comes and goes is lost once: the alert closes when it has stayed for so long. */
const STEADY_MS = 300_000;
/** More than the network explains, and enough to set links, leases and dates wrong. */
const SKEW_LIMIT_MS = 5000;
/** Half of the limit closes the alert, so that a clock at the limit does not raise one after another. */
const SKEW_CLOSES_MS = SKEW_LIMIT_MS / 2;

/**
 * What each instance sees for itself and no job can: that the database was lost, told once it is back, and how far this
 * instance's clock is from the database's, to which all are compared.
 */
export class InstanceWatch {
  readonly #database: Database;
  /** The service's time, which may have been moved. */
  readonly #clock: Clock;
  /** The time of this machine. */
  readonly #machineClock: Clock;
  readonly #logger: Logger;
  readonly #name: string;
  #lostAt: Date | undefined;
  /** Since when the database has answered without a break; undefined once that has been long enough. */
  #backSince: number | undefined;
  #isSkewed: boolean | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(deps: {
    database: Database;
    clock: Clock;
    machineClock: Clock;
    logger: Logger;
    /** What tells this instance from the others; the machine's name unless said. */
    name?: string;
  }) {
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#machineClock = deps.machineClock;
    this.#logger = deps.logger;
    this.#name = deps.name ?? hostname();
    this.#backSince = this.#machineClock.now().getTime();
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#looking ??= this.look().finally(() => {
        this.#looking = undefined;
      });
    }, LOOK_EVERY_MS);
  }

  /** A clock that is gone is wrong no more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    if (this.#isSkewed) await this.#noteSkew(0).catch(() => undefined);
  }

  /** Looks once. Never throws: a database that does not answer is what it looks for. */
  async look(): Promise<void> {
    const late = setTimeout(() => {
      this.#lostAt ??= this.#clock.now();
    }, ANSWER_LIMIT_MS).unref();
    try {
      const skewMs = await this.#skewMs();
      clearTimeout(late);
      await this.#noteBack();
      await this.#noteSkew(skewMs);
    } catch (error) {
      this.#lostAt ??= this.#clock.now();
      this.#logger.warn('The database does not answer.', errorFields(error));
    } finally {
      clearTimeout(late);
    }
  }

  /** How far this machine's clock is ahead of the database's, less what the question itself took. */
  async #skewMs(): Promise<number> {
    const before = this.#machineClock.now().getTime();
    const [row] = await this.#database.sql<
      { ms: number }[]
    >`SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float AS ms`;
    const after = this.#machineClock.now().getTime();
    const skew = (before + after) / 2 - (row?.ms ?? Number.NaN);
    return Math.sign(skew) * Math.max(0, Math.abs(skew) - (after - before) / 2);
  }

  async #noteBack(): Promise<void> {
    const at = this.#clock.now();
    const lostAt = this.#lostAt;
    if (lostAt) {
      await this.#database.transaction((tx) =>
        alertStaff(tx, {
          severity: 'critical',
          category: 'database_lost',
          title: 'The database was lost',
          message: `The database did not answer from ${lostAt.toISOString()} on. It has been back since ${at.toISOString()}.`,
          details: { lostAt: lostAt.toISOString(), backAt: at.toISOString(), instance: this.#name },
          subject: 'database',
          at,
        }),
      );
      this.#lostAt = undefined;
      this.#backSince = this.#machineClock.now().getTime();
    }
    if (this.#backSince === undefined || this.#machineClock.now().getTime() - this.#backSince < STEADY_MS)
      return;
    await this.#database.transaction((tx) => closeAlert(tx, 'database_lost', 'database', at));
    this.#backSince = undefined;
  }

  async #noteSkew(skewMs: number): Promise<void> {
    const distance = Math.abs(skewMs);
    const isSkewed = distance > SKEW_LIMIT_MS;
    if (!isSkewed && distance > SKEW_CLOSES_MS) return;
    if (isSkewed === this.#isSkewed) return;
    const at = this.#clock.now();
    const seconds = (distance / 1000).toFixed(1);
    await this.#database.transaction(async (tx) => {
      if (!isSkewed) return closeAlert(tx, 'clock_skew', this.#name, at);
      await alertStaff(tx, {
        severity: 'warning',
        category: 'clock_skew',
        title: `The clock of ${this.#name} is wrong`,
        message: `The clock of ${this.#name} is ${seconds} seconds ${skewMs > 0 ? 'ahead of' : 'behind'} the database’s. Set it by NTP.`,
        details: { instance: this.#name, skewMs: Math.round(skewMs) },
        subject: this.#name,
        at,
      });
    });
    this.#isSkewed = isSkewed;
  }
}
