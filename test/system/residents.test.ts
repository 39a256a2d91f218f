import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Provider from 'oidc-provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeDataFolder, startTestCity, type TestCity } from '../city.ts';
import { connectAsync } from 'mqtt';
import { authorizeAt, Jar, signOutAt } from '../service-visit.ts';

// A city and a sign-in service for residents and staff (oidc-provider), each on its own sockets.

const SERVICES = `
languages: [en, de]
contact: Citizens' office
key_service: Citizens' office
agency: Roads
open311_open_posting: true
services:
  - code: street-light
    about: thing
    name: { en: Street light, de: Straßenlampe }
    description: { en: A lamp in the street, de: Eine Lampe in der Straße }
    group: { en: Street, de: Straße }
    severity: minor
    playbook: null
    sla_hours: 100
    purpose: service-requests
    coordinates: exact
    open_posting: true
    attributes: []
`;
const SECRET = 'a-secret-of-the-test';
let signingKey: KeyObject;
let server: Server;
let issuer: string;
let city: TestCity;
/** What the service answers at its token endpoint, changed by a test. */
let tamper: ((body: string) => string) | undefined;

const jwkOf = (key: KeyObject) => ({ ...key.export({ format: 'jwk' }), kid: 'first', use: 'sig', alg: 'RS256' });

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function provide(origin: string): ReturnType<Provider['callback']> {
  const client = (id: string, callback: string, logout: string, after: string) => ({ client_id: id, client_secret: SECRET, redirect_uris: [origin + callback], post_logout_redirect_uris: [origin + after], backchannel_logout_uri: origin + logout, backchannel_logout_session_required: true, token_endpoint_auth_method: 'client_secret_basic' as const });
  const configuration = {
    clients: [client('clerestory', '/api/sign-in/service/callback', '/api/sign-in/service/logout', '/sign-in'), client('clerestory-residents', '/api/my/sign-in/callback', '/api/my/sign-in/logout', '/my')],
    jwks: { keys: [jwkOf(signingKey)] },
    cookies: { keys: ['cookie-key-of-the-test'] },
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    // says of everybody all that could give rights
    findAccount: (_context: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub, name: `Name of ${sub}`, email: `${sub}@city.example`, email_verified: true, groups: ['chiefs'] }) }),
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true } },
    // without the provider's own guard, which calls no address of this machine
    fetch: (url: string | URL | Request, { dispatcher: _guard, ...options }: RequestInit & { dispatcher?: unknown } = {}) => fetch(url, options),
  };
  return new Provider(issuer, configuration).callback();
}

