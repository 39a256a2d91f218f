import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { POSITIONS, type Action } from '../../src/contracts/principal.ts';
import { startTestCity, type TestCity } from '../city.ts';

const PATIENCE = { timeout: 30_000, interval: 50 };
const PASSPHRASE = 'correct horse battery';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
let city: TestCity;
let host: string;

beforeAll(async () => {
  city = await startTestCity({ env: { CLERESTORY_SECOND_FACTOR: 'optional' } });
  host = new URL(city.url).host;
});
afterAll(async () => {
  await city.stop();
  city.remove();
});

interface Route {
  method: string;
  route: string;
  action: Action;
}
const routes = async (): Promise<Route[]> => ((await city.call('GET', '/api/policy')).json as { routes: Route[] }).routes;
/** An address of the route that leads to nothing. */
const addressOf = (route: string): string => route.replace(/:\w+(\([^)]*\))?/g, 'x').replace('*', 'x');
/** Those that answer for as long as the caller listens. */
const LASTING = /^\/live|\/live$|\/stream$/;
/** What a server writes back to these very bytes, until it closes or has said enough. */
const sayRaw = (bytes: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(city.url).port), '127.0.0.1', () => socket.end(bytes));
    let answer = '';
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.once('close', () => resolve(answer)).once('error', reject);
  });
/** Begins a session in a browser that may have one already. */
async function signIn(path: string, body: unknown, cookie = ''): Promise<{ status: number; cookie: string; code: string }> {
  const { status, json, headers } = await city.call('POST', path, { body, headers: { host, 'sec-fetch-site': 'same-origin', ...(cookie === '' ? {} : { cookie }) } });
  return { status, cookie: headers.getSetCookie()[0]?.split(';')[0] ?? '', code: json?.code ?? '' };
}

test('every answer says what it is, may not be framed, and is kept by nobody when it was for a token', async () => {
  const faults: string[] = [];
  let seen = 0;
  for (const { method, route, action } of await routes()) {
    if (method !== 'GET' || LASTING.test(route)) continue;
    for (const position of POSITIONS.filter((each) => each !== 'device')) {
      const { status, headers } = await city.call('GET', addressOf(route), { token: city.token(position) });
      if (status >= 500) faults.push(`${route}: ${status}`);
      if (status >= 400) continue;
      seen += 1;
      const type = headers.get('content-type') ?? '';
      if (status !== 204 && (/^(?:text\/|application\/(?:\w+\+)?xml)/.test(type) ? !/charset=utf-8/i.test(type) : type === '')) faults.push(`${route}: content type '${type}'`);
      for (const [name, value] of [['x-content-type-options', 'nosniff'], ['referrer-policy', 'same-origin'], ['cross-origin-opener-policy', 'same-origin']] as const) if (headers.get(name) !== value) faults.push(`${route}: ${name} ${headers.get(name)}`);
      if (!/frame-ancestors 'none'.*base-uri 'none'|base-uri 'none'.*frame-ancestors 'none'/.test(headers.get('content-security-policy') ?? '')) faults.push(`${route}: policy ${headers.get('content-security-policy')}`);
      for (const name of ['server', 'x-powered-by']) if (headers.has(name)) faults.push(`${route}: ${name}`);
      if (action !== 'public' && !/no-store|immutable/.test(headers.get('cache-control') ?? '')) faults.push(`${route} as ${position}: cache-control ${headers.get('cache-control')}`);
    }
  }
  expect([...new Set(faults)]).toEqual([]);
  expect(seen).toBeGreaterThan(100);
}, 300_000);

test('HEAD says what GET would, without a body', async () => {
  const wrong: string[] = [];
  const all = (await routes()).filter(({ method, route }) => method === 'GET' && !LASTING.test(route) && !/^\/(?:api\/(?:export|history\/days)|metrics)/.test(route));
  for (const { route } of all) {
    const address = addressOf(route);
    const [got, headed] = [await city.call('GET', address, { token: city.token('supervisor') }), await city.call('HEAD', address, { token: city.token('supervisor') })];
    if (headed.status !== got.status || headed.text !== '') wrong.push(`${address}: GET ${got.status}, HEAD ${headed.status}`);
  }
  expect(wrong).toEqual([]);
}, 120_000);

test('what does not exist below /api is refused in the shape of the interface, and pages take no other method', async () => {
  for (const method of METHODS) {
    const answer = await city.call(method, '/api/nothing/here');
    expect([method, answer.status, answer.headers.get('content-type')]).toEqual([method, 404, 'application/problem+json; charset=utf-8']);
    if (method !== 'HEAD') expect(answer.json).toMatchObject({ code: 'http.not-found' });
  }
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await city.call(method, '/trust');
    expect([method, status, headers.get('allow')]).toEqual([method, 405, 'GET, HEAD, POST']);
  }
});

test('TRACE and methods that do not exist give nothing back', async () => {
  const places = [...new Set((await routes()).map(({ route }) => addressOf(route)))].concat('/', '/trust', '/_app/x.js');
  const echoed: string[] = [];
  for (const place of places)
    for (const method of ['TRACE', 'TRACK', 'GETX']) {
      const answer = await sayRaw(`${method} ${place} HTTP/1.1\r\nHost: ${host}\r\nCookie: echo=me\r\nConnection: close\r\n\r\n`);
      if (!/^HTTP\/1\.1 4\d\d /.test(answer) || answer.includes('echo=me')) echoed.push(`${method} ${place}: ${answer.slice(0, 60)}`);
    }
  expect(echoed).toEqual([]);
}, 120_000);

