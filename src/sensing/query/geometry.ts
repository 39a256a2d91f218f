import { isLonLat, type LonLat } from '../../kernel/index.ts';

/**
 * Flat geometry in degrees, WGS 84, taken apart into its simple parts (OGC 06-103r4 §6.1). Straight edges are straight in
 * longitude and latitude, as in GeoJSON (RFC 7946 §3.1.1); heights are left aside. Distances are in degrees, the unit of
 * the coordinate system, as OData asks of geo.distance.
 */
export interface Geometry {
  readonly points: readonly LonLat[];
  readonly lines: readonly (readonly LonLat[])[];
  /** Each area is its outer ring and its holes, all closed. */
  readonly areas: readonly (readonly (readonly LonLat[])[])[];
}

export type Box = readonly [west: number, south: number, east: number, north: number];

const LITERAL_VERTICES = 2_000;
const STORED_VERTICES = 20_000;
const TOLERANCE = 1e-12;

/** Reads well-known text of a point, line, polygon or a multi form of them. Returns what is wrong as a string. */
export function parseWkt(text: string): Geometry | string {
  const shape = /^\s*(?:SRID=4326;)?\s*(MULTI)?(POINT|LINESTRING|POLYGON)\s*(?:Z\s*)?(\(.*\))\s*$/is.exec(text);
  if (!shape?.[2] || !shape[3]) return 'a geometry is written as geography\'POINT (11.57 48.14)\', LINESTRING, POLYGON or a MULTI form of them';
  const body = shape[3];
  if ((body.match(/,/g)?.length ?? 0) >= LITERAL_VERTICES) return `a geometry in a query has at most ${String(LITERAL_VERTICES)} positions`;
  if (!/^[\s\d.,()eE+-]*$/.test(body)) return 'the coordinates hold something that is not a number';
  let nested: unknown;
  try {
    const positions = body.replaceAll(/[^(),]+/g, (part) => (part.trim() === '' ? '' : JSON.stringify(part.trim().split(/\s+/).map(toNumber))));
    nested = JSON.parse(positions.replaceAll('(', '[').replaceAll(')', ']'));
  } catch {
    return 'the parentheses or commas of the coordinates are out of order';
  }
  const kind = `${shape[1] ? 'Multi' : ''}${({ POINT: 'Point', LINESTRING: 'LineString', POLYGON: 'Polygon' })[shape[2].toUpperCase() as 'POINT']}`;
  // POINT (1 2) arrives as [[1,2]]; MULTIPOINT may leave out its inner parentheses
  let coordinates = nested;
  if (kind === 'Point' && Array.isArray(nested) && nested.length === 1) coordinates = nested[0];
  if (kind === 'MultiPoint' && Array.isArray(nested)) coordinates = nested.map((part: unknown) => (Array.isArray(part) && Array.isArray(part[0]) ? (part[0] as unknown) : part));
  return geometryOf({ type: kind, coordinates }) ?? 'the coordinates do not make up such a geometry; longitude comes first, rings are closed';
}

const toNumber = (text: string): number => (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN);

/** Reads GeoJSON, also a Feature or a collection; null for anything else. */
export function geometryOf(json: unknown): Geometry | null {
  const points: LonLat[] = [];
  const lines: LonLat[][] = [];
  const areas: LonLat[][][] = [];
  let vertices = 0;
  const position = (value: unknown): LonLat | null => {
    vertices += 1;
    return Array.isArray(value) && value.length >= 2 && value.length <= 4 && isLonLat(value[0], value[1]) && vertices <= STORED_VERTICES ? [value[0] as number, value[1] as number] : null;
  };
  const listOf = <T>(value: unknown, read: (part: unknown) => T | null, least: number): T[] | null => {
    if (!Array.isArray(value) || value.length < least) return null;
    const parts = value.map(read);
    return parts.every((part) => part !== null) ? (parts) : null;
  };
  const line = (value: unknown): LonLat[] | null => listOf(value, position, 2);
  const ring = (value: unknown): LonLat[] | null => {
    const list = listOf(value, position, 4);
    const [first, last] = [list?.[0], list?.at(-1)];
    return list && first && last && first[0] === last[0] && first[1] === last[1] ? list : null;
  };
  const polygon = (value: unknown): LonLat[][] | null => listOf(value, ring, 1);
  const add = <T>(target: T[], part: T | null): boolean => part !== null && target.push(part) > 0;
  const addAll = <T>(target: T[], parts: T[] | null): boolean => parts !== null && (target.push(...parts), true);
  const read = (value: unknown, depth: number): boolean => {
    if (typeof value !== 'object' || value === null || depth > 8) return false;
    const { type, coordinates, geometry, geometries, features } = value as Record<string, unknown>;
    switch (type) {
      case 'Point':
        return add(points, position(coordinates));
      case 'MultiPoint':
        return addAll(points, listOf(coordinates, position, 1));
      case 'LineString':
        return add(lines, line(coordinates));
      case 'MultiLineString':
        return addAll(lines, listOf(coordinates, line, 1));
      case 'Polygon':
        return add(areas, polygon(coordinates));
      case 'MultiPolygon':
        return addAll(areas, listOf(coordinates, polygon, 1));
      case 'Feature':
        return read(geometry, depth + 1);
      case 'GeometryCollection':
        return Array.isArray(geometries) && geometries.length > 0 && geometries.every((part) => read(part, depth + 1));
      case 'FeatureCollection':
        return Array.isArray(features) && features.length > 0 && features.every((part) => read(part, depth + 1));
      default:
        return false;
    }
  };
  return read(json, 0) ? { points, lines, areas } : null;
}

