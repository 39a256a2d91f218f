import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/log-folder.ts';
import { systemRandom } from '../../kernel/index.ts';
import { RootLocked } from '../broker/roots.ts';
import { openRootKeys, type Keeping } from './root-keys.ts';

const byPassphrase = (passphrase: string | null): Keeping => ({ token: null, passphrase: () => passphrase });
const OPEN = byPassphrase(null);
const fingerprints = (folder: string, keeping: Keeping): string[] => openRootKeys(folder, keeping).list().map(({ version, fingerprint }) => `${version} ${fingerprint.toString('hex')}`);

test('without a passphrase the key lies open in a file of its owner, and is the same after a restart', () => {
  const folder = join(temporaryFolder(), 'keys');
  const made = openRootKeys(folder, OPEN);
  expect(made.protection).toBe('none');
  expect(statSync(join(folder, 'root.key')).mode & 0o777).toBe(0o600);
  expect(fingerprints(folder, OPEN)).toEqual(made.list().map(({ version, fingerprint }) => `${version} ${fingerprint.toString('hex')}`));
});

test('the key file of the first release is read', () => {
  const folder = temporaryFolder();
  const key = Buffer.from(systemRandom(32));
  writeFileSync(join(folder, 'root.key'), `${key.toString('base64')}\n`);
  expect(openRootKeys(folder, OPEN).get(1)).toEqual(key);
});

test('a passphrase seals the key that was open; the wrong one is refused and makes no new key', () => {
  const folder = temporaryFolder();
  const before = fingerprints(folder, OPEN);
  const key = Buffer.from(openRootKeys(folder, OPEN).get(1) as Uint8Array);
  expect(fingerprints(folder, byPassphrase('correct horse battery'))).toEqual(before);
  expect(readdirSync(folder)).toEqual(['root.key']);
  expect(readFileSync(join(folder, 'root.key'), 'utf8')).not.toContain(key.toString('base64'));
  const content = readFileSync(join(folder, 'root.key'));
  for (const wrong of ['correct horse batterx', null]) expect(() => openRootKeys(folder, byPassphrase(wrong))).toThrow(RootLocked);
  expect(readFileSync(join(folder, 'root.key'))).toEqual(content);
  expect(fingerprints(folder, byPassphrase('correct horse battery'))).toEqual(before);
  writeFileSync(join(folder, 'root.key'), '{"version":1');
  expect(() => openRootKeys(folder, byPassphrase('correct horse battery'))).toThrow(/damaged/);
});

test('a version is destroyed only when its successor is older than the window', () => {
  const folder = temporaryFolder();
  const roots = openRootKeys(folder, OPEN);
  const first = Buffer.from(roots.get(1) as Uint8Array).toString('base64');
  expect(roots.rotate('2026-11-24T06:00:00.000Z')).toBe(2);
  expect(fingerprints(folder, OPEN)).toHaveLength(2);
  expect(roots.retire(2, 30, '2030-01-01T00:00:00.000Z')).toBe(false);
  expect(roots.retire(1, 30, '2026-12-24T05:59:59.999Z')).toBe(false);
  expect(roots.retire(1, 30, '2026-12-24T06:00:00.000Z')).toBe(true);
  expect([roots.get(1), roots.newest(), existsSync(join(folder, 'root.key'))]).toEqual([null, 2, false]);
  expect(fingerprints(folder, OPEN).map((line) => line.slice(0, 2))).toEqual(['2 ']);
  expect(readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8')).join('')).not.toContain(first);
});

const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so', '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so'].find(existsSync);
const hasToken = MODULE !== undefined && spawnSync('softhsm2-util', ['--version']).status === 0 && spawnSync('pkcs11-tool', ['--help']).error === undefined;
if (!hasToken) console.warn("the PKCS#11 test is skipped: install Debian's packages softhsm2 and opensc to run it");

test.skipIf(!hasToken)('a PKCS#11 token wraps the key; without it, or with a wrong PIN, nothing opens', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'tokens'));
  writeFileSync(join(folder, 'softhsm2.conf'), `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\n`);
  process.env['SOFTHSM2_CONF'] = join(folder, 'softhsm2.conf');
  execFileSync('softhsm2-util', ['--init-token', '--free', '--label', 'city', '--pin', '4711', '--so-pin', '0815']);
  execFileSync('pkcs11-tool', ['--module', MODULE as string, '--token-label', 'city', '--login', '--pin', '4711', '--keypairgen', '--key-type', 'rsa:2048', '--label', 'clerestory', '--usage-decrypt'], { stdio: 'pipe' });
  const token = { module: MODULE as string, label: 'city', keyLabel: 'clerestory', pin: '4711' };
  const keys = join(folder, 'keys');
  const open = fingerprints(keys, OPEN); // a key that lay open before the token came
  const keeping: Keeping = { token, passphrase: () => null };
  expect(openRootKeys(keys, keeping).protection).toBe('pkcs11');
  expect(fingerprints(keys, keeping)).toEqual(open);
  expect(JSON.parse(readFileSync(join(keys, 'root.key'), 'utf8'))).toMatchObject({ kind: 'pkcs11' });
  for (const wrong of [{ ...keeping, token: { ...token, pin: '1234' } }, { ...keeping, token: { ...token, label: 'other' } }, OPEN]) expect(() => openRootKeys(keys, wrong)).toThrow(RootLocked);
  expect(fingerprints(keys, keeping)).toEqual(open);
});
