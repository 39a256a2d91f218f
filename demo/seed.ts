import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCatalogue } from './build-city.ts';
import { type Catalogue, type CataloguePlace } from './catalogue.ts';
import { type CityClient, connectCity } from './city-client.ts';
import { deliver } from './faults.ts';
import { PLACE_KINDS, type PlaceKind, type StreamKind } from './kinds.ts';
import { isDue, listStreams, type RegisteredStream, type Row, sendReadings } from './registered-streams.ts';
import { type Scenario } from './storm.ts';

/** Readings in one CreateObservations. */
const BATCH_ROWS = 5_000;
const PARALLEL = 4;
/** The day before is filled at wide steps, the last hour as densely as the sensors report. */
const HISTORY_MS = 24 * 3_600_000;
const DENSE_MS = 3_600_000;
const WIDE_STEP_S = 600;

interface SeedOptions {
  readonly city: CityClient;
  readonly catalogue: Catalogue;
  readonly scenario: Scenario;
  readonly nowMs: number;
  readonly progress: (text: string) => void;
}

interface Seeded {
  /** Things that this run created; 0 when the city was complete. */
  readonly created: number;
  readonly readings: number;
}

/**
 * Creates the demo's Things with their Datastreams and fills the hours before now. Safe to run again: what exists, by
 * `properties.reference`, is left alone, and each stream's history goes on after its newest reading.
 */
export async function seedCity({ city, catalogue, scenario, nowMs, progress }: SeedOptions): Promise<Seeded> {
  const existing = new Set(await listReferences(city, 'Things'));
  const wanted = catalogue.places.filter(({ reference }) => !existing.has(reference));
  if (wanted.length > 0) {
    const shared = await ensureShared(city);
    let done = 0;
    await inParallel(wanted, async (place) => {
      await city.post('/v1.1/Things', thingOf(place, shared));
      done += 1;
      if (done % 200 === 0) progress(`${done} of ${wanted.length} places are registered`);
    });
    progress(`${wanted.length} places are registered`);
  }
  const streams = await listStreams(city);
  const readings = await fillHistory(city, streams, scenario, nowMs, progress);
  return { created: wanted.length, readings };
}

/** Acts on every item, a few at a time. After a failure it begins nothing more, lets what runs come to its end, and throws. */
async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next] as T;
      next += 1;
      try {
        await act(item);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  const failure = (await Promise.allSettled(Array.from({ length: PARALLEL }, work))).find((outcome) => outcome.status === 'rejected');
  if (failure) throw failure.reason;
}

async function pages(city: CityClient, path: string): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  let next: string | undefined = path;
  while (next !== undefined) {
    const page = (await city.get(next)) as { value: Record<string, unknown>[]; '@iot.nextLink'?: string };
    rows.push(...page.value);
    next = page['@iot.nextLink'];
  }
  return rows;
}

function referenceOf(row: Record<string, unknown>): string | undefined {
  const reference = (row['properties'] as { reference?: unknown } | null | undefined)?.reference;
  return typeof reference === 'string' ? reference : undefined;
}

async function listReferences(city: CityClient, set: string): Promise<string[]> {
  return (await pages(city, `/v1.1/${set}?$select=id,properties&$orderby=id&$top=1000`)).flatMap((row) => referenceOf(row) ?? []);
}

/** Ids of the instruments and observed properties that many streams share, by kind and property. */
interface Shared {
  readonly sensors: ReadonlyMap<string, number>;
  readonly properties: ReadonlyMap<string, number>;
}

async function ensureShared(city: CityClient): Promise<Shared> {
  const known = async (set: string): Promise<Map<string, number>> => new Map((await pages(city, `/v1.1/${set}?$select=id,properties&$orderby=id&$top=1000`)).flatMap((row) => {
    const reference = referenceOf(row);
    return reference === undefined ? [] : [[reference, Number(row['@iot.id'])] as const];
  }));
  const [sensors, properties] = [await known('Sensors'), await known('ObservedProperties')];
  const sensorBodies = PLACE_KINDS.map((place) => ({ reference: place.kind, body: sensorOf(place) }));
  const propertyBodies = [...new Map(PLACE_KINDS.flatMap(({ streams }) => streams).map((each) => [each.property, each])).values()].map((each) => ({ reference: each.property, body: observedPropertyOf(each) }));
  for (const [set, ids, bodies] of [['Sensors', sensors, sensorBodies], ['ObservedProperties', properties, propertyBodies]] as const) {
    for (const { reference, body } of bodies) if (!ids.has(reference)) ids.set(reference, await createShared(city, set, reference, body));
  }
  return { sensors, properties };
}

async function createShared(city: CityClient, set: string, reference: string, body: unknown): Promise<number> {
  const made = (await city.post(`/v1.1/${set}`, body)) as { '@iot.id'?: number } | null;
  if (typeof made?.['@iot.id'] === 'number') return made['@iot.id'];
  const found = (await pages(city, `/v1.1/${set}?$select=id,properties&$orderby=id&$top=1000`)).find((row) => referenceOf(row) === reference);
  if (!found) throw new Error(`the city took ${reference} but does not list it in ${set}`);
  return Number(found['@iot.id']);
}

