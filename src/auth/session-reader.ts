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

  /** Columns that the main app's schema may lack are read by `to_jsonb`, where they are then null. */
  async find(token: string): Promise<SessionRow | undefined> {
    const [row] = await this.#database.sql<SessionRow[]>`
      SELECT s.id AS "sessionId", u.id AS "userId", u.email, a.id AS "adminId", a.role,
             extract(epoch FROM now() - s.created_at)::float8 AS "ageSeconds",
             extract(epoch FROM now() - coalesce(seen.last_seen_at, s.created_at))::float8 AS "idleSeconds",
             coalesce(seen.last_seen_at < now() - interval '1 minute', true) AS "touchDue",
             coalesce(to_jsonb(u)->>'banned' IN ('true', 't', '1'), false) AS banned,
             to_jsonb(s)->>'impersonated_by' IS NOT NULL AS impersonated,
             CASE WHEN jsonb_exists(to_jsonb(u), 'two_factor_enabled')
                  THEN coalesce(to_jsonb(u)->>'two_factor_enabled' = 'true', false) END AS "twoFactors"
        FROM sessions s
        JOIN users u ON u.id = s.user_id
        LEFT JOIN admin_users a ON a.user_id = u.id AND a.is_active
        LEFT JOIN session_activity seen ON seen.session_id = s.id
       WHERE s.token = ${token} AND s.expires_at > now()`;
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
