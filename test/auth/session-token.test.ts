import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { sessionCookieNames, sessionTokenIn } from '../../src/auth/session-token.ts';

describe('the token of a session', () => {
  const SECRET = 'a-secret-of-at-least-32-characters-x';
  const token = randomBytes(16).toString('hex');
  const signed = `${token}.${createHmac('sha256', SECRET).update(token).digest('base64')}`;
  const signedAs = (text: string) => `${text}.${createHmac('sha256', SECRET).update(text).digest('base64')}`;
  const otherCase = (signed.split('.')[1] ?? '').replace(/[a-z]/i, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
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
    ['another case of the signature', { authorization: `Bearer ${token}.${otherCase}` }, plain, null],
    ['a signature that is too long', { authorization: `Bearer ${signed}x` }, plain, null],
    ['a signature of as many letters and more bytes', { authorization: `Bearer ${token}.${'é'.repeat(44)}` }, plain, null],
    ['a token of one letter', { authorization: `Bearer ${signedAs('a')}` }, plain, 'a'],
    ['a token with dots', { authorization: `Bearer ${signedAs('a.b.c')}` }, plain, 'a.b.c'],
    ['a token with a percent sign that encodes nothing', { authorization: `Bearer ${signedAs('100%')}` }, plain, '100%'],
    ['a bearer after more than one space', { authorization: `Bearer   ${signed}` }, plain, token],
    ['another scheme that ends like it', { authorization: `x-Bearer ${signed}` }, plain, null],
    ['a bearer with a word after it', { authorization: `Bearer ${signed} more` }, plain, null],
    ['a cookie with spaces about it', { cookie: `a=b;  better-auth.session_token = ${signed} ` }, plain, token],
    ['a cookie with a quote on one side', { cookie: `better-auth.session_token="${encoded}` }, plain, null],
    ['a cookie with a quote on the other side', { cookie: `better-auth.session_token=${encoded}"` }, plain, null],
    ['a cookie without a value', { cookie: 'better-auth.session_token' }, plain, null],
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
