import fc from 'fast-check';
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { expect, test } from 'vitest';
import { readLogoutToken, type LogoutCheck } from './logout-token.ts';

const NOW_MS = Date.parse('2026-11-24T09:00:00Z');
const NOW_S = NOW_MS / 1_000;
const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');
const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' });
const KEYS = JSON.stringify({ keys: [jwk(rsa.publicKey, 'r'), jwk(ec.publicKey, 'e'), jwk(ed.publicKey, 'd'), { kty: 'oct', kid: 'o', k: Buffer.from('shared').toString('base64url') }] });

const claims = { iss: 'https://service.example', aud: 'clerestory', iat: NOW_S, exp: NOW_S + 120, jti: 'token-1', sub: 'ada', sid: 'session-1', events: { [EVENT]: {} } };
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
type Signer = (text: string) => Buffer;
const byRsa: Signer = (text) => sign('sha256', Buffer.from(text), rsa.privateKey);
const make = (said: Record<string, unknown> = claims, header: Record<string, unknown> = { alg: 'RS256', kid: 'r', typ: 'logout+jwt' }, signer: Signer = byRsa): string => {
  const text = `${part(header)}.${part(said)}`;
  return `${text}.${signer(text).toString('base64url')}`;
};
const check = (changed: Partial<LogoutCheck> = {}): LogoutCheck => ({ issuer: 'https://service.example', clientId: 'clerestory', nowMs: NOW_MS, toleranceS: 30, readKeys: async () => KEYS, ...changed });
const detailOf = async (token: string, changed: Partial<LogoutCheck> = {}): Promise<string> => {
  const read = await readLogoutToken(token, check(changed));
  if (read.ok) throw new Error('it was taken');
  expect(read.refusal.code).toBe('auth.logout-token-wrong');
  return read.refusal.detail;
};

test('a right token is read, whichever pair of keys signed it', async () => {
  const signers: [Record<string, unknown>, Signer][] = [
    [{ alg: 'RS256', kid: 'r' }, byRsa],
    [{ alg: 'ES256', kid: 'e' }, (text) => sign('sha256', Buffer.from(text), { key: ec.privateKey, dsaEncoding: 'ieee-p1363' })],
    [{ alg: 'EdDSA', kid: 'd' }, (text) => sign(null, Buffer.from(text), ed.privateKey)],
    [{ alg: 'RS256' }, byRsa],
  ];
  for (const [header, signer] of signers) expect(await readLogoutToken(make(claims, header, signer), check())).toMatchObject({ ok: true, value: { subject: 'ada', session: 'session-1', tokenId: 'token-1' } });
  expect(await readLogoutToken(make({ ...claims, sub: undefined, aud: ['somebody', 'clerestory'] }), check())).toMatchObject({ ok: true, value: { subject: null, session: 'session-1' } });
});

test('each claim that OpenID Connect Back-Channel Logout 1.0 §2.6 asks to check is checked', async () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ iss: 'https://other.example' }, 'another issuer'],
    [{ aud: 'somebody' }, 'somebody else'],
    [{ aud: undefined }, 'claim aud'],
    [{ exp: NOW_S - 31 }, 'expired'],
    [{ exp: undefined }, 'claim exp'],
    [{ iat: NOW_S + 31 }, 'not made now'],
    [{ iat: NOW_S - 601 }, 'not made now'],
    [{ jti: undefined }, 'claim jti'],
    [{ nonce: 'n' }, 'claim nonce'],
    [{ events: {} }, 'no sign-out'],
    [{ events: { [EVENT]: true } }, 'no sign-out'],
    [{ events: undefined }, 'claim events'],
    [{ sub: undefined, sid: undefined }, 'neither a person nor a session'],
  ];
  for (const [change, words] of wrong) expect(await detailOf(make({ ...claims, ...change }))).toContain(words);
});

test('what is not signed by the service is refused: no signature, a shared secret, another key, another kind of token', async () => {
  expect(await detailOf(make(claims, { alg: 'none' }, () => Buffer.alloc(1)))).toContain('key pair');
  const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  expect(await detailOf(make(claims, { alg: 'HS256', kid: 'r' }, (text) => createHmac('sha256', publicPem).update(text).digest()))).toContain('key pair');
  expect(await detailOf(make(claims, { alg: 'RS256', kid: 'r' }, (text) => sign('sha256', Buffer.from(text), other.privateKey)))).toContain('No key');
  expect(await detailOf(make(claims, { alg: 'ES256', kid: 'r' }, byRsa))).toContain('No key');
  expect(await detailOf(make(claims, { alg: 'RS256', kid: 'r', typ: 'at+jwt' }))).toContain('another kind');
  expect(await detailOf(make(claims, { alg: 'RS256', kid: 'r', crit: ['b64'], b64: false }))).toContain('header');
  expect(await detailOf(make(claims, { alg: 'constructor', kid: 'r' }))).toContain('key pair');
  for (const text of ['', '.', '..', 'a.b', 'a.b.c.d.e', 'x'.repeat(20_000)]) expect(await detailOf(text)).toContain('compact form');
  for (const keys of ['', '{}', '{"keys":[{}]}', '{"keys":[{"kty":"RSA","n":"","e":""}]}']) expect(await detailOf(make(), { readKeys: async () => keys })).toContain('No key');
});

test('a key that the service has just begun to use is looked for once more', async () => {
  const asked: boolean[] = [];
  const readKeys = async (anew: boolean): Promise<string> => {
    asked.push(anew);
    return anew ? KEYS : '{"keys":[]}';
  };
  expect(await readLogoutToken(make(), check({ readKeys }))).toMatchObject({ ok: true });
  expect(asked).toEqual([false, true]);
});

test('no token with a changed byte is taken, and no text makes it throw', async () => {
  const token = make();
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...'ABCabc019_-.'), async (at, char) => {
      const changed = token.slice(0, at) + char + token.slice(at + 1);
      const read = await readLogoutToken(changed, check());
      // the last character of a part has bits that no byte holds (RFC 4648 §3.5): only those may change
      if (read.ok) expect(changed.split('.').map((each) => Buffer.from(each, 'base64url').toString('hex'))).toEqual(token.split('.').map((each) => Buffer.from(each, 'base64url').toString('hex')));
    }),
    { numRuns: 500 },
  );
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
      expect((await readLogoutToken(text, check())).ok).toBe(false);
    }),
  );
  // signed by the service, with claims of any form: taken or refused, never thrown
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom('iss', 'aud', 'iat', 'exp', 'jti', 'events', 'sub'), fc.jsonValue()), async (change) => {
      expect(typeof (await readLogoutToken(make({ ...claims, ...change }), check())).ok).toBe('boolean');
    }),
    { numRuns: 50 },
  );
});
