import type { Bounds, LonLat, Result } from '../kernel/index.ts';
import { LIMITS, contains, ok, refuse } from '../kernel/index.ts';
import type { Service } from './catalogue.ts';
import { cleanLine } from './field-text.ts';
import type { Gazetteer } from './gazetteer.ts';

export interface Location {
  readonly point: LonLat;
  /** As typed, else the nearest known one; may be empty. */
  readonly address: string;
  readonly addressId: string | null;
  /** What the public may read at once: a label of the gazetteer, never what somebody typed. */
  readonly publicAddress: string | null;
  readonly publicPoint: LonLat;
}

const ADDRESS_WITHIN_M = 60;
/** Three decimals are about 100 m. */
const ROUNDED_DECIMALS = 3;

export interface GivenLocation {
  readonly point: LonLat | null;
  readonly address: string;
  readonly addressId: string;
}

/** Finds where a report is: the point, else address_id, else the typed address in the gazetteer (GeoReport v2: one of the three is required). */
export function locate(given: GivenLocation, service: Service, gazetteer: Gazetteer, bounds: Bounds | null): Result<Location> {
  const typed = cleanLine(given.address);
  if (typed.length > LIMITS.name_chars) return refuse('request.field-invalid', `address_string is longer than ${LIMITS.name_chars} characters.`, 'address_string');
  const named = given.addressId === '' ? undefined : gazetteer.byId(given.addressId);
  const typedAt = typed === '' ? undefined : gazetteer.search(typed, 1)[0];
  let point = given.point;
  if (point === null) {
    if (given.addressId !== '' && named === undefined) return refuse('request.place-unknown', 'This address_id is not known here.', 'address_id');
    if (named === undefined && typed === '') return refuse('request.field-missing', 'A location is required: lat and long, or address_string, or address_id.', 'lat');
    const found = named ?? typedAt;
    if (found === undefined) return refuse('request.place-unknown', 'The address was not found in this city.', 'address_string');
    point = found.point;
  }
  if (bounds !== null && !contains(bounds, point)) return refuse('request.place-unknown', 'The place lies outside this city.', given.point === null ? 'address_string' : 'lat');
  const near = gazetteer.nearest(point, 10, ADDRESS_WITHIN_M).filter(({ kind }) => kind !== 'place');
  const known = given.point === null ? (named ?? typedAt) : (near.find(({ kind }) => kind === 'address') ?? near[0]);
  const rounded = service.coordinates === 'rounded';
  const round = (degrees: number): number => Number(degrees.toFixed(ROUNDED_DECIMALS));
  return ok({
    point,
    address: typed === '' ? (known?.label ?? '') : typed,
    addressId: known?.id ?? null,
    publicAddress: rounded ? (known?.street ?? null) : (known?.label ?? null),
    publicPoint: rounded ? [round(point[0]), round(point[1])] : point,
  });
}

/** west, south, east, north of the circle; a little too large, never too small. */
export function boxAround([lon, lat]: LonLat, radius_m: number): readonly [number, number, number, number] {
  const dLat = radius_m / 110_500;
  const dLon = radius_m / (110_500 * Math.max(0.01, Math.cos(((Math.abs(lat) + dLat) * Math.PI) / 180)));
  return [lon - dLon, lat - dLat, lon + dLon, lat + dLat];
}
