import { type OsmFeature } from './open-street-map.ts';

/** Layers of the Protomaps basemap schema, version 4: https://docs.protomaps.com/basemaps/layers */
export const BASEMAP_LAYERS = ['earth', 'water', 'landuse', 'roads', 'buildings', 'places', 'pois', 'boundaries'] as const;
export type BasemapLayer = (typeof BASEMAP_LAYERS)[number];

export interface MapEntry {
  readonly layer: BasemapLayer;
  /** Least zoom at which the entry is put into tiles. */
  readonly minZoom: number;
  readonly properties: Readonly<Record<string, string | number | boolean>>;
}

interface RoadClass {
  readonly kind: 'highway' | 'major_road' | 'minor_road' | 'path' | 'other';
  readonly minZoom: number;
}

const ROADS: Readonly<Record<string, RoadClass>> = {
  motorway: { kind: 'highway', minZoom: 3 },
  trunk: { kind: 'major_road', minZoom: 6 },
  primary: { kind: 'major_road', minZoom: 8 },
  secondary: { kind: 'major_road', minZoom: 10 },
  tertiary: { kind: 'major_road', minZoom: 11 },
  residential: { kind: 'minor_road', minZoom: 12 },
  unclassified: { kind: 'minor_road', minZoom: 12 },
  living_street: { kind: 'minor_road', minZoom: 13 },
  road: { kind: 'minor_road', minZoom: 13 },
  service: { kind: 'minor_road', minZoom: 13 },
  pedestrian: { kind: 'path', minZoom: 12 },
  track: { kind: 'path', minZoom: 13 },
  footway: { kind: 'path', minZoom: 14 },
  path: { kind: 'path', minZoom: 14 },
  cycleway: { kind: 'path', minZoom: 14 },
  steps: { kind: 'path', minZoom: 14 },
};

/** Names that surveyors gave to ways without one; they say nothing on a map. */
const NO_NAME = /^(vehicular\/? ?peatonal|peatonal|sin nombre|s\/n)$/i;

/** The name that a map or a gazetteer shows, or undefined. */
export function nameOf(tags: Readonly<Record<string, string>>): string | undefined {
  const name = tags['name']?.trim();
  return name === undefined || name === '' || NO_NAME.test(name) ? undefined : name;
}

/** The class of a street that people and cars use, `null` for anything else. */
export function roadClassOf(tags: Readonly<Record<string, string>>): (RoadClass & { readonly detail: string; readonly link: boolean }) | null {
  const highway = tags['highway'];
  if (highway === undefined) return null;
  const link = highway.endsWith('_link');
  const detail = link ? highway.slice(0, -5) : highway;
  const known = ROADS[detail];
  return known === undefined ? null : { ...known, minZoom: link ? Math.max(known.minZoom, 12) : known.minZoom, detail, link };
}

const LANDUSE: Readonly<Record<string, readonly [kind: string, minZoom: number]>> = {
  'leisure=park': ['park', 10],
  'leisure=garden': ['park', 13],
  'leisure=golf_course': ['golf_course', 11],
  'leisure=playground': ['playground', 14],
  'leisure=pitch': ['pitch', 14],
  'leisure=stadium': ['stadium', 13],
  'leisure=nature_reserve': ['nature_reserve', 10],
  'landuse=recreation_ground': ['park', 12],
  'landuse=grass': ['grass', 12],
  'landuse=meadow': ['grassland', 12],
  'landuse=forest': ['forest', 10],
  'landuse=cemetery': ['cemetery', 11],
  'landuse=military': ['military', 11],
  'landuse=industrial': ['industrial', 11],
  'landuse=railway': ['railway', 13],
  'landuse=residential': ['residential', 12],
  'landuse=commercial': ['commercial', 12],
  'landuse=allotments': ['allotments', 13],
  'natural=wood': ['wood', 10],
  'natural=grassland': ['grassland', 12],
  'natural=scrub': ['scrub', 12],
  'natural=wetland': ['wetland', 11],
  'natural=beach': ['beach', 10],
  'natural=sand': ['beach', 11],
  'natural=bare_rock': ['sand', 12],
  'amenity=hospital': ['hospital', 13],
  'amenity=school': ['school', 13],
  'amenity=university': ['university', 13],
  'amenity=college': ['college', 13],
  'tourism=zoo': ['zoo', 12],
  'aeroway=aerodrome': ['aerodrome', 10],
  'aeroway=apron': ['aerodrome', 12],
  'aeroway=runway': ['runway', 11],
  'aeroway=taxiway': ['taxiway', 13],
  'man_made=pier': ['pier', 13],
  'man_made=breakwater': ['pier', 12],
  'highway=pedestrian': ['pedestrian', 13],
  'highway=footway': ['pedestrian', 14],
  'place=square': ['pedestrian', 13],
};

const POIS: Readonly<Record<string, readonly [kind: string, minZoom: number]>> = {
  'leisure=park': ['park', 13],
  'leisure=stadium': ['stadium', 14],
  'leisure=marina': ['marina', 14],
  'natural=beach': ['beach', 13],
  'natural=peak': ['peak', 13],
  'amenity=university': ['university', 15],
  'amenity=library': ['library', 15],
  'amenity=townhall': ['townhall', 14],
  'amenity=theatre': ['theatre', 15],
  'amenity=post_office': ['post_office', 16],
  'amenity=school': ['school', 16],
  'tourism=zoo': ['zoo', 14],
  'tourism=museum': ['museum', 15],
  'tourism=attraction': ['attraction', 15],
  'railway=station': ['station', 13],
  'railway=halt': ['station', 14],
  'aeroway=aerodrome': ['aerodrome', 12],
};

