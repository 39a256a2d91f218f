import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { datastream, LEVEL, openSensorThings, SENSOR, type Json, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

let rig: SensorThingsRig;
interface Row {
  readonly id: number;
  readonly stream: number;
  readonly atMs: number;
}
const rows: Row[] = [];
const NOW_MS = Date.parse('2026-11-24T06:00:00Z');
const HOUR_MS = 3_600_000;

// What windows of time and of ids leave out must not change an answer: all orders, with $skip and by next links, against a sorted list.
beforeAll(async () => {
  rig = await openSensorThings(NOW_MS);
  for (const name of ['One', 'Two', 'Three']) await rig.create('/Things', { name, description: '', Datastreams: [datastream({ name, Sensor: SENSOR, ObservedProperty: LEVEL })] });
  let id = 0;
  for (let at = 0; at < 500; at += 1) {
    // ids have gaps, some large, and follow each other without one in places; times have ties, holes, a far past and a future
    id += at % 50 === 0 ? 30_000 : at < 200 ? 1 + (at % 3) : 1;
    const atMs = at % 97 === 0 ? Date.parse('1999-01-01T00:00:00Z') + at * 1_000 : at % 89 === 0 ? NOW_MS + 30 * 24 * HOUR_MS : NOW_MS - (at % 60) * HOUR_MS - (at % 4) * 20_000;
    rows.push({ id, stream: 1 + (at % 2), atMs });
  }
  await rig.handle.pool.query('insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select r.id, r.stream, to_timestamp(r.at / 1000.0), now(), 1, true from unnest($1::bigint[], $2::bigint[], $3::float8[]) r(id, stream, at)', [rows.map((row) => row.id), rows.map((row) => row.stream), rows.map((row) => row.atMs)]);
  await rig.handle.pool.query("select setval('observation_id', $1)", [id]);
});

type Order = (a: Row, b: Row) => number;
const ORDERS: readonly (readonly [orderby: string, order: Order])[] = [
  ['', (a, b) => a.id - b.id],
  ['$orderby=id%20desc', (a, b) => b.id - a.id],
  ['$orderby=phenomenonTime', (a, b) => a.atMs - b.atMs || a.id - b.id],
  ['$orderby=phenomenonTime%20desc', (a, b) => b.atMs - a.atMs || b.id - a.id],
  ['$orderby=phenomenonTime%20desc,id', (a, b) => b.atMs - a.atMs || a.id - b.id],
];
const SETS: readonly (readonly [path: string, belongs: (row: Row) => boolean])[] = [
  ['/Observations', () => true],
  ['/Datastreams(1)/Observations', ({ stream }) => stream === 1],
  ['/Datastreams(3)/Observations', () => false],
];

test('a page anywhere in any order has the rows of the sorted list', async () => {
  const place = fc.record({ set: fc.constantFrom(...SETS), order: fc.constantFrom(...ORDERS), skip: fc.oneof(fc.integer({ min: 0, max: 520 }), fc.constant(0)), top: fc.integer({ min: 1, max: 120 }) });
  await fc.assert(
    fc.asyncProperty(place, async ({ set: [path, belongs], order: [orderby, order], skip, top }) => {
      const natural = path !== '/Observations' && orderby === '' ? ORDERS[2]?.[1] : order;
      const wanted = rows.filter(belongs).sort(natural).map(({ id }) => id);
      const ids = (page: Json): number[] => (page['value'] as { '@iot.id': number }[]).map((entity) => entity['@iot.id']);
      const first = await rig.get(`${path}?$top=${String(top)}&$skip=${String(skip)}&$select=id${orderby === '' ? '' : `&${orderby}`}`);
      expect(ids(first)).toEqual(wanted.slice(skip, skip + top));
      const next = first['@iot.nextLink'];
      expect(typeof next).toBe(wanted.length > skip + top ? 'string' : 'undefined');
      if (typeof next === 'string') expect(ids(await rig.get(next))).toEqual(wanted.slice(skip + top, skip + 2 * top));
    }),
    { numRuns: 250 },
  );
});

test('every observation is found by its id, wherever it stands', async () => {
  for (const { id } of rows.filter((_row, at) => at % 25 === 0 || at % 97 === 0 || at % 89 === 0)) expect((await rig.get(`/Observations(${String(id)})?$select=id`))['@iot.id']).toBe(id);
  expect((await rig.send('GET', '/Observations(2)')).status).toBe(404);
});
