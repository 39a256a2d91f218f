import { Secret, TOTP } from 'otpauth';
import { beforeAll, expect, test } from 'vitest';
import { createAuthenticator } from '../../../test/authenticator.ts';
import { cookieOf, HOST, openDoor, SAME_SITE, type Door } from '../../../test/door.ts';
import type { BusEvent } from '../../platform/index.ts';
import { REVOKED_TOPIC } from './sessions.ts';

let door: Door;
beforeAll(async () => {
  door = await openDoor({ secondFactor: 'required' });
  return () => door.close();
});

const PASSWORD = 'correct horse battery';
type Method = 'GET' | 'POST' | 'DELETE';
const ask = (method: Method, url: string, cookie: string, payload?: object, at = door) => at.http.inject({ method, url, headers: { ...SAME_SITE, cookie }, ...(payload === undefined ? {} : { payload }) });
const signIn = (name: string, code: string, at = door, password = PASSWORD) => at.http.inject({ method: 'POST', url: '/api/sign-in/password', headers: SAME_SITE, payload: { name, password, code } });
const codeOf = (secret: string, offsetMs = 0): string => new TOTP({ secret: secret.replaceAll('-', ''), algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp: door.clock.nowMs() + offsetMs });

/** Sets up codes on a session that was just begun by a one-time link; the code of this moment is spent by it. */
async function setUp(cookie: string): Promise<{ secret: string; recovery: string[] }> {
  const begun = await ask('POST', '/api/account/one-time-code', cookie);
  expect(begun.statusCode, begun.body).toBe(200);
  const { secret, uri } = begun.json<{ secret: string; uri: string }>();
  expect(uri).toMatch(/^otpauth:\/\/totp\/Testport:.*secret=[A-Z2-7]{32}.*digits=6&period=30/);
  const confirmed = await ask('POST', '/api/account/one-time-code/confirm', cookie, { code: codeOf(secret) });
  expect(confirmed.statusCode, confirmed.body).toBe(200);
  return { secret, recovery: confirmed.json<{ codes: string[] }>().codes };
}

test('a passphrase alone opens nothing but the setting up of a second factor', async () => {
  const cookie = await door.join('Ada Ahmed', PASSWORD, 'administrator');
  expect((await ask('GET', '/api/people', cookie)).json()).toMatchObject({ status: 403, code: 'auth.second-factor-needed' });
  expect((await ask('GET', '/api/sessions', cookie)).json()).toMatchObject({ code: 'auth.second-factor-needed' });
  expect((await ask('POST', '/api/account/password', cookie, { password: 'another long one' })).json()).toMatchObject({ code: 'auth.second-factor-needed' });
  expect((await ask('GET', '/api/session', cookie)).json()).toMatchObject({ principal: { name: 'Ada Ahmed' }, secondFactorNeeded: true });
  const { secret, recovery } = await setUp(cookie);
  expect(new Set(recovery).size).toBe(10);
  expect((await ask('GET', '/api/people', cookie)).statusCode).toBe(200);
  expect((await ask('GET', '/api/account', cookie)).json()).toMatchObject({ secondFactorNeeded: false, password: true, recoveryCodesLeft: 10, passkeys: [] });
  expect((await ask('POST', '/api/account/one-time-code', cookie)).json()).toMatchObject({ status: 409, code: 'auth.factor-present' });

  const stored = await door.handle.pool.query<{ text: string }>(`select one_time_code::text || (select string_agg(recovery_code::text, '') from recovery_code) as text from one_time_code`);
  expect(stored.rows[0]?.text).not.toContain(Secret.fromBase32(secret.replaceAll('-', '')).hex.toLowerCase());
  for (const code of [secret.replaceAll('-', ''), ...recovery.map((each) => each.replaceAll('-', ''))]) expect(stored.rows[0]?.text).not.toContain(code);
});

test('a code counts once, within one step of the clock, and the answer does not say what was wrong', async () => {
  const { secret } = await setUp(await door.join('Berta Braun', PASSWORD, 'operator'));
  const replayed = await signIn('Berta Braun', codeOf(secret));
  expect(replayed.statusCode).toBe(401);
  door.clock.advance(60_000);
  const code = codeOf(secret);
  const both = await Promise.all([signIn('Berta Braun', code), signIn('Berta Braun', code)]);
  expect(both.map(({ statusCode }) => statusCode).sort()).toEqual([200, 401]);
  door.clock.advance(90_000);
  expect((await signIn('Berta Braun', codeOf(secret, -60_000))).statusCode).toBe(401);
  expect((await signIn('Berta Braun', codeOf(secret, 60_000))).statusCode).toBe(401);
  expect((await signIn('Berta Braun', codeOf(secret, -30_000))).statusCode).toBe(200);
  expect((await signIn('Berta Braun', codeOf(secret, 30_000))).statusCode).toBe(200);
  expect((await signIn('Berta Braun', codeOf(secret))).statusCode).toBe(401); // older than the newest that was used
  const answers = await Promise.all([signIn('Berta Braun', ''), signIn('Berta Braun', '000000'), signIn('Berta Braun', codeOf(secret), door, 'wrong'), signIn('Nobody', '000000')]);
  expect(new Set(answers.map((answer) => answer.body)).size).toBe(1);
});

