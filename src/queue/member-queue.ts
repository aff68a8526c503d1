import { closeAlert } from '../alerts/raise-alert.ts';
import type { Database, Reader, Tx } from '../db/client.ts';
import type { Clock } from '../kernel/clock.ts';
import { alertStaff } from '../notifications/alert-staff.ts';
import type { QueueMember, QueueTotals } from './queue-member.ts';
import {
  allowTime,
  countAhead,
  findDrifted,
  findMembers,
  findMembersExactly,
  findWrongSums,
  fold,
  readCandidates,
  readCandidatesAndTotals,
  readState,
  readTotals,
  recount,
  slices,
  touchDrifted,
  watch,
  type CandidateQuery,
  type Glance,
} from './queue-store.ts';

/** What a comparison of the rollup with the tables found. */
export interface QueueCheck {
  isExact: boolean;
  /** Do triggers tell us of every change? */
  isWatched: boolean;
  driftedMembers: number;
  /** Some of them. */
  examples: string[];
  /** Days and totals that are not what their members add up to. */
  wrongSums: string[];
}

const MOST_EXAMPLES = 20;

/**
 * The queue as it is at this moment, at the same cost for a million members as for ten thousand: read from a rollup,
 * and folded first whenever somebody was touched since (docs/queue.md).
 */
export class MemberQueue {
  readonly #database: Database;
  readonly #clock: Clock;

  constructor(database: Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * For a decision: from here on the transaction finds everything in the queue that was committed before, and whoever
   * folds waits for its end. Where the main app's tables are not watched, all members are compared with them first.
   */
  async settle(tx: Tx): Promise<void> {
    if (await fold(tx)) return;
    for (const slice of slices) await touchDrifted(tx, slice);
    await fold(tx);
  }

  candidates(query: CandidateQuery): Promise<QueueMember[]> {
    return this.#exact((reader) => readCandidates(reader, query));
  }

  /** Both of one moment, in one journey. */
  candidatesAndTotals(query: CandidateQuery): Promise<{ members: QueueMember[]; totals: QueueTotals }> {
    return this.#exact((reader) => readCandidatesAndTotals(reader, query));
  }

  find(userIds: readonly string[]): Promise<QueueMember[]> {
    return findMembersExactly(this.#database.reader, userIds);
  }

  totals(): Promise<QueueTotals> {
    return this.#exact(readTotals);
  }

  /** The same within a transaction that has settled the queue. */
  settled(tx: Tx) {
    return {
      candidates: async (query: CandidateQuery) => (await readCandidates(tx, query)).value,
      find: (userIds: readonly string[]) => findMembers(tx, userIds),
      totals: async () => (await readTotals(tx)).value,
      countAhead: (userIds: readonly string[]) => countAhead(tx, userIds),
    };
  }

  /** Folds what waits, however long that takes. False where the main app's tables are not watched. */
  async fold(): Promise<boolean> {
    const { isWaiting, isWatched } = await readState(this.#database.reader);
    if (!isWaiting) return isWatched;
    return this.#database.transaction(async (tx) => {
      await allowTime(tx);
      return fold(tx);
    });
  }

  /** Sets the triggers that are missing; for the tables' owner. False where nothing tells us of changes. */
  watch(): Promise<boolean> {
    return watch(this.#database.reader);
  }

  /** Compares every member with the tables, slice by slice; changes nothing. */
  async check(): Promise<QueueCheck> {
    const { reader } = this.#database;
    const isWatched = await this.fold();
    const examples: string[] = [];
    let driftedMembers = 0;
    for (const slice of slices) {
      const drifted = await findDrifted(reader, slice, MOST_EXAMPLES);
      driftedMembers += drifted.count;
      examples.push(...drifted.userIds);
    }
    const wrongSums = await findWrongSums(reader);
    return {
      isExact: driftedMembers === 0 && wrongSums.length === 0,
      isWatched,
      driftedMembers,
      examples: examples.slice(0, MOST_EXAMPLES),
      wrongSums: wrongSums.slice(0, MOST_EXAMPLES),
    };
  }

  /** Mends what differs, slice by slice, while the service runs. Returns how many members differed. */
  async rebuild(): Promise<number> {
    const { reader } = this.#database;
    await this.fold();
    let mended = 0;
    for (const slice of slices) {
      mended += await touchDrifted(reader, slice);
      await this.fold();
    }
    await recount(reader);
    return mended;
  }

  /** The daily check: a critical alert while the last one found drift, and the drift mended. */
  async checkAndMend(): Promise<QueueCheck> {
    const found = await this.check();
    // Where nothing tells us of changes, what changed since the last comparison is no fault.
    const isFault = found.wrongSums.length > 0 || (found.isWatched && found.driftedMembers > 0);
    if (!found.isExact) await this.rebuild();
    await this.#database.transaction(async (tx) => {
      const at = this.#clock.now();
      if (!isFault) return closeAlert(tx, 'queue_drift', 'all', at);
      await alertStaff(tx, {
        severity: 'critical',
        category: 'queue_drift',
        title: 'The queue was not what the payments say',
        message: `${found.driftedMembers.toLocaleString('en-US')} members and ${found.wrongSums.length.toLocaleString('en-US')} sums differed, and were mended. Something changed the tables past the triggers: compare payouts initiated since the check before.`,
        details: { ...found },
        subject: 'all',
        at,
      });
    });
    return found;
  }

  /** Within a transaction that encloses the request, the fold is a part of it. */
  async #exact<T>(look: (reader: Reader) => Promise<Glance<T>>): Promise<T> {
    const glance = await look(this.#database.reader);
    if (!glance.isWaiting) return glance.value;
    await fold(this.#database.reader);
    return (await look(this.#database.reader)).value;
  }
}
