import { beforeAll, expect, test } from 'vitest';
import { createAuthenticator } from '../../../test/authenticator.ts';
import { cookieOf, HOST, openDoor, SAME_SITE, type Door } from '../../../test/door.ts';
import type { Http } from '../../platform/index.ts';
import { hasAdministrator } from './identity-store.ts';
import { mintToken } from './tokens.ts';

let door: Door;
let http: Http;
let clock: Door['clock'];
beforeAll(async () => {
  door = await openDoor();
  ({ http, clock } = door);
  return () => door.close();
});

test('a one-time link makes an account with a password once, and the session it gives works until sign-out', async () => {
  const code = await door.invite(['operator'], 'Ada Ahmed');
  const shown = await http.inject({ url: `/api/invitations/${code}` });
  expect(shown.json()).toMatchObject({ name: 'Ada Ahmed', positions: ['operator'] });
  const short = await http.inject({ method: 'POST', url: `/api/invitations/${code}/password`, payload: { name: 'Ada', password: 'short' } });
  expect(short.json()).toMatchObject({ status: 400, field: 'password' });
  const [first, second] = await Promise.all(
    [1, 2].map((n) => http.inject({ method: 'POST', url: `/api/invitations/${code}/password`, headers: SAME_SITE, payload: { name: `Ada ${n}`, password: 'a sentence is fine' } })),
  );
  expect([first?.statusCode, second?.statusCode].sort()).toEqual([200, 410]);
  const winner = (first?.statusCode === 200 ? first : second) as NonNullable<typeof first>;
  expect(String(winner.headers['set-cookie'])).toMatch(/^__Host-clerestory=[0-9a-z]{32}; .*Path=\/.*HttpOnly; Secure; SameSite=Strict/);
  const cookie = cookieOf(winner);
  expect((await http.inject({ url: '/api/session', headers: { cookie } })).json()).toMatchObject({ principal: { kind: 'person', positions: ['operator'] } });
  expect((await http.inject({ url: `/api/invitations/${code}` })).json()).toMatchObject({ code: 'auth.link-spent' });
  expect((await http.inject({ method: 'POST', url: '/api/sign-out', headers: { ...SAME_SITE, cookie } })).statusCode).toBe(204);
  expect((await http.inject({ url: '/api/session', headers: { cookie } })).json()).toMatchObject({ principal: { kind: 'anonymous' } });
  expect((await http.inject({ url: '/api/sessions', headers: { cookie } })).json()).toMatchObject({ status: 401, code: 'auth.invalid' });
});

test('sign-in by password ignores case and spaces of the name, refuses a wrong password, and slows down guessing', async () => {
  await door.join('Berta Braun', 'correct horse battery', 'supervisor');
  const signIn = (name: string, password: string) => http.inject({ method: 'POST', url: '/api/sign-in/password', headers: SAME_SITE, payload: { name, password } });
  expect((await signIn('  berta   BRAUN ', 'correct horse battery')).json()).toMatchObject({ principal: { name: 'Berta Braun', positions: ['supervisor'] } });
  const wrong = await signIn('Berta Braun', 'wrong');
  const nobody = await signIn('Nobody', 'wrong');
  expect(wrong.json<{ detail: string }>().detail).toBe(nobody.json<{ detail: string }>().detail);
  for (let tries = 0; tries < 10; tries += 1) await signIn('Berta Braun', 'wrong');
  const slowed = await signIn('Berta Braun', 'correct horse battery');
  expect(slowed.statusCode).toBe(429);
  expect(Number(slowed.headers['retry-after'])).toBeGreaterThan(0);
  clock.advance(16 * 60_000);
  expect((await signIn('Berta Braun', 'correct horse battery')).statusCode).toBe(200);
});

test('two people cannot have the same name, however it is written', async () => {
  await door.join('Cem Can', 'correct horse battery', 'operator');
  const code = await door.invite(['operator'], '');
  const response = await http.inject({ method: 'POST', url: `/api/invitations/${code}/password`, headers: SAME_SITE, payload: { name: 'CEM  CAN', password: 'another long one' } });
  expect(response.json()).toMatchObject({ status: 409, code: 'auth.name-taken' });
  expect((await http.inject({ url: `/api/invitations/${code}` })).statusCode).toBe(200);
});

