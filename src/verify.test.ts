import { expect, test } from 'vitest';
import { PROMISES } from './contracts/promises.ts';
import { describePromises } from './verify.ts';

const named = [...describePromises().matchAll(/^ {2}clerestory verify (\S+)/gm)].map(([, name]) => name);
const promised = PROMISES.flatMap(({ command, later }) => (command === null || later === true ? [] : [command.split(' ')[0]]));

test('every command that the page /trust names exists, and every command but that for single proofs belongs to a promise', () => {
  expect(promised.length).toBeGreaterThan(0);
  expect(promised.filter((name) => !named.includes(name))).toEqual([]);
  expect(named.filter((name) => !promised.includes(name))).toEqual(['proof']);
  expect(new Set(named).size).toBe(named.length);
});

test('what is promised says what cannot be shown; what comes later names no command', () => {
  for (const { id, command, later, limit } of PROMISES) {
    if (later === true) expect([id, command, named.includes(id)]).toEqual([id, null, false]);
    else expect([id, limit.length > 10]).toEqual([id, true]);
  }
  expect(new Set(PROMISES.map(({ id }) => id)).size).toBe(PROMISES.length);
});
