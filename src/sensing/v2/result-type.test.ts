import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refused } from '../../kernel/index.ts';
import { readResultType, shapeOf } from './result-type.ts';

type Json = Record<string, unknown>;

const definition = fc.integer({ min: 1, max: 9 }).map((id) => `ObservedProperties(${String(id)})`);
const simple: fc.Arbitrary<Json> = fc.oneof(
  fc.record({ type: fc.constant('Quantity'), label: fc.string({ maxLength: 20 }), definition, uom: fc.oneof(fc.record({ code: fc.constantFrom('Cel', 'm', '%') }), fc.record({ href: fc.webUrl(), symbol: fc.string({ maxLength: 5 }) })) }),
  fc.record({ type: fc.constantFrom('Count', 'Boolean', 'Category', 'Text', 'Time'), label: fc.string({ maxLength: 20 }), definition }),
);
const named = (parts: readonly Json[]): Json[] => parts.map((part, at) => ({ ...part, name: `part-${String(at)}` }));
const component: fc.Arbitrary<Json> = fc.letrec<{ tree: Json }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    simple,
    fc.array(tie('tree'), { minLength: 1, maxLength: 4 }).map((parts) => ({ type: 'DataRecord', fields: named(parts) })),
    tie('tree').map((elementType) => ({ type: 'DataArray', elementType })),
  ),
})).tree;

const definitionsOf = (value: unknown): string[] => [...JSON.stringify(value).matchAll(/"definition":"(ObservedProperties\(\d+\))"/g)].map(([, id = '']) => id);
const at = (value: unknown, encoding?: unknown): string | undefined => {
  try {
    readResultType(value, encoding, 'resultType');
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.refusals[0].field;
    throw error;
  }
};

describe('a resultType', () => {
  test('names each ObservedProperty once, in the order of the first mention, and can be said again with other ids', () => {
    fc.assert(
      fc.property(component, (value) => {
        const read = readResultType(value, null, 'resultType');
        expect(read.names.map((name) => name.definition)).toEqual([...new Set(definitionsOf(value))]);
        const ids = read.names.map((_, index) => 100 + index);
        const restated = read.restate(ids);
        expect(new Set(definitionsOf(restated))).toEqual(new Set(ids.map((id) => `ObservedProperties(${String(id)})`)));
        expect([shapeOf(restated), readResultType(restated, null, 'resultType').shape]).toEqual([read.shape, read.shape]);
        expect(read.restate(read.names.map((name) => Number(/\d+/.exec(name.definition)?.[0])))).toEqual(value);
      }),
    );
  });

  test('is a MultiDatastream only as lists of scalars about different properties', () => {
    const field = (name: string, id: number): Json => ({ name, type: 'Count', label: name, definition: `ObservedProperties(${String(id)})` });
    const record = (...fields: Json[]): Json => ({ type: 'DataRecord', fields });
    const multiOf = (value: Json, encoding: unknown): unknown => readResultType(value, encoding, 'resultType').multi?.types.length ?? null;
    const lists = { type: 'JSONEncoding', recordsAsArrays: true };
    expect(multiOf(record(field('a', 1), field('b', 2)), lists)).toBe(2);
    expect(multiOf(record(field('a', 1), field('b', 2)), { type: 'JSONEncoding' })).toBeNull();
    expect(multiOf(record(field('a', 1), field('b', 1)), lists)).toBeNull();
    expect(multiOf(record(field('a', 1), { name: 'b', ...record(field('c', 2)) }), lists)).toBeNull();
    expect(multiOf(field('a', 1), lists)).toBeNull();
    expect(multiOf(record(...Array.from({ length: 33 }, (_, id) => field(`f${String(id)}`, id + 1))), lists)).toBeNull();
  });

  const good = { type: 'Quantity', label: 'T', definition: 'ObservedProperties(1)', uom: { code: 'Cel' } };
  test.each([
    [null, undefined, 'resultType'],
    [[], undefined, 'resultType'],
    [{}, undefined, 'resultType.type'],
    [{ ...good, type: 'Temperature' }, undefined, 'resultType.type'],
    [{ ...good, type: 'toString' }, undefined, 'resultType.type'],
    [{ ...good, label: undefined }, undefined, 'resultType.label'],
    [{ ...good, definition: 7 }, undefined, 'resultType.definition'],
    [{ ...good, definition: undefined }, undefined, 'resultType.definition'],
    [{ ...good, uom: { symbol: '°C' } }, undefined, 'resultType.uom'],
    [{ ...good, uom: 'Cel' }, undefined, 'resultType.uom'],
    [{ type: 'DataRecord' }, undefined, 'resultType.fields'],
    [{ type: 'DataRecord', fields: [] }, undefined, 'resultType.fields'],
    [{ type: 'DataRecord', fields: [good] }, undefined, 'resultType.fields.0.name'],
    [{ type: 'DataRecord', fields: [{ ...good, name: 'a' }, { ...good, name: 'a' }] }, undefined, 'resultType.fields.1.name'],
    [{ type: 'DataArray', elementType: 'Quantity' }, undefined, 'resultType.elementType'],
    [good, { type: 'TextEncoding' }, 'resultEncoding'],
    [good, { type: 'JSONEncoding', recordsAsArrays: 'yes' }, 'resultEncoding.recordsAsArrays'],
  ])('%j with the encoding %j is refused at %s', (value, encoding, field) => {
    expect(at(value, encoding)).toBe(field);
  });

  test('has limits to its size and depth, and never fails otherwise than by refusing', () => {
    const nested = (levels: number): Json => (levels === 0 ? good : { type: 'DataArray', elementType: nested(levels - 1) });
    expect([at(nested(8)), at(nested(9))]).toEqual([undefined, expect.stringContaining('elementType')]);
    expect(at({ type: 'DataRecord', fields: named(Array.from({ length: 100 }, () => good)) })).toBeDefined();
    fc.assert(fc.property(fc.jsonValue(), fc.jsonValue(), (value, encoding) => void at(value, encoding)));
    fc.assert(fc.property(fc.record({ type: fc.constantFrom('Quantity', 'DataRecord', 'DataArray', 'Vector'), label: fc.jsonValue(), definition: fc.jsonValue(), uom: fc.jsonValue(), fields: fc.jsonValue(), elementType: fc.jsonValue(), coordinates: fc.jsonValue() }), (value) => void at(value)));
  });
});
