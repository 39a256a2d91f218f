import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boxOf, distance, geometryOf, intersects, parseWkt, within, type Geometry } from './geometry.ts';

function wkt(text: string): Geometry {
  const geometry = parseWkt(text);
  if (typeof geometry === 'string') throw new Error(geometry);
  return geometry;
}

const SQUARE = wkt('POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))');
const RING = wkt('POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (4 4, 6 4, 6 6, 4 6, 4 4))');
const L = wkt('POLYGON ((0 0, 10 0, 10 2, 2 2, 2 10, 0 10, 0 0))');

describe('well-known text', () => {
  test.each(['POINT (1 2)', 'point(1 2)', 'SRID=4326;POINT (1 2)', 'POINT Z (1 2 3)', 'LINESTRING (0 0, 1 1)', 'POLYGON ((0 0, 1 0, 1 1, 0 0))', 'MULTIPOINT (1 2, 3 4)', 'MULTIPOINT ((1 2), (3 4))', 'MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))', 'MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))'])('is read: %s', (text) => {
    expect(typeof parseWkt(text)).toBe('object');
  });

  test.each(['POINT', 'POINT (1)', 'POINT (1 2', 'POINT (181 2)', 'POINT (a b)', 'CIRCLE (1 2)', 'POLYGON ((0 0, 1 0, 1 1, 0 1))', 'LINESTRING (0 0)', 'POINT (1 2); drop', 'POINT ([1] 2)', 'POINT (1e999 2)'])('is refused: %s', (text) => {
    expect(typeof parseWkt(text)).toBe('string');
  });

  test('never fails on any text', () => {
    fc.assert(fc.property(fc.string({ maxLength: 40 }), (text) => ['object', 'string'].includes(typeof parseWkt(`POLYGON (${text})`))));
  });
});

describe('geometry', () => {
  test.each([
    ['POINT (5 5)', SQUARE, true, true],
    ['POINT (0 5)', SQUARE, false, true],
    ['POINT (11 5)', SQUARE, false, false],
    ['POINT (5 5)', RING, false, false],
    ['POINT (4 5)', RING, false, true],
    ['POINT (5 5)', L, false, false],
    ['LINESTRING (1 1, 9 1)', L, true, true],
    ['LINESTRING (1 9, 9 1)', L, false, true],
    ['LINESTRING (0 0, 10 0)', SQUARE, false, true],
    ['POLYGON ((1 1, 9 1, 9 9, 1 9, 1 1))', SQUARE, true, true],
    ['POLYGON ((1 1, 9 1, 9 9, 1 9, 1 1))', RING, false, true],
    ['POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))', SQUARE, true, true],
    ['POLYGON ((-5 -5, 15 -5, 15 15, -5 15, -5 -5))', SQUARE, false, true],
    ['POLYGON ((4.5 4.5, 5.5 4.5, 5.5 5.5, 4.5 4.5))', RING, false, false],
    // covers the hole and shares its corners, so none of them lies inside
    ['POLYGON ((4 3, 6 3, 6 6, 4 6, 4 3))', RING, false, true],
    ['MULTIPOINT (1 1, 2 2)', SQUARE, true, true],
    ['MULTIPOINT (1 1, 20 2)', SQUARE, false, true],
  ])('%s lies within and meets as it should', (text, other, isWithin, meets) => {
    expect([within(wkt(text), other), intersects(wkt(text), other), intersects(other, wkt(text))]).toEqual([isWithin, meets, meets]);
  });

  test('is measured in degrees to the nearest edge', () => {
    expect(distance(wkt('POINT (13 14)'), SQUARE)).toBeCloseTo(5);
    expect(distance(SQUARE, wkt('POINT (13 14)'))).toBeCloseTo(5);
    expect(distance(wkt('POINT (5 5)'), RING)).toBeCloseTo(1);
    expect(distance(wkt('LINESTRING (12 0, 12 10)'), SQUARE)).toBeCloseTo(2);
  });

  test('keeps its laws for any triangles: within implies meeting, meeting is symmetric and means distance 0, boxes contain', () => {
    const coordinate = fc.integer({ min: -20, max: 20 });
    const triangle = fc.tuple(coordinate, coordinate, coordinate, coordinate, coordinate, coordinate).filter(([a, b, c, d, e, f]) => (c - a) * (f - b) !== (e - a) * (d - b));
    const shape = fc.oneof(
      triangle.map(([a, b, c, d, e, f]) => `POLYGON ((${String(a)} ${String(b)}, ${String(c)} ${String(d)}, ${String(e)} ${String(f)}, ${String(a)} ${String(b)}))`),
      fc.tuple(coordinate, coordinate).map(([a, b]) => `POINT (${String(a)} ${String(b)})`),
    ).map(wkt);
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        const meets = intersects(a, b);
        expect(intersects(b, a)).toBe(meets);
        if (within(a, b)) expect(meets).toBe(true);
        expect(distance(a, b) === 0).toBe(meets);
        if (meets) {
          const [p, q] = [boxOf(a), boxOf(b)];
          expect(p[0] <= q[2] && q[0] <= p[2] && p[1] <= q[3] && q[1] <= p[3]).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is read from a GeoJSON Feature or collection, and not from anything else', () => {
    const point = { type: 'Point', coordinates: [1, 2] };
    expect(geometryOf({ type: 'Feature', geometry: point, properties: {} })?.points).toEqual([[1, 2]]);
    expect(geometryOf({ type: 'FeatureCollection', features: [{ type: 'Feature', geometry: point }, { type: 'Feature', geometry: point }] })?.points).toHaveLength(2);
    for (const wrong of [null, 'x', {}, { type: 'Point' }, { type: 'Point', coordinates: ['1', 2] }, { type: 'Polygon', coordinates: [[[0, 0], [1, 1], [0, 0]]] }]) expect(geometryOf(wrong)).toBeNull();
  });
});