beforeAll(async () => {
  signingKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const served: { handler?: ReturnType<Provider['callback']> } = {};
  server = createServer((request, response) => {
    if (request.url === '/token' && tamper !== undefined) {
      const [change, end] = [tamper, response.end.bind(response)];
      response.end = ((chunk: string | Buffer) => {
        const text = change(chunk.toString());
        response.setHeader('content-length', Buffer.byteLength(text));
        return end(text);
      }) as typeof response.end;
    }
    void served.handler?.(request, response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const port = await freePort();
  const origin = `http://localhost:${port}`;
  served.handler = provide(origin);
  const data = makeDataFolder({ files: { 'services.yaml': SERVICES, 'feeds.yaml': `egress:\n  - host: ${issuer}\n    private: true\nfeeds: []\n` } });
  mkdirSync(join(data, 'keys'));
  for (const name of ['oidc-client-secret', 'resident-oidc-client-secret']) writeFileSync(join(data, 'keys', name), SECRET, { mode: 0o600 });
  city = await startTestCity({ data, env: { CLERESTORY_PORT: String(port), CLERESTORY_PUBLIC_URL: origin, CLERESTORY_OIDC_ISSUER: issuer, CLERESTORY_OIDC_ALLOWED_DOMAIN: 'city.example', CLERESTORY_OIDC_POSITIONS: 'chiefs=supervisor', CLERESTORY_RESIDENT_OIDC_ISSUER: issuer, CLERESTORY_RESIDENT_OIDC_LABEL: 'Citizens ID' } });
}, 180_000);
afterAll(async () => {
  await city?.stop();
  city?.remove();
  await new Promise((resolve) => server.close(resolve));
});

const RESIDENT = '/api/my/sign-in';
const STAFF = '/api/sign-in/service';
const cookiesOf = (response: Response): Map<string, string> => new Map(response.headers.getSetCookie().map((line) => line.split(';')[0] as string).map((pair) => [pair.slice(0, pair.indexOf('=')), pair]));
const begin = async (door: string, query = ''): Promise<{ location: string; cookie: string }> => {
  const response = await fetch(`${city.url}${door}${query}`, { redirect: 'manual' });
  expect(response.status, await response.clone().text()).toBe(303);
  return { location: response.headers.get('location') ?? '', cookie: [...cookiesOf(response).values()].join('; ') };
};
const comeBack = (url: string, cookie: string): Promise<Response> => fetch(url, { redirect: 'manual', headers: { cookie, 'sec-fetch-site': 'cross-site' } });
const authorize = (door: string, location: string, login: string, jar?: Jar): Promise<string> => authorizeAt(issuer, `${city.url}${door}/callback`, location, login, jar);

/** Signs a resident in; gives the cookie and where the browser is sent. */
async function signIn(login: string, query = '', jar?: Jar): Promise<{ cookie: string; next: string }> {
  const { location, cookie } = await begin(RESIDENT, query);
  const back = await comeBack(await authorize(RESIDENT, location, login, jar), cookie);
  const session = [...cookiesOf(back).entries()].find(([name, pair]) => name.endsWith('clerestory-resident') && !pair.endsWith('='))?.[1];
  return { cookie: session ?? '', next: back.headers.get('location') ?? '' };
}
async function signInStaff(login: string, jar?: Jar): Promise<string> {
  const { location, cookie } = await begin(STAFF);
  const back = await comeBack(await authorize(STAFF, location, login, jar), cookie);
  return [...cookiesOf(back).entries()].find(([name, pair]) => /^(__Host-)?clerestory$/.test(name) && !pair.endsWith('='))?.[1] ?? '';
}
const HERE = { 'sec-fetch-site': 'same-origin' };
const as = (cookie: string, method: string, path: string, headers: Record<string, string> = HERE) => city.call(method, path, { headers: { cookie, ...headers } });
let filings = 0;
async function file(): Promise<{ requestId: string; token: string }> {
  filings += 1;
  const filed = await city.call('POST', '/api/portal/requests', { body: { service_code: 'street-light', point: [-56.187, -34.906], address: `Lamp ${filings}`, description: 'It is dark here', name: 'Quirin Quell', email: 'q@quell.example', phone: '', answers: {}, idempotency_key: `residents-test-${filings}` } });
  expect(filed.status, filed.text).toBe(201);
  return filed.json as { requestId: string; token: string };
}

test('a resident signs in, keeps a report by its link, sees who looked, takes it out and signs out', async () => {
  const { requestId, token } = await file();
  const { cookie, next } = await signIn('rosa', `?next=/r/${token}`);
  expect(next).toBe(`/r/${token}`);
  expect((await as(cookie, 'GET', '/api/my/session')).json).toEqual({ service: 'Citizens ID', signedIn: true });
  expect((await as(cookie, 'GET', '/api/my/reports')).json).toEqual([]);
  expect((await as(cookie, 'GET', `/api/my/links/${token}`)).json).toMatchObject({ signedIn: true, kept: false });
  for (let again = 0; again < 2; again += 1) expect((await as(cookie, 'POST', `/api/my/links/${token}`)).status).toBe(204);
  expect((await as(cookie, 'GET', `/api/my/links/${token}`)).json).toMatchObject({ kept: true });

  const why = { purpose: 'service-requests', reasonCode: 'locate_fault', reason: 'Finding the lamp' };
  expect((await city.call('POST', `/api/requests/${requestId}/words`, { token: city.token('case_worker', 'service-requests'), body: why })).status).toBe(200);
  const list = await as(cookie, 'GET', '/api/my/reports?language=de');
  expect(list.json).toMatchObject([{ requestId, serviceName: 'Straßenlampe', state: 'received', looks: [{ position: 'case_worker', purpose: 'service-requests' }] }]);
  expect(list.json[0].looks[0].reason).toContain('Finding the lamp');
  // the list opens nothing that is sealed, and reading it leaves no look
  for (const word of ['dark', 'Quirin', 'quell']) expect(list.text).not.toContain(word);
  expect((await as(cookie, 'GET', '/api/my/reports')).json[0].looks).toHaveLength(1);

  expect((await as(cookie, 'DELETE', `/api/my/reports/${requestId}`)).status).toBe(204);
  expect((await as(cookie, 'DELETE', `/api/my/reports/${requestId}`)).status).toBe(404);
  expect((await as(cookie, 'POST', '/api/my/sign-out')).status).toBe(204);
  expect((await as(cookie, 'GET', '/api/my/reports')).json).toMatchObject({ code: 'auth.resident-needed' });
});

test('a report comes into a list by its link alone, and nobody reaches into the list of another', async () => {
  const { requestId, token } = await file();
  const [rosa, sara] = [(await signIn('rosa')).cookie, (await signIn('sara')).cookie];
  expect((await as(rosa, 'POST', `/api/my/links/${token}`)).status).toBe(204);
  for (const guess of [requestId, 'x', '0'.repeat(32)]) expect((await as(sara, 'POST', `/api/my/links/${guess}`)).status).toBe(404);
  expect((await as(sara, 'GET', '/api/my/reports')).json).toEqual([]);
  expect((await as(sara, 'DELETE', `/api/my/reports/${requestId}`)).status).toBe(404);
  expect((await as(rosa, 'GET', '/api/my/reports')).json).toHaveLength(1);
  // whoever was given the link may keep it too; it is in both lists then, and goes out of one
  expect((await as(sara, 'POST', `/api/my/links/${token}`)).status).toBe(204);
  expect((await as(sara, 'DELETE', `/api/my/reports/${requestId}`)).status).toBe(204);
  expect((await as(rosa, 'GET', '/api/my/reports')).json).toHaveLength(1);
  // without a session, from another site, or by a page that does not say where it is from
  expect((await as('', 'POST', `/api/my/links/${token}`)).status).toBe(401);
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, {}]) {
    expect((await as(rosa, 'POST', `/api/my/links/${token}`, headers)).json).toMatchObject({ code: 'auth.cross-site' });
    expect((await as(rosa, 'DELETE', `/api/my/reports/${requestId}`, headers)).json).toMatchObject({ code: 'auth.cross-site' });
    expect((await as(rosa, 'POST', '/api/my/sign-out', headers)).json).toMatchObject({ code: 'auth.cross-site' });
  }
});

test('whatever the service says of a resident, there is no right of staff in it; and a staff session is no resident', async () => {
  const { cookie } = await signIn('chief');
  for (const path of ['/api/requests', '/api/people', '/api/account', '/api/queue']) expect([path, (await as(cookie, 'GET', path)).status]).toEqual([path, 401]);
  expect((await as(cookie, 'GET', '/api/session')).json.principal.kind).toBe('anonymous');
  // the value of the one cookie under the name of the other
  const value = cookie.slice(cookie.indexOf('=') + 1);
  for (const name of ['__Host-clerestory', 'clerestory']) expect((await as(`${name}=${value}`, 'GET', '/api/account')).status).toBe(401);
  const staff = await signInStaff('chief');
  expect((await as(staff, 'GET', '/api/session')).json.principal).toMatchObject({ kind: 'person', positions: ['supervisor'] });
  expect((await as(staff, 'GET', '/api/my/session')).json.signedIn).toBe(false);
  const staffValue = staff.slice(staff.indexOf('=') + 1);
  for (const name of ['__Host-clerestory-resident', 'clerestory-resident']) expect((await as(`${name}=${staffValue}`, 'GET', '/api/my/session')).json.signedIn).toBe(false);
});

test('the answer of the service counts once, in the browser that began it, at its own door, from its own issuer', async () => {
  const problem = async (url: string, cookie: string): Promise<string> => {
    const response = await comeBack(url, cookie);
    expect(cookiesOf(response).get('__Host-clerestory-resident')).toBeUndefined();
    return response.headers.get('location') ?? response.status.toString();
  };
  const FAILED = '/my?problem=auth.service-failed';
  const first = await begin(RESIDENT);
  const back = await authorize(RESIDENT, first.location, 'rosa');
  const taken = await comeBack(back, first.cookie);
  expect(taken.headers.get('location')).toBe('/my');
  expect(await problem(back, first.cookie)).toBe(FAILED); // replayed
  const second = await begin(RESIDENT);
  expect(await problem(await authorize(RESIDENT, second.location, 'rosa'), '')).toBe(FAILED); // another browser
  // mix-up (RFC 9207): the answer says another issuer, or none though this one always says it
  for (const change of [(url: URL) => url.searchParams.set('iss', 'https://attacker.example'), (url: URL) => url.searchParams.delete('iss')]) {
    const mixed = await begin(RESIDENT);
    const url = new URL(await authorize(RESIDENT, mixed.location, 'rosa'));
    expect(url.searchParams.get('iss')).toBe(issuer);
    change(url);
    expect(await problem(url.href, mixed.cookie)).toBe(FAILED);
  }
  // the answer for residents at the door of staff
  const crossed = await begin(RESIDENT);
  const atStaff = (await authorize(RESIDENT, crossed.location, 'chief')).replace('/api/my/sign-in/callback', '/api/sign-in/service/callback');
  const refused = await comeBack(atStaff, crossed.cookie.replace('-resident-visit', '-service'));
  expect([refused.status, cookiesOf(refused).get('__Host-clerestory')]).toEqual([401, undefined]);
  // another state, a nonce of another flow
  const third = await begin(RESIDENT);
  const url = new URL(await authorize(RESIDENT, third.location, 'rosa'));
  url.searchParams.set('state', 'another');
  expect(await problem(url.href, third.cookie)).toBe(FAILED);
  tamper = (body) => {
    const answer = JSON.parse(body) as { id_token?: string };
    const [head = '', payload = ''] = (answer.id_token ?? '').split('.');
    const text = `${head}.${Buffer.from(JSON.stringify({ ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), nonce: 'another' })).toString('base64url')}`;
    return JSON.stringify({ ...answer, id_token: `${text}.${sign('sha256', Buffer.from(text), signingKey).toString('base64url')}` });
  };
  try {
    const fourth = await begin(RESIDENT);
    expect(await problem(await authorize(RESIDENT, fourth.location, 'rosa'), fourth.cookie)).toBe(FAILED);
  } finally {
    tamper = undefined;
  }
  for (const next of ['//evil.example', 'https://evil.example', '/r/../console', '/console']) expect((await signIn('rosa', `?next=${encodeURIComponent(next)}`)).next).toBe('/my');
});

/** Resolves when the response ends; rejects after a generous while. */
async function endOf(response: Response): Promise<void> {
  const reader = response.body?.getReader();
  for (;;) {
    const { done } = (await reader?.read().catch(() => ({ done: true }))) ?? { done: true };
    if (done) return;
  }
}

test('who signs out at the service is signed out here at once, residents and staff, and what is open is cut', async () => {
  const jar = new Jar();
  const resident = (await signIn('tom', '', jar)).cookie;
  const staff = await signInStaff('tom', jar);
  const elsewhere = (await signIn('tom')).cookie; // another browser, so another session of the service
  const [other, otherStaff] = [(await signIn('ute')).cookie, await signInStaff('ute')];
  const live = await fetch(`${city.url}/live?topics=incident`, { headers: { cookie: staff, accept: 'text/event-stream' } });
  expect(live.status, live.status === 200 ? '' : await live.text()).toBe(200);

  const toService = await fetch(`${city.url}/api/my/sign-out/service`, { redirect: 'manual' });
  expect(toService.status).toBe(303);
  expect(await signOutAt(issuer, `${city.url}/my`, toService.headers.get('location') ?? '', jar)).toBe(`${city.url}/my`);
  // the service has told both clients before it sent the browser back
  expect((await as(resident, 'GET', '/api/my/session')).json.signedIn).toBe(false);
  expect((await as(staff, 'GET', '/api/account')).status).toBe(401);
  await endOf(live);
  expect((await as(elsewhere, 'GET', '/api/my/session')).json.signedIn).toBe(true);
  expect((await as(other, 'GET', '/api/my/session')).json.signedIn).toBe(true);
  expect((await as(otherStaff, 'GET', '/api/account')).status).toBe(200);
  const staffOut = await fetch(`${city.url}/api/sign-out/service`, { redirect: 'manual' });
  expect(new URL(staffOut.headers.get('location') ?? '').searchParams.get('post_logout_redirect_uri')).toBe(`${city.url}/sign-in`);
});

test('a logout token counts once and only when the service made it', async () => {
  const { cookie } = await signIn('vera');
  const make = (change: Record<string, unknown>, key = signingKey): string => {
    const nowS = Math.floor(Date.now() / 1_000);
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'RS256', kid: 'first', typ: 'logout+jwt' })}.${part({ iss: issuer, aud: 'clerestory-residents', iat: nowS, exp: nowS + 120, jti: `jti-${Math.random()}`, sub: 'vera', events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, ...change })}`;
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`;
  };
  const send = async (logout_token: string, door = RESIDENT) => {
    const response = await fetch(`${city.url}${door}/logout`, { method: 'POST', body: new URLSearchParams({ logout_token }) });
    return { status: response.status, cache: response.headers.get('cache-control'), text: await response.text() };
  };
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const forged = [make({}, stranger), make({ aud: 'clerestory' }), make({ iss: 'https://attacker.example' }), make({ nonce: 'n' }), make({ events: {} }), make({ sub: undefined }), 'nonsense'];
  for (const token of forged) expect((await send(token)).status).toBe(400);
  expect((await send(make({}), STAFF)).status).toBe(400); // for another client
  expect((await fetch(`${city.url}${RESIDENT}/logout`, { method: 'POST', body: new URLSearchParams({}) })).status).toBe(400);
  expect((await as(cookie, 'GET', '/api/my/session')).json.signedIn).toBe(true);
  const token = make({});
  expect(await send(token)).toEqual({ status: 200, cache: 'no-store', text: '' });
  expect((await as(cookie, 'GET', '/api/my/session')).json.signedIn).toBe(false);
  const again = (await signIn('vera')).cookie;
  expect((await send(token)).text).toContain('used already');
  expect((await as(again, 'GET', '/api/my/session')).json.signedIn).toBe(true);
});

