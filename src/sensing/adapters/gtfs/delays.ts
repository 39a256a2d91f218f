import { isoOf } from '../../../kernel/index.ts';
import { UNITS, type DraftBatch } from '../batch.ts';
import type { RealtimeCall, RealtimeEvent, RealtimeFeed, RealtimeTripUpdate } from './realtime.ts';
import type { Schedule } from './schedule.ts';

const DEFINITION = 'https://gtfs.org/documentation/realtime/reference/#message-stoptimeevent';
/** Beyond this a delay is an error of the source, such as the wrong service day. */
const DELAY_MAX_S = 6 * 3_600;
const HALF_DAY_MS = 12 * 3_600_000;
const CANCELLED: ReadonlySet<string> = new Set(['CANCELED', 'DELETED']);
/** Trips without a timetable of their own; only the delays that the source states are used. */
const OFF_TIMETABLE: ReadonlySet<string> = new Set(['ADDED', 'UNSCHEDULED', 'NEW', 'DUPLICATED']);

interface Sum {
  total_s: number;
  count: number;
}
interface LineCount {
  readonly delay: Sum;
  tracked: number;
  late: number;
  cancelled: number;
}

export const stopKey = (id: string): string => `stop/${id}`;
export const lineKey = (id: string): string => `line/${id}`;

/** A stop as a place, or nothing when the timetable does not know it. */
export function placeStop(batch: DraftBatch, schedule: Schedule, id: string): boolean {
  const stop = schedule.stops.get(id);
  if (stop === undefined) return false;
  batch.place({ key: stopKey(id), name: stop.name, kind: 'stop', geometry: stop.position === null ? null : { type: 'Point', coordinates: [...stop.position] } });
  return true;
}

/** A line as a place without position, or nothing when the timetable does not know it. */
export function placeLine(batch: DraftBatch, schedule: Schedule, id: string): boolean {
  const route = schedule.routes.get(id);
  if (route === undefined) return false;
  batch.place({ key: lineKey(id), name: route.name, kind: 'line', geometry: null, properties: { route_type: route.type } });
  return true;
}

/**
 * Delays of all trips of a message as means: for a stop and line over the trips that are expected there, for a line over its
 * trips at their next call. Trips and vehicles themselves are not in the answer.
 */
export function addDelays(batch: DraftBatch, feed: RealtimeFeed, schedule: Schedule, options: { readonly late_s: number; readonly nowMs: number }): void {
  const atMs = feed.timestamp === undefined ? options.nowMs : feed.timestamp * 1_000;
  const stops = new Map<string, Map<string, Sum>>(); // stop -> line -> delays; at most the calls of the message
  const lines = new Map<string, LineCount>();
  for (const [at, { tripUpdate, isDeleted }] of feed.entities.entries()) {
    if (tripUpdate === undefined || isDeleted === true) continue;
    const path = `entity[${at}].trip_update`;
    const { tripId, routeId } = tripUpdate.trip;
    const lineId = routeId !== undefined && schedule.routes.has(routeId) ? routeId : tripId === undefined ? undefined : schedule.routeOf(tripId);
    if (lineId === undefined || !schedule.routes.has(lineId)) {
      batch.refuse(`${path}.trip`, 'feed.reference-unknown', 'The timetable knows neither the trip nor its line; load the timetable of the same day.');
      continue;
    }
    const line = lines.get(lineId) ?? { delay: { total_s: 0, count: 0 }, tracked: 0, late: 0, cancelled: 0 };
    lines.set(lineId, line);
    if (CANCELLED.has(tripUpdate.trip.scheduleRelationship ?? '')) {
      line.cancelled += 1;
      continue;
    }
    line.tracked += 1;
    const tripDelay_s = addTrip(batch, tripUpdate, schedule, lineId, stops, atMs, path);
    if (tripDelay_s === null) continue;
    line.delay.total_s += tripDelay_s;
    line.delay.count += 1;
    if (tripDelay_s >= options.late_s) line.late += 1;
  }
  writeStops(batch, schedule, stops, isoOf(atMs));
  writeLines(batch, schedule, lines, isoOf(atMs));
}

/** Adds the calls of one trip to its stops. Answers the delay at its next call in seconds, or null when none is known. */
function addTrip(batch: DraftBatch, update: RealtimeTripUpdate, schedule: Schedule, lineId: string, stops: Map<string, Map<string, Sum>>, atMs: number, path: string): number | null {
  let next_s: number | null = null;
  let last_s: number | null = null;
  for (const [at, call] of update.stopTimeUpdate.entries()) {
    if (call.scheduleRelationship === 'SKIPPED' || call.scheduleRelationship === 'NO_DATA') continue;
    const event = call.arrival ?? call.departure;
    if (event === undefined) continue;
    const expected = expectCall(update, call, event, call.arrival !== undefined, schedule);
    const callPath = `${path}.stop_time_update[${at}]`;
    if (expected === null) {
      batch.refuse(callPath, 'feed.reference-unknown', 'It states no delay, and the timetable has no time for this call.');
      continue;
    }
    const { delay_s, stopId, timeMs } = expected;
    if (Math.abs(delay_s) > DELAY_MAX_S) {
      batch.refuse(callPath, 'feed.value-invalid', `A delay is at most ${DELAY_MAX_S} s; the times belong to another day or zone.`);
      continue;
    }
    last_s = delay_s;
    if (next_s === null && (timeMs === null || timeMs >= atMs)) next_s = delay_s;
    if (!schedule.stops.has(stopId)) {
      batch.refuse(`${callPath}.stop_id`, 'feed.reference-unknown', 'The timetable does not know this stop.');
      continue;
    }
    const byLine = stops.get(stopId) ?? new Map<string, Sum>();
    stops.set(stopId, byLine);
    const sum = byLine.get(lineId) ?? { total_s: 0, count: 0 };
    byLine.set(lineId, { total_s: sum.total_s + delay_s, count: sum.count + 1 });
  }
  return update.delay ?? next_s ?? last_s;
}

