import { frag, raw, type Fragment, type GeometryQuestion } from '../fragment.ts';
import { boxOf, distance, geometryOf, intersects, lengthOf, within, type Geometry } from '../geometry.ts';
import { crosses, equals, isPattern, isSimple, matches, needsMeeting, overlaps, relate, touches } from '../topology.ts';
import { boxSqlOf, jsonOf, scalar, type StoredGeometry, type Value } from '../value.ts';
import type { FunctionModel } from './function.ts';

type Test = (a: Geometry, b: Geometry) => boolean;
type Side = Value & { readonly type: 'geometry' | 'stored-geometry' };

/**
 * Geometry functions (18-088 Table 24). The boxes are compared by the database's index, the exact test runs in process,
 * so that it is the same on every PostgreSQL. A stored value that is no GeoJSON never holds.
 */
export const geoFunctions: readonly FunctionModel[] = [
  predicate('geo.intersects', intersects),
  predicate('st_intersects', intersects),
  predicate('st_within', within),
  predicate('st_contains', (a, b) => within(b, a)),
  between('st_disjoint', (a, b) => apart(a, b)),
  topological('st_equals', equals),
  topological('st_touches', touches),
  topological('st_overlaps', overlaps),
  topological('st_crosses', crosses),
  { name: 'st_relate', parameters: ['geometry', 'geometry', 'text'], least: 3, apply: ([a, b, pattern]) => relatedAs(a, b, pattern) },
  between('geo.distance', measure),
  { name: 'geo.length', parameters: ['geometry'], least: 1, apply: ([a]) => measureLength(a) },
];

const WRONG_SIDES = 'both sides are geometries: location, feature, observedArea or a literal such as geography\'POINT (11.57 48.14)\'';
const isSide = (value: Value | undefined): value is Side => value?.type === 'geometry' || value?.type === 'stored-geometry';

function between(name: string, apply: (a: Side, b: Side) => Value | string): FunctionModel {
  return { name, parameters: ['geometry', 'geometry'], least: 2, apply: ([a, b]) => (isSide(a) && isSide(b) ? apply(a, b) : WRONG_SIDES) };
}

function predicate(name: string, test: Test): FunctionModel {
  return between(name, (a, b) => scalar('boolean', rowsWhere(a, b, test, true)));
}

function topological(name: string, test: Test): FunctionModel {
  return between(name, (a, b) => complexSide(a, b) ?? scalar('boolean', rowsWhere(a, b, test, true)));
}

const complexSide = (...sides: readonly Side[]): string | null => (sides.every((side) => side.type !== 'geometry' || isSimple(side.literal)) ? null : 'the ring of an area must not cross itself');

function relatedAs(a: Value | undefined, b: Value | undefined, pattern: Value | undefined): Value | string {
  if (!isSide(a) || !isSide(b)) return WRONG_SIDES;
  const text = pattern?.type === 'text' ? pattern.constant : undefined;
  if (text === undefined || !isPattern(text)) return 'the third value is a literal of nine characters T, F, *, 0, 1, 2, such as \'T*F**F***\'';
  const test: Test = (one, other) => {
    const matrix = relate(one, other);
    return matrix !== null && matches(matrix, text);
  };
  return complexSide(a, b) ?? scalar('boolean', rowsWhere(a, b, test, needsMeeting(text)));
}

/** Disjoint is what can be read and does not intersect: only what is near needs the exact test. */
function apart(a: Side, b: Side): Value {
  const readable = [a, b].flatMap((side) => (side.type === 'geometry' ? [] : [frag`${boxSqlOf(side.stored)} is not null`]));
  return scalar('boolean', frag`(${readable.reduceRight((rest, one) => frag`${one} and ${rest}`, frag`not ${rowsWhere(a, b, intersects, true)}`)})`);
}

/** SQL that holds for the rows where the test does; `near` says that it can hold only where the boxes meet. */
function rowsWhere(a: Side, b: Side, test: Test, near: boolean): Fragment {
  const pending = questionOf(a, b, near, false, test);
  if (pending === null) return raw(a.type === 'geometry' && b.type === 'geometry' && test(a.literal, b.literal) ? 'true' : 'false');
  const [one, other] = [a, b].filter((side) => side.type === 'stored-geometry');
  if (other === undefined) return frag`(${idOf(one)} = any(${{ pending, part: 'ids' }}::bigint[]))`;
  return frag`(${idOf(one)}::text || ' ' || ${idOf(other)}::text = any(${{ pending, part: 'pairs' }}::text[]))`;
}

