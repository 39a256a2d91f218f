import type { Feed, PlaceState, Places, Readings, StreamState } from '../contracts/place.ts';
import type { Reading, StreamInfo } from '../contracts/reading.ts';
import type { RuleState } from '../contracts/warning.ts';
import { assert, isoOf, refuse, ok, type Result } from '../kernel/index.ts';
import type { BrainDoor, GateDoor, SensingDoor } from './doors.ts';

const STALE_INTERVALS = 4;
const STALE_MIN_MS = 120_000;

/** Age at which a stream counts as stale: four times its expected interval, and at least 2 min; never for an imported file. */
export function staleAfterMs(stream: StreamInfo): number {
  if (stream.isArchive === true) return Infinity;
  return Math.max(STALE_INTERVALS * stream.interval_s * 1_000, STALE_MIN_MS);
}

/** One stream as the map shows it at `nowMs`. A stream that never sent anything is stale: silence is never green. */
export function streamState(stream: StreamInfo, reading: Reading | undefined, state: RuleState, nowMs: number): StreamState {
  return {
    id: stream.id,
    property: stream.property,
    label: stream.name,
    unit: stream.unit,
    value: reading?.value ?? null,
    at: reading === undefined ? null : isoOf(reading.phenomenonMs),
    stale: reading === undefined || nowMs - reading.phenomenonMs > staleAfterMs(stream),
    state,
  };
}

// worst first; unknown is worse than ok, because it never resolves anything
const WORST: readonly RuleState[] = ['warning', 'clearing', 'pending', 'unknown', 'ok'];
export const worstOf = (states: readonly RuleState[]): RuleState => WORST.find((state) => states.includes(state)) ?? 'ok';

/** Every Thing that has a Location, with its streams by id; a place is stale when all of its streams are. */
export function placesOf(streams: Iterable<StreamInfo>, readingOf: (id: number) => Reading | undefined, stateOf: (id: number) => RuleState, nowMs: number): Places {
  const places = new Map<number, PlaceState>();
  for (const stream of streams) {
    if (stream.point === null) continue;
    let place = places.get(stream.thingId);
    if (place === undefined) {
      place = { id: stream.thingId, name: stream.placeName, kind: stream.placeKind, point: [stream.point[0], stream.point[1]], state: 'ok', stale: false, streams: [] };
      places.set(stream.thingId, place);
    }
    place.streams.push(streamState(stream, readingOf(stream.id), stateOf(stream.id), nowMs));
  }
  for (const place of places.values()) {
    place.streams.sort((a, b) => a.id - b.id);
    place.state = worstOf(place.streams.map(({ state }) => state));
    place.stale = place.streams.every(({ stale }) => stale);
  }
  return { asOf: isoOf(nowMs), places: [...places.values()].sort((a, b) => a.id - b.id) };
}

/** The same picture for now (`atMs` null) and for a past moment; streams are those that exist today. */
export async function readPlaces(sensing: SensingDoor, brain: BrainDoor, nowMs: number, atMs: number | null): Promise<Places> {
  const streams = sensing.streams().values();
  if (atMs === null)
    return placesOf(
      streams,
      (id) => sensing.latest(id),
      (id) => brain.stateOf(id),
      nowMs,
    );
  const [readings, states] = await Promise.all([sensing.latestAt(atMs), brain.statesAt(atMs)]);
  return placesOf(
    streams,
    (id) => readings.get(id),
    (id) => states.get(id) ?? 'ok',
    atMs,
  );
}

/**
 * Feed health, one entry a kind of place, by kind. `late` when some streams are stale, `stale` when all are. `refused`
 * counts what the gate refused under the purposes of the kind's streams.
 */