const sensorOf = ({ kind, title, instrument }: PlaceKind): unknown => ({ name: instrument, description: `${instrument} of the kind that stands at each ${title.toLowerCase()}`, encodingType: 'text/html', metadata: 'about:blank', properties: { reference: kind } });

const observedPropertyOf = ({ property, title, definition }: StreamKind): unknown => ({ name: title, definition, description: title, properties: { key: property, reference: property } });

function thingOf(place: CataloguePlace, shared: Shared): unknown {
  const kind = PLACE_KINDS.find((each) => each.kind === place.kind);
  if (!kind) throw new Error(`no kind ${place.kind}`);
  return {
    name: place.name,
    description: `${kind.title} in ${place.district}`,
    properties: { kind: place.kind, reference: place.reference, district: place.district },
    Locations: [{ name: place.name, description: place.district, encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [place.lon, place.lat] } }],
    Datastreams: kind.streams.map((stream) => ({
      name: `${stream.title}, ${place.name}`,
      description: `${stream.title} every ${stream.interval_s} s`,
      observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement',
      unitOfMeasurement: { name: stream.unitName, symbol: stream.unit, definition: `http://unitsofmeasure.org/ucum.html#${encodeURIComponent(stream.unit)}` },
      properties: { purpose: stream.purpose, interval_s: stream.interval_s, min: stream.min, max: stream.max, reference: `${place.reference}.${stream.property}` },
      Sensor: { '@iot.id': shared.sensors.get(place.kind) },
      ObservedProperty: { '@iot.id': shared.properties.get(stream.property) },
    })),
  };
}

/** Newest instant for which some stream has a reading, or null: where an interrupted run goes on. */
async function newestReadingMs(city: CityClient): Promise<number | null> {
  const { value } = (await city.get('/v1.1/Observations?$select=phenomenonTime&$orderby=phenomenonTime%20desc&$top=1')) as { value: { phenomenonTime: string }[] };
  const time = value[0]?.phenomenonTime.split('/')[0];
  return time === undefined ? null : Date.parse(time);
}

async function fillHistory(city: CityClient, streams: readonly RegisteredStream[], scenario: Scenario, nowMs: number, progress: (text: string) => void): Promise<number> {
  const newestMs = await newestReadingMs(city);
  const fromMs = Math.max(nowMs - HISTORY_MS, newestMs === null ? -Infinity : newestMs + 1);
  let rows: Row[] = [];
  let sent = 0;
  const flush = async (): Promise<void> => {
    sent += await sendReadings(city, rows);
    rows = [];
  };
  let told = 0;
  // Time runs in the outer loop, so that an interrupted run leaves one edge to go on from.
  for (let atMs = Math.ceil(fromMs / 1_000) * 1_000; atMs < nowMs; atMs += 1_000) {
    const dense = atMs >= nowMs - DENSE_MS;
    for (const stream of streams) if (isDue(stream, atMs, dense ? stream.model.stream.interval_s : Math.max(WIDE_STEP_S, stream.model.stream.interval_s))) addReading(rows, stream, atMs, scenario, nowMs);
    if (rows.length >= BATCH_ROWS) await flush();
    const hours = Math.floor((atMs - fromMs) / 3_600_000);
    if (hours >= told + 6) progress(`${(told = hours)} hours of history are filled`);
  }
  if (rows.length > 0) await flush();
  return sent;
}

function addReading(rows: Row[], { id, model }: RegisteredStream, atMs: number, scenario: Scenario, beganMs: number): void {
  const delivery = deliver(model, { atMs, scenario, beganMs });
  if (!delivery) return;
  for (let copy = 0; copy < delivery.times; copy += 1) rows.push({ datastreamId: id, atMs, value: delivery.value });
}

if (import.meta.main) {
  const { CLERESTORY_URL: url, CLERESTORY_ADMIN_TOKEN: token, CLERESTORY_DEMO_SCENARIO: scenario } = process.env;
  if (url === undefined || token === undefined) throw new Error('set CLERESTORY_URL and CLERESTORY_ADMIN_TOKEN');
  const folder = process.argv[2];
  const catalogue = folder !== undefined && existsSync(join(folder, 'catalogue.json')) ? (JSON.parse(readFileSync(join(folder, 'catalogue.json'), 'utf8')) as Catalogue) : readCatalogue();
  const city = connectCity({ url, token, onRetry: (reason, wait_ms) => console.log(`the city is away (${reason}); again in ${wait_ms / 1_000} s`) });
  const seeded = await seedCity({ city, catalogue, scenario: scenario === 'ordinary-day' ? 'ordinary-day' : 'storm-day', nowMs: Date.now(), progress: (text) => console.log(text) });
  console.log(`the city is seeded: ${seeded.created} new places, ${seeded.readings} readings`);
}
