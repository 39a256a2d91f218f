import { nameOf, roadClassOf } from './basemap-layers.ts';
import { type OsmFeature, type OsmTile } from './open-street-map.ts';
import { centreOf, length_m, lonLatOf, middleOf, type WorldPoint } from './world.ts';

/** One line of gazetteer.ndjson. */
export interface GazetteerEntry {
  readonly label: string;
  readonly kind: 'street' | 'address' | 'place' | 'junction';
  readonly lon: number;
  readonly lat: number;
  /** Shorter names under which people look for it. */
  readonly names?: readonly string[];
}

export interface Junction {
  readonly streets: readonly [string, string];
  readonly at: WorldPoint;
  /** 0 for the widest streets; the better of the two. */
  readonly rank: number;
}

interface Address {
  readonly street: string;
  readonly number: string;
  readonly at: WorldPoint;
}

export interface Place {
  readonly name: string;
  readonly kind: string;
  readonly at: WorldPoint;
}

interface Street {
  rank: number;
  readonly lines: (readonly WorldPoint[])[];
}

const RANKS: readonly string[] = ['motorway', 'trunk', 'primary', 'secondary', 'tertiary', 'residential'];
const TITLES = /^(avenida|bulevar|rambla|camino|calle|pasaje|doctor|doctora|general|ingeniero|ingeniera|coronel|capitán|teniente|profesor|profesora|presidente|almirante|mariscal|brigadier|arquitecto|fray|monseñor)\s+/i;
const PUBLIC_PLACES = ['suburb', 'neighbourhood', 'square', 'town', 'hamlet', 'islet'];
const PUBLIC_SITES: readonly (readonly [key: string, value: string])[] = [
  ['leisure', 'park'], ['leisure', 'stadium'], ['natural', 'beach'], ['amenity', 'hospital'], ['amenity', 'university'], ['amenity', 'townhall'], ['amenity', 'library'],
  ['amenity', 'theatre'], ['amenity', 'police'], ['amenity', 'fire_station'], ['tourism', 'museum'], ['tourism', 'zoo'], ['railway', 'station'], ['aeroway', 'aerodrome'],
];

/** "Avenida General Rivera" is also looked for as "General Rivera" and "Rivera". */
export function shortNames(street: string): string[] {
  const names: string[] = [];
  let rest = street;
  while (TITLES.test(rest)) {
    rest = rest.replace(TITLES, '');
    if (rest.length > 2) names.push(rest);
  }
  return names;
}

/** House numbers of one entrance: "1234,1236 BIS" is 1234 and 1236. */
export function houseNumbers(text: string): string[] {
  return [...new Set([...text.matchAll(/\d{1,5}/g)].map(([number]) => number))].slice(0, 12);
}

/**
 * Numbers of one side of a street closer than this to the one before are left out of the file: they count metres here, so a
 * point between neighbours is as good, and the server keeps half a kilobyte an entry in memory.
 */
const NUMBER_STEP = 10;

function spaced(addresses: Iterable<Address>): Address[] {
  const sides = new Map<string, Address[]>();
  for (const address of addresses) {
    const side = `${address.street}|${Number(address.number) % 2}`;
    const members = sides.get(side);
    if (members) members.push(address);
    else sides.set(side, [address]);
  }
  return [...sides.values()].flatMap((side) => {
    let kept = -Infinity;
    side.sort((a, b) => Number(a.number) - Number(b.number));
    return side.filter(({ number }, index) => {
      if (Number(number) - kept < NUMBER_STEP && index < side.length - 1) return false;
      kept = Number(number);
      return true;
    });
  });
}

/** Gathers what residents and operators look for while the extract is read once. */
export class Gazetteer {
  readonly streets = new Map<string, Street>();
  readonly junctions = new Map<string, Junction>();
  readonly addresses = new Map<string, Address>();
  readonly places = new Map<string, Place>();

  addTile(tile: OsmTile): void {
    const corners = new Map<string, Map<string, number>>();
    for (const feature of tile.features) {
      if (feature.type === 'line') this.#addStreet(feature, corners);
      this.#addAddress(feature);
      this.#addPlace(feature);
    }
    for (const [key, streets] of corners) if (streets.size > 1) this.#addJunction(key, streets);
  }

  #addStreet({ tags, parts }: OsmFeature, corners: Map<string, Map<string, number>>): void {
    const road = roadClassOf(tags);
    const name = nameOf(tags);
    if (!road || road.link || name === undefined || road.kind === 'path') return;
    const at = RANKS.indexOf(road.detail);
    const rank = at < 0 ? RANKS.length : at;
    const street = this.streets.get(name) ?? { rank, lines: [] };
    street.rank = Math.min(street.rank, rank);
    street.lines.push(...parts);
    this.streets.set(name, street);
    for (const line of parts) {
      for (const [x, y] of line) {
        const key = `${x},${y}`;
        const here = corners.get(key) ?? new Map<string, number>();
        corners.set(key, here.set(name, rank));
      }
    }
  }

  #addJunction(key: string, streets: ReadonlyMap<string, number>): void {
    const [x, y] = key.split(',').map(Number) as [number, number];
    const [first, second] = [...streets].sort((a, b) => a[1] - b[1] || a[0].localeCompare(b[0]));
    if (!first || !second) return;
    const label = `${first[0]} / ${second[0]}`;
    if (!this.junctions.has(label)) this.junctions.set(label, { streets: [first[0], second[0]], at: [x, y], rank: first[1] });
  }

  #addAddress({ type, tags, parts }: OsmFeature): void {
    const [street, numbers] = [tags['addr:street']?.trim(), tags['addr:housenumber']];
    if (street === undefined || street === '' || numbers === undefined) return;
    const at = type === 'point' ? parts[0]?.[0] : centreOf(parts[0] ?? []);
    if (!at) return;
    for (const number of houseNumbers(numbers)) {
      const label = `${street} ${number}`;
      if (!this.addresses.has(label)) this.addresses.set(label, { street, number, at });
    }
  }

  #addPlace({ type, tags, parts }: OsmFeature): void {
    const name = nameOf(tags);
    if (name === undefined || type === 'line') return;
    const kind = PUBLIC_PLACES.includes(tags['place'] ?? '') ? tags['place'] : PUBLIC_SITES.find(([key, value]) => tags[key] === value)?.[1];
    const at = type === 'point' ? parts[0]?.[0] : centreOf(parts[0] ?? []);
    if (kind === undefined || !at || this.places.has(name)) return;
    this.places.set(name, { name, kind, at });
  }

  /** All entries: places first, then streets, junctions and house numbers. */
  *entries(): Generator<GazetteerEntry> {
    for (const { name, at } of this.places.values()) yield entry(name, 'place', at);
    for (const [name, { lines }] of this.streets) {
      const longest = lines.reduce((best, next) => (length_m(next) > length_m(best) ? next : best));
      const names = shortNames(name);
      yield { ...entry(name, 'street', middleOf(longest)), ...(names.length > 0 ? { names } : {}) };
    }
    for (const [label, { at }] of this.junctions) yield entry(label, 'junction', at);
    for (const { street, number, at } of spaced(this.addresses.values())) yield entry(`${street} ${number}`, 'address', at);
  }
}

function entry(label: string, kind: GazetteerEntry['kind'], at: WorldPoint): GazetteerEntry {
  const [lon, lat] = lonLatOf(at);
  return { label, kind, lon, lat };
}