test('a recovery code signs in once, however it is typed, and new ones replace the old', async () => {
  const { recovery } = await setUp(await door.join('Cem Can', PASSWORD, 'operator'));
  const [first = '', second = '', third = ''] = recovery;
  const signed = await signIn('Cem Can', first);
  expect(signed.statusCode).toBe(200);
  expect((await signIn('Cem Can', first)).statusCode).toBe(401);
  expect((await signIn('Cem Can', second.toLowerCase().replaceAll('-', ' '))).statusCode).toBe(200);
  const renewed = (await ask('POST', '/api/account/one-time-code/recovery-codes', cookieOf(signed))).json<{ codes: string[] }>().codes;
  expect((await signIn('Cem Can', third)).statusCode).toBe(401);
  expect((await signIn('Cem Can', renewed[0] ?? '')).statusCode).toBe(200);
});

test('failed attempts of an account and of an address are remembered over a restart, without the name or the address', async () => {
  await setUp(await door.join('Dora Dahl', PASSWORD, 'operator'));
  for (let tries = 0; tries < 10; tries += 1) await signIn('Dora Dahl', '000000');
  const again = await openDoor({ secondFactor: 'required', handle: door.handle, dataFolder: door.dataFolder, clock: door.clock });
  try {
    const slowed = await signIn(' dora  DAHL', '000000', again);
    expect(slowed.json()).toMatchObject({ status: 429, code: 'http.too-many-requests' });
    expect(Number(slowed.headers['retry-after'])).toBeGreaterThan(0);
  } finally {
    await again.close();
  }
  const { rows } = await door.handle.pool.query<{ text: string }>('select attempt::text as text from attempt');
  expect(rows.length).toBeGreaterThan(1);
  for (const { text } of rows) expect(text).not.toMatch(/dora|127\.0\.0\.1/i);
  for (let tries = 0; tries < 60; tries += 1) await signIn(`Nobody ${tries}`, '');
  expect((await signIn('Nobody else', '')).statusCode).toBe(429); // the address is full too
  door.clock.advance(16 * 60_000);
  expect((await signIn('Nobody else', '')).statusCode).toBe(401);
});

test('an act that asks for step-up is refused five minutes after the last proof, and each way of proving opens it again', async () => {
  const cookie = await door.join('Emil Ek', PASSWORD, 'administrator');
  const { secret } = await setUp(cookie);
  const invite = () => ask('POST', '/api/people/invitations', cookie, { positions: ['operator'] });
  expect((await invite()).statusCode).toBe(201);
  const stale = async (): Promise<void> => {
    door.clock.advance(5 * 60_000);
    expect((await invite()).json()).toMatchObject({ status: 403, code: 'auth.step-up-needed' });
  };
  await stale();
  const prove = (proof: object) => ask('POST', '/api/session/step-up', cookie, proof);
  expect((await ask('GET', '/api/session/step-up', cookie)).json()).toEqual({ passkey: false, password: true, code: true, service: null });
  expect((await prove({ code: '000000' })).json()).toMatchObject({ code: 'auth.invalid', field: 'code' });
  expect((await prove({ password: PASSWORD, code: '' })).json()).toMatchObject({ code: 'auth.invalid', field: 'code' });
  expect((await prove({ password: 'wrong', code: codeOf(secret) })).json()).toMatchObject({ code: 'auth.invalid', field: 'password' });
  expect((await invite()).statusCode).toBe(403);
  expect((await prove({ code: codeOf(secret) })).statusCode).toBe(204);
  expect((await invite()).statusCode).toBe(201);

  const authenticator = createAuthenticator(`http://${HOST}`);
  const begun = (await ask('POST', '/api/account/passkeys/options', cookie)).json<{ challengeId: string; options: { challenge: string; rp: { id: string } } }>();
  expect((await ask('POST', '/api/account/passkeys/finish', cookie, { challengeId: begun.challengeId, response: authenticator.register(begun.options) })).statusCode).toBe(204);
  await stale();
  const assert = async (by: string, with_ = authenticator) => {
    const { challengeId, options } = (await ask('POST', '/api/session/step-up/passkey/options', by)).json<{ challengeId: string; options: { challenge: string; rpId: string } }>();
    return ask('POST', '/api/session/step-up', by, { challengeId, response: with_.signIn(options) });
  };
  const other = await door.join('Fatou Fall', PASSWORD, 'operator');
  expect((await assert(other)).json()).toMatchObject({ code: 'auth.invalid' }); // somebody else's passkey
  expect((await assert(cookie)).statusCode).toBe(204);
  expect((await invite()).statusCode).toBe(201);
  door.clock.advance(31 * 60_000);
  for (let tries = 0; tries < 10; tries += 1) await prove({ code: '000000' });
  expect((await prove({ code: codeOf(secret) })).statusCode).toBe(429);
});

