import { isLonLat, parseInstantMs } from '../../../kernel/index.ts';
import { readText } from '../batch.ts';

export interface StationInformation {
  readonly id: string;
  readonly name: string;
  readonly lon: number;
  readonly lat: number;
  readonly capacity: number | null;
}

/** Null for what a station does not say. */
export interface StationStatus {
  readonly id: string;
  readonly vehicles: number | null;
  readonly vehiclesDisabled: number | null;
  readonly docks: number | null;
  readonly docksDisabled: number | null;
  readonly renting: boolean | null;
  readonly returning: boolean | null;
  readonly installed: boolean | null;
  readonly reportedMs: number | null;
  /** Vehicles available by vehicle_type_id. */
  readonly byType: readonly (readonly [string, number])[];
}

const VEHICLE_TYPES_MAX = 50;
type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** POSIX seconds (GBFS before 3.0) or an RFC 3339 text (3.0). Null for anything else. */
export function readInstant(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 && value < 8.64e12 ? value * 1_000 : null;
  return typeof value === 'string' ? parseInstantMs(value) : null;
}

/** A text, or of a list of `{text, language}` (3.0) the one in `language`, else the first. */
function readLocalized(value: unknown, language: string | undefined): string | null {
  if (!Array.isArray(value)) return readText(value, 200);
  const texts = (value as unknown[]).filter(isObject);
  const chosen = texts.find((text) => text['language'] === language) ?? texts.find((text) => typeof text['language'] === 'string' && language !== undefined && text['language'].split('-')[0] === language.split('-')[0]) ?? texts[0];
  return readText(chosen?.['text'], 200);
}

/** One station of station_information, or the name of the field that is wrong. */
export function readInformation(sent: unknown, language: string | undefined): StationInformation | string {
  if (!isObject(sent)) return 'station';
  const id = readId(sent['station_id']);
  if (id === null) return 'station_id';
  const name = readLocalized(sent['name'], language);
  if (name === null) return 'name';
  const { lon, lat, capacity } = sent;
  if (!isLonLat(lon, lat)) return 'lat';
  return { id, name, lon: lon as number, lat: lat as number, capacity: readCount(capacity) ?? null };
}

/** One station of station_status, or the name of the field that is wrong. 3.0 says vehicles where earlier versions say bikes. */
export function readStatus(sent: unknown): StationStatus | string {
  if (!isObject(sent)) return 'station';
  const id = readId(sent['station_id']);
  if (id === null) return 'station_id';
  const vehicleName = sent['num_vehicles_available'] === undefined ? 'num_bikes_available' : 'num_vehicles_available';
  const disabledName = sent['num_vehicles_disabled'] === undefined ? 'num_bikes_disabled' : 'num_vehicles_disabled';
  const counts: Record<string, number | null> = {};
  for (const name of [vehicleName, disabledName, 'num_docks_available', 'num_docks_disabled']) {
    const value = sent[name];
    const count = readCount(value);
    if (count === undefined) return name;
    counts[name] = count;
  }
  if (counts[vehicleName] === null) return 'num_vehicles_available';
  const truths: Record<string, boolean | null> = {};
  for (const name of ['is_renting', 'is_returning', 'is_installed']) {
    const truth = readTruth(sent[name]);
    if (truth === undefined) return name;
    truths[name] = truth;
  }
  const types = sent['vehicle_types_available'];
  const byType = (Array.isArray(types) ? (types as unknown[]).slice(0, VEHICLE_TYPES_MAX) : []).flatMap((entry) => {
    const type = isObject(entry) ? readId(entry['vehicle_type_id']) : null;
    const count = isObject(entry) ? readCount(entry['count']) : null;
    return type === null || count === null || count === undefined ? [] : [[type, count] as const];
  });
  return {
    id,
    vehicles: counts[vehicleName] ?? null,
    vehiclesDisabled: counts[disabledName] ?? null,
    docks: counts['num_docks_available'] ?? null,
    docksDisabled: counts['num_docks_disabled'] ?? null,
    renting: truths['is_renting'] ?? null,
    returning: truths['is_returning'] ?? null,
    installed: truths['is_installed'] ?? null,
    reportedMs: readInstant(sent['last_reported']),
    byType,
  };
}

const readId = (value: unknown): string | null => (typeof value === 'string' && value.length <= 200 ? readText(value, 200) : null);

/** Null when it is absent, undefined when it is not a count. */
function readCount(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return null;
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 100_000 ? value : undefined;
}

/** GBFS 1.x writes 0 and 1. */
function readTruth(value: unknown): boolean | null | undefined {
  if (value === undefined || value === null) return null;
  if (typeof value === 'boolean') return value;
  return value === 0 || value === 1 ? value === 1 : undefined;
}
