import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import { seedStreams } from '../../test/streams.ts';
import type { Principal } from '../contracts/principal.ts';
import type { Reading } from '../contracts/reading.ts';
import { manualClock, systemClock, unwrap, type Clock } from '../kernel/index.ts';
import { createMetrics, silentLogger, type DatabaseHandle } from '../platform/index.ts';
import { createGate } from '../trust/index.ts';
import { parseExactJson } from './ingest/exact-json.ts';
import { openReadings, type Readings } from './readings.ts';

const device: Principal = { kind: 'token', id: 'tok_1', name: 'probe', positions: ['device'], pseudonym: 'p' };
const T0 = Date.parse('2026-11-24T06:00:00Z');

const purposes = { live: (id: string) => id !== 'ended' && id !== 'unheard', get: (id: string) => (id === 'unheard' ? undefined : ({ id } as never)) };

async function open(handle: DatabaseHandle, clock: Clock = systemClock): Promise<Readings> {
  const metrics = createMetrics();
  const readings = await openReadings({ handle, clock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://city.test' });
  afterAll(() => readings.close());
  return readings;
}

async function count(handle: DatabaseHandle): Promise<number> {
  const found = await handle.pool.query<{ n: number }>('select count(*) as n from observation');
  return found.rows[0]?.n ?? -1;
}

test('a reading is in the table, in memory and with the readers when its sender hears of it', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const readings = await open(handle, manualClock(T0));
  const seen: Reading[] = [];
  readings.onReadings((batch) => seen.push(...batch));
  const result = await readings.ingest.takeOne(device, { result: 1.25, phenomenonTime: '2026-11-24T05:59:00.125Z' }, { datastreamId: stream });
  expect(result.ok).toBe(true);
  const expected: Reading = { datastreamId: stream, phenomenonMs: T0 - 59_875, arrivalMs: T0, value: 1.25, valid: true };
  expect(seen).toEqual([expected]);
  expect(readings.latest(stream)).toEqual(expected);
  expect(await readings.readSeries(stream, T0 - 3_600_000, T0, 10)).toEqual([expected]);
  expect(await readings.latestAt(T0)).toEqual(new Map([[stream, expected]]));
  const history: Reading[] = [];
  for await (const chunk of readings.readHistory([stream], T0 - 1, T0 + 1)) history.push(...chunk);
  expect(history).toEqual([expected]);
  expect(readings.ingestStats()).toEqual({ admitted: 1, perPlaceKind: new Map([['gauge', { perMinute: 1 }]]) });
  expect(result.ok && (await handle.pool.query('select id from observation')).rows).toEqual([{ id: result.ok && result.value }]);
});

/** What the table gives back as the result of an observation, as JSON text. */
async function resultOf(handle: DatabaseHandle, id: number): Promise<string> {
  const found = await handle.pool.query<{ number: number | null; json: string | null }>('select result_number as number, result_json as json from observation where id = $1', [id]);
  const row = found.rows[0];
  if (row === undefined) throw new Error(`no observation ${id}`);
  return row.json ?? JSON.stringify(row.number);
}

const exactly = (text: string): unknown => unwrap(parseExactJson(Buffer.from(text)));

test('a result of any JSON comes back from the table as it was sent', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1, { type: 'OM_Observation' })) as [number];
  const readings = await open(handle, manualClock(T0));
  const samples = ['0', '-0', '1.0', '1e3', '12345678901234567890', '1e-300', 'null', 'false', 'true', '""', '"\\u0000"', '"\\ud800"', '"ä€𝄞"', '[]', '{}', '[1.0,{"a":-0}]', '{"b":1,"a":2}', '0.1', '1.7976931348623157e+308'];
  for (const text of samples) {
    const id = unwrap(await readings.ingest.takeOne(device, exactly(`{"result":${text}}`), { datastreamId: stream }));
    expect(await resultOf(handle, id)).toBe(text);
  }
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
      const text = JSON.stringify(value);
      const id = unwrap(await readings.ingest.takeOne(device, exactly(`{"result":${text}}`), { datastreamId: stream }));
      expect(JSON.parse(await resultOf(handle, id))).toEqual(JSON.parse(text));
    }),
    { numRuns: 60 },
  );
});