test.each([
  ['a length and chunks', `POST /api/gate/try HTTP/1.1\r\nHost: city\r\nContent-Type: application/json\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: city\r\n\r\n`],
  ['two lengths', `POST /api/gate/try HTTP/1.1\r\nHost: city\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}`],
  ['chunks by another name', `POST /api/gate/try HTTP/1.1\r\nHost: city\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['a header that folds', `GET /livez HTTP/1.1\r\nHost: city\r\nX-A: b\r\n Transfer-Encoding: chunked\r\n\r\n`],
  ['a space before the colon', `GET /livez HTTP/1.1\r\nHost : city\r\n\r\n`],
])('a message with %s is not read as two', async (_name, bytes) => {
  const answer = await sayRaw(bytes);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
});

test('a WebSocket is opened for programs and for pages of this server, not for those of another', async () => {
  const open = (origin: string): Promise<string> => sayRaw(`GET /mqtt HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n${origin}\r\n`);
  expect(await open('')).toMatch(/^HTTP\/1\.1 101 /);
  expect(await open(`Origin: http://${host}\r\n`)).toMatch(/^HTTP\/1\.1 101 /);
  for (const origin of ['https://evil.example', 'null', `http://${host}.evil.example`, 'file://', 'x']) expect(await open(`Origin: ${origin}\r\n`), origin).toMatch(/^HTTP\/1\.1 403 /);
});

test('fields given twice and keys of prototypes break nothing at any address', async () => {
  const broken: string[] = [];
  const token = city.token('administrator');
  const bodies = ['{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{"admin":true}}}', '[{"__proto__":null}]', '"text"', 'null'];
  for (const { method, route } of await routes()) {
    if (LASTING.test(route) || ['HEAD', 'OPTIONS', 'TRACE'].includes(method)) continue;
    const asked = method === 'GET' || method === 'DELETE' ? [undefined] : bodies;
    for (const body of asked) {
      const answer = await city.call(method, `${addressOf(route)}?limit=1&limit=2&state=open&state=closed&__proto__=1&constructor=1`, { token, ...(body === undefined ? {} : { body }) });
      if (answer.status >= 500) broken.push(`${method} ${route} ${body ?? ''}: ${answer.status} ${answer.text.slice(0, 200)}`);
    }
  }
  expect(broken).toEqual([]);
  expect((await city.call('GET', '/api/people', { token: city.token('operator') })).status).toBe(403); // nobody became an administrator by it
}, 120_000);

test('a passphrase that is easy to guess is refused and leaves the link; a new session ends the one the browser had; both stand in the record', async () => {
  const code = new URL(city.signInLink).pathname.split('/').at(-1) ?? '';
  const accept = `/api/invitations/${code}/password`;
  expect(await signIn(accept, { name: 'Ada Ahmed', password: 'AhmedAhmed2026' })).toMatchObject({ status: 400, code: 'auth.passphrase-weak' });
  const first = await signIn(accept, { name: 'Ada Ahmed', password: PASSPHRASE });
  expect(first.status).toBe(200);
  expect((await signIn('/api/sign-in/password', { name: 'Ada Ahmed', password: 'not the right one' })).status).toBe(401);
  const second = await signIn('/api/sign-in/password', { name: 'Ada Ahmed', password: PASSPHRASE }, first.cookie);
  expect(second.status).toBe(200);
  expect(second.cookie).not.toBe(first.cookie);
  const isIn = async (cookie: string): Promise<boolean> => (await city.call('GET', '/api/session', { headers: { cookie } })).json.principal.kind === 'person';
  expect([await isIn(first.cookie), await isIn(second.cookie)]).toEqual([false, true]);

  const page = await city.call('GET', '/people', { headers: { cookie: second.cookie } });
  expect([page.status, page.headers.get('cache-control'), page.headers.get('content-type')]).toEqual([200, 'no-store', 'text/html; charset=utf-8']);
  expect(page.headers.get('content-security-policy')).toContain("base-uri 'none'");
  expect((await city.call('GET', '/trust')).headers.get('cache-control') ?? '').not.toContain('no-store');

  const { pseudonym } = (await city.call('GET', '/api/session', { headers: { cookie: second.cookie } })).json.principal;
  await expect
    .poll(async () => ((await city.call('GET', '/api/policy/decisions?action=identity.sign-in&limit=100', { token: city.token('auditor') })).json.decisions as { pseudonym: string; resource: string; allowed: boolean }[]).map(({ pseudonym: who, resource, allowed }) => ({ who, resource, allowed })), PATIENCE)
    .toEqual(
      expect.arrayContaining([
        { who: pseudonym, resource: 'POST /api/invitations/:code/password', allowed: true },
        { who: '', resource: 'POST /api/sign-in/password', allowed: false },
        { who: pseudonym, resource: 'POST /api/sign-in/password', allowed: true },
      ]),
    );
});
