import { errors, jwtVerify } from 'jose';
import type { Database } from '../db/client.ts';
import type { CallerActor, PersonActor, ServiceActor } from '../kernel/actor.ts';
import { DomainError } from '../kernel/errors.ts';
import { SessionReader, type SessionRow } from './session-reader.ts';
import { bearerIn, sessionTokenIn, type SignInHeaders } from './session-token.ts';

const MACHINE_AUDIENCE = 'payout-service';

/** Who calls, and what else their sign-in says. */
export interface Caller {
  actor: CallerActor;
  /** Null for a machine, which signs each token anew. */
  signedInSecondsAgo: number | null;
  /** Why this person may do nothing for now, although we know who they are. */
  barred?: string;
}

export interface SignInTerms {
  secret: string;
  /** The names of the cookie, the likeliest first. */
  cookieNames: readonly string[];
  stepUpMinutes: number;
  staffIdleMinutes: number;
  staffSessionHours: number;
}

/** Finds out who is calling. Session and role are read from the database at every request: nothing is remembered. */
export class Callers {
  readonly #sessions: SessionReader;
  readonly #terms: SignInTerms;
  readonly #jwtSecret: Uint8Array;
  readonly #jwtExpirySeconds: number;

  constructor(database: Database, terms: SignInTerms, jwt: { secret: string; expirySeconds: number }) {
    this.#sessions = new SessionReader(database);
    this.#terms = terms;
    this.#jwtSecret = new TextEncoder().encode(jwt.secret);
    this.#jwtExpirySeconds = jwt.expirySeconds;
  }

  /** Null where the request carries no valid sign-in. Throws UNAUTHENTICATED where the reason can be told. */
  async identify(headers: SignInHeaders): Promise<Caller | null> {
    const bearer = bearerIn(headers);
    if (bearer !== undefined && bearer.split('.').length === 3) {
      const actor = await this.#machine(bearer);
      return actor && { actor, signedInSecondsAgo: null };
    }
    const token = sessionTokenIn(headers, this.#terms.secret, this.#terms.cookieNames);
    const session = token === null ? undefined : await this.#sessions.find(token);
    return session === undefined || session.banned ? null : this.#person(session);
  }

  async #person(session: SessionRow): Promise<Caller> {
    const { userId, email, adminId, adminIds, role } = session;
    if (session.impersonated) throw ended('This session acts in somebody else’s name. Sign in as yourself.');
    const signedInSecondsAgo = session.ageSeconds;
    if (adminId === null || role === null)
      return { actor: { kind: 'member', userId, email }, signedInSecondsAgo };
    const { staffIdleMinutes, staffSessionHours } = this.#terms;
    if (session.ageSeconds > staffSessionHours * 3600)
      throw ended(`You signed in more than ${staffSessionHours} hours ago. Sign in again.`);
    if (session.idleSeconds > staffIdleMinutes * 60)
      throw ended(`You did nothing here for more than ${staffIdleMinutes} minutes. Sign in again.`);
    if (session.touchDue) await this.#sessions.touch(session.sessionId);
    const otherAdminIds = adminIds?.filter((id) => id !== adminId) ?? [];
    const staff = { kind: 'staff', userId, email, adminId, role } as const;
    const actor: PersonActor = otherAdminIds.length > 0 ? { ...staff, otherAdminIds } : staff;
    if (session.twoFactors !== false) return { actor, signedInSecondsAgo };
    return {
      actor,
      signedInSecondsAgo,
      barred: 'Staff sign in with two factors. Set up the second one, then sign in again.',
    };
  }

  /** Throws STEP_UP_REQUIRED where the sign-in is too old for an act that moves money or shows numbers. */
  assertRecent({ signedInSecondsAgo }: Caller): void {
    const minutes = this.#terms.stepUpMinutes;
    if (minutes === 0 || signedInSecondsAgo === null || signedInSecondsAgo <= minutes * 60) return;
    throw new DomainError(
      'STEP_UP_REQUIRED',
      `This wants a sign-in of the last ${minutes} minutes. Sign in again and repeat it.`,
    );
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

const ended = (message: string): DomainError => new DomainError('UNAUTHENTICATED', message);
