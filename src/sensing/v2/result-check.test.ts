import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findMismatch } from './result-check.ts';

const T = { type: 'Quantity', label: 'T', constraint: { intervals: [[-40, 60], ['100', 'Infinity']], values: [99] } };
const record = { type: 'DataRecord', fields: [{ ...T, name: 't' }, { type: 'Count', name: 'n' }, { type: 'Text', name: 'note', optional: true }] };

test.each([
  [T, 0, null],
  [T, 60, null],
  [T, 99, null],
  [T, 1e6, null],
  [T, 61, 'result is outside of the constraint'],
  [T, '0', 'result must be a number'],
  [T, null, null],
  [{ type: 'Count' }, 1.5, 'result must be a whole number'],
  [{ type: 'Boolean' }, 0, 'result must be true or false'],
  [{ type: 'Text' }, '', null],
  [{ type: 'Text' }, false, 'result must be a text'],
  [{ type: 'Category', constraint: { values: ['a', 'b'] } }, 'b', null],
  [{ type: 'Category', constraint: { values: ['a', 'b'] } }, 'c', 'result is outside of the constraint'],
  [{ type: 'Time' }, '2026-11-24', null],
  [{ type: 'QuantityRange' }, [1, 2], null],
  [{ type: 'QuantityRange' }, [1], 'result must be a list of two values'],
  [{ type: 'QuantityRange' }, [1, 'x'], 'result/1 must be a number'],
  [record, { t: 1, n: 2 }, null],
  [record, { t: 1, n: 2, note: 'x' }, null],
  [record, [1, 2, 'x'], null],
  [record, [1, 2], 'result must have 3 elements'],
  [record, { t: 1 }, 'result/n is missing'],
  [record, { t: 1, n: 2, other: 3 }, 'result has a field that the resultType has not'],
  [record, { t: 1, n: 0.5 }, 'result/n must be a whole number'],
  [record, 5, 'result must be an object with the fields t, n, note'],
  [{ type: 'DataRecord', fields: [{ ...record, name: 'inner' }] }, { inner: { t: 70, n: 1 } }, 'result/inner/t is outside of the constraint'],
  [{ type: 'DataArray', elementType: { type: 'Count' } }, [1, 2, 3], null],
  [{ type: 'DataArray', elementType: { type: 'Count' }, elementCount: { value: 2 } }, [1, 2, 3], 'result must have 2 elements'],
  [{ type: 'DataArray', elementType: { type: 'Count' } }, [1, 'x'], 'result/1 must be a number'],
  [{ type: 'Vector', coordinates: [{ name: 'x', type: 'Quantity' }, { name: 'y', type: 'Quantity' }] }, { x: 1, y: 2 }, null],
  [{ type: 'Vector', coordinates: [{ name: 'x', type: 'Quantity' }, { name: 'y', type: 'Quantity' }] }, [1, 2], null],
  [{ type: 'DataChoice', items: [{ name: 'a', type: 'Count' }, { name: 'b', type: 'Text' }] }, { b: 'x' }, null],
  [{ type: 'DataChoice', items: [{ name: 'a', type: 'Count' }] }, { toString: 1 }, 'result must be an object with one of the items'],
  [{ type: 'Geometry' }, { type: 'Point', coordinates: [1, 2] }, null],
])('%j against %j: %s', (component, result, expected) => {
  expect(findMismatch(component, result)).toBe(expected);
});

test('any JSON against any component gives an answer', () => {
  fc.assert(fc.property(fc.constantFrom(T, record, { type: 'DataArray', elementType: record }, { type: 'DataArray' }, { type: 'Vector' }, { type: 'DataChoice', items: 5 }), fc.jsonValue(), (component, result) => void findMismatch(component, result)));
});