export function feedsOf(sensing: SensingDoor, gate: GateDoor, nowMs: number): Feed[] {
  const stats = sensing.ingestStats().perPlaceKind;
  const feeds = new Map<string, { streams: number; stale: number; newestMs: number | null; purposes: Set<string> }>();
  for (const stream of sensing.streams().values()) {
    if (stream.isArchive === true) continue;
    const feed = feeds.get(stream.placeKind) ?? { streams: 0, stale: 0, newestMs: null, purposes: new Set() };
    const reading = sensing.latest(stream.id);
    feed.streams += 1;
    feed.purposes.add(stream.purpose);
    if (reading === undefined || nowMs - reading.phenomenonMs > staleAfterMs(stream)) feed.stale += 1;
    if (reading !== undefined) feed.newestMs = Math.max(feed.newestMs ?? 0, reading.phenomenonMs);
    feeds.set(stream.placeKind, feed);
  }
  return [...feeds]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, { streams, stale, newestMs, purposes }]) => ({
      id: kind,
      label: labelOf(kind),
      streams,
      stale,
      age_s: newestMs === null ? null : Math.max(0, Math.round((nowMs - newestMs) / 1_000)),
      per_minute: stats.get(kind)?.perMinute ?? 0,
      refused: [...purposes].reduce((sum, purpose) => sum + gate.refusedOf(purpose), 0),
      state: newestMs === null ? 'empty' : stale === 0 ? 'live' : stale === streams ? 'stale' : 'late',
    }));
}

/** `river_gauge` reads `River gauge`. */
export function labelOf(kind: string): string {
  const words = kind.replaceAll(/[_-]+/g, ' ').trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export const POINTS_MAX = 5_000;
const PAGE_READINGS = 50_000;
const READINGS_MAX = 2_000_000;

/**
 * Readings of [from, to): as they are up to 5,000, else means of equal windows, each at its start; a window without a
 * valid number is null, so that a gap shows as a gap. A reading that its sender marked bad has no value here.
 */
export async function readPoints(sensing: SensingDoor, stream: StreamInfo, fromMs: number, toMs: number): Promise<Result<Readings>> {
  const answer = { datastreamId: stream.id, unit: stream.unit, label: stream.name };
  const first = await sensing.readSeries(stream.id, fromMs, toMs, POINTS_MAX + 1);
  if (first.length <= POINTS_MAX) return ok({ ...answer, window_ms: 0, points: first.map((reading) => [reading.phenomenonMs, numberOf(reading)]) });
  const window_ms = windowMs(fromMs, toMs);
  const sums = new Float64Array(POINTS_MAX);
  const counts = new Uint32Array(POINTS_MAX);
  let read = 0;
  let cursorMs = fromMs;
  for (;;) {
    const page = await sensing.readSeries(stream.id, cursorMs, toMs, PAGE_READINGS);
    const last = page.at(-1);
    if (last === undefined) break;
    const full = page.length === PAGE_READINGS;
    // a full page may cut through readings of one instant: they are all read again with the next page
    const taken = full ? page.filter(({ phenomenonMs }) => phenomenonMs < last.phenomenonMs) : page;
    assert(!full || taken.length > 0, `one instant holds fewer than ${PAGE_READINGS} readings`);
    for (const reading of taken) {
      const value = numberOf(reading);
      if (value === null) continue;
      const at = Math.floor((reading.phenomenonMs - fromMs) / window_ms);
      sums[at] = (sums[at] ?? 0) + value;
      counts[at] = (counts[at] ?? 0) + 1;
    }
    read += taken.length;
    if (read > READINGS_MAX) return refuse('http.invalid', `The span holds more than ${READINGS_MAX} readings; ask for a shorter one.`, 'from');
    if (!full) break;
    cursorMs = last.phenomenonMs;
  }
  const windows = Math.ceil((toMs - fromMs) / window_ms);
  const points = Array.from({ length: windows }, (_, at): [number, number | null] => [fromMs + at * window_ms, counts[at] ? (sums[at] ?? 0) / counts[at] : null]);
  return ok({ ...answer, window_ms, points });
}

const numberOf = (reading: Reading): number | null => (reading.valid ? reading.value : null);

/** Shortest whole number of milliseconds, and of seconds once it is one or more, that needs at most 5,000 windows. */
export function windowMs(fromMs: number, toMs: number): number {
  const least = Math.ceil((toMs - fromMs) / POINTS_MAX);
  return least < 1_000 ? Math.max(1, least) : Math.ceil(least / 1_000) * 1_000;
}
