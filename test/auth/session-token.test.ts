import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sessionCookieNames, sessionTokenIn } from '../../src/auth/session-token.ts';

describe('the token of a session', () => {
  const SECRET = 'a-secret-of-at-least-32-characters-x';
  const token = randomBytes(16).toString('hex');
  const signed = `${token}.${createHmac('sha256', SECRET).update(token).digest('base64')}`;
  const encoded = encodeURIComponent(signed);
  const plain = sessionCookieNames('better-auth.session_token', false);
  const secure = sessionCookieNames('better-auth.session_token', true);
  const read = (headers: object, names = plain) => sessionTokenIn(headers, SECRET, names);

  it.each<[string, object, readonly string[], string | null]>([
    ['a bearer', { authorization: `Bearer ${signed}` }, plain, token],
    ['an encoded bearer in lower case', { authorization: `bearer ${encoded}` }, plain, token],
    ['a cookie among others', { cookie: `a=b; better-auth.session_token=${encoded}; c=d` }, plain, token],
    ['a quoted cookie', { cookie: `better-auth.session_token="${encoded}"` }, plain, token],
    ['a secure cookie', { cookie: `__Secure-better-auth.session_token=${encoded}` }, secure, token],
    ['a secure cookie behind a proxy that ends TLS', { cookie: `__Secure-better-auth.session_token=${encoded}` }, plain, token],
    ['a plain cookie where the address is https', { cookie: `better-auth.session_token=${encoded}` }, secure, null],
    ['a cookie beside a bad bearer', { authorization: 'Bearer x.y', cookie: `better-auth.session_token=${encoded}` }, plain, token],
    ['the first of two cookies of the name', { cookie: `better-auth.session_token=x; better-auth.session_token=${encoded}` }, plain, null],
    ['a name that only ends like it', { cookie: `x-better-auth.session_token=${encoded}` }, plain, null],
    ['another case of the signature', { authorization: `Bearer ${signed.toLowerCase()}x` }, plain, null],
    ['no signature', { authorization: `Bearer ${token}.` }, plain, null],
    ['nothing before the signature', { authorization: `Bearer .${signed.split('.')[1]}` }, plain, null],
    ['bad encoding', { cookie: 'better-auth.session_token=%E0%A4%A' }, plain, null],
    ['nothing', {}, plain, null],
  ])('is read from %s', (_, headers, names, wanted) => {
    expect(read(headers, names)).toBe(wanted);
  }); // prettier-ignore

  it('is not read under another secret', () => {
    expect(sessionTokenIn({ authorization: `Bearer ${signed}` }, `${SECRET}y`, plain)).toBeNull();
  });
});
