import * as cutter from '@maplibre/geojson-vt';
import { fromGeojsonVt } from '@maplibre/vt-pbf';
import { BASEMAP_LAYERS, type BasemapLayer, type MapEntry, placeEntry, poiEntry, shapeEntries } from './basemap-layers.ts';
import { traceCoast, waterRing } from './coast.ts';
import { type OsmFeature } from './open-street-map.ts';
import { type ArchiveTile, packArchive } from './pmtiles-archive.ts';
import { centreOf, lonLatOf, type WorldPoint, worldOf } from './world.ts';

const MAX_ZOOM = 15;
const EXTENT = 4096;
/** Tiles of zoom 12 around the extract that show plain land and water, so that the map does not end at the last street; fewer where tiles are many. */
const MARGIN_TILES = 8;
const marginAt = (zoom: number): number => (zoom < 12 ? MARGIN_TILES : 1);

/** The extract's frame in tiles of zoom 12, [from, to). */
interface Frame {
  readonly fromX: number;
  readonly toX: number;
  readonly fromY: number;
  readonly toY: number;
}

interface CutFeature {
  readonly type: 1 | 2 | 3;
  readonly tags: Readonly<Record<string, unknown>> | null;
  /** Points, or lines and rings of points, in tile coordinates. */
  readonly geometry: readonly unknown[];
}
interface CutTile {
  readonly features: readonly CutFeature[];
}
/** The part of the library that is used here; its own types do not resolve under Node's module rules (version 6.3.1). */
const { GeoJSONVT } = cutter as unknown as { GeoJSONVT: new (data: unknown, options: Readonly<Record<string, unknown>>) => { getTile(z: number, x: number, y: number): CutTile | null } };

type Geometry = { type: 'Point'; coordinates: WorldPoint } | { type: 'MultiLineString'; coordinates: readonly (readonly WorldPoint[])[] } | { type: 'MultiPolygon'; coordinates: readonly (readonly (readonly WorldPoint[])[])[] };
interface DrawnFeature {
  readonly type: 'Feature';
  readonly geometry: Geometry;
  readonly properties: MapEntry['properties'];
}

function signedArea(ring: readonly WorldPoint[]): number {
  let sum = 0;
  for (let index = 0; index < ring.length; index += 1) {
    const [a, b] = [ring[index] as WorldPoint, ring[(index + 1) % ring.length] as WorldPoint];
    sum += a[0] * b[1] - b[0] * a[1];
  }
  return sum;
}

/** Rings to polygons: the first ring's turn marks outer rings (Mapbox Vector Tile 2.1 §4.3.3.3). */
function polygonsOf(rings: readonly (readonly WorldPoint[])[]): (readonly WorldPoint[])[][] {
  const turn = Math.sign(signedArea(rings[0] ?? []));
  const polygons: (readonly WorldPoint[])[][] = [];
  for (const ring of rings) {
    if (ring.length < 4) continue;
    const last = polygons.at(-1);
    if (last === undefined || Math.sign(signedArea(ring)) === turn) polygons.push([ring]);
    else last.push(ring);
  }
  return polygons;
}

function asTile(layers: ReadonlyMap<BasemapLayer, CutFeature[]>): Parameters<typeof fromGeojsonVt>[0] {
  return Object.fromEntries([...layers].map(([layer, features]) => [layer, { features }]));
}

/** Collects features a layer and cuts them into tiles. */
export class Basemap {
  /** Features by layer and least zoom, so that a low zoom never touches the many features of high ones. */
  readonly #groups = new Map<string, { readonly layer: BasemapLayer; readonly minZoom: number; readonly features: DrawnFeature[] }>();
  readonly #houseNumbers = new Map<string, CutFeature[]>();
  readonly #frame: Frame;
  readonly #coastFeatures: OsmFeature[] = [];
  readonly #islands: (readonly WorldPoint[])[] = [];

  constructor(frame: Frame) {
    this.#frame = frame;
  }

