import { eq, sql } from 'drizzle-orm';
import { errors, jwtVerify } from 'jose';
import type { Reader } from '../db/client.ts';
import { adminUsers, users } from '../db/schema/index.ts';
import type { CallerActor, PersonActor, ServiceActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';
import type { Auth } from './better-auth.ts';

const MACHINE_AUDIENCE = 'payout-service';

/** Finds out who is calling. Session and role are read from the database at every request: nothing is remembered. */
export class Callers {
  readonly #auth: Auth;
  readonly #reader: Reader;
  readonly #jwtSecret: Uint8Array;
  readonly #jwtExpirySeconds: number;

  constructor(auth: Auth, reader: Reader, jwt: { secret: string; expirySeconds: number }) {
    this.#auth = auth;
    this.#reader = reader;
    this.#jwtSecret = new TextEncoder().encode(jwt.secret);
    this.#jwtExpirySeconds = jwt.expirySeconds;
  }

  /** Returns null where the request carries no valid sign-in. */
  async identify(headers: Headers): Promise<CallerActor | null> {
    const bearer = /^bearer\s+(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
    if (bearer !== undefined && bearer.split('.').length === 3) return this.#machine(bearer);
    const session = await this.#auth.api.getSession({ headers, query: { disableRefresh: true } });
    return session ? this.#person(session.user.id) : null;
  }

  async #person(userId: string): Promise<PersonActor | null> {
    const [row] = await this.#reader
      .select({
        email: users.email,
        adminId: adminUsers.id,
        role: adminUsers.role,
        // The main app may keep a ban; where its schema has no such column this reads as null.
        banned: sql<string | null>`to_jsonb(${users})->>'banned'`,
      })
      .from(users)
      .leftJoin(adminUsers, sql`${adminUsers.userId} = ${users.id} AND ${adminUsers.isActive}`)
      .where(eq(users.id, userId));
    if (!row || row.banned === 'true') return null;
    if (row.adminId === null || row.role === null) return { kind: 'member', userId, email: row.email };
    return { kind: 'staff', userId, email: row.email, adminId: row.adminId, role: row.role };
  }

  async #machine(token: string): Promise<ServiceActor | null> {
    try {
      const { payload } = await jwtVerify(token, this.#jwtSecret, {
        algorithms: ['HS256'],
        audience: MACHINE_AUDIENCE,
        requiredClaims: ['sub', 'iat', 'scope'],
        maxTokenAge: this.#jwtExpirySeconds,
      });
      if (typeof payload['scope'] !== 'string' || !payload.sub) return null;
      return { kind: 'service', subject: payload.sub, scopes: payload['scope'].split(' ').filter(Boolean) };
    } catch (error) {
      if (error instanceof errors.JOSEError) return null;
      throw new DomainError('INTERNAL', 'The token could not be read.', undefined, { cause: error });
    }
  }
}