test('one address cannot begin sign-ins without end', async () => {
  let refused: Response | undefined;
  for (let call = 0; call < 200 && refused === undefined; call += 1) {
    const response = await fetch(`${city.url}${RESIDENT}`, { redirect: 'manual' });
    if (response.status === 429) refused = response;
    else await response.arrayBuffer();
  }
  expect(refused?.status).toBe(429);
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
});

test('what MQTT denies stands in the record of decisions, with the policy and without what the client typed', async () => {
  const connect = (password: string) => connectAsync(`mqtt://127.0.0.1:${city.mqttPort}`, { username: 'x', password, protocolVersion: 5, reconnectPeriod: 0 });
  await expect(connect('no-such-token')).rejects.toThrow();
  const client = await connect(city.token('data_protection_officer'));
  await expect(client.subscribeAsync('typed/by/Quirin')).rejects.toThrow();
  client.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  client.publish('v1.1/Datastreams(4711)/Observations', '{"result":1}', { qos: 1 }, () => undefined);
  await closed;
  const read = async () => (await city.call('GET', '/api/policy/decisions?allowed=false&limit=100', { token: city.token('auditor') })).json as { action: string; resource: string; allowed: boolean; policyHash: string }[] | { decisions: { action: string; resource: string; policyHash: string }[] };
  const wanted = ['MQTT CONNECT', 'MQTT PUBLISH v1.1/Datastreams(:id)/Observations', 'MQTT SUBSCRIBE (other topic)'];
  let found: string[] = [];
  for (let attempt = 0; attempt < 200 && found.length < wanted.length; attempt += 1) {
    const answer = await read();
    const lines = Array.isArray(answer) ? answer : answer.decisions;
    found = [...new Set(lines.filter(({ resource }) => resource.startsWith('MQTT')).map(({ resource }) => resource))].sort();
    if (found.length < wanted.length) await new Promise((resolve) => setTimeout(resolve, 100));
    else expect(lines.every(({ policyHash }) => /^[0-9a-f]{64}$/.test(policyHash))).toBe(true);
  }
  expect(found).toEqual(wanted);
}, 60_000);
