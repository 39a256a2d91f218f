import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cookieOf, HOST, openDoor, SAME_SITE, type Door } from '../door.ts';
import { authorizeAt } from '../service-visit.ts';
import { createMetrics } from '../../src/platform/index.ts';
import { createOutgoing } from '../../src/platform/outgoing.ts';
import { readPositionMap, type SignInServiceOptions } from '../../src/trust/identity/sign-in-service.ts';

const CALLBACK = `http://${HOST}/api/sign-in/service/callback`;
const jwkOf = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' });
const newKey = (): KeyObject => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

/** What accounts of the service say of themselves. */
const PEOPLE: Record<string, Record<string, unknown>> = {
  ada: { name: 'Ada Ahmed', email: 'ada@city.example', email_verified: true, groups: ['city-operators'] },
  bob: { name: 'Bob Berg', email: 'bob@elsewhere.example', email_verified: true },
  cem: { name: 'Cem Can', email: 'cem@city.example', email_verified: false },
  dora: { name: 'Dora Dahl', email: 'dora@city.example', email_verified: true, groups: ['city-chiefs'] },
};

let server: Server;
let issuer: string;
let handler: ReturnType<Provider['callback']>;
let tamper: ((body: string) => string) | undefined;

function provide(keys: { key: KeyObject; kid: string }[]): void {
  const configuration = {
    clients: [{ client_id: 'clerestory', client_secret: 'a-secret-of-the-test', redirect_uris: [CALLBACK], token_endpoint_auth_method: 'client_secret_basic' as const }],
    jwks: { keys: keys.map(({ key, kid }) => jwkOf(key, kid)) },
    cookies: { keys: ['cookie-key-of-the-test'] },
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_context: unknown, sub: string) => ({ accountId: sub, claims: () => ({ sub, ...PEOPLE[sub] }) }),
    features: { devInteractions: { enabled: true } },
  };
  handler = new Provider(issuer, configuration).callback();
}

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === '/token' && tamper !== undefined) {
      const change = tamper;
      const end = response.end.bind(response);
      response.end = ((chunk: string | Buffer) => {
        const text = change(chunk.toString());
        response.setHeader('content-length', Buffer.byteLength(text));
        return end(text);
      }) as typeof response.end;
    }
    void handler(request, response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  provide([{ key: newKey(), kid: 'first' }]);
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

const optionsFor = (changed: Partial<SignInServiceOptions> = {}): SignInServiceOptions => ({
  issuer,
  clientId: 'clerestory',
  clientSecret: 'a-secret-of-the-test',
  label: 'the test service',
  allowedDomain: null,
  positions: null,
  outgoing: createOutgoing({ egress: [{ host: issuer, private: true }], metrics: createMetrics() }),
  ...changed,
});

const authorize = (location: string, login: string): Promise<string> => authorizeAt(issuer, CALLBACK, location, login);

const begin = async (door: Door, query = ''): Promise<{ location: string; cookie: string }> => {
  const response = await door.http.inject({ url: `/api/sign-in/service${query}`, headers: { host: HOST } });
  if (response.statusCode !== 303) throw new Error(`${response.statusCode} ${response.body}`);
  return { location: String(response.headers.location), cookie: cookieOf(response) };
};
const comeBack = (door: Door, url: string, cookie: string) => door.http.inject({ url: url.slice(`http://${HOST}`.length), headers: { host: HOST, 'sec-fetch-site': 'cross-site', cookie } });
const sessionCookieOf = (response: { headers: Record<string, unknown> }): string | undefined => /(__Host-clerestory=[^;,]+)/.exec(String(response.headers['set-cookie']))?.[1];
const sessionOf = async (door: Door, cookie: string | undefined) => (await door.http.inject({ url: '/api/session', headers: { host: HOST, cookie: cookie ?? '' } })).json<{ principal: { kind: string; name: string; positions: string[] } }>().principal;
const signIn = async (door: Door, login: string, query = '') => {
  const { location, cookie } = await begin(door, query);
  return comeBack(door, await authorize(location, login), cookie);
};

async function withDoor(options: Partial<SignInServiceOptions>, use: (door: Door) => Promise<void>): Promise<void> {
  const door = await openDoor({ secondFactor: 'required', service: optionsFor(options) });
  try {
    await use(door);
  } finally {
    await door.close();
  }
}

test('an invitation is accepted by the service, its subject signs in again, and claims give no position', async () => {
  await withDoor({}, async (door) => {
    expect((await signIn(door, 'ada')).body).toContain('Nobody here belongs to this account');
    const code = await door.invite(['case_worker']);
    const begun = await door.http.inject({ method: 'POST', url: '/api/sign-in/service/accept', headers: SAME_SITE, payload: { code, name: 'Ada Ahmed' } });
    const accepted = await comeBack(door, await authorize(begun.json<{ location: string }>().location, 'ada'), cookieOf(begun));
    expect(accepted.body).toContain('url=/console');
    expect(await sessionOf(door, sessionCookieOf(accepted))).toMatchObject({ name: 'Ada Ahmed', positions: ['case_worker'] });
    const again = await signIn(door, 'ada', '?next=/requests');
    expect(again.body).toContain('url=/requests');
    expect(await sessionOf(door, sessionCookieOf(again))).toMatchObject({ name: 'Ada Ahmed', positions: ['case_worker'] });
    expect((await signIn(door, 'ada', '?next=//evil.example/')).body).toContain('url=/console');
  });
});

test('the answer counts once, in the browser that began it, for ten minutes', async () => {
  await withDoor({ allowedDomain: 'city.example' }, async (door) => {
    const { location, cookie } = await begin(door);
    const back = await authorize(location, 'ada');
    expect((await comeBack(door, back, '')).statusCode).toBe(401); // another browser, and the state is spent by it
    expect((await comeBack(door, back, cookie)).statusCode).toBe(401);
    const second = await begin(door);
    const url = await authorize(second.location, 'ada');
    expect((await comeBack(door, url, second.cookie)).statusCode).toBe(200);
    expect((await comeBack(door, url, second.cookie)).body).toContain('was used');
    const third = await begin(door);
    const late = await authorize(third.location, 'ada');
    door.clock.advance(10 * 60_000);
    expect((await comeBack(door, late, third.cookie)).body).toContain('longer than ten minutes');
    // a code of another flow under this flow's state: the PKCE verifier does not fit
    const [one, two] = [await begin(door), await begin(door)];
    const [codeOne, codeTwo] = [new URL(await authorize(one.location, 'ada')), new URL(await authorize(two.location, 'ada'))];
    codeTwo.searchParams.set('code', codeOne.searchParams.get('code') ?? '');
    expect((await comeBack(door, codeTwo.href, two.cookie)).body).toContain('invalid_grant');
  });
});

test('an account is made by itself only for a verified address of the allowed domain, and has no position unless a claim is mapped', async () => {
  await withDoor({ allowedDomain: 'city.example' }, async (door) => {
    expect(await sessionOf(door, sessionCookieOf(await signIn(door, 'ada')))).toMatchObject({ kind: 'person', positions: [] });
    for (const login of ['bob', 'cem']) expect((await signIn(door, login)).body).toContain('Nobody here belongs');
  });
  await withDoor({ allowedDomain: 'city.example', positions: { claim: 'groups', of: readPositionMap('city-operators=operator, city-chiefs=supervisor auditor') } }, async (door) => {
    expect((await sessionOf(door, sessionCookieOf(await signIn(door, 'dora')))).positions.sort()).toEqual(['auditor', 'supervisor']);
    PEOPLE['dora'] = { ...PEOPLE['dora'], groups: [] };
    expect((await sessionOf(door, sessionCookieOf(await signIn(door, 'dora')))).positions).toEqual([]);
  });
});

test('an ID token with another nonce, issuer, audience, age or signature is refused', async () => {
  const changes: Record<string, (claims: Record<string, unknown>) => void> = {
    nonce: (claims) => (claims['nonce'] = 'another'),
    issuer: (claims) => (claims['iss'] = 'http://localhost:1'),
    audience: (claims) => (claims['aud'] = 'somebody-else'),
    expired: (claims) => (claims['exp'] = Math.floor(Date.now() / 1_000) - 120),
  };
  const { createSign } = await import('node:crypto');
  const key = newKey();
  provide([{ key, kid: 'known' }]);
  const resign = (change: (claims: Record<string, unknown>) => void, by: KeyObject) => (body: string): string => {
    const answer = JSON.parse(body) as { id_token?: string };
    const [head = '', payload = ''] = (answer.id_token ?? '').split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
    change(claims);
    const text = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
    return JSON.stringify({ ...answer, id_token: `${text}.${createSign('sha256').update(text).sign(by).toString('base64url')}` });
  };
  await withDoor({ allowedDomain: 'city.example' }, async (door) => {
    try {
      tamper = resign(() => undefined, key);
      expect((await signIn(door, 'ada')).statusCode).toBe(200); // signed again and otherwise as it was
      for (const [what, change] of Object.entries(changes)) {
        tamper = resign(change, key);
        const refused = await signIn(door, 'ada');
        expect([what, refused.statusCode, sessionCookieOf(refused)]).toEqual([what, 401, undefined]);
      }
      tamper = resign((claims) => (claims['exp'] = Math.floor(Date.now() / 1_000) - 10), key);
      expect((await signIn(door, 'ada')).statusCode).toBe(200); // within the tolerance of the clocks
      tamper = resign(() => undefined, newKey());
      expect((await signIn(door, 'ada')).statusCode).toBe(401);
    } finally {
      tamper = undefined;
    }
  });
});

test('after the service changed its keys, sign-in works again when its keys are read anew', async () => {
  provide([{ key: newKey(), kid: 'old' }]);
  await withDoor({ allowedDomain: 'city.example' }, async (door) => {
    expect((await signIn(door, 'ada')).statusCode).toBe(200);
    provide([{ key: newKey(), kid: 'new' }]);
    door.clock.advance(5 * 60_000 + 1);
    expect((await signIn(door, 'ada')).statusCode).toBe(200);
  });
});

test('a service that is away, has another issuer or is not on the egress list is refused with the reason', async () => {
  const problem = async (options: Partial<SignInServiceOptions>): Promise<unknown> => {
    let code: unknown;
    await withDoor(options, async (door) => {
      code = (await door.http.inject({ url: '/api/sign-in/service', headers: { host: HOST } })).json<{ code: string }>().code;
    });
    return code;
  };
  expect(await problem({ outgoing: createOutgoing({ egress: [], metrics: createMetrics() }) })).toBe('feed.egress-blocked');
  expect(await problem({ outgoing: createOutgoing({ egress: [{ host: issuer, private: false }], metrics: createMetrics() }) })).toBe('feed.egress-blocked');
  const other = issuer.replace('localhost', '127.0.0.1');
  expect(await problem({ issuer: other, outgoing: createOutgoing({ egress: [{ host: other, private: true }], metrics: createMetrics() }) })).toBe('auth.service-failed');
  const closed = 'http://localhost:9';
  expect(await problem({ issuer: closed, outgoing: createOutgoing({ egress: [{ host: closed, private: true }], metrics: createMetrics() }) })).toBe('auth.service-away');
  const without = await openDoor();
  try {
    expect((await without.http.inject({ url: '/api/sign-in/service', headers: { host: HOST } })).json()).toMatchObject({ status: 404, code: 'auth.service-off' });
  } finally {
    await without.close();
  }
});
