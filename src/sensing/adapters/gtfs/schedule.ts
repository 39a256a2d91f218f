import { Refused, isLonLat } from '../../../kernel/index.ts';
import { readText } from '../batch.ts';
import { wallOf, zoneOf, type Zone } from '../local-time.ts';
import { openZip } from '../zip.ts';
import { readTable } from './table.ts';

export interface Stop {
  readonly id: string;
  readonly name: string;
  /** Longitude and latitude; null for a stop without. */
  readonly position: readonly [number, number] | null;
}

export interface Route {
  readonly id: string;
  readonly name: string;
  /** GTFS route_type, such as 3 for buses. */
  readonly type: number;
}

/** One call of a trip. Times are seconds of the service day and may pass 24 h; -1 where the timetable leaves them out. */
export interface Call {
  readonly sequence: number;
  readonly stopId: string;
  readonly arrival_s: number;
  readonly departure_s: number;
}

export interface Schedule {
  readonly zone: Zone;
  readonly stops: ReadonlyMap<string, Stop>;
  readonly routes: ReadonlyMap<string, Route>;
  readonly agencies: ReadonlyMap<string, string>;
  /** Route of a trip. */
  routeOf(tripId: string): string | undefined;
  /** Trips that run by headway have no fixed times. */
  hasFixedTimes(tripId: string): boolean;
  /** The call by its sequence, else the first at the stop. */
  callOf(tripId: string, sequence: number | undefined, stopId: string | undefined): Call | undefined;
  /** Instant of a time of a service day `YYYYMMDD`: from noon minus 12 h, so that a clock change moves nothing (GTFS reference, Time). Null for a day that does not exist. */
  instantOf(day: string, time_s: number): number | null;
  readonly callCount: number;
}

const CALLS_MAX = 3_000_000;
const ROWS_MAX = 500_000;
/** Numbers a call takes in its trip's list: sequence, stop, arrival, departure. */
const WIDTH = 4;
const TIME = /^(\d{1,3}):([0-5]\d):([0-5]\d)$/;

const tooLarge = (file: string, limit: number): Refused => new Refused({ code: 'feed.document-too-large', detail: `The table has at most ${limit} rows.`, field: file });
const invalid = (detail: string, field: string): Refused => new Refused({ code: 'feed.document-invalid', detail, field });

/** `25:10:00` as seconds of the service day; null for an empty cell. Undefined for anything else. */
export function readServiceTime(text: string): number | null | undefined {
  if (text === '') return null;
  const found = TIME.exec(text);
  return found === null ? undefined : Number(found[1]) * 3_600 + Number(found[2]) * 60 + Number(found[3]);
}

/** Reads a GTFS archive: agencies, stops, routes, trips and their times. Throws `Refused` with file and line. */
export async function readSchedule(zip: Buffer): Promise<Schedule> {
  const archive = await openZip(zip);
  const need = (found: boolean, file: string): void => {
    if (!found) throw invalid('The archive has no such file.', file);
  };
  const agencies = new Map<string, string>();
  let zoneName = '';
  need(await readTable(archive, 'agency.txt', ['agency_name', 'agency_timezone'], (row) => {
    zoneName ||= row('agency_timezone');
    if (agencies.size < 1_000) agencies.set(row('agency_id'), readText(row('agency_name'), 200) ?? 'Agency');
  }), 'agency.txt');
  const zone = zoneOf(zoneName);
  if (zone === null) throw invalid('agency_timezone is not a name of the IANA time zone database.', 'agency.txt');

  const stops = new Map<string, Stop>();
  need(await readTable(archive, 'stops.txt', ['stop_id'], (row, line) => {
    const id = row('stop_id');
    if (id === '' || id.length > 200) throw invalid('stop_id is empty or longer than 200 characters.', `stops.txt line ${line}`);
    if (stops.size >= ROWS_MAX) throw tooLarge('stops.txt', ROWS_MAX);
    const [lon, lat] = [Number(row('stop_lon')), Number(row('stop_lat'))];
    const hasPosition = row('stop_lon') !== '' && row('stop_lat') !== '' && isLonLat(lon, lat);
    stops.set(id, { id, name: readText(row('stop_name'), 200) ?? id, position: hasPosition ? [lon, lat] : null });
  }), 'stops.txt');

  const routes = new Map<string, Route>();
  need(await readTable(archive, 'routes.txt', ['route_id', 'route_type'], (row, line) => {
    const id = row('route_id');
    if (id === '' || id.length > 200) throw invalid('route_id is empty or longer than 200 characters.', `routes.txt line ${line}`);
    if (routes.size >= ROWS_MAX) throw tooLarge('routes.txt', ROWS_MAX);
    routes.set(id, { id, name: readText(row('route_short_name'), 100) ?? readText(row('route_long_name'), 200) ?? id, type: Number(row('route_type')) });
  }), 'routes.txt');
  return { zone, stops, routes, agencies, instantOf: (day, time_s) => instantOf(zone, day, time_s), ...(await readTrips(archive, stops, need)) };
}