test('every column that was sent is in the table', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1, { properties: { parameters: ['depth'] } })) as [number];
  const readings = await open(handle, manualClock(T0));
  const id = unwrap(
    await readings.ingest.takeOne(
      device,
      exactly('{"result":2.5,"phenomenonTime":"2026-11-24T05:00:00.001+00:00/2026-11-24T05:10:00Z","resultTime":"2026-11-24T05:11:00Z","resultQuality":{"status":"bad"},"validTime":"2026-11-24T05:00:00Z/2026-11-25T05:00:00Z","parameters":{"depth":1.0}}'),
      { datastreamId: stream },
    ),
  );
  const found = await handle.pool.query('select datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid from observation where id = $1', [id]);
  expect(found.rows).toEqual([
    {
      datastream_id: stream,
      phenomenon_start: new Date('2026-11-24T05:00:00.001Z'),
      phenomenon_end: new Date('2026-11-24T05:10:00Z'),
      result_time: new Date('2026-11-24T05:11:00Z'),
      arrived: new Date(T0),
      result_number: 2.5,
      result_json: null,
      extra: { resultQuality: { status: 'bad' }, validTime: '2026-11-24T05:00:00Z/2026-11-25T05:00:00Z', parameters: { depth: 1 } },
      valid: false,
    },
  ]);
  const feature = await handle.pool.query('select f.feature from datastream d join feature_of_interest f on f.id = d.feature_id where d.id = $1', [stream]);
  expect(feature.rows).toEqual([{ feature: { type: 'Point', coordinates: [11.5, 48.1] } }]);
});

test('what may not come in is refused with field and code, and leaves nothing', async () => {
  const handle = await freshDatabase();
  const [level, ended] = [...(await seedStreams(handle, 1, { properties: { min: 0, max: 10 } })), ...(await seedStreams(handle, 1, { purpose: 'ended' }))] as [number, number];
  const [anything] = (await seedStreams(handle, 1, { type: 'OM_Observation' })) as [number];
  const readings = await open(handle, manualClock(T0));
  const cases: [number | undefined, string, string, string | undefined][] = [
    [level, '{}', 'http.invalid', 'result'],
    [level, '[]', 'http.invalid', 'body'],
    [level, '{"result":"NaN"}', 'gate.not-a-number', 'result'],
    [level, '{"result":1e999}', 'gate.not-a-number', 'result'],
    [anything, '{"result":1e999}', 'gate.not-a-number', 'result'],
    [level, '{"result":11}', 'gate.out-of-bounds', 'result'],
    [level, '{"result":null}', 'gate.not-a-number', 'result'],
    [level, '{"result":1,"plate":"M-AB 123"}', 'gate.field-unregistered', 'plate'],
    [level, '{"result":1,"parameters":{"face":1}}', 'gate.field-unregistered', 'parameters.face'],
    [level, '{"result":1,"phenomenonTime":"2026-11-24T05:00:00"}', 'sensing.time-invalid', 'phenomenonTime'],
    [level, '{"result":1,"phenomenonTime":7}', 'sensing.time-invalid', 'phenomenonTime'],
    [level, '{"result":1,"phenomenonTime":"2026-11-25T06:00:01Z"}', 'sensing.time-in-future', 'phenomenonTime'],
    [level, '{"result":1,"phenomenonTime":"2026-11-24T06:00:00Z/2026-11-26T06:00:00Z"}', 'sensing.time-in-future', 'phenomenonTime'],
    [level, '{"result":1,"resultTime":"yesterday"}', 'sensing.time-invalid', 'resultTime'],
    [level, '{"result":1,"validTime":"2026-11-24T06:00:00Z"}', 'sensing.time-invalid', 'validTime'],
    [level, '{"result":1,"resultQuality":"\\u0000"}', 'http.invalid', 'resultQuality'],
    [level, '{"result":1,"resultQuality":[1e999]}', 'http.invalid', 'resultQuality'],
    [level, '{"result":1,"FeatureOfInterest":{"@iot.id":99}}', 'sensing.no-such-entity', 'FeatureOfInterest'],
    [level, '{"result":1,"Datastream":{"name":"new"}}', 'http.invalid', 'Datastream'],
    [anything, `{"result":${'['.repeat(40)}${']'.repeat(40)}}`, 'http.too-deep', 'result'],
    [anything, `{"result":"${'x'.repeat(5000)}"}`, 'http.too-large', 'result'],
    [ended, '{"result":1}', 'purpose.expired', 'Datastream'],
    [undefined, '{"result":1}', 'gate.stream-unregistered', 'Datastream'],
    [undefined, '{"result":1,"Datastream":{"@iot.id":4711}}', 'gate.stream-unregistered', 'Datastream'],
    [4711, '{"result":1}', 'sensing.no-such-entity', 'Datastream'],
  ];
  for (const [datastreamId, body, code, field] of cases) {
    const result = await readings.ingest.takeOne(device, exactly(body), datastreamId === undefined ? {} : { datastreamId });
    expect([body, result.ok ? 'taken' : [result.refusal.code, result.refusal.field]]).toEqual([body, [code, field]]);
  }
  const bound = await readings.ingest.takeOne({ ...device, purpose: 'parking' }, { result: 1 }, { datastreamId: level });
  expect(bound.ok ? 'taken' : bound.refusal.code).toBe('auth.forbidden');
  expect(await count(handle)).toBe(0);
});