  #draw(entry: MapEntry, geometry: Geometry): void {
    const key = `${entry.layer}/${entry.minZoom}`;
    const group = this.#groups.get(key) ?? { layer: entry.layer, minZoom: entry.minZoom, features: [] };
    group.features.push({ type: 'Feature', geometry, properties: entry.properties });
    this.#groups.set(key, group);
  }

  addFeature(feature: OsmFeature): void {
    if (feature.type === 'line') this.#coastFeatures.push(feature);
    if (feature.type === 'area' && feature.tags['place'] === 'islet') this.#islands.push(...feature.parts);
    for (const entry of shapeEntries(feature)) {
      if (feature.type === 'line') this.#draw(entry, { type: 'MultiLineString', coordinates: feature.parts });
      else this.#draw(entry, { type: 'MultiPolygon', coordinates: polygonsOf(feature.parts) });
    }
    const at = feature.type === 'area' ? centreOf(feature.parts[0] ?? []) : feature.type === 'point' ? feature.parts[0]?.[0] : undefined;
    if (at === undefined) return;
    for (const entry of [placeEntry(feature), poiEntry(feature)]) if (entry) this.#draw(entry, { type: 'Point', coordinates: at });
  }

  /** House numbers are drawn from the highest zoom of the archive; they are many, so they go straight into their tile. */
  addHouseNumber(number: string, [x, y]: WorldPoint): void {
    const [column, row] = [x * 2 ** MAX_ZOOM, y * 2 ** MAX_ZOOM];
    const key = `${Math.floor(column)}/${Math.floor(row)}`;
    const label: CutFeature = { type: 1, tags: { kind: 'address', min_zoom: MAX_ZOOM, addr_housenumber: number }, geometry: [[Math.floor((column % 1) * EXTENT), Math.floor((row % 1) * EXTENT)]] };
    const labels = this.#houseNumbers.get(key);
    if (labels) labels.push(label);
    else this.#houseNumbers.set(key, [label]);
  }

  addPlace(name: string, lonLat: readonly [number, number], properties: MapEntry['properties'], layer: BasemapLayer = 'places'): void {
    this.#draw({ layer, minZoom: 0, properties: { ...properties, name } }, { type: 'Point', coordinates: worldOf(...lonLat) });
  }

  /** Land and water to the edge of the frame, the coast between them. Returns the coast. */
  addLandAndWater(): WorldPoint[] {
    const scale = 2 ** -12;
    const [west, east] = [(this.#frame.fromX - MARGIN_TILES) * scale, (this.#frame.toX + MARGIN_TILES) * scale];
    const [north, south] = [(this.#frame.fromY - MARGIN_TILES) * scale, (this.#frame.toY + MARGIN_TILES) * scale];
    const coast = traceCoast(this.#coastFeatures);
    this.#draw({ layer: 'earth', minZoom: 0, properties: { kind: 'earth', min_zoom: 0 } }, { type: 'MultiPolygon', coordinates: [[[[west, north], [east, north], [east, south], [west, south], [west, north]]]] });
    const estuary = waterRing(coast, { west, east, south });
    const turn = Math.sign(signedArea(estuary));
    const holes = this.#islands.map((ring) => (Math.sign(signedArea(ring)) === turn ? [...ring].reverse() : ring));
    this.#draw({ layer: 'water', minZoom: 0, properties: { kind: 'ocean', min_zoom: 0 } }, { type: 'MultiPolygon', coordinates: [[estuary, ...holes]] });
    return coast;
  }

  #coverOf(zoom: number): { fromX: number; toX: number; fromY: number; toY: number } {
    const scale = 2 ** (zoom - 12);
    const margin = marginAt(zoom);
    return {
      fromX: Math.floor((this.#frame.fromX - margin) * scale),
      toX: Math.ceil((this.#frame.toX + margin) * scale),
      fromY: Math.floor((this.#frame.fromY - margin) * scale),
      toY: Math.ceil((this.#frame.toY + margin) * scale),
    };
  }

  /** Cuts every zoom from 0 to 15 and packs the archive. `progress` is told the share that is done, 0 to 1. */
  pack(description: { readonly name: string; readonly attribution: string; readonly center: readonly [number, number] }, progress: (share: number) => void): Uint8Array {
    const options = { maxZoom: MAX_ZOOM, indexMaxZoom: 0, tolerance: 3, extent: EXTENT, buffer: 64, coordinates: 'unitSquare', wrap: false };
    const indexes = [...this.#groups.values()].map(({ layer, minZoom, features }) => ({ layer, minZoom, index: new GeoJSONVT({ type: 'FeatureCollection', features }, options) }));
    const tiles: ArchiveTile[] = [];
    for (let zoom = 0; zoom <= MAX_ZOOM; zoom += 1) {
      const cover = this.#coverOf(zoom);
      for (let x = cover.fromX; x < cover.toX; x += 1) {
        for (let y = cover.fromY; y < cover.toY; y += 1) {
          const layers = new Map<BasemapLayer, CutFeature[]>();
          const add = (layer: BasemapLayer, features: readonly CutFeature[]): void => {
            if (features.length > 0) layers.set(layer, [...(layers.get(layer) ?? []), ...features]);
          };
          for (const { layer, minZoom, index } of indexes) if (minZoom <= zoom) add(layer, index.getTile(zoom, x, y)?.features ?? []);
          if (zoom === MAX_ZOOM) add('buildings', this.#houseNumbers.get(`${x}/${y}`) ?? []);
          if (layers.size > 0) tiles.push({ z: zoom, x, y, data: fromGeojsonVt(asTile(layers), { version: 2, extent: EXTENT }) });
        }
      }
      progress((tiles.length + 1) / 2_200);
    }
    const [west, north] = lonLatOf([(this.#frame.fromX - 1) / 4096, (this.#frame.fromY - 1) / 4096]);
    const [east, south] = lonLatOf([(this.#frame.toX + 1) / 4096, (this.#frame.toY + 1) / 4096]);
    const fields = Object.fromEntries(['kind', 'kind_detail', 'name', 'min_zoom'].map((name) => [name, name === 'min_zoom' ? 'Number' : 'String']));
    return packArchive(tiles, {
      minZoom: 0,
      maxZoom: MAX_ZOOM,
      bounds: [west, south, east, north],
      center: description.center,
      centerZoom: 13,
      metadata: { name: description.name, attribution: description.attribution, type: 'baselayer', format: 'pbf', vector_layers: BASEMAP_LAYERS.map((id) => ({ id, fields, minzoom: 0, maxzoom: MAX_ZOOM })) },
    });
  }
}
