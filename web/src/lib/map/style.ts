import { GRAYSCALE, layers, type Flavor } from '@protomaps/basemaps';
import type { LayerSpecification, StyleSpecification } from 'maplibre-gl';
import fontUrl from '@fontsource-variable/atkinson-hyperlegible-next/files/atkinson-hyperlegible-next-latin-wght-normal.woff2?url';
import fontExtUrl from '@fontsource-variable/atkinson-hyperlegible-next/files/atkinson-hyperlegible-next-latin-ext-wght-normal.woff2?url';
import type { MarkState } from '#lib/ui/marks.ts';
import { token } from './symbols.ts';

export const FONT = 'Atkinson';
export const PLACE_STATES = ['ok', 'pending', 'clearing', 'warning', 'stale'] as const satisfies readonly MarkState[];
export type ShownPlaceState = (typeof PLACE_STATES)[number];

/** The Protomaps flavour in our greys: the city is the field, never the figure. */
function flavor(): Flavor {
  const earth = token('map-earth');
  const water = token('map-water');
  const road = token('map-road');
  const edge = token('map-road-edge');
  const green = token('map-green');
  const building = token('map-building');
  const label = token('map-label');
  const all = Object.fromEntries(Object.keys(GRAYSCALE).filter((key) => typeof GRAYSCALE[key as keyof Flavor] === 'string').map((key) => [key, shade(key)]));
  function shade(key: string): string {
    if (/halo/.test(key)) return earth;
    if (/label/.test(key)) return label;
    if (/water|ocean/.test(key)) return water;
    if (/casing/.test(key)) return edge;
    if (/^(park|wood|scrub|zoo|glacier|beach|sand)/.test(key)) return green;
    if (/^(buildings|hospital|industrial|school|military|aerodrome|pedestrian)/.test(key)) return key === 'buildings' ? building : earth;
    if (/^(railway|boundaries|runway)/.test(key)) return edge;
    if (/^(background|earth)$/.test(key)) return earth;
    return road;
  }
  return { ...(all as unknown as Flavor), regular: FONT, bold: FONT, italic: FONT };
}

const shownWhen = (state: ShownPlaceState): unknown => ['case', ['==', ['coalesce', ['feature-state', 'state'], ['get', 'state']], state], 1, 0];

function cityLayers(scale: number): LayerSpecification[] {
  const list: LayerSpecification[] = PLACE_STATES.map((state) => ({
    id: `places-${state}`,
    type: 'symbol',
    source: 'places',
    layout: {
      'icon-image': `mark-${state}`,
      'icon-size': ['interpolate', ['linear'], ['zoom'], 10, state === 'ok' ? 0.22 : 0.55, 13, state === 'ok' ? 0.42 : 0.8, 16, state === 'ok' ? 0.8 : 1.1],
      'icon-allow-overlap': true,
      'icon-ignore-placement': true,
    },
    paint: { 'icon-opacity': shownWhen(state) as never },
  }));
  list.push(
    {
      id: 'focus',
      type: 'circle',
      source: 'focus',
      paint: {
        'circle-radius': ['match', ['get', 'kind'], 'opened', 26 * scale, 21 * scale],
        'circle-opacity': 0,
        'circle-stroke-color': token('ink'),
        'circle-stroke-width': ['match', ['get', 'kind'], 'opened', 3, 1.5],
        'circle-stroke-opacity': 0.9,
      },
    },
    {
      id: 'incidents',
      type: 'symbol',
      source: 'incidents',
      layout: {
        'icon-image': ['concat', 'mark-', ['get', 'severity']],
        'icon-size': ['interpolate', ['linear'], ['zoom'], 10, 1, 15, 1.35],
        'icon-allow-overlap': true,
        'symbol-sort-key': ['-', 10, ['get', 'rank']],
        'text-field': ['concat', '#', ['to-string', ['get', 'number']]],
        'text-font': [FONT],
        'text-size': 14 * scale,
        'text-anchor': 'left',
        'text-offset': [1.25, 0],
        'text-optional': true,
      },
      paint: { 'text-color': token('ink'), 'text-halo-color': token('panel'), 'text-halo-width': 2 },
    },
  );
  return list;
}

/** Roads and areas only: labels need no sprite, and points of interest would compete with what the room looks for. */
function quiet(layer: LayerSpecification): boolean {
  if (layer.id === 'pois' || layer.id.includes('shield') || layer.id.includes('oneway') || layer.id.includes('address')) return false;
  return !(layer.type === 'symbol' && layer.layout?.['text-field'] === undefined);
}

function withoutIcon(layer: LayerSpecification): LayerSpecification {
  if (layer.type !== 'symbol' || layer.layout?.['icon-image'] === undefined) return layer;
  const layout = { ...layer.layout };
  delete layout['icon-image'];
  return { ...layer, layout };
}

/** Everything local: tiles by range requests to this server, one font file of this build, no glyphs, no sprite. */
export function mapStyle(basemap: string | null, attribution: string, scale = 1): StyleSpecification {
  const here = (path: string): string => new URL(path, location.href).href;
  const empty = { type: 'FeatureCollection' as const, features: [] };
  const base = basemap === null ? [] : layers('basemap', flavor(), { lang: 'en' }).filter((layer) => layer.type !== 'background').filter(quiet).map(withoutIcon);
  return {
    version: 8,
    'font-faces': {
      [FONT]: [
        { url: here(fontUrl), 'unicode-range': ['U+0000-00FF', 'U+0131', 'U+0152-0153', 'U+2000-206F', 'U+20AC', 'U+2122'] },
        { url: here(fontExtUrl), 'unicode-range': ['U+0100-02AF', 'U+1E00-1EFF'] },
      ],
    },
    sources: {
      ...(basemap === null ? {} : { basemap: { type: 'vector' as const, url: `pmtiles://${here(basemap)}`, attribution } }),
      places: { type: 'geojson', data: empty, promoteId: 'id' },
      incidents: { type: 'geojson', data: empty, promoteId: 'number' },
      focus: { type: 'geojson', data: empty },
    },
    layers: [{ id: 'field', type: 'background', paint: { 'background-color': token('map-earth') } }, ...base, ...cityLayers(scale)],
  };
}
