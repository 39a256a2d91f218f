import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { VectorTile } from '@mapbox/vector-tile';
import { PbfReader } from 'pbf';
import { PMTiles, zxyToTileId, type Source } from 'pmtiles';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { City } from '../src/contracts/common.ts';
import { Purpose } from '../src/contracts/trust.ts';
import { BASEMAP_LAYERS } from './basemap-layers.ts';
import { buildCity, type BuiltCity, DEMO_CITY, readCatalogue } from './build-city.ts';
import { type Catalogue } from './catalogue.ts';
import { type GazetteerEntry, houseNumbers, shortNames } from './gazetteer.ts';
import { PLACE_KINDS } from './kinds.ts';
import { tileIdOf } from './pmtiles-archive.ts';
import { worldOf } from './world.ts';

const folder = mkdtempSync(join(tmpdir(), 'clerestory-demo-'));
let built: BuiltCity;
let entries: GazetteerEntry[];
let archive: PMTiles;

class BytesSource implements Source {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }
  getKey(): string {
    return 'bytes';
  }
  async getBytes(offset: number, length: number): Promise<{ data: ArrayBuffer }> {
    return { data: this.#bytes.slice(offset, offset + length).buffer };
  }
}

async function tileAt(z: number, lon: number, lat: number): Promise<VectorTile> {
  const [x, y] = worldOf(lon, lat);
  const tile = await archive.getZxy(z, Math.floor(x * 2 ** z), Math.floor(y * 2 ** z));
  if (!tile) throw new Error(`no tile at zoom ${z}`);
  return new VectorTile(new PbfReader(new Uint8Array(tile.data)));
}

function propertiesOf(tile: VectorTile, layer: string): Record<string, unknown>[] {
  const found = tile.layers[layer];
  return Array.from({ length: found?.length ?? 0 }, (_, index) => found?.feature(index).properties ?? {});
}

/** Names of the people who edited the map, as the extract carries them. */
function editors(): { names: Set<string>; tags: Set<string> } {
  const source = join(dirname(createRequire(import.meta.url).resolve('@mapbox/mvt-fixtures/package.json')), 'real-world', 'osm-qa-montevideo');
  const names = new Set<string>();
  const tags = new Set<string>();
  for (const file of readdirSync(source)) {
    const layer = new VectorTile(new PbfReader(readFileSync(join(source, file)))).layers['osm'];
    for (let index = 0; index < (layer?.length ?? 0); index += 1) {
      for (const [key, value] of Object.entries(layer?.feature(index).properties ?? {})) {
        if (key === '@user') names.add(String(value));
        else if (!key.startsWith('@')) for (const word of String(value).split(/\W+/)) tags.add(word);
      }
    }
  }
  return { names, tags };
}