test('a data array stores its good rows and says what is wrong with the others', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const readings = await open(handle, manualClock(T0));
  const answers = unwrap(
    await readings.ingest.takeDataArrays(device, [
      { Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], 'dataArray@iot.count': 4, dataArray: [['2026-11-24T05:00:00Z', 1], ['2026-11-24T05:01:00Z', 'two'], ['2026-11-24T05:02:00', 3], ['2026-11-24T05:03:00Z']] },
      { Datastream: { '@iot.id': 4711 }, components: ['result'], dataArray: [[1], [2]] },
      { Datastream: { '@iot.id': stream }, components: ['result', 'resultQuality', 'FeatureOfInterest/id'], dataArray: [[5, null, null], [6, 'bad', 4711]] },
    ]),
  );
  expect(answers.map((answer) => (typeof answer === 'number' ? 'stored' : answer.code))).toEqual(['stored', 'gate.not-a-number', 'sensing.time-invalid', 'http.invalid', 'gate.stream-unregistered', 'gate.stream-unregistered', 'stored', 'sensing.no-such-entity']);
  expect(await count(handle)).toBe(2);
  for (const [body, field] of [[{}, 'body'], [[{ Datastream: { '@iot.id': stream }, components: ['result'], dataArray: [[1]], 'dataArray@iot.count': 2 }], '0.dataArray@iot.count'], [[{ Datastream: { '@iot.id': stream }, components: ['phenomenonTime'], dataArray: [] }], '0.components'], [[{ Datastream: { '@iot.id': stream }, components: ['result', 'plate'], dataArray: [] }], '0.components']] as const) {
    const result = await readings.ingest.takeDataArrays(device, body);
    expect(result.ok ? 'taken' : result.refusal.field).toBe(field);
  }
});