const idOf = (side: (Side & { type: 'stored-geometry' }) | undefined): Fragment => raw(`${side?.stored.alias ?? ''}.id`);

/** Null when neither side is stored. */
function questionOf(a: Side, b: Side, near: boolean, withoutPoints: boolean, test: (a: Geometry, b: Geometry) => boolean | number): GeometryQuestion | null {
  if (a.type === 'geometry' && b.type === 'geometry') return null;
  if (a.type === 'stored-geometry' && b.type === 'stored-geometry') {
    const sameRow = a.stored.alias === b.stored.alias;
    return { rows: rowsOf(a.stored), other: { rows: rowsOf(b.stored), pairs: sameRow ? 'same row' : near ? 'meeting' : 'all' }, box: null, withoutPoints, test: (one, other) => withBoth(geometryOf(one), geometryOf(other), test) };
  }
  const [stored, literal] = a.type === 'stored-geometry' ? [a.stored, (b as Side & { type: 'geometry' }).literal] : [(b as Side & { type: 'stored-geometry' }).stored, a.literal];
  const inOrder = (geometry: Geometry): boolean | number => (a.type === 'geometry' ? test(literal, geometry) : test(geometry, literal));
  return { rows: rowsOf(stored), other: null, box: near ? boxOf(literal) : null, withoutPoints, test: (json) => withOne(geometryOf(json), inOrder) };
}

const rowsOf = ({ table, column }: StoredGeometry): GeometryQuestion['rows'] => ({ table, column });
const withOne = (geometry: Geometry | null, test: (geometry: Geometry) => boolean | number): boolean | number => (geometry === null ? false : test(geometry));
const withBoth = (a: Geometry | null, b: Geometry | null, test: (a: Geometry, b: Geometry) => boolean | number): boolean | number => (a === null || b === null ? false : test(a, b));

/** geo.distance in degrees: the database measures between points, everything else is measured in process. */
function measure(a: Side, b: Side): Value {
  const points = [pointOf(a), pointOf(b)];
  const [from, to] = points;
  const pending = questionOf(a, b, false, points.every((point) => point !== null), distance);
  if (pending === null) return scalar('number', frag`${a.type === 'geometry' && b.type === 'geometry' ? distance(a.literal, b.literal) : null}::double precision`);
  const stored = [a, b].filter((side) => side.type === 'stored-geometry');
  const [one, other] = stored;
  const others = frag`(${{ pending, part: 'measures' }}::jsonb ->> ${other === undefined ? frag`${idOf(one)}::text` : frag`(${idOf(one)}::text || ' ' || ${idOf(other)}::text)`})::double precision`;
  if (!from || !to) return scalar('number', others);
  // a box is kept for readable geometries only, so a Point that has one has two numbers
  const readable = stored.map(({ stored: side }) => frag`${boxSqlOf(side)} is null`).reduce((rest, next) => frag`${rest} or ${next}`);
  const bothPoints = stored.map(({ stored: side }) => frag`${jsonOf(side)} ->> 'type' = 'Point'`).reduce((rest, next) => frag`${rest} and ${next}`);
  return scalar('number', frag`(case when ${readable} then null when ${bothPoints} then ${from} <-> ${to} else ${others} end)`);
}

/** SQL of a point, or null for a literal of another shape. */
function pointOf(side: Side): Fragment | null {
  if (side.type === 'stored-geometry') {
    const json = jsonOf(side.stored);
    return frag`point((${json} #>> '{coordinates,0}')::double precision, (${json} #>> '{coordinates,1}')::double precision)`;
  }
  const { points, lines, areas } = side.literal;
  const [point] = points;
  return point === undefined || points.length > 1 || lines.length > 0 || areas.length > 0 ? null : frag`point(${point[0]}::double precision, ${point[1]}::double precision)`;
}

/** geo.length in degrees, of lines; null for a stored geometry of another shape. */
function measureLength(value: Value | undefined): Value | string {
  if (!isSide(value)) return 'a geometry is expected: location, feature, observedArea or geography\'LINESTRING (…)\'';
  if (value.type === 'geometry') {
    const length = lengthOf(value.literal);
    return length === null ? 'only a LINESTRING or MULTILINESTRING has a length' : scalar('number', frag`${length}::double precision`);
  }
  const pending: GeometryQuestion = { rows: rowsOf(value.stored), other: null, box: null, withoutPoints: true, test: (json) => withOne(geometryOf(json), (geometry) => lengthOf(geometry) ?? false) };
  return scalar('number', frag`(${{ pending, part: 'measures' }}::jsonb ->> ${idOf(value)}::text)::double precision`);
}
