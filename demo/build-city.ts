import { copyFileSync, createWriteStream, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Basemap } from './basemap.ts';
import { buildCatalogue, type Catalogue, type CitySources } from './catalogue.ts';
import { Gazetteer, houseNumbers } from './gazetteer.ts';
import { EXTRACT_ZOOM, type OsmTile, readExtract } from './open-street-map.ts';
import { lonLatOf, type WorldPoint } from './world.ts';

const OWN = join(dirname(fileURLToPath(import.meta.url)), 'city');
const DOCUMENTS = ['purposes.yaml', 'rules.yaml', 'services.yaml', 'playbooks.yaml'] as const;
/** Old town, seen from the harbour; the map opens here. */
const CENTER: readonly [number, number] = [-56.1815, -34.8945];

export const DEMO_CITY = {
  name: 'Puerto Claro',
  motto: 'The harbour city with open windows',
  attribution: '© OpenStreetMap contributors (ODbL)',
  time_zone: 'America/Montevideo',
  languages: ['es', 'en', 'de', 'fr'],
} as const;

interface BuildOptions {
  /** Folder of the city; made when it is missing. */
  readonly folder: string;
  /** Told what is done, and the share of the whole from 0 to 1. */
  readonly progress?: (step: string, share: number) => void;
}

export interface BuiltCity {
  readonly basemap_bytes: number;
  readonly gazetteer_entries: number;
  readonly streams: number;
  /** Documents that the demo does not bring (yet); the folder is complete without them only if the server says so. */
  readonly missing: readonly string[];
}

const folderFrame = { fromX: 1407, toX: 1411, fromY: 2471, toY: 2473 } as const;

/**
 * Builds the demo city's folder from the map extract: basemap, gazetteer, catalogue of sensors and documents.
 * `city.json` is written last, so a folder without it was interrupted and is built again.
 */
export async function buildCity({ folder, progress = () => undefined }: BuildOptions): Promise<BuiltCity> {
  mkdirSync(folder, { recursive: true });
  const basemap = new Basemap(folderFrame);
  const sources = new SourceReader();
  let read = 0;
  for (const tile of readExtract()) {
    for (const feature of tile.features) {
      basemap.addFeature(feature);
      const number = feature.tags['addr:housenumber'];
      const at = feature.parts[0]?.[0];
      if (number !== undefined && feature.type === 'point' && at) basemap.addHouseNumber(houseNumbers(number).slice(0, 2).join(' / '), at);
    }
    sources.addTile(tile);
    read += 1;
    progress('Reading streets', (0.2 * read) / 8);
  }
  basemap.addLandAndWater();
  basemap.addPlace(DEMO_CITY.name, CENTER, { kind: 'locality', kind_detail: 'city', min_zoom: 5, population_rank: 11 });
  basemap.addPlace('Río de la Plata', [-56.12, -34.955], { kind: 'sea', min_zoom: 8 }, 'water');
  basemap.addPlace(`Bahía de ${DEMO_CITY.name}`, [-56.228, -34.893], { kind: 'bay', min_zoom: 11 }, 'water');
  progress('Drawing the map', 0.25);
  const archive = basemap.pack({ name: DEMO_CITY.name, attribution: DEMO_CITY.attribution, center: CENTER }, (share) => progress('Drawing the map', 0.25 + 0.5 * Math.min(1, share)));
  writeWhole(join(folder, 'basemap.pmtiles'), archive);

  progress('Writing the gazetteer', 0.8);
  const entries = await writeGazetteer(join(folder, 'gazetteer.ndjson'), sources.gazetteer);
  progress('Placing sensors', 0.95);
  const catalogue = buildCatalogue(sources);
  writeWhole(join(folder, 'catalogue.json'), JSON.stringify(catalogue));
  const missing = DOCUMENTS.filter((name) => !existsSync(join(OWN, name)));
  for (const name of DOCUMENTS) if (!missing.includes(name)) copyFileSync(join(OWN, name), join(folder, name));
  copyFileSync(join(OWN, 'brand.svg'), join(folder, 'brand.svg'));
  writeWhole(join(folder, 'city.json'), JSON.stringify(cityDocument(), null, 2));
  progress('City is built', 1);
  return { basemap_bytes: archive.length, gazetteer_entries: entries, streams: catalogue.streams.length, missing };
}

/** Gathers from the extract what the catalogue of sensors is placed on. */
class SourceReader implements CitySources {
  readonly gazetteer = new Gazetteer();
  readonly waterways: { name: string; line: readonly WorldPoint[] }[] = [];
  readonly carParks: { name: string | undefined; at: WorldPoint }[] = [];

  addTile(tile: OsmTile): void {
    for (const { type, tags, parts } of tile.features) {
      const { waterway, amenity, name } = tags;
      if (type === 'line' && (waterway === 'river' || waterway === 'stream') && name !== undefined) for (const line of parts) this.waterways.push({ name, line });
      const at = parts[0]?.[0];
      if (amenity === 'parking' && at) this.carParks.push({ name, at });
    }
    this.gazetteer.addTile(tile);
  }
}

/** The catalogue alone, for a city whose folder was not made by `buildCity`. */
export function readCatalogue(): Catalogue {
  const sources = new SourceReader();
  for (const tile of readExtract()) sources.addTile(tile);
  return buildCatalogue(sources);
}

/** contracts/common.ts City without `version` and `demo`, which the server adds. */
function cityDocument(): Record<string, unknown> {
  const scale = 2 ** -EXTRACT_ZOOM;
  const [west, north] = lonLatOf([folderFrame.fromX * scale, folderFrame.fromY * scale]);
  const [east, south] = lonLatOf([folderFrame.toX * scale, folderFrame.toY * scale]);
  return { ...DEMO_CITY, center: CENTER, bounds: [west, south, east, north], basemap: '/city/basemap.pmtiles' };
}

function writeWhole(path: string, content: string | Uint8Array): void {
  writeFileSync(`${path}.part`, content);
  renameSync(`${path}.part`, path);
}

async function writeGazetteer(path: string, gazetteer: Gazetteer): Promise<number> {
  const stream = createWriteStream(`${path}.part`);
  let count = 0;
  let chunk = '';
  for (const entry of gazetteer.entries()) {
    chunk += `${JSON.stringify(entry)}\n`;
    count += 1;
    if (chunk.length < 1_000_000) continue;
    if (!stream.write(chunk)) await once(stream, 'drain');
    chunk = '';
  }
  stream.end(chunk);
  await once(stream, 'finish');
  renameSync(`${path}.part`, path);
  return count;
}


if (import.meta.main) {
  const folder = process.argv[2];
  if (folder === undefined) throw new Error('name the folder of the city: build-city.ts <folder>');
  let last = '';
  const built = await buildCity({
    folder,
    progress: (step) => {
      if (step !== last) console.log(step.toLowerCase());
      last = step;
    },
  });
  console.log(`${DEMO_CITY.name}: ${built.gazetteer_entries} places to look up, ${built.streams} streams`);
}