test('the same reading is stored once, whenever it comes again', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const clock = manualClock(T0);
  const send = (readings: Readings, result: number, time: string | undefined, more = {}) => readings.ingest.takeOne(device, { result, ...(time === undefined ? {} : { phenomenonTime: time }), ...more }, { datastreamId: stream }).then(unwrap);
  const first = await openReadings({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes, gate: createGate(createMetrics(), 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://city.test' });
  const older = await send(first, 1, '2026-11-24T04:00:00Z');
  const newest = await send(first, 1, '2026-11-24T05:00:00Z');
  expect(await send(first, 1, '2026-11-24T05:00:00Z')).toBe(newest);
  expect(await send(first, 1, '2026-11-24T06:00:00+01:00')).toBe(newest);
  expect(await send(first, 1, '2026-11-24T04:00:00Z')).toBe(older);
  // at once, on both connections and in one batch
  const twins = await Promise.all(Array.from({ length: 40 }, (_, n) => send(first, 7, n % 2 === 0 ? '2026-11-24T03:00:00Z' : '2026-11-24T05:30:00Z')));
  expect(new Set(twins).size).toBe(2);
  // different in something else than the time of the result
  const others = await Promise.all([send(first, 2, '2026-11-24T05:30:00Z'), send(first, 2, '2026-11-24T03:00:00Z'), send(first, 7, '2026-11-24T03:00:00Z', { resultQuality: 'bad' }), send(first, 7, '2026-11-24T03:00:00Z/2026-11-24T03:01:00Z')]);
  expect(new Set([...twins, ...others]).size).toBe(6);
  expect(await send(first, 7, '2026-11-24T03:00:00Z', { resultTime: '2026-11-24T03:00:01Z' })).toBe(twins[0]);
  // without a time of its own every message is a reading
  expect(await send(first, 3, undefined)).not.toBe(await send(first, 3, undefined));
  expect(await count(handle)).toBe(10);
  await first.close();
  const second = await open(handle, clock);
  expect(second.latest(stream)?.phenomenonMs).toBe(T0);
  expect(await send(second, 7, '2026-11-24T05:30:00Z')).toBe(twins[1]);
  expect(await send(second, 1, '2026-11-24T05:00:00Z')).toBe(newest);
  expect(await count(handle)).toBe(10);
});

test('late readings do not become the latest, and far ones are stored where they belong', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const readings = await open(handle, manualClock(T0));
  for (const [result, time] of [[1, '2026-11-24T05:00:00Z'], [2, '2026-11-23T05:00:00Z'], [3, '2026-08-01T05:00:00Z'], [4, '0001-01-01T00:00:00Z'], [5, '2026-11-25T05:59:00Z']] as const) {
    unwrap(await readings.ingest.takeOne(device, { result, phenomenonTime: time }, { datastreamId: stream }));
  }
  expect(readings.latest(stream)?.value).toBe(5);
  expect((await readings.latestAt(T0)).get(stream)?.value).toBe(1);
  const where = await handle.pool.query<{ result: number; place: string }>('select result_number as result, tableoid::regclass::text as place from observation_hot order by 1');
  expect(where.rows.map((row) => row.place)).toEqual(['observation_20261124', 'observation_20261123', 'observation_20260801', 'observation_other', 'observation_20261125']);
  const series = await readings.readSeries(stream, Date.parse('0000-01-01T00:00:00Z'), T0, 3);
  expect(series.map((reading) => reading.value)).toEqual([4, 3, 2]);
});

test('history gives readings in the order of their arrival, also after the reader stopped early', async () => {
  const handle = await freshDatabase();
  const ids = await seedStreams(handle, 3);
  const clock = manualClock(T0);
  const readings = await open(handle, clock);
  for (let n = 0; n < 30; n += 1) {
    clock.advance(3_600_000);
    unwrap(await readings.ingest.takeOne(device, { result: n, phenomenonTime: new Date(clock.nowMs() - (n % 3) * 7_200_000).toISOString() }, { datastreamId: ids[n % 3] as number }));
  }
  const read = async (streams: readonly number[], fromMs: number, toMs: number): Promise<(number | null)[]> => {
    const values: (number | null)[] = [];
    for await (const chunk of readings.readHistory(streams, fromMs, toMs)) values.push(...chunk.map((reading) => reading.value));
    return values;
  };
  for await (const chunk of readings.readHistory(ids, 0, clock.nowMs() + 1)) if (chunk.length > 0) break;
  expect(await read(ids, T0, clock.nowMs() + 1)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  expect(await read([ids[1] as number], T0, T0 + 8 * 3_600_000)).toEqual([1, 4]);
  expect(await read([], T0, clock.nowMs())).toEqual([]);
});

test('a full queue refuses, and what was refused can come again', async () => {
  const handle = await freshDatabase();
  const [stream] = (await seedStreams(handle, 1)) as [number];
  const readings = await open(handle, manualClock(T0));
  const block = (hour: number) => [{ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: Array.from({ length: 60_000 }, (_, n) => [new Date(T0 - hour * 3_600_000 + n).toISOString(), n]) }];
  const results = await Promise.all([1, 2, 3, 4, 5].map((hour) => readings.ingest.takeDataArrays(device, block(hour))));
  const codes = results.map((result) => (result.ok ? 'stored' : result.refusal.code));
  expect(codes.sort()).toEqual(['http.overloaded', 'http.overloaded', 'stored', 'stored', 'stored']);
  expect(await count(handle)).toBe(180_000);
  expect((await readings.ingest.takeDataArrays(device, block(5))).ok).toBe(true);
});