export function boxOf(geometry: Geometry): Box {
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon, lat] of verticesOf(geometry)) {
    west = Math.min(west, lon);
    east = Math.max(east, lon);
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  }
  return [west, south, east, north];
}

/** True when the two share at least one point. */
export function intersects(a: Geometry, b: Geometry): boolean {
  if (verticesOf(a).some((point) => covers(b, point)) || verticesOf(b).some((point) => covers(a, point))) return true;
  const others = segmentsOf(b);
  return segmentsOf(a).some((one) => others.some((other) => crossings(one, other).length > 0));
}

/** True when `a` lies in `b` and not only on its edge (OGC 06-103r4 §6.1.15.3, ST_Within). */
export function within(a: Geometry, b: Geometry): boolean {
  const edges = segmentsOf(b);
  let inside = false;
  const keep = (point: LonLat, of: Geometry): boolean => {
    if (!covers(of, point)) return false;
    inside ||= !onEdge(b, point);
    return true;
  };
  if (!a.points.every((point) => keep(point, b))) return false;
  // a point of b that happens to be the middle of a piece of a does not cover the piece
  const withoutPoints = { ...b, points: [] };
  for (const segment of segmentsOf(a)) {
    const cuts = [0, 1, ...edges.flatMap((edge) => crossings(segment, edge))].sort((one, other) => one - other);
    for (const [at, cut] of cuts.entries()) {
      const next = cuts[at + 1] ?? cut;
      if (!keep(pointAt(segment, (cut + next) / 2), isOnePlace(segment) ? b : withoutPoints)) return false;
    }
  }
  // no edge of a enters a hole of b, so a covers all of the hole or nothing
  const hidesHole = a.areas.length > 0 && b.areas.flatMap((area) => area.slice(1)).some((hole) => pointsInside(hole).some((point) => covers(a, point) && !covers(b, point)));
  return !hidesHole && (inside || a.areas.length > 0);
}

/** Points in the inside of a ring: between its edges, half way between neighbouring latitudes of its corners. */
function pointsInside(ring: readonly LonLat[]): LonLat[] {
  const latitudes = [...new Set(ring.map(([, lat]) => lat))].sort((one, other) => one - other);
  return pairs(latitudes.map((lat): LonLat => [0, lat])).flatMap(([[, low], [, high]]) => {
    const lat = (low + high) / 2;
    const crossed = pairs(ring).filter(([from, to]) => from[1] > lat !== to[1] > lat).map(([from, to]) => from[0] + ((to[0] - from[0]) * (lat - from[1])) / (to[1] - from[1]));
    const sorted = crossed.sort((one, other) => one - other);
    return sorted.flatMap((lon, at): LonLat[] => (at % 2 === 0 ? [[(lon + (sorted[at + 1] ?? lon)) / 2, lat]] : []));
  });
}

/** Shortest distance in degrees; 0 when they meet. */
export function distance(a: Geometry, b: Geometry): number {
  if (intersects(a, b)) return 0;
  const shortest = (from: Geometry, to: Geometry): number => {
    const segments = [...segmentsOf(to), ...to.points.map((point): Segment => [point, point])];
    return Math.min(...verticesOf(from).map((point) => segments.reduce((least, segment) => Math.min(least, distanceTo(segment, point)), Infinity)));
  };
  return Math.min(shortest(a, b), shortest(b, a));
}

/** Length in degrees of all its lines; null when it holds anything else or no line. */
export function lengthOf({ points, lines, areas }: Geometry): number | null {
  if (lines.length === 0 || points.length > 0 || areas.length > 0) return null;
  return lines.flatMap((line) => pairs(line)).reduce((sum, [from, to]) => sum + Math.hypot(to[0] - from[0], to[1] - from[1]), 0);
}

/** True when the point lies on one of the parts. */
export const isOnParts = (geometry: Geometry, point: LonLat): boolean => covers(geometry, point);