test('passkeys are named and removed, and the last way to sign in stays', async () => {
  const cookie = await door.join('Gro Gran', PASSWORD, 'operator');
  await setUp(cookie);
  expect((await ask('DELETE', '/api/account/one-time-code', cookie)).json()).toMatchObject({ status: 409, code: 'auth.last-factor' });
  const authenticator = createAuthenticator(`http://${HOST}`);
  const begun = (await ask('POST', '/api/account/passkeys/options', cookie)).json<{ challengeId: string; options: { challenge: string; rp: { id: string } } }>();
  await ask('POST', '/api/account/passkeys/finish', cookie, { challengeId: begun.challengeId, response: authenticator.register(begun.options) });
  const path = `/api/account/passkeys/${authenticator.credentialId}`;
  expect((await ask('POST', `${path}/name`, cookie, { name: 'Key ring' })).statusCode).toBe(204);
  expect((await ask('GET', '/api/account', cookie)).json()).toMatchObject({ passkeys: [{ name: 'Key ring', site: 'localhost' }] });
  const stranger = await door.join('Hugo Hill', PASSWORD, 'operator');
  await setUp(stranger);
  expect((await ask('DELETE', path, stranger)).json()).toMatchObject({ status: 404, code: 'auth.factor-unknown' });
  const removals = await Promise.all([ask('DELETE', path, cookie), ask('DELETE', '/api/account/one-time-code', cookie)]);
  expect(removals.map(({ statusCode }) => statusCode).sort()).toEqual([204, 409]); // not both at once
});

test('sessions end at once, for oneself, for a person whose account is closed, and every process hears of it', async () => {
  const events: BusEvent[] = [];
  await door.bus.subscribe([REVOKED_TOPIC], (event) => void events.push(event));
  const administrator = await door.join('Ida Ito', PASSWORD, 'administrator');
  await setUp(administrator);
  const first = await door.join('Jan Jong', PASSWORD, 'operator');
  const { secret } = await setUp(first);
  door.clock.advance(60_000);
  const second = cookieOf(await signIn('Jan Jong', codeOf(secret)));
  const listed = (await ask('GET', '/api/sessions', second)).json<{ method: string; factors: number; current: boolean }[]>();
  expect(listed.map(({ method, factors, current }) => [method, factors, current])).toEqual([['password', 2, true], ['link', 2, false]]);
  expect((await ask('POST', '/api/sessions/end-others', second)).statusCode).toBe(204);
  expect((await ask('GET', '/api/sessions', first)).statusCode).toBe(401);
  const people = (await ask('GET', '/api/people', administrator)).json<{ id: string; name: string }[]>();
  const id = people.find(({ name }) => name === 'Jan Jong')?.id ?? '';
  expect((await ask('GET', `/api/people/${id}/sessions`, administrator)).json()).toHaveLength(1);
  expect((await ask('POST', `/api/people/${id}/sessions/end`, administrator)).statusCode).toBe(204);
  expect((await ask('GET', '/api/sessions', second)).statusCode).toBe(401);
  door.clock.advance(60_000);
  const third = cookieOf(await signIn('Jan Jong', codeOf(secret)));
  expect((await ask('POST', `/api/people/${id}/disable`, administrator)).statusCode).toBe(204);
  expect((await ask('GET', '/api/sessions', third)).statusCode).toBe(401);
  await expect.poll(() => events.filter(({ key }) => key === id).map(({ payload }) => (payload as { sessions: string[] | null }).sessions === null), { timeout: 20_000 }).toEqual([false, true, true]);
});

test('a lost phone: an administrator removes the codes, and the passphrase then opens the setting up of new ones only', async () => {
  const administrator = await door.join('Kai Kurz', PASSWORD, 'administrator');
  await setUp(administrator);
  const cookie = await door.join('Lea Lund', PASSWORD, 'operator');
  await setUp(cookie);
  const id = (await ask('GET', '/api/people', administrator)).json<{ id: string; name: string }[]>().find(({ name }) => name === 'Lea Lund')?.id ?? '';
  expect((await ask('POST', `/api/people/${id}/one-time-code/remove`, administrator)).statusCode).toBe(204);
  expect((await ask('GET', '/api/account', cookie)).statusCode).toBe(401);
  const limited = await signIn('Lea Lund', '');
  expect(limited.json()).toMatchObject({ secondFactorNeeded: true });
  expect((await ask('GET', '/api/sessions', cookieOf(limited))).json()).toMatchObject({ code: 'auth.second-factor-needed' });
});

