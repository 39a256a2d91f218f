import { type Gazetteer, type Junction } from './gazetteer.ts';
import { type PlaceKind, PLACE_KINDS } from './kinds.ts';
import { sequence } from './random.ts';
import { STORM_CENTRE } from './storm.ts';
import { distance_m, length_m, lonLatOf, type WorldPoint, worldOf } from './world.ts';

/** A place with sensors, ready to become a Thing with its Location and Datastreams. */
export interface CataloguePlace {
  /** Stable name of the place among its kind, such as `drain-007`; low numbers lie where a storm hits hardest. */
  readonly reference: string;
  readonly kind: string;
  readonly name: string;
  readonly district: string;
  readonly lon: number;
  readonly lat: number;
}

interface CatalogueStream {
  /** `<reference of the place>.<property key>` */
  readonly reference: string;
  readonly place: string;
  readonly property: string;
}

export interface Catalogue {
  readonly places: readonly CataloguePlace[];
  readonly streams: readonly CatalogueStream[];
}

export interface CitySources {
  readonly gazetteer: Gazetteer;
  readonly waterways: readonly { readonly name: string; readonly line: readonly WorldPoint[] }[];
  readonly carParks: readonly { readonly name: string | undefined; readonly at: WorldPoint }[];
}

interface Spot {
  readonly name: string;
  readonly at: WorldPoint;
}

/** The part of the extract that the demo city covers; villages around it get no sensors. */
const WEST = -56.28;
const EAST = -56.03;
const SPACING_M: Readonly<Record<string, number>> = { drain: 300, road_section: 300, street_lamp: 120, waste_bin: 180, noise_meter: 700, rain_gauge: 900, air_station: 1_200, weather_station: 2_500, pump_station: 700, river_gauge: 600, car_park: 150 };
const TRIES = 60;

const SHORT: readonly (readonly [RegExp, string])[] = [
  [/^Avenida /, 'Av. '], [/^Bulevar /, 'Bv. '], [/^Camino /, 'Cno. '], [/ Doctor(a?) /g, ' Dr$1. '], [/^Doctor(a?) /, 'Dr$1. '], [/ General /g, ' Gral. '], [/^General /, 'Gral. '], [/ Ingeniero /g, ' Ing. '], [/^Ingeniero /, 'Ing. '],
];

/** "Avenida General Rivera" as people write it: "Av. Gral. Rivera". */
function shortStreet(name: string): string {
  return SHORT.reduce((text, [long, short]) => text.replace(long, short), name);
}

/** About 1,000 streams at real places of the street network, the same on every machine. */
export function buildCatalogue(sources: CitySources): Catalogue {
  const suburbs = [...sources.gazetteer.places.values()].filter(({ kind }) => kind === 'suburb');
  const spots = spotsOf(sources);
  const places = PLACE_KINDS.flatMap((kind) => placesOfKind(kind, spots[kind.kind] ?? [], suburbs));
  const streams = places.flatMap((place) => (PLACE_KINDS.find(({ kind }) => kind === place.kind)?.streams ?? []).map(({ property }) => ({ reference: `${place.reference}.${property}`, place: place.reference, property })));
  return { places, streams };
}

function inCity([x]: WorldPoint): boolean {
  return x > WEST / 360 + 0.5 && x < EAST / 360 + 0.5;
}

