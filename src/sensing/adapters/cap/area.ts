import { Refused, isLonLat } from '../../../kernel/index.ts';
import { readText } from '../batch.ts';
import { childrenOf, textAt, type XmlElement } from '../xml.ts';

export interface CapArea {
  /** The same for the same area in any language: its codes where it has some, else its description. */
  readonly key: string;
  readonly name: string;
  readonly geometry: { readonly type: string; readonly coordinates: unknown } | null;
  readonly geocodes: readonly string[];
}

type Position = readonly [lon: number, lat: number];
const VERTICES_MAX = 10_000;
const CIRCLE_CORNERS = 32;
const KM_A_DEGREE = 111.195; // mean radius of 6 371.0088 km

const invalid = (detail: string, element: XmlElement): Refused => new Refused({ code: 'feed.document-invalid', detail, field: `${element.name}, line ${element.line}` });

/** Reads an area (CAP 1.2 §3.2.4). Its polygons and circles are a geometry in GeoJSON order; a circle is drawn with 32 corners. */
export function readArea(element: XmlElement): CapArea {
  const name = readText(textAt(element, 'areaDesc')) ?? '';
  if (name === '') throw invalid('areaDesc must not be empty.', element);
  const rings: Position[][] = [];
  const points: Position[] = [];
  for (const polygon of childrenOf(element, 'polygon')) if (polygon.text !== '') rings.push(readPolygon(polygon));
  for (const circle of childrenOf(element, 'circle')) {
    if (circle.text === '') continue;
    const { center, radius_km } = readCircle(circle);
    if (radius_km === 0) points.push(center);
    else rings.push(ringAround(center, radius_km));
  }
  if (rings.reduce((sum, ring) => sum + ring.length, 0) > VERTICES_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `An area has at most ${VERTICES_MAX} corners.`, field: `area, line ${element.line}` });
  const codes = childrenOf(element, 'geocode').map((code) => ({ name: textAt(code, 'valueName') ?? '', value: textAt(code, 'value') ?? '' })).filter(({ value }) => value !== '');
  return { key: keyOf(codes, name), name, geometry: geometryOf(rings, points), geocodes: codes.slice(0, 50).map(({ name: scheme, value }) => `${scheme}=${value}`.slice(0, 200)) };
}

function keyOf(codes: readonly { name: string; value: string }[], name: string): string {
  const scheme = codes[0]?.name;
  if (scheme === undefined) return `area:${name}`;
  const values = codes.filter((code) => code.name === scheme).map((code) => code.value).sort();
  const key = `${scheme}:${values.join('+')}`;
  return key.length <= 180 ? key : `${key.slice(0, 160)}~${fingerprint(key)}`;
}

/** FNV-1a, 32 bits: tells long lists of codes apart. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}

function geometryOf(rings: readonly Position[][], points: readonly Position[]): CapArea['geometry'] {
  if (rings.length === 1) return { type: 'Polygon', coordinates: [rings[0]] };
  if (rings.length > 1) return { type: 'MultiPolygon', coordinates: rings.map((ring) => [ring]) };
  if (points.length === 1) return { type: 'Point', coordinates: points[0] };
  return points.length > 1 ? { type: 'MultiPoint', coordinates: points } : null;
}

/** `lat,lon lat,lon …`, at least four pairs, the last the same as the first. Wound as RFC 7946 §3.1.6 asks. */
function readPolygon(element: XmlElement): Position[] {
  const ring = element.text.split(/\s+/).map((pair) => readPair(pair, element));
  const [first, last] = [ring[0], ring.at(-1)];
  if (ring.length < 4 || first === undefined || last === undefined || first[0] !== last[0] || first[1] !== last[1]) throw invalid('A polygon has at least four pairs, the last the same as the first.', element);
  let doubleArea = 0;
  for (let at = 1; at < ring.length; at += 1) {
    const [from, to] = [ring[at - 1] as Position, ring[at] as Position];
    doubleArea += from[0] * to[1] - to[0] * from[1];
  }
  return doubleArea < 0 ? ring.reverse() : ring;
}

function readPair(pair: string, element: XmlElement): Position {
  const found = /^(-?\d{1,3}(?:\.\d{1,20})?),(-?\d{1,3}(?:\.\d{1,20})?)$/.exec(pair);
  const [lat, lon] = [Number(found?.[1]), Number(found?.[2])];
  if (found === null || !isLonLat(lon, lat)) throw invalid('A position is latitude,longitude in degrees (WGS 84).', element);
  return [lon, lat];
}

function readCircle(element: XmlElement): { center: Position; radius_km: number } {
  const [pair = '', radius = '', ...rest] = element.text.split(/\s+/);
  const radius_km = /^\d{1,5}(?:\.\d{1,20})?$/.test(radius) ? Number(radius) : NaN;
  if (rest.length > 0 || !(radius_km >= 0 && radius_km <= 20_000)) throw invalid('A circle is latitude,longitude and a radius in km.', element);
  return { center: readPair(pair, element), radius_km };
}

function ringAround([lon, lat]: Position, radius_km: number): Position[] {
  const dLat = radius_km / KM_A_DEGREE;
  const dLon = dLat / Math.max(Math.cos((lat * Math.PI) / 180), 0.01);
  const clamp = (value: number, limit: number): number => Math.round(Math.max(-limit, Math.min(limit, value)) * 1e6) / 1e6;
  const ring = Array.from({ length: CIRCLE_CORNERS }, (_, corner): Position => {
    const angle = (corner / CIRCLE_CORNERS) * 2 * Math.PI;
    return [clamp(lon + dLon * Math.cos(angle), 180), clamp(lat + dLat * Math.sin(angle), 90)];
  });
  return [...ring, ring[0] as Position];
}
