import { createPrivateKey, createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, type Json } from './canonical.ts';
import { openCheckpoint, signCheckpoint, verifierKey } from './note.ts';
import { holds, parseTilePath, tilePath } from './tile-path.ts';

test('canonical JSON gives the published example of RFC 8785 §3.2.3 in the order of UTF-16 code units', () => {
  const value = {
    '\u20ac': 'Euro Sign',
    '\r': 'Carriage Return',
    '\ufb33': 'Hebrew Letter Dalet With Dagesh',
    '1': 'One',
    '\ud83d\ude00': 'Emoji: Grinning Face',
    '\u0080': 'Control',
    '\u00f6': 'Latin Small Letter O With Diaeresis',
  };
  const keys = [...canonicalJson(value).matchAll(/:"([^"]+)"/g)].map((match) => match[1]);
  expect(keys).toEqual(['Carriage Return', 'One', 'Control', 'Latin Small Letter O With Diaeresis', 'Euro Sign', 'Emoji: Grinning Face', 'Hebrew Letter Dalet With Dagesh']);
  expect(canonicalJson([333333333.33333329, 1e30, 4.5, 2e-3, 1e-27, -0])).toBe('[333333333.3333333,1e+30,4.5,0.002,1e-27,0]');
  expect(() => canonicalJson('\ud800')).toThrow(TypeError);
  expect(() => canonicalJson(NaN)).toThrow(TypeError);
});

test('canonical JSON does not depend on the order of members and loses nothing', () => {
  fc.assert(
    fc.property(fc.jsonValue({ depthSize: 'small' }), (value) => {
      if (!JSON.stringify(value).isWellFormed()) return;
      const text = canonicalJson(value as Json);
      expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('a tile has exactly one path', () => {
  expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067');
  expect(tilePath({ level: 'entries', index: 5, width: 17 })).toBe('tile/entries/005.p/17');
  fc.assert(
    fc.property(fc.constantFrom<number | 'entries'>('entries', 0, 1, 7, 63), fc.integer({ min: 0, max: 10 ** 12 }), fc.integer({ min: 1, max: 256 }), (level, index, width) => {
      expect(parseTilePath(tilePath({ level, index, width }))).toEqual({ level, index, width });
    }),
  );
  for (const path of [
    'tile/00/000',
    'tile/64/000',
    'tile/0/0',
    'tile/0/x000/001',
    'tile/0/000.p/256',
    'tile/0/000.p/0',
    'tile/0/000.p/07',
    'tile/0/../000',
    'tile/0/001/002',
    'tile/entries/000.p/1/',
    'tile/0/000\n',
  ])
    expect([path, parseTilePath(path)]).toEqual([path, null]);
});

test('a tree of 70,000 entries has the tiles that the specification lists', () => {
  const has = (level: number, index: number, width: number): boolean => holds(70_000, { level, index, width });
  expect([has(0, 272, 256), has(0, 273, 112), has(0, 273, 113)]).toEqual([true, true, false]);
  expect([has(1, 0, 256), has(1, 1, 17), has(1, 1, 18), has(2, 0, 1), has(2, 0, 2)]).toEqual([true, true, false, true, false]);
});

test('a checkpoint opens under its own key and name only', () => {
  const key = createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', d: Buffer.alloc(32, 7).toString('base64url'), x: '6kqD9c9EwVHQEbGRNVNoVj1Pe2n3XuHMJ3o0DbiqwVc' },
    format: 'jwk',
  });
  const publicKey = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url');
  const head = { origin: 'city.example/log', size: 3, root: Buffer.alloc(32, 1) };
  const text = signCheckpoint(head, { privateKey: key, publicKey });
  expect(openCheckpoint(text, 'city.example/log', publicKey)).toEqual(head);
  expect(openCheckpoint(text, 'other.example/log', publicKey)).toBeNull();
  expect(openCheckpoint(text.replace('\n3\n', '\n4\n'), 'city.example/log', publicKey)).toBeNull();
  expect(openCheckpoint(text, 'city.example/log', Buffer.alloc(32, 2))).toBeNull();
  expect(verifierKey('city.example/log', publicKey)).toMatch(/^city\.example\/log\+[0-9a-f]{8}\+A[Q-Za-f]/);
});

test("the key id is the one of the specification's own example keys", () => {
  // golang.org/x/mod/sumdb/note, example test: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
  const publicKey = Buffer.from('ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'base64').subarray(1);
  expect(verifierKey('PeterNeumann', publicKey)).toBe('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
});
