/** One round trip that tells who a session belongs to, what they are, and how old it is. */
import type { Database } from '../db/client.ts';
import type { StaffRole } from '../kernel/actor.ts';

/** A session that has not expired, and its person. Ages are the database's: real time, whatever the service's clock. */
export interface SessionRow {
  sessionId: string;
  userId: string;
  email: string;
  adminId: number | null;
  role: StaffRole | null;
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

export class SessionReader {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(token: string): Promise<SessionRow | undefined> {
    const [row] = await this.#database.sql<SessionRow[]>`
      SELECT session_id AS "sessionId", user_id AS "userId", email, admin_id AS "adminId", role,
             age_seconds AS "ageSeconds", idle_seconds AS "idleSeconds", touch_due AS "touchDue", banned, impersonated,
             two_factors AS "twoFactors"
        FROM session_caller(${token})`;
    return row;
  }

  /** Notes that the session is in use, and forgets those that have long ended. */
  async touch(sessionId: string): Promise<void> {
    await this.#database.sql`
      WITH forgotten AS (DELETE FROM session_activity WHERE last_seen_at < now() - interval '30 days')
      INSERT INTO session_activity (session_id, last_seen_at) VALUES (${sessionId}, now())
      ON CONFLICT (session_id) DO UPDATE
        SET last_seen_at = greatest(session_activity.last_seen_at, excluded.last_seen_at)`;
  }
}
