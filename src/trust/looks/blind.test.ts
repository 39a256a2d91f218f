import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBlinding } from './blind.ts';

const [one, other] = [createBlinding(new Uint8Array(32).fill(1)), createBlinding(new Uint8Array(32).fill(2))];
const hex = (tokens: readonly { kind: string; token: Buffer }[]): string[] => tokens.map(({ kind, token }) => `${kind} ${token.toString('hex')}`);

test('a token tells neither its text nor, under another key, that two texts are the same', () => {
  const text = 'Hydrant spritzt';
  expect(hex(one.ofWords(text))).toEqual(hex(one.ofWords('SPRITZT hydrant')).reverse());
  expect(hex(one.ofWords(text)).filter((token) => hex(other.ofWords(text)).includes(token))).toEqual([]);
  expect(JSON.stringify(one.ofWords(text))).not.toContain('ydrant');
  // the same letters as a word and as a name are different tokens
  expect(hex(one.ofWords('muster'))[0]?.slice(5)).not.toBe(hex(one.ofContact({ name: 'Muster' }))[0]?.slice(5));
});

test('contact data is found however people write it', () => {
  const kept = hex(one.ofContact({ name: 'Åsa  Ößle-Nuñez', email: 'Asa@Example.ORG', phone: '+49 (0)30 5554 4433' }));
  for (const [by, text] of [['name', 'asa'], ['name', 'NUNEZ ossle'], ['email', 'asa@example.org '], ['phone', '030/55544433'], ['phone', '0049305554 4433']] as const) for (const token of hex(one.ofQuery(by, text))) expect(kept, `${by} ${text}`).toContain(token);
  for (const [by, text] of [['name', 'as'], ['email', 'example.org'], ['phone', '99944433']] as const) for (const token of hex(one.ofQuery(by, text))) expect(kept).not.toContain(token);
  expect(one.ofContact({})).toEqual([]);
  expect(one.ofQuery('phone', '12')).toEqual([]);
});

test('the secret of a link follows from the sender\'s key alone and has the form of one', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 16, maxLength: 64 }), (key) => {
      expect(one.secretFor(key)).toMatch(/^[0-9a-hjkmnp-tv-z]{32}$/);
      expect(one.secretFor(key)).toBe(one.secretFor(key));
      expect(one.secretFor(key)).not.toBe(other.secretFor(key));
      expect(one.mac('a', key)).not.toBe(one.mac('b', key));
    }),
  );
});

test('any text gives at most 300 tokens, each once', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 4_000, unit: 'grapheme' }), (text) => {
      const tokens = hex(one.ofWords(text));
      expect(tokens.length).toBeLessThanOrEqual(300);
      expect(new Set(tokens).size).toBe(tokens.length);
      // what is typed as it was written is found
      const all = new Set(tokens);
      if (tokens.length < 300) for (const token of hex(one.ofQuery('words', text))) expect(all.has(token)).toBe(true);
    }),
  );
});
