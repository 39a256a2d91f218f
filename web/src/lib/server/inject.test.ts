import { describe, expect, it } from 'vitest';
import { answerOf, parseSetCookie } from './inject.ts';

describe('cookies of an in-process answer', () => {
  it('keep their attributes', () => {
    expect(parseSetCookie('session=a=b; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=60')).toEqual({ name: 'session', value: 'a=b', options: { path: '/', httpOnly: true, secure: true, sameSite: 'strict', maxAge: 60 } });
  });
  it('are left out where the header has no name', () => {
    expect(parseSetCookie('=x')).toBeUndefined();
  });
});

describe('an in-process answer', () => {
  it('becomes what fetch gives, without its cookies', async () => {
    const answer = answerOf({ statusCode: 409, headers: { 'content-type': 'application/json', 'set-cookie': 's=1', 'content-length': 2 }, rawPayload: new TextEncoder().encode('{}') });
    expect([answer.status, await answer.json(), answer.headers.get('set-cookie')]).toEqual([409, {}, null]);
  });
  it('has no body where the status allows none', () => {
    expect(answerOf({ statusCode: 204, headers: {}, rawPayload: new Uint8Array() }).body).toBeNull();
  });
});
