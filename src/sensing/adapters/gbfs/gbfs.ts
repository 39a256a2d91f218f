import { z } from 'zod';
import { LIMITS, Refused, isLonLat, isoOf, type RefusalCode } from '../../../kernel/index.ts';
import type { Adapter, PullContext, SourceBatch } from '../adapter.ts';
import { UNITS, openBatch, readText, type DraftBatch } from '../batch.ts';
import { readInformation, readInstant, readStatus, type StationInformation, type StationStatus } from './stations.ts';

export const GbfsOptions = z.strictObject({
  /** Address of gbfs.json. */
  url: z.url({ protocol: /^https?$/ }).max(2_000),
  /** For names, such as `de`; else the first that the system offers. */
  language: z.string().min(2).max(35).optional(),
  /** Also a series for each vehicle type of a station. */
  by_vehicle_type: z.boolean().default(false),
});
export type GbfsOptions = z.infer<typeof GbfsOptions>;

const DOCUMENT_BYTES = 16_777_216;
const STATIONS_MAX = 20_000;
const TTL_MAX_S = 3_600;
/** Feeds that describe single vehicles; they are never fetched. */
const VEHICLE_FEEDS: ReadonlySet<string> = new Set(['free_bike_status', 'vehicle_status']);
const DEFINITION = 'https://gbfs.org/documentation/reference/#station_statusjson';
const EMPTY: SourceBatch = { places: [], series: [], readings: [], refusals: [] };

interface Counted {
  readonly key: string;
  readonly name: string;
  readonly of: (status: StationStatus) => number | null;
}

const COUNTS: readonly Counted[] = [
  { key: 'vehicles-available', name: 'Vehicles available', of: (status) => status.vehicles },
  { key: 'vehicles-disabled', name: 'Vehicles out of order', of: (status) => status.vehiclesDisabled },
  { key: 'docks-available', name: 'Docks free', of: (status) => status.docks },
  { key: 'docks-disabled', name: 'Docks out of order', of: (status) => status.docksDisabled },
];
const TRUTHS: readonly { readonly key: string; readonly name: string; readonly of: (status: StationStatus) => boolean | null }[] = [
  { key: 'renting', name: 'Gives out vehicles', of: (status) => status.renting },
  { key: 'returning', name: 'Takes vehicles back', of: (status) => status.returning },
  { key: 'installed', name: 'Is on the street', of: (status) => status.installed },
];

/**
 * Stations of a sharing system by the General Bikeshare Feed Specification 1.1, 2.x and 3.0: how many vehicles and docks each
 * has. Single vehicles (free_bike_status, vehicle_status) are never asked for. Between calls it keeps when the source allows to be asked again (ttl).
 */
export function createGbfs(): Adapter<GbfsOptions> {
  const askAgainMs = new Map<string, number>(); // one address a feed of this city
  return {
    kind: 'gbfs',
    title: 'GBFS (stations of sharing systems)',
    example: EXAMPLE,
    options: GbfsOptions,
    pull: {
      interval_s: 60,
      urls: (options) => [options.url],
      read: async (options, context) => {
        if (context.nowMs() < (askAgainMs.get(options.url) ?? 0)) return EMPTY;
        const discovery = await fetchJson(options.url, context);
        const feeds = readDiscovery(discovery, options.language);
        const information = await fetchFeed(feeds, 'station_information', context);
        const status = await fetchFeed(feeds, 'station_status', context);
        askAgainMs.set(options.url, context.nowMs() + ttlOf(status) * 1_000);
        return joinStations(information, status, feeds, options, context.nowMs());
      },
    },
  };
}

const EXAMPLE = `- name: bikes
  adapter: gbfs
  purpose: city-operations
  options:
    url: https://bikes.example.org/gbfs.json
    language: en`;

type Json = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
const invalid = (detail: string, field: string): Refused => new Refused({ code: 'feed.document-invalid', detail, field });

async function fetchJson(url: string, context: PullContext): Promise<Json> {
  const { body } = await context.fetch(url, { max_bytes: DOCUMENT_BYTES, accept: 'application/json' });
  return readJson(body, new URL(url).pathname.slice(-100));
}

export function readJson(body: Buffer, at: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw Object.assign(invalid('It is not JSON.', at), { cause: error });
  }
  if (!isObject(value) || !isObject(value['data'])) throw invalid('It is not a GBFS document: data must be an object.', at);
  return value;
}

async function fetchFeed(feeds: ReadonlyMap<string, string>, name: string, context: PullContext): Promise<Json> {
  const url = feeds.get(name);
  if (url === undefined) throw invalid(`The system has no ${name}; only systems with stations are taken.`, 'gbfs.json data.feeds');
  return fetchJson(url, context);
}