beforeAll(async () => {
  built = await buildCity({ folder });
  entries = readFileSync(join(folder, 'gazetteer.ndjson'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as GazetteerEntry);
  archive = new PMTiles(new BytesSource(new Uint8Array(readFileSync(join(folder, 'basemap.pmtiles')))));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the basemap', () => {
  it('is a PMTiles archive of vector tiles from zoom 0 to 15 with the attribution', async () => {
    const header = await archive.getHeader();
    expect(header).toMatchObject({ specVersion: 3, minZoom: 0, maxZoom: 15, tileType: 1, tileCompression: 2, clustered: true });
    expect(await archive.getMetadata()).toMatchObject({ attribution: DEMO_CITY.attribution });
    expect(header.numAddressedTiles).toBeGreaterThan(1_000);
  });
  it('draws streets, houses, parks and place names of the old town', async () => {
    const tile = await tileAt(15, -56.19, -34.906);
    expect(propertiesOf(tile, 'roads')).toContainEqual(expect.objectContaining({ kind: 'major_road', name: 'Avenida 18 de Julio' }));
    expect(propertiesOf(tile, 'buildings')).toContainEqual(expect.objectContaining({ kind: 'building' }));
    expect(propertiesOf(tile, 'buildings')).toContainEqual(expect.objectContaining({ kind: 'address', addr_housenumber: expect.stringMatching(/^\d+/) as unknown }));
    expect(propertiesOf(tile, 'landuse')).toContainEqual(expect.objectContaining({ kind: 'park' }));
    expect(propertiesOf(await tileAt(13, -56.19, -34.906), 'places')).toContainEqual(expect.objectContaining({ kind: 'neighbourhood' }));
  });
  it('has water where the bay is and land where the town is', async () => {
    const covers = async (lon: number, lat: number): Promise<boolean> => {
      const tile = await tileAt(14, lon, lat);
      const [x, y] = worldOf(lon, lat).map((part) => ((part * 2 ** 14) % 1) * 4096) as [number, number];
      const water = tile.layers['water'];
      let inside = false;
      for (let index = 0; index < (water?.length ?? 0); index += 1) {
        const feature = water?.feature(index);
        if (feature?.type !== 3) continue;
        for (const ring of feature.loadGeometry()) {
          for (let at = 0, before = ring.length - 1; at < ring.length; before = at, at += 1) {
            const [a, b] = [ring[at], ring[before]];
            if (a && b && a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
          }
        }
      }
      return inside;
    };
    expect(await covers(-56.228, -34.893)).toBe(true);
    expect(await covers(-56.12, -34.94)).toBe(true);
    expect(await covers(-56.16, -34.89)).toBe(false);
    expect(await covers(-56.2, -34.75)).toBe(false);
  });
  it('names the invented city and never the city of the extract', async () => {
    expect(propertiesOf(await tileAt(10, -56.18, -34.89), 'places').map(({ name }) => name)).toContain('Puerto Claro');
    for (const zoom of [8, 10, 12, 14]) expect(propertiesOf(await tileAt(zoom, -56.18, -34.9), 'places').map(({ name }) => name)).not.toContain('Montevideo');
  });
});

describe('the tile numbers of the archive', () => {
  it('are those of the reference implementation', () => {
    for (const [z, x, y] of [[0, 0, 0], [1, 1, 1], [3, 5, 2], [12, 1408, 2471], [15, 11_264, 19_775], [15, 32_767, 0]] as const) expect(tileIdOf(z, x, y)).toBe(zxyToTileId(z, x, y));
  });
});

describe('the gazetteer', () => {
  it('finds house numbers on 18 de Julio, and the street by its short name', () => {
    const houses = entries.filter(({ kind, label }) => kind === 'address' && /^Avenida 18 de Julio 12\d\d$/.test(label));
    expect(houses.length).toBeGreaterThan(5);
    for (const { lon, lat } of houses) {
      expect(lon).toBeCloseTo(-56.19, 2);
      expect(lat).toBeCloseTo(-34.906, 2);
    }
    expect(entries.find(({ kind, label }) => kind === 'street' && label === 'Avenida 18 de Julio')?.names).toEqual(['18 de Julio']);
  });
  it('has streets, junctions, house numbers and places', () => {
    const count = (kind: GazetteerEntry['kind']): number => entries.filter((entry) => entry.kind === kind).length;
    expect(count('street')).toBeGreaterThan(3_000);
    expect(count('junction')).toBeGreaterThan(8_000);
    expect(count('address')).toBeGreaterThan(80_000);
    expect(entries.filter(({ kind }) => kind === 'place').map(({ label }) => label)).toEqual(expect.arrayContaining(['Pocitos', 'Ciudad Vieja', 'Plaza Independencia']));
    expect(entries.map(({ label }) => label)).toContain('Avenida Italia / Comercio');
    expect(entries).toHaveLength(built.gazetteer_entries);
  });
  it('reads entrances with several numbers and streets with titles', () => {
    expect(houseNumbers('1234,1236 BIS')).toEqual(['1234', '1236']);
    expect(shortNames('Avenida General Rivera')).toEqual(['General Rivera', 'Rivera']);
    expect(shortNames('Colonia')).toEqual([]);
  });
});

describe('the folder', () => {
  it('says what the city is called and where it lies, as the contract has it', () => {
    const city = City.omit({ version: true, demo: true }).parse(JSON.parse(readFileSync(join(folder, 'city.json'), 'utf8')));
    expect(city).toMatchObject({ name: 'Puerto Claro', attribution: '© OpenStreetMap contributors (ODbL)', time_zone: 'America/Montevideo' });
    const [west, south, east, north] = city.bounds;
    expect(west < city.center[0] && city.center[0] < east && south < city.center[1] && city.center[1] < north).toBe(true);
  });
  it('brings a register of purposes that covers every property of the sensors', () => {
    const register = parse(readFileSync(join(folder, 'purposes.yaml'), 'utf8')) as { purposes: unknown[] };
    const purposes = new Map(register.purposes.map((entry) => Purpose.parse(entry)).map((purpose) => [purpose.id, purpose]));
    for (const { streams } of PLACE_KINDS) for (const { purpose, property } of streams) expect(purposes.get(purpose)?.observes).toContain(property);
    expect(purposes.get('service-requests')?.personal_data).toBe(true);
  });
  it('carries nothing of the people who edited the map', async () => {
    const { names, tags } = editors();
    expect(names.size).toBeGreaterThan(50);
    const strangers = [...names].filter((name) => name.length > 5 && !/\W/.test(name) && !tags.has(name));
    const tiles = new Set<string>();
    const keys = new Set<string>();
    for (let x = 11_256; x < 11_288; x += 1) {
      for (let y = 19_768; y < 19_784; y += 1) {
        const tile = await archive.getZxy(15, x, y);
        if (!tile) continue;
        const decoded = new VectorTile(new PbfReader(new Uint8Array(tile.data)));
        for (const [key, value] of Object.keys(decoded.layers).flatMap((layer) => propertiesOf(decoded, layer)).flatMap(Object.entries)) {
          tiles.add(String(value));
          keys.add(key);
        }
        expect(Object.keys(decoded.layers).every((layer) => (BASEMAP_LAYERS as readonly string[]).includes(layer))).toBe(true);
      }
    }
    expect([...keys].sort()).toEqual(['addr_housenumber', 'height', 'is_bridge', 'is_link', 'is_tunnel', 'kind', 'kind_detail', 'min_zoom', 'name', 'oneway', 'population_rank'].sort());
    const words = new Set([...tiles, readFileSync(join(folder, 'gazetteer.ndjson'), 'utf8'), readFileSync(join(folder, 'catalogue.json'), 'utf8')].join(' ').split(/\W+/));
    expect(strangers.filter((name) => words.has(name))).toEqual([]);
    for (const file of readdirSync(folder)) expect(readFileSync(join(folder, file), 'latin1')).not.toMatch(/@user|@uid|@changeset/);
  });
});

describe('the catalogue', () => {
  it('has about a thousand streams with their own names at places in the city', () => {
    const catalogue = JSON.parse(readFileSync(join(folder, 'catalogue.json'), 'utf8')) as Catalogue;
    expect(catalogue.streams).toHaveLength(994);
    expect(new Set(catalogue.streams.map(({ reference }) => reference)).size).toBe(994);
    expect(new Set(catalogue.places.map(({ name }) => name)).size).toBe(catalogue.places.length);
    expect(new Set(catalogue.places.map(({ kind }) => kind)).size).toBe(PLACE_KINDS.length);
    for (const { lon, lat } of catalogue.places) expect(lon > -56.3 && lon < -56 && lat > -34.95 && lat < -34.7).toBe(true);
  });
  it('is the same when it is read again', () => {
    expect(JSON.stringify(readCatalogue())).toBe(readFileSync(join(folder, 'catalogue.json'), 'utf8'));
  });
});
