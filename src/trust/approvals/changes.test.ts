import { expect, test } from 'vitest';
import { changesOf } from './changes.ts';

test('shows each difference by its path, lists of things by their ids, and nothing that stays', () => {
  const before = { purposes: [{ id: 'air', ends: null, days: 30 }, { id: 'noise', days: 5 }], title: 'Register' };
  const after = { purposes: [{ id: 'noise', days: 7 }, { id: 'light', days: 1 }, { id: 'air', ends: null, days: 30 }], title: 'Register' };
  expect(changesOf({ before, after })).toEqual([
    { path: 'purposes.noise.days', from: '5', to: '7' },
    { path: 'purposes.light.id', from: null, to: 'light' },
    { path: 'purposes.light.days', from: null, to: '1' },
  ]);
});

test('shows what goes away', () => {
  expect(changesOf({ before: { a: [{ id: 'x', n: 1 }] }, after: { a: [] } })).toEqual([{ path: 'a', from: '[{"id":"x","n":1}]', to: '[]' }]);
  expect(changesOf({ before: { a: 'left', b: 1 }, after: { b: 1 } })).toEqual([{ path: 'a', from: 'left', to: null }]);
});

test('a body without before and after is new as a whole, however long', () => {
  const text = 'x'.repeat(10_000);
  expect(changesOf({ until: '2027-01-01', note: text })).toEqual([
    { path: 'until', from: null, to: '2027-01-01' },
    { path: 'note', from: null, to: text },
  ]);
  expect(changesOf('all')).toEqual([{ path: '', from: null, to: 'all' }]);
  expect(changesOf({})).toEqual([]);
});
