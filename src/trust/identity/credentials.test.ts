import { statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/log-folder.ts';
import { systemRandom } from '../../kernel/index.ts';
import { readOrMakeSecret, readOrMakeSigningKey } from '../keys/key-files.ts';
import { siteOfHost } from './passkeys.ts';
import { createPasswords } from './passwords.ts';
import { mintToken, readToken } from './tokens.ts';

const folder = temporaryFolder();

test('a token is read back as it was made, and any change of it is refused', () => {
  const token = mintToken(folder, { position: 'device', purpose: 'air' });
  const key = readOrMakeSecret(folder, 'token');
  expect(readToken(token, key)).toMatchObject({ ok: true, value: { kind: 'token', positions: ['device'], purpose: 'air' } });
  expect(readToken(token, systemRandom(32)).ok).toBe(false);
  fc.assert(
    fc.property(fc.nat({ max: token.length - 1 }), fc.constantFrom(...'AZaz09-_.'), (at, char) => {
      fc.pre(token[at] !== char);
      const changed = token.slice(0, at) + char + token.slice(at + 1);
      expect(readToken(changed, key).ok).toBe(false);
    }),
  );
  fc.assert(
    fc.property(fc.string({ maxLength: 600 }), (text) => {
      expect(readToken(text, key).ok).toBe(false);
    }),
  );
  expect(readToken(`${token}${'A'.repeat(600)}`, key).ok).toBe(false);
});

test('key files are made once, for their owner only', () => {
  expect(readOrMakeSecret(folder, 'root')).toEqual(readOrMakeSecret(folder, 'root'));
  expect(readOrMakeSecret(folder, 'root')).not.toEqual(readOrMakeSecret(folder, 'token'));
  expect(readOrMakeSigningKey(folder).publicKey).toEqual(readOrMakeSigningKey(folder).publicKey);
  for (const name of ['root.key', 'token.key', 'log.key']) expect(statSync(join(folder, 'keys', name)).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'keys')).mode & 0o777).toBe(0o700);
});

test('a password matches its hash in any Unicode spelling and nothing else does, at the full cost', async () => {
  const passwords = createPasswords(systemRandom);
  const stored = (await passwords.hash('Zürich caf\u00e9 am See')) as string;
  expect(stored).toMatch(/^scrypt\$17\$8\$1\$[^$]{24}\$[^$]{44}$/);
  expect(await passwords.matches('Zürich cafe\u0301 am See', stored)).toBe(true);
  expect(await passwords.matches('Zürich cafe am See', stored)).toBe(false);
  expect(await passwords.matches('', null)).toBe(false);
});

test('when too many passwords wait to be checked the next one is turned away', async () => {
  const passwords = createPasswords(systemRandom, 10);
  const results = await Promise.all(Array.from({ length: 50 }, () => passwords.matches('x', null)));
  expect(results.filter((result) => result === null)).toHaveLength(50 - 34);
  expect(await passwords.matches('x', null)).toBe(false);
});

test('the relying party of a passkey is the domain that the page was opened at', () => {
  const at = (host: string, protocol = 'http', publicUrl?: string): unknown => {
    const site = siteOfHost(host, protocol, publicUrl);
    return site.ok ? site.value : site.refusal.code;
  };
  expect(at('localhost:8080')).toEqual({ relyingParty: 'localhost', origin: 'http://localhost:8080' });
  expect(at('city.example', 'https')).toEqual({ relyingParty: 'city.example', origin: 'https://city.example' });
  expect(at('city.example', 'http', 'https://city.example')).toEqual({ relyingParty: 'city.example', origin: 'https://city.example' });
  expect(at('evil.example', 'https', 'https://city.example')).toBe('auth.passkey-not-here');
  expect(at('localhost:8080', 'http', 'http://127.0.0.1:8080')).toEqual({ relyingParty: 'localhost', origin: 'http://localhost:8080' });
  for (const host of ['127.0.0.1:8080', '[::1]:8080', '10.0.0.7', 'city.example', 'bad host', '']) expect([host, at(host)]).toEqual([host, 'auth.passkey-not-here']);
});
