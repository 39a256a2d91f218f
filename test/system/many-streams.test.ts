import { beforeAll, expect, test } from 'vitest';
import { datastream, LEVEL, LOCATION, openSensorThings, SENSOR, type Json, type SensorThingsRig } from '../sensorthings-rig.ts';

// A city's worth of streams, made by JSON batches of deep inserts, behaves like a handful. MANY_THINGS=10000 makes 50,000 streams.
const THINGS = Number(process.env['MANY_THINGS'] ?? '1000');
const EACH = 5;
const BATCH = 200;
const PAGE = 1_000;
const PATIENCE_MS = 600_000;

let rig: SensorThingsRig;
let sensor: number;
let properties: number[];
beforeAll(async () => {
  rig = await openSensorThings();
  sensor = await rig.create('/Sensors', SENSOR);
  properties = [];
  for (let at = 0; at < EACH; at += 1) properties.push(await rig.create('/ObservedProperties', { ...LEVEL, name: `Property ${String(at)}` }));
});

const nameOf = (thing: number): string => `Station ${String(thing).padStart(5, '0')}`;
const thingOf = (thing: number): Json => ({
  name: nameOf(thing),
  description: 'one of many',
  Locations: [{ ...LOCATION, name: nameOf(thing), location: { type: 'Point', coordinates: [7 + (thing % 100) / 100, 51 + Math.floor(thing / 100) / 100] } }],
  Datastreams: properties.map((property, at) => datastream({ name: `${nameOf(thing)} ${String(at)}`, Sensor: { '@iot.id': sensor }, ObservedProperty: { '@iot.id': property } })),
});
const count = async (path: string): Promise<number> => (await rig.get(`${path}${path.includes('?') ? '&' : '?'}$count=true&$top=0`))['@iot.count'] as number;
/** All pages of an address by next link. */
async function* pagesOf(path: string): AsyncGenerator<Json[]> {
  for (let next: string | undefined = path; next !== undefined; ) {
    const page: Json = await rig.get(next);
    yield page['value'] as Json[];
    next = page['@iot.nextLink'] as string | undefined;
  }
}

test('they are created by batches', { timeout: PATIENCE_MS }, async () => {
  for (let from = 0; from < THINGS; from += BATCH) {
    const requests = Array.from({ length: Math.min(BATCH, THINGS - from) }, (_, at) => ({ id: `t${String(at)}`, ...(Math.floor(from / BATCH) % 2 === 0 ? {} : { atomicityGroup: 'all' }), method: 'POST', url: 'Things', headers: { prefer: 'return=minimal' }, body: thingOf(from + at) }));
    const answer = await rig.send('POST', '/$batch', { requests });
    expect((answer.body['responses'] as Json[]).filter((one) => one['status'] !== 201)).toEqual([]);
  }
  expect([await count('/Things'), await count('/Datastreams'), await count('/Locations'), await count('/HistoricalLocations')]).toEqual([THINGS, THINGS * EACH, THINGS, THINGS]);
});

test('each takes a reading, sent in data arrays', { timeout: PATIENCE_MS }, async () => {
  for await (const page of pagesOf(`/Datastreams?$top=${String(PAGE)}&$select=id&$orderby=id`)) {
    const blocks = page.map((stream) => ({ Datastream: { '@iot.id': stream['@iot.id'] }, components: ['phenomenonTime', 'result'], dataArray: [['2026-11-24T05:00:00Z', -1], ['2026-11-24T05:01:00Z', stream['@iot.id']]] }));
    expect((JSON.parse((await rig.send('POST', '/CreateObservations', blocks)).text) as string[]).filter((row) => row.startsWith('error'))).toEqual([]);
  }
  expect([await count('/Observations'), await count('/FeaturesOfInterest')]).toEqual([THINGS * EACH * 2, THINGS]);
});

test('the map query finds the newest of each', { timeout: PATIENCE_MS }, async () => {
  let seen = 0;
  for await (const page of pagesOf(`/Things?$top=${String(PAGE)}&$select=name&$expand=Locations($select=location),Datastreams($select=id;$expand=Observations($top=1;$orderby=phenomenonTime%20desc;$select=result))`)) {
    for (const thing of page) {
      const streams = thing['Datastreams'] as Json[];
      expect(streams.map((stream) => (stream['Observations'] as Json[])[0]?.['result'])).toEqual(streams.map((stream) => stream['@iot.id']));
      expect([streams.length, (thing['Locations'] as Json[]).length]).toEqual([EACH, 1]);
      seen += 1;
    }
  }
  expect(seen).toBe(THINGS);
});

test('one is found by its name, its thing and its place', { timeout: PATIENCE_MS }, async () => {
  const last = nameOf(THINGS - 1);
  expect(await rig.list(`/Things?$filter=name%20eq%20'${last}'`)).toEqual([last]);
  expect(await count(`/Datastreams?$filter=Thing/name%20eq%20'${last}'`)).toBe(EACH);
  expect(await rig.list(`/Observations?$filter=Datastream/Thing/name%20eq%20'${last}'%20and%20result%20lt%200`, 'result')).toEqual(Array.from({ length: EACH }, () => -1));
  expect(await count("/Locations?$filter=st_within(location,geography'POLYGON((7.005%2050.9,7.015%2050.9,7.015%2060,7.005%2060,7.005%2050.9))')")).toBe(Math.ceil((THINGS - 1) / 100));
});

test('they go by filter, and leave nothing', { timeout: PATIENCE_MS }, async () => {
  const figures = { count: THINGS, cascade: { Datastreams: THINGS * EACH, Observations: THINGS * EACH * 2, HistoricalLocations: THINGS } };
  expect((await rig.send('DELETE', '/Things?$filter=true&dryRun=true')).body).toMatchObject(figures);
  expect((await rig.send('DELETE', '/Things?$filter=true')).body).toMatchObject(figures);
  expect([await count('/Things'), await count('/Datastreams'), await count('/Observations'), await count('/FeaturesOfInterest'), await count('/HistoricalLocations')]).toEqual([0, 0, 0, 0, 0]);
});
