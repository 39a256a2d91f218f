import Coordinate from 'jsts/org/locationtech/jts/geom/Coordinate.js';
import GeometryFactory from 'jsts/org/locationtech/jts/geom/GeometryFactory.js';
import RelateOp from 'jsts/org/locationtech/jts/operation/relate/RelateOp.js';
import UnaryUnionOp from 'jsts/org/locationtech/jts/operation/union/UnaryUnionOp.js';
import IsValidOp from 'jsts/org/locationtech/jts/operation/valid/IsValidOp.js';
import type { LonLat } from '../../kernel/index.ts';
import { isOnParts, type Geometry } from './geometry.ts';

// The package's own types leave everything open; this is what is used of it.
interface Shape {
  readonly shape: true;
}
interface Factory {
  createPoint(position: unknown): Shape;
  createLineString(positions: readonly unknown[]): Shape;
  createLinearRing(positions: readonly unknown[]): Shape;
  createPolygon(outer: Shape, holes: readonly Shape[]): Shape;
  createMultiPolygon(areas: readonly Shape[]): Shape;
  buildGeometry(list: unknown): Shape;
  createGeometryCollection(parts: readonly Shape[]): Shape;
  createMultiPoint(parts: readonly Shape[]): Shape;
  createMultiLineString(parts: readonly Shape[]): Shape;
}
const factory = new GeometryFactory() as unknown as Factory;
const relateShapes = RelateOp.relate.bind(RelateOp) as unknown as (a: Shape, b: Shape) => { toString(): string };
const unite = UnaryUnionOp.union.bind(UnaryUnionOp) as unknown as (shape: Shape) => Shape;
const isValid = (shape: Shape): boolean => (new IsValidOp(shape) as unknown as { isValid(): boolean }).isValid();

/** Nine characters, each F, 0, 1 or 2: the dimensions of what inside, boundary and outside of two shapes have in common. */
export type Matrix = string;

const SHAPES = new WeakMap<Geometry, Shape | null>();

/**
 * The intersection matrix of two geometries (OGC 06-103r4 §6.1.15.1, DE-9IM), as text in the order II IB IE BI BB BE EI
 * EB EE. Null when one of them is no simple shape, such as an area whose ring crosses itself.
 */
export function relate(a: Geometry, b: Geometry): Matrix | null {
  const [one, other] = [shapeOf(a), shapeOf(b)];
  return one === null || other === null ? null : relateShapes(one, other).toString();
}

/** False for an area whose rings cross. */
export const isSimple = (geometry: Geometry): boolean => shapeOf(geometry) !== null;

function shapeOf(geometry: Geometry): Shape | null {
  let shape = SHAPES.get(geometry);
  if (shape === undefined) SHAPES.set(geometry, (shape = build(geometry)));
  return shape;
}

function build({ points, lines, areas }: Geometry): Shape | null {
  const at = ([lon, lat]: LonLat): unknown => new Coordinate(lon, lat);
  const polygons = areas.map(([outer = [], ...holes]) => factory.createPolygon(factory.createLinearRing(outer.map(at)), holes.map((hole) => factory.createLinearRing(hole.map(at)))));
  if (!polygons.every(isValid)) return null;
  // a point on a line or in an area of the same geometry adds nothing to it
  const apart = points.filter((point) => !isOnParts({ points: [], lines, areas }, point));
  const parts = [
    ...(apart.length === 0 ? [] : [factory.createMultiPoint(apart.map((point) => factory.createPoint(at(point))))]),
    ...(lines.length === 0 ? [] : [factory.createMultiLineString(lines.map((line) => factory.createLineString(line.map(at))))]),
    ...(polygons.length === 0 ? [] : [areaShape(polygons)]),
  ];
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : factory.createGeometryCollection(parts);
}

/** Areas of a collection may share more than points, which those of one MultiPolygon may not. */
function areaShape(polygons: readonly Shape[]): Shape {
  const all = factory.createMultiPolygon(polygons);
  return polygons.length === 1 || isValid(all) ? all : unite(all);
}

const PATTERN = /^[TF*012]{9}$/i;

export const isPattern = (text: string): boolean => PATTERN.test(text);

/** True when every character of the pattern is met: T any dimension, F none, * whatever. */
export function matches(matrix: Matrix, pattern: string): boolean {
  return [...pattern.toUpperCase()].every((wanted, at) => {
    const found = matrix.charAt(at);
    return wanted === '*' || (wanted === 'T' ? found !== 'F' : wanted === found);
  });
}

/** True when only shapes that meet can match: one of inside and boundary must have something in common. */
export const needsMeeting = (pattern: string): boolean => [0, 1, 3, 4].some((at) => /[T012]/i.test(pattern.charAt(at)));

/** 0 points, 1 lines, 2 areas: the highest that is in it. */
const dimensionOf = ({ lines, areas }: Geometry): 0 | 1 | 2 => (areas.length > 0 ? 2 : lines.length > 0 ? 1 : 0);

type Predicate = (a: Geometry, b: Geometry) => boolean;
const byPatterns =
  (patternsOf: (a: 0 | 1 | 2, b: 0 | 1 | 2) => readonly string[]): Predicate =>
  (a, b) => {
    const patterns = patternsOf(dimensionOf(a), dimensionOf(b));
    const matrix = patterns.length === 0 ? null : relate(a, b);
    return matrix !== null && patterns.some((pattern) => matches(matrix, pattern));
  };

/** OGC 06-103r4 §6.1.15.3. A shape that is not simple is in no relation to any other. */
export const equals = byPatterns((a, b) => (a === b ? ['T*F**FFF*'] : []));
export const touches = byPatterns(() => ['FT*******', 'F**T*****', 'F***T****']);
export const crosses = byPatterns((a, b) => (a < b ? ['T*T******'] : a > b ? ['T*****T**'] : a === 1 ? ['0********'] : []));
export const overlaps = byPatterns((a, b) => (a !== b ? [] : a === 1 ? ['1*T***T**'] : ['T*T***T**']));
