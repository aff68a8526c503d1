/** Two requests at once against three instances, again and again until every order has been seen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { Caller, type Answer } from '../support/caller.ts';
import { invariantFaults } from '../support/invariants.ts';
import { startCast, Stories, type Cast, type Story } from '../support/stories.ts';
import { startTestService, type TestService } from '../support/test-service.ts';

const LEAST_ROUNDS = 3;
const MOST_ROUNDS = 40;
const POLL_MS = 10;
/** By how much one of the two is ahead: from nothing to more than a request takes. */
const LEADS_MS = [0, 3, 8, 15, 30] as const;

export interface Race {
  /** Every outcome that may be: `what the first was told; what the second was told; the status afterwards`. */
  outcomes: readonly string[];
  /** Those that need not be seen. */
  rare?: readonly string[];
  arrange: () => Promise<Story>;
  first: (story: Story, round: number) => Promise<Answer>;
  second: (story: Story, round: number) => Promise<Answer>;
  /** Looks closer at what came out. */
  check?: (story: Story, outcome: string) => Promise<void>;
}

export class RaceTrack {
  readonly cast: Cast;
  readonly stories: Stories;
  readonly #instances: TestService[];

  private constructor(cast: Cast, beside: TestService[]) {
    this.cast = cast;
    this.stories = new Stories(cast);
    this.#instances = [cast.service, ...beside];
  }

  static async open(funded: number): Promise<RaceTrack> {
    const cast = await startCast({ funded });
    const beside = await Promise.all([1, 2].map(() => startTestService({ beside: cast.service })));
    return new RaceTrack(cast, beside);
  }

  async close(): Promise<void> {
    for (const instance of this.#instances.toReversed()) await instance.stop();
  }

  /** The same person, calling one of the three instances. */
  via(caller: Caller, instance: number): Caller {
    const { token, email, userId, adminId } = caller;
    const { url } = this.#instances[instance % this.#instances.length] ?? this.cast.service;
    return new Caller(url, { token, email, userId, adminId });
  }

  faults(): Promise<string[]> {
    return invariantFaults(this.cast.service.sql);
  }

  /**
   * Keeps a request open when all is done but its commit, and starts another meanwhile: the order that chance brings
   * about once in a thousand. Its key is held by a transaction of ours, so it waits where it stores its answer.
   */
  async whileOpen(
    caller: Caller,
    path: string,
    body: unknown,
    meanwhile: () => Promise<Answer>,
  ): Promise<[Answer, Answer]> {
    const { sql } = this.cast.service;
    const key = `open-${caller.userId}`;
    const holder = await sql.reserve();
    try {
      await holder`BEGIN`;
      const [row] = await holder<{ xid: string }[]>`
        INSERT INTO idempotency_keys (caller, route, key, request_hmac, permanent, created_at)
        VALUES (${`user:${caller.userId}`}, ${`POST ${path}`}, ${key}, '', false, now())
        RETURNING pg_current_xact_id()::text AS xid`;
      const open = this.via(caller, 0).post(path, body, { 'idempotency-key': key });
      await until(async () => (await waitersFor(sql, row?.xid ?? '')) > 0);
      const other = meanwhile();
      // It either ends, or waits for the open one; neither takes longer than this.
      await Promise.race([other, sleep(500)]);
      await holder`ROLLBACK`;
      return await Promise.all([open, other]);
    } finally {
      holder.release();
    }
  }
}

/** Who starts, and how far ahead, changes from round to round, until every outcome has been seen. */
export async function expectOutcomes(track: RaceTrack, race: Race): Promise<void> {
  const wanted = race.outcomes.filter((outcome) => !race.rare?.includes(outcome));
  const seen = new Set<string>();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    if (round >= LEAST_ROUNDS && wanted.every((outcome) => seen.has(outcome))) break;
    const story = await race.arrange();
    const late = async (act: Race['first']): Promise<Answer> => {
      await sleep(LEADS_MS[Math.floor(round / 2) % LEADS_MS.length]);
      return act(story, round);
    };
    const [first, second] = await (round % 2 === 0
      ? Promise.all([race.first(story, round), late(race.second)])
      : Promise.all([late(race.first), race.second(story, round)]));
    const outcome = `${said(first)}; ${said(second)}; ${await track.stories.statusOf(story.payoutId)}`;
    expect(race.outcomes, `round ${round}`).toContain(outcome);
    expect(await track.faults(), outcome).toEqual([]);
    await race.check?.(story, outcome);
    seen.add(outcome);
  }
  const unseen = wanted.filter((outcome) => !seen.has(outcome));
  expect(unseen, `never seen in ${MOST_ROUNDS} rounds`).toEqual([]);
}

/** Status, code of the error, and whether it was a replay. */
export const said = ({ status, body, headers }: Answer): string =>
  [status, body?.error?.code, headers.get('idempotency-replayed') === 'true' ? 'replayed' : undefined]
    .filter((part) => part !== undefined)
    .join(' ');

export function counted(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[said(answer)] = (counts[said(answer)] ?? 0) + 1;
  return counts;
}

export const keyed = (key: string) => ({ 'idempotency-key': key });
export const on = (payoutId: string, action: string): string => `/api/payouts/${payoutId}/${action}`;

async function waitersFor(sql: TestService['sql'], xid: string): Promise<number> {
  const rows = await sql`
    SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted AND transactionid::text = ${xid}`;
  return rows.length;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; !(await isSo()); waitedMs += POLL_MS) {
    if (waitedMs > 10_000) throw new Error('The request never came to its last step.');
    await sleep(POLL_MS);
  }
}
