import { frag, raw, type Fragment, type GeometryQuestion } from '../fragment.ts';
import { boxOf, distance, geometryOf, intersects, within, type Box, type Geometry } from '../geometry.ts';
import { scalar, type StoredGeometry, type Value } from '../value.ts';
import type { FunctionModel } from './function.ts';

type Test = (stored: Geometry, literal: Geometry) => boolean;

/**
 * Geometry functions between a stored GeoJSON and a literal. The boxes are compared by the database's index, the exact
 * test runs in process, so that it is the same on every PostgreSQL. A stored value that is no GeoJSON never holds.
 */
export const geoFunctions: readonly FunctionModel[] = [
  predicate('geo.intersects', (a, b) => intersects(a, b)),
  predicate('st_intersects', (a, b) => intersects(a, b)),
  predicate('st_within', (a, b) => within(a, b), (a, b) => within(b, a)),
  predicate('st_contains', (a, b) => within(b, a), (a, b) => within(a, b)),
  predicate('st_disjoint', (a, b) => !intersects(a, b), undefined, true),
  { name: 'geo.distance', parameters: ['geometry', 'geometry'], least: 2, apply: ([a, b]) => measure(a, b) },
];

/** `mirrored` is the test when the literal comes first; symmetric tests have none. `everywhere` also reads what lies far away. */
function predicate(name: string, test: Test, mirrored: Test = test, everywhere = false): FunctionModel {
  return {
    name,
    parameters: ['geometry', 'geometry'],
    least: 2,
    apply: ([a, b]) => {
      if (a?.type === 'geometry' && b?.type === 'geometry') return scalar('boolean', raw(test(a.literal, b.literal) ? 'true' : 'false'));
      const pair = pairOf(a, b);
      if (typeof pair === 'string') return pair;
      const { stored, literal } = pair;
      const chosen = a?.type === 'geometry' ? mirrored : test;
      return scalar('boolean', rowsWhere(stored, everywhere ? null : boxOf(literal), (geometry) => chosen(geometry, literal)));
    },
  };
}

/** geo.distance in degrees: the database measures between points, everything else is measured in process. */
function measure(a: Value | undefined, b: Value | undefined): Value | string {
  if (a?.type === 'geometry' && b?.type === 'geometry') return scalar('number', frag`${distance(a.literal, b.literal)}::double precision`);
  const pair = pairOf(a, b);
  if (typeof pair === 'string') return pair;
  const { stored, literal } = pair;
  const [point] = literal.points;
  if (point === undefined || literal.points.length > 1 || literal.lines.length > 0 || literal.areas.length > 0) return 'geo.distance measures to a POINT only';
  const json = raw(`${stored.alias}.${stored.column}`);
  const [lon, lat] = [frag`(${json} #>> '{coordinates,0}')::double precision`, frag`(${json} #>> '{coordinates,1}')::double precision`];
  const pending: GeometryQuestion = { table: stored.table, column: stored.column, box: null, withoutPoints: true, test: reading((geometry) => distance(geometry, literal)) };
  const others = frag`(select measured.degrees from unnest(${{ pending, part: 'ids' }}::bigint[], ${{ pending, part: 'numbers' }}::double precision[]) measured(id, degrees) where measured.id = ${raw(stored.alias)}.id)`;
  // a box is kept for readable geometries only, so a Point that has one has two numbers
  return scalar('number', frag`(case when ${raw(stored.alias)}.bbox is null then null when ${json} ->> 'type' = 'Point' then point(${lon}, ${lat}) <-> point(${point[0]}::double precision, ${point[1]}::double precision) else ${others} end)`);
}

function pairOf(a: Value | undefined, b: Value | undefined): { stored: StoredGeometry; literal: Geometry } | string {
  if (a?.type === 'stored-geometry' && b?.type === 'geometry') return { stored: a.stored, literal: b.literal };
  if (a?.type === 'geometry' && b?.type === 'stored-geometry') return { stored: b.stored, literal: a.literal };
  return 'one side is a stored geometry (location, feature) and the other a literal such as geography\'POINT (11.57 48.14)\'';
}

function rowsWhere({ table, column, alias }: StoredGeometry, box: Box | null, test: (geometry: Geometry) => boolean): Fragment {
  const pending: GeometryQuestion = { table, column, box, withoutPoints: false, test: reading(test) };
  return frag`${raw(alias)}.id = any(${{ pending, part: 'ids' }}::bigint[])`;
}

function reading(test: (geometry: Geometry) => boolean | number): (json: unknown) => boolean | number {
  return (json) => {
    const geometry = geometryOf(json);
    return geometry === null ? false : test(geometry);
  };
}