test('the department of an invitation belongs to the person, and an administrator changes it with the positions', async () => {
  const administrator = await door.join('Mia Moor', PASSWORD, 'administrator');
  await setUp(administrator);
  const made = (await ask('POST', '/api/people/invitations', administrator, { positions: ['case_worker'], department: ' Citizens\' office ' })).json<{ code: string }>();
  expect((await door.http.inject({ url: `/api/invitations/${made.code}` })).json()).toMatchObject({ department: "Citizens' office" });
  const joined = await door.http.inject({ method: 'POST', url: `/api/invitations/${made.code}/password`, headers: SAME_SITE, payload: { name: 'Nils Nor', password: PASSWORD } });
  expect(joined.json()).toMatchObject({ principal: { department: "Citizens' office", positions: ['case_worker'] } });
  const { id } = joined.json<{ principal: { id: string } }>().principal;
  expect((await ask('POST', `/api/people/${id}`, administrator, { positions: ['operator'], department: 'Roads' })).statusCode).toBe(204);
  expect((await ask('GET', '/api/session', cookieOf(joined))).json()).toMatchObject({ principal: { department: 'Roads', positions: ['operator'] } });
  expect((await ask('POST', `/api/people/${id}`, administrator, { positions: ['device'] })).json()).toMatchObject({ status: 400, field: 'positions' });
});

test('the cookie is __Host- and Secure over https and on localhost, but not where a browser would drop it', async () => {
  const cookieAt = async (at: Door, headers: Record<string, string>): Promise<string> => {
    const joined = await at.http.inject({ method: 'POST', url: `/api/invitations/${await at.invite(['operator'])}/password`, headers: { 'sec-fetch-site': 'same-origin', ...headers }, payload: { name: `Otto ${Math.random()}`, password: PASSWORD } });
    return String(joined.headers['set-cookie']);
  };
  const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
  const safari = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15';
  expect(await cookieAt(door, { host: HOST, 'user-agent': chrome })).toMatch(/^__Host-clerestory=.*Path=\/;.*Secure/);
  expect(await cookieAt(door, { host: HOST, 'user-agent': safari })).toMatch(/^clerestory=(?!.*Secure)/);
  expect(await cookieAt(door, { host: '10.0.0.7:8080', 'user-agent': chrome })).toMatch(/^clerestory=(?!.*Secure)/);
  expect(await cookieAt(door, { host: 'localhost.evil.example', 'user-agent': chrome })).toMatch(/^clerestory=(?!.*Secure)/);
  const https = await openDoor({ publicUrl: 'https://city.example', handle: door.handle, dataFolder: door.dataFolder, clock: door.clock });
  try {
    const cookie = await cookieAt(https, { host: 'city.example', 'user-agent': safari });
    expect(cookie).toMatch(/^__Host-clerestory=.*Path=\/;.*Secure/);
    expect(cookie).not.toMatch(/Domain=/i);
    // a neighbour under the same domain could set the plain name
    const secret = /=([^;]+)/.exec(cookie)?.[1] ?? '';
    expect((await https.http.inject({ url: '/api/session', headers: { host: 'city.example', cookie: `clerestory=${secret}` } })).json()).toMatchObject({ principal: { kind: 'anonymous' } });
  } finally {
    await https.close();
  }
});

test('X-Forwarded-For counts from a trusted proxy only', async () => {
  const fill = async (at: Door, name: string): Promise<number[]> => {
    const statuses: number[] = [];
    for (let n = 0; n < 55; n += 1)
      statuses.push((await at.http.inject({ method: 'POST', url: '/api/sign-in/password', remoteAddress: '192.0.2.1', headers: { ...SAME_SITE, 'x-forwarded-for': `198.51.100.${n}` }, payload: { name: `${name} ${n}`, password: 'x' } })).statusCode);
    return statuses;
  };
  expect((await fill(door, 'Spoofer')).filter((status) => status === 429)).toHaveLength(5);
  const proxied = await openDoor({ handle: door.handle, dataFolder: door.dataFolder, clock: door.clock, trustedProxies: ['192.0.2.0/24'] });
  try {
    expect((await fill(proxied, 'Visitor')).filter((status) => status === 429)).toHaveLength(0);
  } finally {
    await proxied.close();
  }
});
