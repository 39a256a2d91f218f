import type { Purpose } from '../../../contracts/trust.ts';
import type { RegisteredStream } from '../register-store.ts';

/**
 * A row of the register of sensors in public space, as Amsterdam has asked owners for since December 2021, under the names of its
 * register's API (github.com/Amsterdam/iot-api, Device2 and ObservationGoal); `contact` and `purpose` are added.
 */
export interface SensorRow {
  readonly reference: string;
  /** The observed property; Amsterdam has a list of kinds of sensors of its own. */
  readonly type: string;
  readonly datastream: string;
  readonly owner: string;
  readonly contact: string;
  readonly observation_goal: string;
  readonly contains_pi_data: boolean;
  readonly legal_ground: string;
  readonly privacy_declaration: string;
  readonly active_until: string | null;
  readonly location_description: string;
  readonly longitude: number | null;
  readonly latitude: number | null;
  readonly purpose: string;
}

export const SENSOR_COLUMNS = ['reference', 'type', 'datastream', 'owner', 'contact', 'observation_goal', 'contains_pi_data', 'legal_ground', 'privacy_declaration', 'active_until', 'location_description', 'longitude', 'latitude', 'purpose'] as const satisfies readonly (keyof SensorRow)[];

/** Rows of the datastreams whose purpose is in the register. `base` is the address under which others reach this city. */
export function toSensorRows(streams: readonly RegisteredStream[], purposes: readonly Purpose[], base: string): SensorRow[] {
  const byId = new Map(purposes.map((purpose) => [purpose.id, purpose]));
  return streams.flatMap((stream) => {
    const purpose = byId.get(stream.purpose);
    if (purpose === undefined) return [];
    const [longitude, latitude] = pointOf(stream.location);
    return [{ reference: `${base}/v1.1/Datastreams(${String(stream.id)})`, type: stream.property, datastream: stream.name, owner: purpose.owner, contact: purpose.contact, observation_goal: purpose.title, contains_pi_data: purpose.personal_data, legal_ground: purpose.legal_basis, privacy_declaration: `${base}/trust/purposes/${purpose.id}`, active_until: purpose.ends, location_description: stream.place, longitude, latitude, purpose: purpose.id }];
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
