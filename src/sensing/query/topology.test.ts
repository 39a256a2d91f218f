import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { intersects, lengthOf, parseWkt, within, type Geometry } from './geometry.ts';
import { crosses, equals, isPattern, matches, needsMeeting, overlaps, relate, touches } from './topology.ts';

function wkt(text: string): Geometry {
  const geometry = parseWkt(text);
  if (typeof geometry === 'string') throw new Error(geometry);
  return geometry;
}

const SQUARE = 'POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))';

describe('topological relations', () => {
  test.each([
    [SQUARE, 'POLYGON ((10 10, 0 10, 0 0, 10 0, 10 10))', 'equals'],
    ['LINESTRING (0 0, 5 5, 10 10)', 'LINESTRING (10 10, 0 0)', 'equals'],
    ['MULTIPOINT (1 1, 2 2)', 'MULTIPOINT (2 2, 1 1)', 'equals'],
    [SQUARE, 'POLYGON ((10 0, 20 0, 20 10, 10 10, 10 0))', 'touches'],
    [SQUARE, 'POINT (0 5)', 'touches'],
    [SQUARE, 'LINESTRING (10 5, 20 5)', 'touches'],
    ['LINESTRING (0 0, 5 5)', 'LINESTRING (5 5, 9 0)', 'touches'],
    ['LINESTRING (0 0, 10 10)', 'LINESTRING (0 10, 10 0)', 'crosses'],
    ['LINESTRING (-5 5, 15 5)', SQUARE, 'crosses'],
    [SQUARE, 'LINESTRING (-5 5, 15 5)', 'crosses'],
    ['MULTIPOINT (5 5, 20 20)', SQUARE, 'crosses'],
    [SQUARE, 'POLYGON ((5 5, 15 5, 15 15, 5 15, 5 5))', 'overlaps'],
    ['LINESTRING (0 0, 5 0)', 'LINESTRING (3 0, 9 0)', 'overlaps'],
    ['MULTIPOINT (1 1, 2 2)', 'MULTIPOINT (2 2, 3 3)', 'overlaps'],
    [SQUARE, 'POINT (5 5)', 'none'],
    [SQUARE, 'POINT (50 50)', 'none'],
    [SQUARE, 'POLYGON ((1 1, 2 1, 2 2, 1 1))', 'none'],
  ])('%s and %s: %s', (a, b, wanted) => {
    const [one, other] = [wkt(a), wkt(b)];
    const found = Object.entries({ equals, touches, crosses, overlaps }).filter(([, holds]) => holds(one, other)).map(([name]) => name);
    expect(found).toEqual(wanted === 'none' ? [] : [wanted]);
  });

  test('the matrix is written in the order of the standard', () => {
    expect(relate(wkt(SQUARE), wkt('POLYGON ((10 0, 20 0, 20 10, 10 10, 10 0))'))).toBe('FF2F11212');
    expect(matches('FF2F11212', 'FF*FT****')).toBe(true);
    expect(matches('FF2F11212', 'ff*f1****')).toBe(true);
    expect(matches('FF2F11212', 'T********')).toBe(false);
    expect(['T********', 'FF*FT****', '*********', 'FF*FF****', 'FFTFF****'].map(needsMeeting)).toEqual([true, true, false, false, false]);
    expect(['T*F**FFF*', 't*f**fff2', 'T*F**FFF', 'T*F**FFF**', 'T*F**FFX*'].map(isPattern)).toEqual([true, true, false, false, false]);
  });

  test('an area whose ring crosses itself is in no relation', () => {
    expect(relate(wkt('POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))'), wkt(SQUARE))).toBeNull();
    expect(overlaps(wkt('POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))'), wkt('POLYGON ((1 0, 3 0, 3 3, 1 0))'))).toBe(false);
  });

  test('areas that share an edge and points inside of them are one shape', () => {
    const parts: Geometry = { points: [[1, 1]], lines: [], areas: [...wkt('POLYGON ((0 0, 5 0, 5 10, 0 10, 0 0))').areas, ...wkt('POLYGON ((5 0, 10 0, 10 10, 5 10, 5 0))').areas] };
    expect(equals(parts, wkt(SQUARE))).toBe(true);
  });

  test('only lines have a length', () => {
    expect(lengthOf(wkt('LINESTRING (0 0, 3 4, 3 5)'))).toBe(6);
    expect(lengthOf(wkt('MULTILINESTRING ((0 0, 3 4), (0 0, 0 1))'))).toBe(6);
    expect([lengthOf(wkt(SQUARE)), lengthOf(wkt('POINT (1 1)'))]).toEqual([null, null]);
  });

  const coordinate = fc.integer({ min: 0, max: 8 });
  const position = fc.tuple(coordinate, coordinate).map(([x, y]) => `${String(x)} ${String(y)}`);
  const ring = fc.array(position, { minLength: 3, maxLength: 5 }).map((positions) => `(${[...positions, positions[0] ?? ''].join(', ')})`);
  const box = fc.tuple(coordinate, coordinate, fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })).map(([x, y, w, h]) => {
    const corners = [[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]];
    return `(${corners.map((corner) => corner.join(' ')).join(', ')})`;
  });
  const hole = fc.tuple(coordinate, coordinate).map(([x, y]) => `POLYGON ((${String(x)} ${String(y)}, ${String(x + 6)} ${String(y)}, ${String(x + 6)} ${String(y + 6)}, ${String(x)} ${String(y + 6)}, ${String(x)} ${String(y)}), (${String(x + 2)} ${String(y + 2)}, ${String(x + 4)} ${String(y + 2)}, ${String(x + 4)} ${String(y + 4)}, ${String(x + 2)} ${String(y + 4)}, ${String(x + 2)} ${String(y + 2)}))`);
  const shape = fc
    .oneof(
      position.map((at) => `POINT (${at})`),
      fc.array(position, { minLength: 1, maxLength: 3 }).map((list) => `MULTIPOINT (${list.join(', ')})`),
      fc.uniqueArray(position, { minLength: 2, maxLength: 4 }).map((list) => `LINESTRING (${list.join(', ')})`),
      box.map((outer) => `POLYGON (${outer})`),
      ring.map((outer) => `POLYGON (${outer})`),
      hole,
    )
    .map((text) => ({ text, geometry: wkt(text) }));

  test('the short ways of intersects and within agree with the matrix on random shapes', () => {
    let decided = 0;
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        const matrix = relate(a.geometry, b.geometry);
        if (matrix === null) return;
        decided += 1;
        expect(intersects(a.geometry, b.geometry), `${a.text} meets ${b.text}: ${matrix}`).toBe(!matches(matrix, 'FF*FF****'));
        expect(within(a.geometry, b.geometry), `${a.text} within ${b.text}: ${matrix}`).toBe(matches(matrix, 'T*F**F***'));
      }),
      { numRuns: 10_000, examples: [[{ text: 'LINESTRING (8 6, 0 6)', geometry: wkt('LINESTRING (8 6, 0 6)') }, { text: 'MULTIPOINT (4 6, 0 6)', geometry: wkt('MULTIPOINT (4 6, 0 6)') }]] },
    );
    expect(decided).toBeGreaterThan(2_000);
  });
});