async function readTrips(archive: Awaited<ReturnType<typeof openZip>>, stops: ReadonlyMap<string, Stop>, need: (found: boolean, file: string) => void): Promise<Pick<Schedule, 'routeOf' | 'hasFixedTimes' | 'callOf' | 'callCount'>> {
  const routeOfTrip = new Map<string, string>();
  need(await readTable(archive, 'trips.txt', ['trip_id', 'route_id'], (row) => {
    if (routeOfTrip.size >= ROWS_MAX) throw tooLarge('trips.txt', ROWS_MAX);
    routeOfTrip.set(row('trip_id'), row('route_id'));
  }), 'trips.txt');

  const stopIds = [...stops.keys()];
  const stopAt = new Map(stopIds.map((id, at) => [id, at]));
  const callsOf = new Map<string, number[]>();
  let callCount = 0;
  need(await readTable(archive, 'stop_times.txt', ['trip_id', 'stop_id', 'stop_sequence'], (row, line) => {
    if (callCount >= CALLS_MAX) throw tooLarge('stop_times.txt', CALLS_MAX);
    const [arrival_s, departure_s] = [readServiceTime(row('arrival_time')), readServiceTime(row('departure_time'))];
    if (arrival_s === undefined || departure_s === undefined) throw invalid('A time must be HH:MM:SS.', `stop_times.txt line ${line}`);
    const stop = stopAt.get(row('stop_id'));
    if (stop === undefined) return; // stops by request areas (location_id) have no place here
    callCount += 1;
    const calls = callsOf.get(row('trip_id'));
    const call = [Number(row('stop_sequence')), stop, arrival_s ?? -1, departure_s ?? -1];
    if (calls === undefined) callsOf.set(row('trip_id'), call);
    else calls.push(...call);
  }), 'stop_times.txt');

  const byHeadway = new Set<string>();
  await readTable(archive, 'frequencies.txt', ['trip_id'], (row) => void (byHeadway.size < ROWS_MAX && byHeadway.add(row('trip_id'))));

  return {
    callCount,
    routeOf: (tripId) => routeOfTrip.get(tripId),
    hasFixedTimes: (tripId) => !byHeadway.has(tripId),
    callOf: (tripId, sequence, stopId) => {
      const calls = callsOf.get(tripId) ?? [];
      for (let at = 0; at < calls.length; at += WIDTH) {
        const [callSequence, stop, arrival_s, departure_s] = calls.slice(at, at + WIDTH) as [number, number, number, number];
        if (sequence === undefined ? stopIds[stop] !== stopId : callSequence !== sequence) continue;
        return { sequence: callSequence, stopId: stopIds[stop] ?? '', arrival_s, departure_s };
      }
      return undefined;
    },
  };
}

function instantOf(zone: Zone, day: string, time_s: number): number | null {
  const found = /^(\d{4})(\d{2})(\d{2})$/.exec(day);
  const noon = found === null ? null : wallOf(Number(found[1]), Number(found[2]), Number(found[3]), 12);
  const noonMs = noon === null ? undefined : zone.instantsOf(noon)[0];
  return noonMs === undefined ? null : noonMs - 12 * 3_600_000 + time_s * 1_000;
}
