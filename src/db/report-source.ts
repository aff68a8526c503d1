import { errorFields, type Logger } from '../kernel/logger.ts';
import type { Database, Reader } from './client.ts';
import { isConnectionFailure, isRetryable } from './errors.ts';

const LOOK_EVERY_MS = 2000;
const LOOK_LIMIT_MS = 2000;
/** A report may lack what happened in so short a time, and no more. */
const MOST_LAG_MS = 30_000;

/** Where reports read. Nothing is decided by what comes from here. */
export interface ReportSource {
  read<T>(work: (reader: Reader) => Promise<T>): Promise<T>;
}

export const readPrimary = (database: Pick<Database, 'reader'>): ReportSource => ({
  read: (work) => work(database.reader),
});

/** Whether the replica answers, and how far it is behind; undefined while that is not known. */
export interface ReplicaState {
  isUp: boolean;
  lagSeconds: number | undefined;
}

/**
 * A streaming replica for reports. It is asked again and again how far it has come, measured by what the primary had
 * written at a known moment: so one that is cut off is seen too. While it is away or too far behind, reports read the
 * primary.
 */
export class ReplicaReports implements ReportSource {
  readonly #primary: Database;
  readonly #replica: Database;
  readonly #logger: Logger;
  /** Positions of the primary that the replica has not been seen at yet, oldest first. */
  #ahead: { at: number; position: bigint }[] = [];
  #state: ReplicaState = { isUp: false, lagSeconds: undefined };
  #isKnown = false;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(primary: Database, replica: Database, logger: Logger) {
    this.#primary = primary;
    this.#replica = replica;
    this.#logger = logger;
  }

  get state(): ReplicaState {
    return this.#state;
  }

  get isGoodEnough(): boolean {
    const { isUp, lagSeconds } = this.#state;
    return isUp && lagSeconds !== undefined && lagSeconds * 1000 <= MOST_LAG_MS;
  }

  /** Looks once, and from then on every two seconds. */
  async start(): Promise<void> {
    await this.look();
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.start(), LOOK_EVERY_MS).unref();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async read<T>(work: (reader: Reader) => Promise<T>): Promise<T> {
    if (!this.isGoodEnough) return work(this.#primary.reader);
    try {
      return await work(this.#replica.reader);
    } catch (error) {
      // A replica also cancels what stands in the way of what it replays (SQLSTATE 40001).
      if (!isConnectionFailure(error) && !isRetryable(error)) throw error;
      this.#say({ isUp: false, lagSeconds: undefined }, error);
      return work(this.#primary.reader);
    }
  }

  async look(): Promise<void> {
    const at = performance.now();
    try {
      const [written] = await within(
        this.#primary.sql<{ position: string }[]>`SELECT pg_current_wal_lsn() - '0/0' AS position`,
      );
      this.#ahead.push({ at, position: BigInt(written?.position ?? 0) });
    } catch {
      // Without the primary nothing new is written; its own check says that it is away.
    }
    try {
      const [row] = await within(
        this.#replica.sql<{ position: string | null }[]>`
          SELECT pg_last_wal_replay_lsn() - '0/0' AS position WHERE pg_is_in_recovery()`,
      );
      if (!row?.position) throw new Error('DATABASE_REPLICA_URL names no replica.');
      const reached = BigInt(row.position);
      this.#ahead = this.#ahead.filter(({ position }) => position > reached);
      const oldest = this.#ahead[0];
      this.#say({ isUp: true, lagSeconds: oldest ? (performance.now() - oldest.at) / 1000 : 0 });
    } catch (error) {
      this.#say({ isUp: false, lagSeconds: undefined }, error);
    }
    // Who is long behind is measured by the oldest position; those between need not be kept.
    if (this.#ahead.length > 100) this.#ahead.splice(1, 50);
  }

  #say(state: ReplicaState, error?: unknown): void {
    const wasGood = this.isGoodEnough;
    const isFirst = !this.#isKnown;
    this.#isKnown = true;
    this.#state = state;
    if (!isFirst && wasGood === this.isGoodEnough) return;
    if (this.isGoodEnough) this.#logger.info('Reports read the replica.');
    else
      this.#logger.warn('The replica is away or too far behind: reports read the primary.', {
        ...(error === undefined ? {} : errorFields(error)),
      });
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('It took too long to answer.')), LOOK_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
