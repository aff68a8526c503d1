/** One round trip that tells who a session belongs to, what they are, and how old it is. */
import DataLoader from 'dataloader';
import type { Database } from '../db/client.ts';
import type { StaffRole } from '../kernel/actor.ts';

/** A session that has not expired, and its person. Ages are the database's: real time, whatever the service's clock. */
export interface SessionRow {
  sessionId: string;
  userId: string;
  email: string;
  adminId: number | null;
  role: StaffRole | null;
  /** Of all rows of the person in `admin_users`; null for a member. */
  adminIds: readonly number[] | null;
  /** Since signing in. */
  ageSeconds: number;
  /** Since the last request of this session to this service, or since signing in. */
  idleSeconds: number;
  /** Has it not been noted for a minute? */
  touchDue: boolean;
  banned: boolean;
  /** Somebody else works in this person's name (Better Auth's admin plugin in the main app). */
  impersonated: boolean;
  /** Null where the shared schema knows no second factor. */
  twoFactors: boolean | null;
}

/** Keeps a statement short, however many requests come at once. */
const MOST_TOGETHER = 100;

export class SessionReader {
  readonly #database: Database;
  readonly #together: DataLoader<string, SessionRow | undefined>;

  constructor(database: Database) {
    this.#database = database;
    this.#together = new DataLoader((tokens) => this.#findAll(tokens), {
      // Nothing is remembered: every request has its session read after it came in.
      cache: false,
      maxBatchSize: MOST_TOGETHER,
      batchScheduleFn: setImmediate,
    });
  }

  /** Requests that come in the same turn of the event loop are answered by one statement. */
  find(token: string): Promise<SessionRow | undefined> {
    return this.#together.load(token);
  }

  async #findAll(tokens: readonly string[]): Promise<(SessionRow | undefined)[]> {
    const rows = await this.#database.sql<(SessionRow & { token: string })[]>`
      SELECT given.token, session_id AS "sessionId", user_id AS "userId", email, admin_id AS "adminId", role, admin_ids AS "adminIds",
             age_seconds AS "ageSeconds", idle_seconds AS "idleSeconds", touch_due AS "touchDue", banned, impersonated,
             two_factors AS "twoFactors"
        FROM jsonb_array_elements_text(${JSON.stringify([...new Set(tokens)])}::text::jsonb) AS given(token),
             session_caller(given.token)`;
    const sessions = new Map(rows.map(({ token, ...session }) => [token, session]));
    return tokens.map((token) => sessions.get(token));
  }

  /** Notes that the session is in use, and forgets those that have long ended. */
  async touch(sessionId: string): Promise<void> {
    await this.#database.sql`
      WITH forgotten AS (DELETE FROM session_activity WHERE last_seen_at < now() - interval '30 days')
      INSERT INTO session_activity (session_id, last_seen_at) VALUES (session_key(${sessionId}), now())
      ON CONFLICT (session_id) DO UPDATE
        SET last_seen_at = greatest(session_activity.last_seen_at, excluded.last_seen_at)`;
  }
}
