import { z } from 'zod';
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

const Page = z.object({
  value: z.array(
    z.object({
      '@iot.id': z.number().int(),
      properties: z.looseObject({ reference: z.string().optional() }).nullish(),
      Thing: z.object({ Locations: z.array(z.object({ location: z.unknown() })) }).nullish(),
    }),
  ),
  '@iot.nextLink': z.string().optional(),
});
const Point = z.object({ type: z.literal('Point'), coordinates: z.tuple([z.number(), z.number()]).rest(z.number()) });

/** Reads from the city's own catalogue which of its datastreams the demo feeds. */
export async function listStreams(city: CityClient): Promise<RegisteredStream[]> {
  const streams: RegisteredStream[] = [];
  let path: string | undefined = `/v1.1/Datastreams?$select=id,properties&$expand=Thing($select=id;$expand=Locations($select=location))&$orderby=id&$top=${PAGE_ROWS}`;
  for (let page = 0; path !== undefined && page < PAGES_MAX; page += 1) {
    const { value, '@iot.nextLink': next }: z.infer<typeof Page> = Page.parse(await city.get(path));
    for (const { '@iot.id': id, properties, Thing } of value) {
      const point = Point.safeParse(Thing?.Locations[0]?.location);
      if (properties?.reference === undefined || !point.success) continue;
      const at = [point.data.coordinates[0], point.data.coordinates[1]] as const;
      const model = modelOf(properties.reference, at);
      if (model) streams.push({ id, model, point: at });
    }
    path = next;
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
  const answers = z.array(z.string()).parse(await city.post('/v1.1/CreateObservations', body));
  return answers.filter((answer) => !answer.startsWith('error')).length;
}