/** Addresses by name: `data.feeds` in 3.0, `data.LANGUAGE.feeds` before. */
export function readDiscovery(document: Json, language: string | undefined): ReadonlyMap<string, string> {
  const version = document['version'];
  if (version !== undefined && (typeof version !== 'string' || !/^(1\.1|2\.|3\.)/.test(version))) throw invalid('Only GBFS 1.1, 2.x and 3.x are read.', 'gbfs.json version');
  const data = document['data'] as Json;
  const byLanguage = language === undefined ? undefined : data[language];
  const holder = Array.isArray(data['feeds']) ? data : isObject(byLanguage) ? byLanguage : Object.values(data).find(isObject);
  const list = holder?.['feeds'];
  if (!Array.isArray(list) || list.length > 200) throw invalid('It must be a list of feeds.', 'gbfs.json data.feeds');
  const feeds = new Map<string, string>();
  for (const feed of list as unknown[]) {
    if (!isObject(feed) || typeof feed['name'] !== 'string' || typeof feed['url'] !== 'string' || feed['url'].length > LIMITS.url_bytes || !URL.canParse(feed['url'])) throw invalid('A feed has a name and a url.', 'gbfs.json data.feeds');
    feeds.set(feed['name'], feed['url']);
  }
  return feeds;
}

function ttlOf(document: Json): number {
  const ttl = document['ttl'];
  return typeof ttl === 'number' && ttl > 0 ? Math.min(ttl, TTL_MAX_S) : 0;
}

const stationsOf = (document: Json, at: string): readonly unknown[] => {
  const stations = (document['data'] as Json)['stations'];
  if (!Array.isArray(stations)) throw invalid('It must be a list of stations.', `${at} data.stations`);
  if (stations.length > STATIONS_MAX) throw new Refused({ code: 'feed.document-too-large', detail: `A system has at most ${STATIONS_MAX} stations.`, field: `${at} data.stations` });
  return stations as unknown[];
};

/** Joins station_information and station_status by station_id. */
export function joinStations(information: Json, status: Json, feeds: ReadonlyMap<string, string>, options: GbfsOptions, nowMs: number): SourceBatch {
  const batch = openBatch();
  const stations = new Map<string, StationInformation>();
  for (const [at, sent] of stationsOf(information, 'station_information').entries()) {
    const station = readInformation(sent, options.language);
    if (typeof station === 'string') batch.refuse(`station_information data.stations[${at}].${station}`, 'feed.value-invalid', 'It is missing or of a wrong type.');
    else stations.set(station.id, station);
  }
  const updatedMs = readInstant(status['last_updated']);
  if (updatedMs === null) throw invalid('It must be a time: POSIX seconds before 3.0, RFC 3339 since.', 'station_status last_updated');
  for (const [at, sent] of stationsOf(status, 'station_status').entries()) {
    const path = `station_status data.stations[${at}]`;
    const refuse = (field: string, code: RefusalCode, detail: string): void => batch.refuse(`${path}.${field}`, code, detail);
    const read = readStatus(sent);
    if (typeof read === 'string') {
      refuse(read, 'feed.value-invalid', 'It is missing or of a wrong type.');
      continue;
    }
    const station = stations.get(read.id);
    if (station === undefined) {
      refuse('station_id', 'feed.reference-unknown', 'station_information does not describe this station.');
      continue;
    }
    // some systems report 0 or the epoch for stations that never reported
    const reportedMs = read.reportedMs !== null && read.reportedMs > 946_684_800_000 && read.reportedMs <= nowMs + LIMITS.future_ms ? read.reportedMs : updatedMs;
    addStation(batch, station, read, isoOf(reportedMs), options);
  }
  for (const name of feeds.keys()) if (VEHICLE_FEEDS.has(name)) batch.refuse(`gbfs.json ${name}`, 'feed.single-vehicles', 'This part lists single vehicles; it is never fetched.');
  return batch.finish();
}

function addStation(batch: DraftBatch, station: StationInformation, status: StationStatus, phenomenonTime: string, options: GbfsOptions): void {
  const { id, name, lon, lat, capacity } = station;
  batch.place({ key: id, name, kind: 'bike-station', geometry: isLonLat(lon, lat) ? { type: 'Point', coordinates: [lon, lat] } : null, ...(capacity === null ? {} : { properties: { capacity } }) });
  const add = (key: string, title: string, result: number | boolean): void => {
    const isCount = typeof result === 'number';
    batch.series({
      key: `${id}/${key}`,
      placeKey: id,
      name: `${name}: ${title}`.slice(0, LIMITS.name_chars),
      property: { key, name: title, definition: DEFINITION },
      unit: isCount ? UNITS.count : null,
      observationType: isCount ? 'OM_CountObservation' : 'OM_TruthObservation',
      ...(isCount ? { min: 0, max: 100_000 } : {}),
    });
    batch.reading({ seriesKey: `${id}/${key}`, phenomenonTime, result });
  };
  for (const { key, name: title, of } of COUNTS) {
    const count = of(status);
    if (count !== null) add(key, title, count);
  }
  for (const { key, name: title, of } of TRUTHS) {
    const truth = of(status);
    if (truth !== null) add(key, title, truth);
  }
  if (options.by_vehicle_type) for (const [type, count] of status.byType) add(`vehicles-available/${type}`, `Vehicles available, ${readText(type, 100) ?? 'type'}`, count);
}
