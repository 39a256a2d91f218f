import { type CityClient } from './city-client.ts';
import { modelOf, type StreamModel } from './city-model.ts';

/** A datastream of the city with the model that feeds it. */
export interface RegisteredStream {
  readonly id: number;
  readonly model: StreamModel;
  readonly point: readonly [lon: number, lat: number];
}

const PAGE_ROWS = 200;
const PAGES_MAX = 500;

/** What of a page of Datastreams is read here; everything may be missing. Without the schema library this process stays 10 MB smaller. */
interface DatastreamPage {
  readonly value?: readonly {
    readonly '@iot.id'?: unknown;
    readonly properties?: { readonly reference?: unknown } | null;
    readonly Thing?: { readonly Locations?: readonly { readonly location?: { readonly type?: unknown; readonly coordinates?: readonly unknown[] } }[] } | null;
  }[];
  readonly '@iot.nextLink'?: unknown;
}

/** Reads from the city's own catalogue which of its datastreams the demo feeds. */
export async function listStreams(city: CityClient): Promise<RegisteredStream[]> {
  const streams: RegisteredStream[] = [];
  let path: string | undefined = `/v1.1/Datastreams?$select=id,properties&$expand=Thing($select=id;$expand=Locations($select=location))&$orderby=id&$top=${PAGE_ROWS}`;
  for (let page = 0; path !== undefined && page < PAGES_MAX; page += 1) {
    const { value = [], '@iot.nextLink': next } = (await city.get(path)) as DatastreamPage;
    for (const { '@iot.id': id, properties, Thing } of value) {
      const location = Thing?.Locations?.[0]?.location;
      const [lon, lat] = location?.type === 'Point' ? (location.coordinates ?? []) : [];
      if (typeof id !== 'number' || typeof properties?.reference !== 'string' || typeof lon !== 'number' || typeof lat !== 'number') continue;
      const model = modelOf(properties.reference, [lon, lat]);
      if (model) streams.push({ id, model, point: [lon, lat] });
    }
    path = typeof next === 'string' ? next : undefined;
  }
  return streams;
}

/** Whether a stream reports in a second, at a step of seconds. Each has its own second within the step, so that not all speak at once. */
export function isDue({ model }: RegisteredStream, atMs: number, step_s: number): boolean {
  return (Math.floor(atMs / 1_000) + (model.seed % step_s)) % step_s === 0;
}

export interface Row {
  readonly datastreamId: number;
  readonly atMs: number;
  readonly value: number;
}

/** Sends readings as one CreateObservations (OGC SensorThings 1.1 §13.2). Resolves with the number that the city took. */
export async function sendReadings(city: CityClient, rows: readonly Row[]): Promise<number> {
  const blocks = new Map<number, unknown[]>();
  for (const { datastreamId, atMs, value } of rows) {
    const block = blocks.get(datastreamId);
    const row = [new Date(atMs).toISOString(), value];
    if (block) block.push(row);
    else blocks.set(datastreamId, [row]);
  }
  const body = [...blocks].map(([id, dataArray]) => ({ Datastream: { '@iot.id': id }, components: ['phenomenonTime', 'result'], 'dataArray@iot.count': dataArray.length, dataArray }));
  const answers = await city.post('/v1.1/CreateObservations', body);
  if (!Array.isArray(answers)) throw new Error('the city did not answer CreateObservations with a list');
  return answers.filter((answer) => typeof answer === 'string' && !answer.startsWith('error')).length;
}
