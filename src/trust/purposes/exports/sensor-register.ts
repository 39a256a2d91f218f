import type { Purpose } from '../../../contracts/trust.ts';
import type { RegisteredStream } from '../register-store.ts';

/** A row of the register of sensors in public space, as Amsterdam has asked owners for since December 2021: what, whose, where, about whom. */
export interface SensorRow {
  readonly reference: string;
  readonly type: string;
  readonly name: string;
  readonly owner: string;
  readonly contact: string;
  readonly purpose: string;
  readonly personal_data: boolean;
  readonly legal_basis: string;
  readonly until: string | null;
  readonly place: string;
  readonly longitude: number | null;
  readonly latitude: number | null;
}

export const SENSOR_COLUMNS = ['reference', 'type', 'name', 'owner', 'contact', 'purpose', 'personal_data', 'legal_basis', 'until', 'place', 'longitude', 'latitude'] as const satisfies readonly (keyof SensorRow)[];

/** Rows of the datastreams whose purpose is in the register. `base` is the address under which others reach this city. */
export function toSensorRows(streams: readonly RegisteredStream[], purposes: readonly Purpose[], base: string): SensorRow[] {
  const byId = new Map(purposes.map((purpose) => [purpose.id, purpose]));
  return streams.flatMap((stream) => {
    const purpose = byId.get(stream.purpose);
    if (purpose === undefined) return [];
    const [longitude, latitude] = pointOf(stream.location);
    return [{ reference: `${base}/v1.1/Datastreams(${String(stream.id)})`, type: stream.property, name: stream.name, owner: purpose.owner, contact: purpose.contact, purpose: purpose.id, personal_data: purpose.personal_data, legal_basis: purpose.legal_basis, until: purpose.ends, place: stream.place, longitude, latitude }];
  });
}

/** Only points have a place on the map; areas are left to the entity that `reference` names. */
export function pointOf(location: RegisteredStream['location']): [number | null, number | null] {
  const geometry = location?.type === 'Feature' ? ((location as unknown as { geometry: RegisteredStream['location'] }).geometry ?? null) : location;
  const [x, y] = geometry?.type === 'Point' && Array.isArray(geometry.coordinates) ? (geometry.coordinates as unknown[]) : [];
  return typeof x === 'number' && typeof y === 'number' ? [x, y] : [null, null];
}

/** RFC 4180 with a header; a cell that a spreadsheet would run as a formula is written as text. */
export function toCsv(rows: readonly SensorRow[]): string {
  const cell = (value: string | number | boolean | null): string => {
    const text = value === null ? '' : typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value);
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [SENSOR_COLUMNS.join(','), ...rows.map((row) => SENSOR_COLUMNS.map((column) => cell(row[column])).join(','))].join('\r\n') + '\r\n';
}

/** RFC 7946; a sensor without a point has no geometry. */
export function toGeoJson(rows: readonly SensorRow[]): object {
  return {
    type: 'FeatureCollection',
    features: rows.map(({ longitude, latitude, ...properties }) => ({
      type: 'Feature',
      id: properties.reference,
      geometry: longitude === null || latitude === null ? null : { type: 'Point', coordinates: [longitude, latitude] },
      properties,
    })),
  };
}