test('a request with a cookie that changes something must come from a page of this server', async () => {
  const cookie = await door.join('Dora Dahl', 'correct horse battery', 'administrator');
  const invite = (headers: Record<string, string>) =>
    http.inject({ method: 'POST', url: '/api/people/invitations', headers: { host: HOST, cookie, ...headers }, payload: { positions: ['operator'] } });
  expect((await invite({})).json()).toMatchObject({ code: 'auth.cross-site' });
  expect((await invite({ 'sec-fetch-site': 'cross-site' })).json()).toMatchObject({ code: 'auth.cross-site' });
  expect((await invite({ 'sec-fetch-site': 'same-site' })).json()).toMatchObject({ code: 'auth.cross-site' });
  expect((await invite({ origin: 'https://evil.example' })).json()).toMatchObject({ code: 'auth.cross-site' });
  expect((await invite({ origin: 'null' })).json()).toMatchObject({ code: 'auth.cross-site' });
  expect((await invite({ origin: `http://${HOST}` })).statusCode).toBe(201);
  expect((await invite({ 'sec-fetch-site': 'same-origin' })).statusCode).toBe(201);
  const elsewhere = await http.inject({
    method: 'POST',
    url: '/api/sign-in/password',
    headers: { host: HOST, 'sec-fetch-site': 'cross-site' },
    payload: { name: 'Dora Dahl', password: 'correct horse battery' },
  });
  expect(elsewhere.json()).toMatchObject({ code: 'auth.cross-site' });
});

test('a session ends after twelve idle hours, after three days in any case, and when it is revoked', async () => {
  const cookie = await door.join('Emil Ek', 'correct horse battery', 'operator');
  const signedIn = async (): Promise<boolean> =>
    (await http.inject({ url: '/api/session', headers: { cookie } })).json<{ principal: { kind: string } }>().principal.kind === 'person';
  for (let hours = 0; hours < 66; hours += 11) {
    clock.advance(11 * 3_600_000);
    expect(await signedIn()).toBe(true);
  }
  clock.advance(7 * 3_600_000);
  expect(await signedIn()).toBe(false);

  const signIn = async () =>
    cookieOf(await http.inject({ method: 'POST', url: '/api/sign-in/password', headers: SAME_SITE, payload: { name: 'Emil Ek', password: 'correct horse battery' } }));
  const idle = await signIn();
  clock.advance(12 * 3_600_000 + 1);
  expect((await http.inject({ url: '/api/sessions', headers: { cookie: idle } })).statusCode).toBe(401);

  const [mine, other] = [await signIn(), await signIn()];
  const sessions = (await http.inject({ url: '/api/sessions', headers: { cookie: mine } })).json<{ id: string; current: boolean }[]>();
  expect(sessions.map((session) => session.current).sort()).toEqual([false, true]);
  const target = sessions.find((session) => !session.current);
  expect((await http.inject({ method: 'DELETE', url: `/api/sessions/${target?.id}`, headers: { ...SAME_SITE, cookie: mine } })).statusCode).toBe(204);
  expect((await http.inject({ url: '/api/sessions', headers: { cookie: other } })).statusCode).toBe(401);
});

test('a passkey signs in without a name, and neither a replay nor another key does', async () => {
  const code = await door.invite(['case_worker'], '');
  const authenticator = createAuthenticator(`http://${HOST}`);
  const begun = (await http.inject({ method: 'POST', url: `/api/invitations/${code}/passkey/options`, headers: SAME_SITE, payload: { name: 'Fatou Fall' } })).json<{
    challengeId: string;
    options: { challenge: string; rp: { id: string } };
  }>();
  expect(begun.options.rp.id).toBe('localhost');
  const joined = await http.inject({
    method: 'POST',
    url: `/api/invitations/${code}/passkey/finish`,
    headers: SAME_SITE,
    payload: { challengeId: begun.challengeId, response: authenticator.register(begun.options) },
  });
  expect(joined.json()).toMatchObject({ principal: { name: 'Fatou Fall', positions: ['case_worker'] } });

  const begin = async () =>
    (await http.inject({ method: 'POST', url: '/api/sign-in/passkey/options', headers: SAME_SITE })).json<{ challengeId: string; options: { challenge: string; rpId: string } }>();
  const finish = (challengeId: string, response: unknown) =>
    http.inject({ method: 'POST', url: '/api/sign-in/passkey/finish', headers: SAME_SITE, payload: { challengeId, response } });
  const { challengeId, options } = await begin();
  const answer = authenticator.signIn(options);
  expect((await finish(challengeId, answer)).json()).toMatchObject({ principal: { name: 'Fatou Fall' } });
  expect((await finish(challengeId, answer)).json()).toMatchObject({ status: 401, code: 'auth.invalid' });
  expect((await finish((await begin()).challengeId, answer)).json()).toMatchObject({ code: 'auth.invalid' });

  const stranger = createAuthenticator(`http://${HOST}`, authenticator.credentialId);
  const again = await begin();
  expect((await finish(again.challengeId, stranger.signIn(again.options))).json()).toMatchObject({ code: 'auth.invalid' });
  const elsewhere = await begin();
  expect((await finish(elsewhere.challengeId, authenticator.signIn(elsewhere.options, 'http://evil.example'))).json()).toMatchObject({ code: 'auth.invalid' });
  expect((await finish((await begin()).challengeId, { id: 5 })).json()).toMatchObject({ code: 'auth.invalid' });
});

