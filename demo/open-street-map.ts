import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { VectorTile } from '@mapbox/vector-tile';
import { PbfReader } from 'pbf';
import { type WorldPoint } from './world.ts';

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
