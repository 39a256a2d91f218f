import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isEasyToGuess } from './weak-passphrases.ts';

const OWN = ['Ada Ahmed', 'Testport'];

test.each(['passwordpassword', 'Passw0rd!Passw0rd!', 'aaaaaaaaaaaaaa', '123456789012', 'qwertzuiop12', '1q2w3e4r5t6z', '1qaz2wsx3edc', '112233445566', '010203040506', 'Clerestory2026!', 'Testport-Rathaus1', 'Ahmed1234567', 'SOMMER2026!!', 'iloveyou1234', 'administrator', 'cityhall-2026'])('%s is easy to guess', (passphrase) => {
  expect(isEasyToGuess(passphrase, OWN)).toBe(true);
});

test.each(['correct horse battery', 'a sentence is fine', 'der hund schläft', 'xkq9-vv2p-w0ma', '我们城市的声音很好听', 'Ada Ahmed mag Pflaumen'])('%s is not', (passphrase) => {
  expect(isEasyToGuess(passphrase, OWN)).toBe(false);
});

test('any composition is allowed: twelve characters by chance pass nearly always, of whatever kind they are', () => {
  for (const kind of ['abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '!"#%&/()=?+*-_.,;:<>|~^{}[]']) {
    const samples = fc.sample(fc.array(fc.constantFrom(...kind), { minLength: 12, maxLength: 12 }), { numRuns: 2_000, seed: 7 }).map((chars) => chars.join(''));
    expect(samples.filter((each) => isEasyToGuess(each, OWN)).length).toBeLessThan(40);
  }
});

test('whatever is typed is judged, and longer by the same kind of thing is no better', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 1_000 }), (text) => void isEasyToGuess(text, OWN)));
  expect(isEasyToGuess('qwertz'.repeat(160), OWN)).toBe(true);
});
