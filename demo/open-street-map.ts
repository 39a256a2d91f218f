import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { VectorTile } from '@mapbox/vector-tile';
import { PbfReader } from 'pbf';

/** Web Mercator world coordinates: the square [0,1)², y growing downward (tile 0/0/0). */
export type WorldPoint = readonly [x: number, y: number];

/** One OpenStreetMap feature without its editing history: every field that starts with @ is dropped when it is read. */
export interface OsmFeature {
  readonly type: 'point' | 'line' | 'area';
  readonly tags: Readonly<Record<string, string>>;
  /** One point; the vertices of each line; the closed rings of an area. */
  readonly parts: readonly (readonly WorldPoint[])[];
}

const POINT = 1;
const LINE = 2;
/** Tile numbers of zoom 12 that the extract covers. */
export const EXTRACT_ZOOM = 12;

/** Folder of the extract inside the npm package (OSM QA tiles, ODbL 1.0). */
function extractFolder(): string {
  const require = createRequire(import.meta.url);
  return join(dirname(require.resolve('@mapbox/mvt-fixtures/package.json')), 'real-world', 'osm-qa-montevideo');
}

function plainTags(properties: Readonly<Record<string, number | string | boolean>>): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const key in properties) {
    const value = properties[key];
    if (key.startsWith('@') || value === undefined) continue;
    tags[key] = String(value);
  }
  return tags;
}

export interface OsmTile {
  readonly x: number;
  readonly y: number;
  readonly features: readonly OsmFeature[];
}

/**
 * Reads the extract tile by tile, in the order of the file names. Vertices that ways of one tile share have equal
 * coordinates, so junctions can be found by comparing them.
 */
export function* readExtract(): Generator<OsmTile> {
  const folder = extractFolder();
  for (const file of readdirSync(folder).sort()) {
    const [zoom, x, y] = file.split(/[-.]/).map(Number);
    if (zoom !== EXTRACT_ZOOM || x === undefined || y === undefined) continue;
    const layer = new VectorTile(new PbfReader(readFileSync(join(folder, file)))).layers['osm'];
    if (!layer) throw new Error(`${file} has no layer osm; is @mapbox/mvt-fixtures the pinned version?`);
    const scale = 2 ** -EXTRACT_ZOOM;
    const features: OsmFeature[] = [];
    for (let index = 0; index < layer.length; index += 1) {
      const feature = layer.feature(index);
      const parts = feature.loadGeometry().map((part) => part.map((at): WorldPoint => [(x + at.x / layer.extent) * scale, (y + at.y / layer.extent) * scale]));
      features.push({ type: feature.type === POINT ? 'point' : feature.type === LINE ? 'line' : 'area', tags: plainTags(feature.properties), parts });
    }
    yield { x, y, features };
  }
}

/** Longitude and latitude in degrees (WGS 84) of a world point. */
export function lonLatOf([x, y]: WorldPoint): [number, number] {
  const lat = (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
  return [round6(x * 360 - 180), round6(lat)];
}

export function worldOf(lon: number, lat: number): WorldPoint {
  const sin = Math.sin((lat * Math.PI) / 180);
  return [lon / 360 + 0.5, 0.5 - (0.25 * Math.log((1 + sin) / (1 - sin))) / Math.PI];
}

const round6 = (degrees: number): number => Math.round(degrees * 1e6) / 1e6;

/** Metres a unit of the world square measures at the latitude of the extract. */
export const METRES_PER_WORLD = 40_075_017 * Math.cos((34.87 * Math.PI) / 180);

export function distance_m(a: WorldPoint, b: WorldPoint): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]) * METRES_PER_WORLD;
}

export function length_m(line: readonly WorldPoint[]): number {
  let sum = 0;
  for (let index = 1; index < line.length; index += 1) sum += distance_m(line[index - 1] as WorldPoint, line[index] as WorldPoint);
  return sum;
}

/** The vertex nearest to half of the line's length. */
export function middleOf(line: readonly WorldPoint[]): WorldPoint {
  let left = length_m(line) / 2;
  for (let index = 1; index < line.length; index += 1) {
    left -= distance_m(line[index - 1] as WorldPoint, line[index] as WorldPoint);
    if (left <= 0) return line[index] as WorldPoint;
  }
  return line[0] as WorldPoint;
}

/** Mean of a ring's vertices; good enough to place a label or a sensor. */
export function centreOf(ring: readonly WorldPoint[]): WorldPoint {
  const sum = ring.reduce<[number, number]>((total, [x, y]) => [total[0] + x, total[1] + y], [0, 0]);
  return [sum[0] / ring.length, sum[1] / ring.length];
}
