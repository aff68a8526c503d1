import { errors, jwtVerify, SignJWT } from 'jose';
import type { PersonActor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { isForStaff, type TemplateName } from './mail-templates.ts';

/** What a link in a message is for. It gives no rights: the person signs in all the same. */
export type LinkPurpose =
  | 'payout'
  | 'bank-info'
  | 'address'
  | 'tax-info'
  | 'receipt'
  | 'tax-forms'
  | 'membership'
  | 'queue'
  | 'approval'
  | 'tax-review'
  | 'notifications'
  | 'alerts';

const AUDIENCE = 'payout-link';

/** Where each message leads: in the portal, or in the dashboard if it is to staff. */
const PURPOSES: Record<TemplateName, LinkPurpose> = {
  winner: 'payout',
  'bank-info-wanted': 'bank-info',
  'address-wanted': 'address',
  'tax-info-wanted': 'tax-info',
  'tax-form-rejected': 'tax-info',
  'bank-details-changed': 'bank-info',
  'payment-sent': 'payout',
  'payment-confirmed': 'receipt',
  'payment-failed': 'payout',
  'removal-notice': 'membership',
  'membership-removed': 'membership',
  'form-1099-ready': 'tax-forms',
  'payouts-available': 'queue',
  'payouts-created': 'payout',
  'approval-wanted': 'approval',
  'approval-reminder': 'approval',
  'w9-to-review': 'tax-review',
  'payment-delayed': 'payout',
  'manual-review': 'payout',
  'dead-letter': 'notifications',
  'staff-notice': 'alerts',
  'critical-failure': 'alerts',
};

export interface LinkTerms {
  secret: string;
  expirySeconds: number;
  memberPortalUrl: string;
  adminDashboardUrl: string;
}

/** Makes the links in messages and tells what they were for. */
export class Links {
  readonly #terms: LinkTerms;
  readonly #secret: Uint8Array;
  readonly #clock: Clock;

  constructor(terms: LinkTerms, clock: Clock) {
    this.#terms = terms;
    this.#secret = new TextEncoder().encode(terms.secret);
    this.#clock = clock;
  }

  /** The address that a message leads to. */
  async linkFor(template: TemplateName, userId: string, payoutId: string | null): Promise<string> {
    const url = new URL(isForStaff(template) ? this.#terms.adminDashboardUrl : this.#terms.memberPortalUrl);
    if (payoutId !== null) url.searchParams.set('payout', payoutId);
    url.searchParams.set('token', await this.#sign(userId, payoutId, PURPOSES[template]));
    return url.href;
  }

  #sign(userId: string, payoutId: string | null, purpose: LinkPurpose): Promise<string> {
    const now = Math.floor(this.#clock.now().getTime() / 1000);
    return new SignJWT({ purpose, ...(payoutId === null ? {} : { payoutId }) })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(userId)
      .setAudience(AUDIENCE)
      .setIssuedAt(now)
      .setExpirationTime(now + this.#terms.expirySeconds)
      .sign(this.#secret);
  }

  /** What the link was for, told only to the person it was sent to. Throws LINK_INVALID. */
  async verify(
    actor: PersonActor,
    token: string,
  ): Promise<{ purpose: LinkPurpose; payoutId: string | null }> {
    try {
      const { payload } = await jwtVerify(token, this.#secret, {
        algorithms: ['HS256'],
        audience: AUDIENCE,
        subject: actor.userId,
        currentDate: this.#clock.now(),
      });
      return {
        purpose: payload['purpose'] as LinkPurpose,
        payoutId: (payload['payoutId'] as string | undefined) ?? null,
      };
    } catch (error) {
      const late = error instanceof errors.JWTExpired;
      throw new DomainError(
        'LINK_INVALID',
        late
          ? 'The link is too old. Sign in, or ask for a new message.'
          : 'The link is not valid for you. Sign in as the person it was sent to.',
      );
    }
  }
}
