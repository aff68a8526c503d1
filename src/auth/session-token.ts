/** Reads the signed session token of a request as Better Auth 1.7 does, without asking anybody. */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** What is read of a request's headers. */
export interface SignInHeaders {
  authorization?: string | undefined;
  cookie?: string | undefined;
}

/** HMAC-SHA-256 in base64: 32 bytes. */
const SIGNATURE_LENGTH = 44;

/**
 * The names under which a browser may bring the session. Where the address is https only the `__Secure-` one counts: a
 * plain one could have been planted by an unencrypted page of the same domain.
 */
export function sessionCookieNames(plainName: string, https: boolean): readonly string[] {
  const secure = `__Secure-${plainName}`;
  return https ? [secure] : [plainName, secure];
}

/** The token of the session that these headers bring under a valid signature; a bearer goes before a cookie. */
export function sessionTokenIn(
  headers: SignInHeaders,
  secret: string,
  cookieNames: readonly string[],
): string | null {
  const bearer = bearerIn(headers);
  const fromBearer = bearer === undefined ? null : signedToken(bearer, secret);
  if (fromBearer !== null) return fromBearer;
  for (const name of cookieNames) {
    const value = cookieNamed(headers.cookie ?? '', name);
    const token = value === undefined ? null : signedToken(value, secret);
    if (token !== null) return token;
  }
  return null;
}

export const bearerIn = ({ authorization }: SignInHeaders): string | undefined =>
  /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];

/** `token.signature`, perhaps percent-encoded; the token where the signature is ours. */
function signedToken(text: string, secret: string): string | null {
  const signed = decoded(text);
  const end = signed.lastIndexOf('.');
  if (end < 1 || signed.length - end - 1 !== SIGNATURE_LENGTH) return null;
  const token = signed.slice(0, end);
  const given = Buffer.from(signed.slice(end + 1), 'utf8');
  const wanted = Buffer.from(createHmac('sha256', secret).update(token).digest('base64'), 'utf8');
  return given.length === wanted.length && timingSafeEqual(given, wanted) ? token : null;
}

function decoded(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The first cookie of this name: a browser sends the one of the most specific path first. */
function cookieNamed(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=');
    if (at > 0 && pair.slice(0, at).trim() === name)
      return pair
        .slice(at + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1');
  }
  return undefined;
}