interface Expected {
  readonly delay_s: number;
  readonly stopId: string;
  /** When the call is expected; null when the source says a delay only and the timetable no time. */
  readonly timeMs: number | null;
}

function expectCall(update: RealtimeTripUpdate, call: RealtimeCall, event: RealtimeEvent, isArrival: boolean, schedule: Schedule): Expected | null {
  const { tripId, startDate, scheduleRelationship = 'SCHEDULED' } = update.trip;
  const onTimetable = tripId !== undefined && !OFF_TIMETABLE.has(scheduleRelationship) && schedule.hasFixedTimes(tripId);
  const planned = tripId === undefined ? undefined : schedule.callOf(tripId, call.stopSequence, call.stopId);
  const stopId = call.stopId ?? planned?.stopId;
  if (stopId === undefined) return null;
  const timeMs = event.time === undefined ? null : event.time * 1_000;
  if (event.delay !== undefined) return { delay_s: event.delay, stopId, timeMs };
  if (timeMs === null || !onTimetable || planned === undefined) return null;
  const planned_s = isArrival ? (planned.arrival_s >= 0 ? planned.arrival_s : planned.departure_s) : planned.departure_s >= 0 ? planned.departure_s : planned.arrival_s;
  if (planned_s < 0) return null;
  const days = startDate === undefined ? daysAround(timeMs, schedule) : [startDate];
  const plannedMs = days.map((day) => schedule.instantOf(day, planned_s)).filter((instant) => instant !== null);
  const nearest = plannedMs.sort((a, b) => Math.abs(a - timeMs) - Math.abs(b - timeMs))[0];
  return nearest === undefined ? null : { delay_s: Math.round((timeMs - nearest) / 1_000), stopId, timeMs };
}

/** Service days that a trip without start_date may belong to: a day before, for trips past midnight, to half a day after. */
function daysAround(timeMs: number, schedule: Schedule): string[] {
  const day = (ms: number): string => new Date(ms + schedule.zone.offsetMs(ms)).toISOString().slice(0, 10).replaceAll('-', '');
  return [...new Set([day(timeMs - 2 * HALF_DAY_MS), day(timeMs), day(timeMs + HALF_DAY_MS)])];
}

function writeStops(batch: DraftBatch, schedule: Schedule, stops: ReadonlyMap<string, ReadonlyMap<string, Sum>>, phenomenonTime: string): void {
  for (const [stopId, byLine] of stops) {
    placeStop(batch, schedule, stopId);
    for (const [lineId, { total_s, count }] of byLine) {
      const line = schedule.routes.get(lineId)?.name ?? lineId;
      const seriesKey = `${stopKey(stopId)}/${lineKey(lineId)}/delay`;
      batch.series({
        key: seriesKey,
        placeKey: stopKey(stopId),
        name: `${schedule.stops.get(stopId)?.name ?? stopId}: delay of line ${line}`.slice(0, 255),
        property: { key: 'arrival-delay', name: 'Mean delay of arrivals', definition: DEFINITION },
        unit: UNITS.second,
        observationType: 'OM_Measurement',
        min: -DELAY_MAX_S,
        max: DELAY_MAX_S,
        parameters: ['line', 'trips'],
      });
      batch.reading({ seriesKey, phenomenonTime, result: Math.round((total_s / count) * 10) / 10, parameters: { line, trips: count } });
    }
  }
}

function writeLines(batch: DraftBatch, schedule: Schedule, lines: ReadonlyMap<string, LineCount>, phenomenonTime: string): void {
  for (const [lineId, { delay, tracked, late, cancelled }] of lines) {
    placeLine(batch, schedule, lineId);
    const name = schedule.routes.get(lineId)?.name ?? lineId;
    const add = (key: string, title: string, result: number, isDelay: boolean): void => {
      const seriesKey = `${lineKey(lineId)}/${key}`;
      batch.series({ key: seriesKey, placeKey: lineKey(lineId), name: `Line ${name}: ${title}`.slice(0, 255), property: { key, name: title, definition: DEFINITION }, unit: isDelay ? UNITS.second : UNITS.count, observationType: isDelay ? 'OM_Measurement' : 'OM_CountObservation', ...(isDelay ? { min: -DELAY_MAX_S, max: DELAY_MAX_S } : { min: 0, max: 100_000 }) });
      batch.reading({ seriesKey, phenomenonTime, result });
    };
    if (delay.count > 0) add('line-delay', 'Mean delay of trips', Math.round((delay.total_s / delay.count) * 10) / 10, true);
    add('trips-tracked', 'Trips under way with data', tracked, false);
    add('trips-late', 'Trips late', late, false);
    add('trips-cancelled', 'Trips cancelled', cancelled, false);
  }
}
