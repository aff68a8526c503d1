import { createHmac } from 'node:crypto';
import type { Database, Tx } from '../db/client.ts';
import { canonicalJson } from '../kernel/canonical-json.ts';
import { addDays } from '../kernel/calendar.ts';
import type { Clock } from '../kernel/clock.ts';
import { crashPoint } from '../kernel/crash-points.ts';
import { DomainError } from '../kernel/errors.ts';
import {
  deleteKeysBefore,
  findKey,
  insertKey,
  releaseKey,
  storeAnswer,
  tryLockKey,
  type KeyRow,
  type KeyScope,
} from './idempotency-store.ts';

/** An answer as it left: byte for byte. */
export interface StoredAnswer {
  status: number;
  body: Buffer;
}

export interface KeyedRequest extends KeyScope {
  body: unknown;
  /** Kept for ever: a payout must not be initiated, approved, sent or confirmed again by an old request. */
  permanent: boolean;
}

const KEPT_DAYS = 2;
/** A run without an answer after this long has died: its instance was killed. */
const DEAD_AFTER_MS = 900_000;

/** Makes a mutation happen once for each Idempotency-Key (specification, section 11). */
export class IdempotencyKeys {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #secret: string;

  constructor(database: Database, clock: Clock, secret: string) {
    this.#database = database;
    this.#clock = clock;
    this.#secret = secret;
  }

  /**
   * Runs `effect` and keeps its answer in the same transaction: after a crash either both are there or neither. A
   * refusal is not kept, so that the request can be sent again when its cause has gone; one that itself changed
   * something is kept, as `refused` puts it. Throws IDEMPOTENCY_IN_PROGRESS and IDEMPOTENCY_KEY_REUSED.
   */
  async once(
    request: KeyedRequest,
    effect: () => Promise<StoredAnswer>,
    refused: (error: DomainError) => StoredAnswer,
  ): Promise<StoredAnswer & { replayed: boolean }> {
    return this.#database.enclose(async (tx) => {
      const known = await this.#claim(tx, request);
      crashPoint('key-claimed');
      if (known) return { ...known, replayed: true };
      const answer = await effect().catch((error: unknown) => {
        if (error instanceof DomainError && error.keepsEffects) return refused(error);
        throw error;
      });
      crashPoint('answer-made');
      await insertKey(tx, { ...this.#row(request), ...answer });
      crashPoint('key-stored');
      return { ...answer, replayed: false };
    });
  }

  /**
   * For work of many transactions, such as a job: the key is taken first, the answer kept afterwards. A run that was
   * killed in between frees its key after a while; what it did it does not do twice by its own nature.
   */
  async onceRecorded(
    request: KeyedRequest,
    effect: () => Promise<StoredAnswer>,
  ): Promise<StoredAnswer & { replayed: boolean }> {
    const known = await this.#database.transaction(async (tx) => {
      const answer = await this.#claim(tx, request);
      if (!answer) await insertKey(tx, this.#row(request));
      return answer;
    });
    if (known) return { ...known, replayed: true };
    try {
      const answer = await effect();
      await this.#database.transaction((tx) => storeAnswer(tx, request, answer));
      return { ...answer, replayed: false };
    } catch (error) {
      await this.#database.transaction((tx) => releaseKey(tx, request));
      throw error;
    }
  }

  /** The answer that the key has already, if it has one. Holds the key until the transaction ends. */
  async #claim(tx: Tx, request: KeyedRequest): Promise<StoredAnswer | undefined> {
    if (!(await tryLockKey(tx, request))) throw inProgress();
    const row = await findKey(tx, request);
    if (!row) return undefined;
    if (row.requestHmac !== this.#hmac(request.body)) {
      throw new DomainError(
        'IDEMPOTENCY_KEY_REUSED',
        'This Idempotency-Key was used before with another body. Use a new key.',
      );
    }
    if (row.status !== null && row.body !== null) return { status: row.status, body: row.body };
    return this.#bury(tx, request, row);
  }

  async #bury(tx: Tx, scope: KeyScope, row: KeyRow): Promise<undefined> {
    if (this.#clock.now().getTime() - row.createdAt.getTime() < DEAD_AFTER_MS) throw inProgress();
    await releaseKey(tx, scope);
  }

  #row({ caller, route, key, body, permanent }: KeyedRequest) {
    return { caller, route, key, permanent, requestHmac: this.#hmac(body), createdAt: this.#clock.now() };
  }

  /** The body itself is not kept: it may hold a bank account. */
  #hmac(body: unknown): string {
    return createHmac('sha256', this.#secret).update(canonicalJson(body)).digest('hex');
  }

  /** Forgets what need not be kept. Returns how many keys. */
  forgetOld(): Promise<number> {
    return this.#database.transaction((tx) => deleteKeysBefore(tx, addDays(this.#clock.now(), -KEPT_DAYS)));
  }
}

const inProgress = () =>
  new DomainError(
    'IDEMPOTENCY_IN_PROGRESS',
    'A request with this Idempotency-Key is still running. Send it again in a moment.',
  );