function lookUp<T>(table: Readonly<Record<string, T>>, tags: Readonly<Record<string, string>>): T | undefined {
  for (const key of ['leisure', 'natural', 'amenity', 'tourism', 'aeroway', 'man_made', 'railway', 'landuse', 'place', 'highway']) {
    const value = tags[key];
    const found = value === undefined ? undefined : table[`${key}=${value}`];
    if (found !== undefined) return found;
  }
  return undefined;
}

function linesOf(tags: Readonly<Record<string, string>>, name: string | undefined): MapEntry[] {
  const named = name === undefined ? {} : { name };
  const bridge = tags['bridge'] !== undefined && tags['bridge'] !== 'no' ? { is_bridge: true } : {};
  const tunnel = tags['tunnel'] !== undefined && tags['tunnel'] !== 'no' ? { is_tunnel: true } : {};
  const road = roadClassOf(tags);
  if (road) {
    const properties = { kind: road.kind, kind_detail: road.detail, min_zoom: road.minZoom, ...named, ...bridge, ...tunnel, ...(road.link ? { is_link: true } : {}), ...(tags['oneway'] === 'yes' ? { oneway: 'yes' } : {}) };
    return [{ layer: 'roads', minZoom: road.minZoom, properties }];
  }
  if (tags['railway'] === 'rail') return [{ layer: 'roads', minZoom: 11, properties: { kind: 'rail', kind_detail: 'rail', min_zoom: 11, ...named, ...bridge, ...tunnel } }];
  const aeroway = tags['aeroway'];
  if (aeroway === 'runway' || aeroway === 'taxiway') return [{ layer: 'roads', minZoom: 10, properties: { kind: 'aeroway', kind_detail: aeroway, min_zoom: 10 } }];
  const built = tags['man_made'];
  if (built === 'pier' || built === 'breakwater') return [{ layer: 'roads', minZoom: 11, properties: { kind: 'path', kind_detail: 'pier', min_zoom: 11 } }];
  const waterway = tags['waterway'];
  const flows = waterway === 'river' || waterway === 'canal' ? 'river' : waterway === 'stream' || waterway === 'ditch' || waterway === 'drain' ? 'stream' : null;
  const entries: MapEntry[] = [];
  if (flows !== null && Object.keys(tunnel).length === 0) entries.push({ layer: 'water', minZoom: flows === 'river' ? 9 : 12, properties: { kind: flows, min_zoom: flows === 'river' ? 9 : 12, ...named } });
  if (tags['boundary'] === 'administrative' && tags['admin_level'] !== undefined) entries.push({ layer: 'boundaries', minZoom: 8, properties: { kind: 'region', kind_detail: Number(tags['admin_level']) || 4, min_zoom: 8 } });
  return entries;
}

function areasOf(tags: Readonly<Record<string, string>>, name: string | undefined): MapEntry[] {
  const named = name === undefined ? {} : { name };
  const entries: MapEntry[] = [];
  if (tags['natural'] === 'water' || tags['waterway'] === 'riverbank') entries.push({ layer: 'water', minZoom: 9, properties: { kind: tags['waterway'] === 'riverbank' || tags['water'] === 'riverbank' ? 'river' : 'lake', min_zoom: 9, ...named } });
  if (tags['place'] === 'islet' || tags['place'] === 'island') entries.push({ layer: 'earth', minZoom: 10, properties: { kind: 'island', min_zoom: 10, ...named } });
  if (tags['building'] !== undefined && tags['building'] !== 'no') {
    const height = Number(tags['height'] ?? Number(tags['building:levels'] ?? '2') * 3);
    entries.push({ layer: 'buildings', minZoom: 14, properties: { kind: 'building', min_zoom: 14, height: Number.isFinite(height) ? Math.min(height, 200) : 6 } });
  }
  const use = lookUp(LANDUSE, tags);
  if (use) entries.push({ layer: 'landuse', minZoom: use[1], properties: { kind: use[0], min_zoom: use[1] } });
  return entries;
}

const PLACES: Readonly<Record<string, MapEntry['properties'] & { min_zoom: number }>> = {
  town: { kind: 'locality', kind_detail: 'town', min_zoom: 9, population_rank: 8 },
  suburb: { kind: 'neighbourhood', kind_detail: 'suburb', min_zoom: 12 },
  neighbourhood: { kind: 'neighbourhood', kind_detail: 'neighbourhood', min_zoom: 14 },
  hamlet: { kind: 'neighbourhood', kind_detail: 'hamlet', min_zoom: 13 },
};

/** Place label of a feature; the extract's own cities are left out, because the demo city has an invented name. */
export function placeEntry({ tags }: OsmFeature): MapEntry | null {
  const name = nameOf(tags);
  const place = PLACES[tags['place'] ?? ''];
  return place === undefined || name === undefined ? null : { layer: 'places', minZoom: place.min_zoom, properties: { ...place, name } };
}

/** Point of interest of a point, or of the centre of an area. */
export function poiEntry({ tags }: OsmFeature): MapEntry | null {
  const name = nameOf(tags);
  const poi = lookUp(POIS, tags);
  return poi === undefined || name === undefined ? null : { layer: 'pois', minZoom: Math.min(poi[1], 15), properties: { kind: poi[0], min_zoom: poi[1], name } };
}

/** What of a line or an area is drawn with its own geometry. */
export function shapeEntries({ type, tags }: OsmFeature): MapEntry[] {
  const name = nameOf(tags);
  if (type === 'line') return linesOf(tags, name);
  return type === 'area' ? areasOf(tags, name) : [];
}