/** Candidate spots a kind of place, in an order drawn once. */
function spotsOf({ gazetteer, waterways, carParks }: CitySources): Record<string, Spot[]> {
  const junctions = shuffle([...gazetteer.junctions.values()].filter(({ at }) => inCity(at)), 'junctions');
  const wide = junctions.filter(({ rank }) => rank <= 3);
  const named = (list: readonly Junction[]): Spot[] => list.map(({ streets: [a, b], at }) => ({ name: `${shortStreet(a)} / ${shortStreet(b)}`, at }));
  const doors = shuffle([...gazetteer.addresses.values()].filter(({ at }, index) => index % 7 === 0 && inCity(at)), 'doors').map(({ street, number, at }) => ({ name: `${shortStreet(street)} ${number}`, at }));
  const sites = shuffle([...gazetteer.places.values()].filter(({ kind, at }) => ['park', 'square', 'university', 'hospital', 'stadium'].includes(kind) && inCity(at)), 'sites');
  const suburbs = shuffle([...gazetteer.places.values()].filter(({ kind, at }) => kind === 'suburb' && inCity(at)), 'suburbs');
  const nearWater = (at: WorldPoint): number => Math.min(...waterways.flatMap(({ line }) => line.map((point) => distance_m(point, at))));
  const low = junctions.slice(0, 2_500).filter(({ at }) => nearWater(at) < 900);
  return {
    air_station: named(wide),
    river_gauge: gaugeSpots(waterways),
    drain: [...named(low.slice(0, 300)), ...named(wide)],
    pump_station: suburbs.filter(({ at }) => nearWater(at) < 1_500),
    rain_gauge: suburbs,
    road_section: named(wide.filter(({ rank }) => rank <= 2)),
    car_park: carParkSpots(carParks, junctions),
    waste_bin: doors,
    street_lamp: doors.slice(3_000),
    noise_meter: [...sites, ...named(wide)],
    weather_station: sites,
  };
}

/** Gauges stand along the named streams, further apart than 600 m. */
function gaugeSpots(waterways: CitySources['waterways']): Spot[] {
  return shuffle(waterways.filter(({ line }) => length_m(line) > 300), 'gauges').flatMap(({ name, line }) =>
    [0.3, 0.8, 0.55].map((share) => ({ name, at: line[Math.floor((line.length - 1) * share)] as WorldPoint })).filter(({ at }) => inCity(at)));
}

function carParkSpots(carParks: CitySources['carParks'], junctions: readonly Junction[]): Spot[] {
  const nearest = (at: WorldPoint): Junction | undefined => junctions.reduce<Junction | undefined>((best, next) => (best && distance_m(best.at, at) <= distance_m(next.at, at) ? best : next), undefined);
  return carParks.filter(({ at }) => inCity(at)).sort((a, b) => Number(b.name !== undefined) - Number(a.name !== undefined)).map(({ name, at }) => {
    const corner = nearest(at);
    return { name: name ?? shortStreet(corner?.streets[0] ?? '') + (corner ? ` / ${shortStreet(corner.streets[1])}` : ''), at };
  });
}

function shuffle<T>(list: readonly T[], salt: string): T[] {
  const next = sequence(`puerto-claro/${salt}`);
  return list.map((item) => ({ item, key: next() })).sort((a, b) => a.key - b.key).map(({ item }) => item);
}

function placesOfKind({ kind, title, count }: PlaceKind, spots: readonly Spot[], suburbs: readonly { name: string; at: WorldPoint }[]): CataloguePlace[] {
  const spacing_m = SPACING_M[kind] ?? 200;
  const chosen: Spot[] = [];
  // Poisson-disk by rejection; the distance shrinks until there is room for all.
  for (let attempt = 0; attempt < TRIES && chosen.length < count; attempt += 1) {
    const least_m = spacing_m * 0.93 ** attempt;
    for (const spot of spots) {
      if (chosen.length >= count) break;
      if (chosen.every((other) => distance_m(other.at, spot.at) >= least_m)) chosen.push(spot);
    }
  }
  if (chosen.length < count) throw new Error(`only ${chosen.length} of ${count} places found for ${kind}`);
  const centre = worldOf(...STORM_CENTRE);
  chosen.sort((a, b) => distance_m(a.at, centre) - distance_m(b.at, centre));
  const districtOf = (at: WorldPoint): string => suburbs.reduce((best, next) => (distance_m(next.at, at) < distance_m(best.at, at) ? next : best)).name;
  const names = new Map<string, number>();
  return chosen.map(({ name, at }, index) => {
    const district = districtOf(at);
    const plain = kind === 'river_gauge' ? `${name} at ${district}` : name;
    const times = (names.get(plain) ?? 0) + 1;
    names.set(plain, times);
    const [lon, lat] = lonLatOf(at);
    return { reference: `${kind.replaceAll('_', '-')}-${String(index + 1).padStart(3, '0')}`, kind, name: `${title} ${plain}${times > 1 ? ` ${times}` : ''}`, district, lon, lat };
  });
}
