import { beforeAll, expect, test } from 'vitest';
import { FULL_THING, openSensorThings, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

// Readings carry whole milliseconds, and a move can fall into the same one as the readings around it: the order in which they were
// answered decides (migrations/0022).
let rig: SensorThingsRig;
let stream = 0;
let thing = 0;

beforeAll(async () => {
  rig = await openSensorThings();
  thing = await rig.create('/Things', FULL_THING);
  const [datastream] = await rig.list(`/Things(${String(thing)})/Datastreams`, '@iot.id');
  stream = datastream as number;
});

const read = async (): Promise<number> => rig.create(`/Datastreams(${String(stream)})/Observations`, { result: 1 });
const placeOf = async (observation: number): Promise<unknown> => {
  const { feature } = await rig.get(`/Observations(${String(observation)})/FeatureOfInterest`);
  return (feature as { coordinates: unknown }).coordinates;
};
const place = (lon: number): Json => ({ type: 'Point', coordinates: [lon, 48] });
/** Time goes on once the server has begun to wait for it, as it does by itself outside of tests. */
async function inTime<T>(act: Promise<T>): Promise<T> {
  const timer = setInterval(() => rig.clock.advance(1), 1);
  try {
    return await act;
  } finally {
    clearInterval(timer);
  }
}

test('a reading and a move in one millisecond keep their order', async () => {
  const before = await read();
  expect((await inTime(rig.send('PATCH', `/Locations(1)`, { location: place(12) }))).status).toBe(200);
  const after = await read();
  expect(await placeOf(before)).toEqual([11.57, 48.14]);
  expect(await placeOf(after)).toEqual([12, 48]);

  expect((await inTime(rig.send('POST', `/Things(${String(thing)})/Locations`, { name: 'Mill', description: 'At the mill', encodingType: 'application/geo+json', location: place(13) }))).status).toBe(201);
  const last = await read();
  expect(await placeOf(before)).toEqual([11.57, 48.14]);
  expect(await placeOf(after)).toEqual([12, 48]);
  expect(await placeOf(last)).toEqual([13, 48]);
});

test('exports say the same', async () => {
  const { text } = await rig.send('GET', 'http://city.test/api/export/observations.geojson');
  const lines = text.split('\n').filter((line) => line.includes('"Feature"'));
  expect(lines.map((line) => (JSON.parse(line.replace(/,$/, '')) as { geometry: { coordinates: unknown } }).geometry.coordinates)).toEqual([[11.57, 48.14], [12, 48], [13, 48]]);
});

test('a clock that stands still holds nobody up', async () => {
  expect((await rig.send('PATCH', `/Locations(1)`, { location: place(14) })).status).toBe(200);
});