type Segment = readonly [LonLat, LonLat];
const isOnePlace = ([from, to]: Segment): boolean => from[0] === to[0] && from[1] === to[1];

function verticesOf({ points, lines, areas }: Geometry): LonLat[] {
  return [...points, ...lines.flat(), ...areas.flat(2)];
}

function segmentsOf({ lines, areas }: Geometry): Segment[] {
  return [...lines, ...areas.flat()].flatMap((line) => pairs(line));
}

function pairs(line: readonly LonLat[]): Segment[] {
  const found: Segment[] = [];
  for (let at = 1; at < line.length; at += 1) {
    const [from, to] = [line[at - 1], line[at]];
    if (from && to) found.push([from, to]);
  }
  return found;
}

const pointAt = ([from, to]: Segment, share: number): LonLat => [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share];

/** Twice the signed area of the triangle; 0 when the three lie on a line. */
function turn(a: LonLat, b: LonLat, c: LonLat): number {
  const value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  return Math.abs(value) < TOLERANCE ? 0 : value;
}

function onSegment([from, to]: Segment, point: LonLat): boolean {
  return (
    turn(from, to, point) === 0 &&
    point[0] >= Math.min(from[0], to[0]) - TOLERANCE &&
    point[0] <= Math.max(from[0], to[0]) + TOLERANCE &&
    point[1] >= Math.min(from[1], to[1]) - TOLERANCE &&
    point[1] <= Math.max(from[1], to[1]) + TOLERANCE
  );
}

/** Shares of the first segment at which the second meets it; for an overlap, the ends of the overlap. */
function crossings(one: Segment, other: Segment): number[] {
  const [p, q] = [one[0], other[0]];
  const r: LonLat = [one[1][0] - p[0], one[1][1] - p[1]];
  const s: LonLat = [other[1][0] - q[0], other[1][1] - q[1]];
  const cross = r[0] * s[1] - r[1] * s[0];
  if (Math.abs(cross) < TOLERANCE) {
    const length = r[0] * r[0] + r[1] * r[1];
    if (length === 0) return onSegment(other, p) ? [0] : [];
    return other.filter((end) => onSegment(one, end)).map((end) => ((end[0] - p[0]) * r[0] + (end[1] - p[1]) * r[1]) / length).concat(onSegment(other, one[0]) ? [0] : [], onSegment(other, one[1]) ? [1] : []);
  }
  const t = ((q[0] - p[0]) * s[1] - (q[1] - p[1]) * s[0]) / cross;
  const u = ((q[0] - p[0]) * r[1] - (q[1] - p[1]) * r[0]) / cross;
  const meets = (share: number): boolean => share >= -TOLERANCE && share <= 1 + TOLERANCE;
  return meets(t) && meets(u) ? [Math.min(1, Math.max(0, t))] : [];
}

/** Even-odd rule; a point on the ring counts as inside. */
function inRing(ring: readonly LonLat[], point: LonLat): boolean {
  let inside = false;
  for (const segment of pairs(ring)) {
    if (onSegment(segment, point)) return true;
    const [[x1, y1], [x2, y2]] = segment;
    if (y1 > point[1] !== y2 > point[1] && point[0] < ((x2 - x1) * (point[1] - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

const onRing = (ring: readonly LonLat[], point: LonLat): boolean => pairs(ring).some((segment) => onSegment(segment, point));

function inArea([outer, ...holes]: readonly (readonly LonLat[])[], point: LonLat): boolean {
  return outer !== undefined && inRing(outer, point) && !holes.some((hole) => inRing(hole, point) && !onRing(hole, point));
}

function covers({ points, lines, areas }: Geometry, point: LonLat): boolean {
  return (
    points.some((other) => other[0] === point[0] && other[1] === point[1]) ||
    lines.some((line) => onRing(line, point)) ||
    areas.some((area) => inArea(area, point))
  );
}

/** On the edge of an area or at the end of a line, and in the inside of no other part. */
function onEdge({ points, lines, areas }: Geometry, point: LonLat): boolean {
  if (points.some((other) => other[0] === point[0] && other[1] === point[1])) return false;
  const isEnd = (line: readonly LonLat[]): boolean => [line[0], line.at(-1)].some((end) => end?.[0] === point[0] && end[1] === point[1]);
  if (lines.some((line) => onRing(line, point) && !isEnd(line))) return false;
  return !areas.some((area) => inArea(area, point) && !area.some((ring) => onRing(ring, point)));
}

function distanceTo([from, to]: Segment, point: LonLat): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = dx * dx + dy * dy;
  const share = length === 0 ? 0 : Math.min(1, Math.max(0, ((point[0] - from[0]) * dx + (point[1] - from[1]) * dy) / length));
  return Math.hypot(point[0] - from[0] - share * dx, point[1] - from[1] - share * dy);
}