test('at an IP address passkeys are not offered, and the answer says why', async () => {
  const at = (host: string) => http.inject({ url: '/api/sign-in', headers: { host } });
  expect((await at('127.0.0.1:8080')).json()).toMatchObject({ password: true, passkey: false, passkeyHindrance: expect.stringContaining('127.0.0.1') as unknown });
  expect((await at('[::1]:8080')).json()).toMatchObject({ passkey: false });
  expect((await at('city.example')).json()).toMatchObject({ passkey: false, passkeyHindrance: expect.stringContaining('https') as unknown });
  expect((await at('localhost:8080')).json()).toEqual({ password: true, passkey: true, passkeyHindrance: null, service: null, secondFactor: 'optional' });
  const begun = await http.inject({ method: 'POST', url: '/api/sign-in/passkey/options', headers: { host: '127.0.0.1:8080' } });
  expect(begun.json()).toMatchObject({ status: 400, code: 'auth.passkey-not-here' });
});

test('disabling a person signs them out and keeps them out; the last administrator stays', async () => {
  const administrator = await door.join('Gro Gran', 'correct horse battery', 'administrator');
  const operator = await door.join('Hugo Hill', 'correct horse battery', 'operator');
  const people = (await http.inject({ url: '/api/people', headers: { cookie: administrator } })).json<{ id: string; name: string; positions: string[]; disabled: boolean }[]>();
  const idOf = (name: string): string => people.find((person) => person.name === name)?.id ?? 'per_nobody';
  const disable = (name: string) => http.inject({ method: 'POST', url: `/api/people/${idOf(name)}/disable`, headers: { ...SAME_SITE, cookie: administrator } });
  expect((await disable('Hugo Hill')).statusCode).toBe(204);
  expect((await http.inject({ url: '/api/sessions', headers: { cookie: operator } })).statusCode).toBe(401);
  expect(
    (await http.inject({ method: 'POST', url: '/api/sign-in/password', headers: SAME_SITE, payload: { name: 'Hugo Hill', password: 'correct horse battery' } })).statusCode,
  ).toBe(401);
  for (const person of people) if (person.positions.includes('administrator') && person.name !== 'Gro Gran') expect((await disable(person.name)).statusCode).toBe(204);
  expect((await disable('Gro Gran')).json()).toMatchObject({ status: 409, code: 'auth.last-administrator' });
  expect((await disable('Nobody')).statusCode).toBe(404);
  expect(await hasAdministrator(door.handle.db)).toBe(true);
  expect((await http.inject({ url: '/api/people', headers: { cookie: operator } })).statusCode).toBe(401);
});

test('a token of the command line works at once, carries its purpose, and can be revoked', async () => {
  const token = mintToken(door.dataFolder, { position: 'device', purpose: 'city-operations' });
  const principal = await door.identity.authenticateToken(token);
  expect(principal).toMatchObject({ kind: 'token', positions: ['device'], purpose: 'city-operations' });
  expect(await door.identity.authenticateToken(token)).toEqual(principal);
  const session = await http.inject({ url: '/api/session', headers: { authorization: `Bearer ${token}` } });
  expect(session.json()).toMatchObject({ principal: { kind: 'token' }, expiresAt: null });
  expect((await http.inject({ url: '/api/sessions', headers: { authorization: `Bearer ${token}` } })).json()).toMatchObject({ code: 'auth.forbidden' });

  const administrator = mintToken(door.dataFolder, { position: 'administrator' });
  const revoked = await http.inject({ method: 'POST', url: '/api/tokens/revoke', headers: { authorization: `Bearer ${administrator}` }, payload: { token } });
  expect(revoked.statusCode).toBe(204);
  expect(await door.identity.authenticateToken(token)).toMatchObject({ code: 'auth.invalid' });
  expect((await http.inject({ url: '/api/people', headers: { authorization: 'Basic abc' } })).json()).toMatchObject({ code: 'auth.invalid' });
});
