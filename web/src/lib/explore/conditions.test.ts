import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filterOf, OPERATORS, readConditions, writeCondition } from './conditions.ts';
import type { PropertyShape } from './shapes.ts';

const text: PropertyShape = { name: 'name', type: 'text' };
const parts = (filter: string) => readConditions(filter).map(({ property, operator }) => [property, operator]);

describe('a filter as conditions', () => {
  it.each([
    ["name eq 'a and b' and id gt 3", [['name', 'eq'], ['id', 'gt']]],
    ["contains(name,'it''s') and properties/kind ne null", [['name', 'contains'], ['properties/kind', 'ne']]],
    ["(id lt 2 or id gt 5) and name eq 'x'", [['', ''], ['name', 'eq']]],
    ["id lt 2 or id gt 5 and name eq 'x'", [['', '']]],
    ["geo.distance(location, geography'POINT (1 2)') lt 3 and result eq 1e-300", [['', ''], ['result', 'eq']]],
    ['', []],
  ])('%s', (filter, conditions) => {
    expect(parts(filter)).toEqual(conditions);
  });
  it('is the same filter again when it is joined', () => {
    for (const filter of ["name eq 'a and b' and id gt 3", "(id lt 2 or id gt 5) and name eq 'x'", 'a or b']) expect(filterOf(readConditions(filter))).toBe(filter);
  });
  it('keeps what an `or` joined together when another condition comes', () => {
    expect(filterOf([...readConditions('id lt 2 or id gt 5'), writeCondition('name', 'eq', 'x', text)])).toBe("(id lt 2 or id gt 5) and name eq 'x'");
  });
  it('splits into no fewer and no more conditions than were added, whatever the texts hold', () => {
    const condition = fc.tuple(fc.constantFrom('name', 'properties/a', 'Thing/name'), fc.constantFrom(...OPERATORS), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((typed) => typed.trim() !== '' && typed.trim() !== 'null' && !/^'.*'$/s.test(typed.trim())));
    fc.assert(
      fc.property(fc.array(condition, { minLength: 1, maxLength: 5 }), (made) => {
        const conditions = made.map(([property, operator, typed]) => writeCondition(property, operator, typed, { name: property, type: 'text' }));
        expect(readConditions(filterOf(conditions))).toEqual(conditions);
      }),
    );
  });
});

describe('a value that was typed', () => {
  it.each([
    ['name', 'eq', '12', text, "name eq '12'"],
    ['name', 'eq', "O'Hara", text, "name eq 'O''Hara'"],
    ['name', 'ne', 'null', text, 'name ne null'],
    ['result', 'ge', '12.5', undefined, 'result ge 12.5'],
    ['result', 'eq', 'open', undefined, "result eq 'open'"],
    ['phenomenonTime', 'ge', '2026-11-24T06:00:00Z', undefined, 'phenomenonTime ge 2026-11-24T06:00:00Z'],
    ['result', 'eq', "'12'", undefined, "result eq '12'"],
    ['name', 'contains', '5', undefined, "contains(name,'5')"],
  ] as const)('%s %s %s', (property, operator, typed, shape, written) => {
    expect(writeCondition(property, operator, typed, shape).text).toBe(written);
  });
});
