import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nest, selectParts } from './selection.ts';
import type { SelectItem } from './syntax.ts';

const item = (path: string): SelectItem => {
  const [name = '', ...rest] = path.split('/');
  return { name, rest, at: 0 };
};

test('parts that overlap are one, in whatever order they are named', () => {
  const value = { a: { b: 1, c: { d: 2 } }, e: 3 };
  for (const paths of [['p/a/c/d', 'p/a'], ['p/a', 'p/a/c/d']]) expect(selectParts(value, 'p', paths.map(item))).toEqual({ a: value.a });
  expect(selectParts(value, 'p', ['p/a/b', 'p/a/c/d'].map(item))).toEqual({ a: { b: 1, c: { d: 2 } } });
  expect(selectParts(value, 'p', ['p/e/f', 'p/x'].map(item))).toEqual({});
  expect(selectParts(value, 'p', ['q/e'].map(item))).toBe(value);
  expect(selectParts(value, 'p', null)).toBe(value);
});

test('a key of the prototype is a key like others', () => {
  const value = JSON.parse('{"__proto__":{"a":1},"constructor":2}') as unknown;
  const kept = selectParts(value, 'p', ['p/__proto__/a', 'p/constructor/name'].map(item));
  expect(JSON.stringify(kept)).toBe('{"__proto__":{"a":1}}');
  expect(({} as Record<string, unknown>)['a']).toBeUndefined();
});

test('what is kept is what stands at the paths, for any JSON', () => {
  const keys = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor');
  const json = fc.letrec<{ value: unknown }>((tie) => ({ value: fc.oneof({ maxDepth: 4 }, fc.integer(), fc.constant(null), fc.array(fc.integer(), { maxLength: 2 }), fc.dictionary(keys, tie('value'), { maxKeys: 3 })) })).value;
  const at = (value: unknown, steps: readonly string[]): unknown => steps.reduce<unknown>((part, step) => (typeof part === 'object' && part !== null && !Array.isArray(part) && Object.hasOwn(part, step) ? (part as Record<string, unknown>)[step] : undefined), value);
  fc.assert(
    fc.property(json, fc.array(fc.array(keys, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), (value, paths) => {
      const before = JSON.stringify(value);
      const kept = selectParts(value, 'p', paths.map((rest) => ({ name: 'p', rest, at: 0 })));
      for (const steps of paths) expect(JSON.stringify(at(kept, steps))).toBe(JSON.stringify(at(value, steps)));
      expect(JSON.stringify(value)).toBe(before);
    }),
    { numRuns: 2_000 },
  );
});

test('combinations are put together from their paths', () => {
  const whole: Record<string, unknown> = {};
  nest(whole, ['a', 'b'], 1);
  nest(whole, ['a', 'c'], null);
  nest(whole, ['d'], 'x');
  expect(whole).toEqual({ a: { b: 1, c: null }, d: 'x' });
});
