import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import { manualClock, unwrap, type ManualClock } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle, type Http } from '../../src/platform/index.ts';
import { openHistory } from '../../src/sensing/history/index.ts';
import { createSensing, type Sensing } from '../../src/sensing/index.ts';
import { createGate } from '../../src/trust/index.ts';
import { createPurposes, type PurposeRegistry } from '../../src/trust/purposes/index.ts';
import { freshDatabase } from '../database.ts';
import { seedStreams } from '../streams.ts';

// One purpose ends on 30 November, another goes on: what is refused, what is not shown and what is deleted, by a clock of the test.

const DEVICE: Principal = { kind: 'token', id: 'tok_1', name: 'Probe', positions: ['device'], pseudonym: 'p1' };
const REGISTER = ['study', 'going-on'].map((id) => `
  - id: ${id}
    title: Noise of places
    description: Levels at crossings, to plan quiet streets.
    legal_basis: Environmental noise directive 2002/49/EC
    owner: Environment office
    retention_days: 400
    ends: ${id === 'study' ? '"2026-11-30"' : 'null'}`);
const DAY_BEFORE = Date.parse('2026-11-29T12:00:00Z');
const LAST_MOMENT = Date.parse('2026-11-30T23:59:59.999Z');
const DAY_AFTER = Date.parse('2026-12-01T00:00:00Z');

type Json = Record<string, any>;
let handle: DatabaseHandle;
let clock: ManualClock;
let purposes: PurposeRegistry;
let sensing: Sensing;
let http: Http;
let study = 0;
let other = 0;
let mqttPort = 0;

beforeAll(async () => {
  handle = await freshDatabase();
  clock = manualClock(DAY_BEFORE);
  const bus = await createBus(handle, clock, silentLogger);
  purposes = unwrap(await createPurposes({ handle, clock, bus, logger: silentLogger, yaml: `purposes:${REGISTER.join('')}` }));
  [study] = (await seedStreams(handle, 1, { purpose: 'study' })) as [number];
  [other] = (await seedStreams(handle, 1, { purpose: 'going-on' })) as [number];
  const metrics = createMetrics();
  sensing = await createSensing({ handle, bus, clock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, DAY_BEFORE), authenticateToken: async () => DEVICE, authorize: () => true, publicUrl: () => 'http://city.test' });
  http = await buildHttp({ logger: silentLogger, authenticate: async () => DEVICE, authorize: () => true });
  await sensing.registerRoutes(http);
  await http.ready();
  mqttPort = (await sensing.startMqtt({ host: '127.0.0.1', port: 0 })).port;
  afterAll(async () => {
    await http.close();
    await sensing.close();
    purposes.close();
    await bus.close();
  });
});

async function send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<{ status: number; json: Json; text: string }> {
  const answer = await http.inject({ method, url: path, ...(body === undefined ? {} : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });
  let json: Json = {};
  try {
    json = JSON.parse(answer.body) as Json;
  } catch {
    json = {}; // not every answer is JSON; the caller looks at `text` then
  }
  return { status: answer.statusCode, json, text: answer.body };
}
const post = (stream: number, atMs: number) => send('POST', `/v1.1/Datastreams(${String(stream)})/Observations`, { result: 41, phenomenonTime: new Date(atMs).toISOString() });
const stored = async (stream: number): Promise<number> => (await handle.pool.query<{ n: number }>('select count(*)::int as n from observation where datastream_id = $1', [stream])).rows[0]?.n ?? -1;
const resultsAt = async (path: string): Promise<number[]> => ((await send('GET', path)).json['value'] as Json[]).map((row) => (row['Datastream'] as Json)['@iot.id'] as number);

test('the day before and on the last day readings come in and are shown', async () => {
  expect((await post(study, DAY_BEFORE)).status).toBe(201);
  expect((await post(other, DAY_BEFORE)).status).toBe(201);
  clock.set(LAST_MOMENT);
  await purposes.refresh();
  expect((await post(study, LAST_MOMENT)).status).toBe(201);
  expect((await send('GET', `/v1.1/Datastreams(${String(study)})/Observations`)).json['value']).toHaveLength(2);
  expect(new Set(await resultsAt('/v1.1/Observations?$expand=Datastream'))).toEqual(new Set([study, other]));
  expect((await send('GET', '/api/latest')).json['readings']).toHaveLength(2);
});

test('the day after, the next reading is refused at every door', async () => {
  clock.set(DAY_AFTER);
  await purposes.refresh();
  const refused = await post(study, DAY_AFTER);
  expect([refused.status, refused.text]).toEqual([403, expect.stringContaining('purpose.expired')]);
  expect((await post(other, DAY_AFTER)).status).toBe(201);

  const rows = (stream: number): unknown => ({ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: [[new Date(DAY_AFTER).toISOString(), 42]] });
  const arrays = await send('POST', '/v1.1/CreateObservations', [rows(study), rows(other)]);
  expect(arrays.status).toBe(201);
  expect(JSON.parse(arrays.text) as string[]).toEqual([expect.not.stringContaining('http'), expect.stringContaining('Observations')]);

  const before = await stored(study);
  const client = await connectAsync(`mqtt://127.0.0.1:${String(mqttPort)}`, { username: 'x', password: 'any', protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', () => undefined);
  await client.publishAsync(`v1.1/Datastreams(${String(other)})/Observations`, JSON.stringify({ result: 43 }), { qos: 1 });
  const code = await client.publishAsync(`v1.1/Datastreams(${String(study)})/Observations`, JSON.stringify({ result: 43 }), { qos: 1 }).then(
    () => 'taken',
    () => 'refused',
  );
  expect(code).toBe('refused');
  await client.endAsync(true);
  expect(await stored(study)).toBe(before);
  expect((await send('POST', '/v2.0/Observations', { Datastream: { '@id': `Datastreams(${String(study)})` }, result: 44, phenomenonTime: new Date(DAY_AFTER).toISOString() })).text).toContain('purpose.expired');
});

test('its readings are not given out any more, and every surface says so or leaves them out', async () => {
  expect(await stored(study)).toBe(2); // still there: only the answers have changed
  for (const path of [`/v1.1/Datastreams(${String(study)})/Observations`, `/v1.1/Datastreams(${String(study)})/Observations/$count`, `/v2.0/Datastreams(${String(study)})/Observations`, `/api/history/datastreams/${String(study)}?from=2026-11-01T00:00:00Z&to=2026-12-02T00:00:00Z&step=raw`, `/api/latest?datastreams=${String(study)}`, `/api/export/observations.csv?datastreams=${String(study)}`]) {
    const answer = await send('GET', path);
    expect([path, answer.status, answer.text.includes('purpose.expired') || answer.text.includes('has ended')]).toEqual([path, 403, true]);
  }
  expect(new Set(await resultsAt('/v1.1/Observations?$expand=Datastream&$top=1000'))).toEqual(new Set([other]));
  const count = await send('GET', '/v1.1/Observations?$count=true&$top=1');
  expect(count.json['@iot.count']).toBe(await stored(other));
  const expanded = (await send('GET', '/v1.1/Datastreams?$expand=Observations&$select=id')).json['value'] as Json[];
  expect(expanded.map((stream) => [stream['@iot.id'], (stream['Observations'] as unknown[]).length > 0]).sort()).toEqual([[study, false], [other, true]].sort());
  const found = (await send('GET', '/v1.1/Datastreams?$filter=Observations/result eq 41&$select=id')).json['value'] as Json[];
  expect(found.map((stream) => stream['@iot.id'])).toEqual([other]);
  const byId = await handle.pool.query<{ id: number }>('select id from observation where datastream_id = $1 limit 1', [study]);
  expect((await send('GET', `/v1.1/Observations(${String(byId.rows[0]?.id)})`)).status).toBe(404);

  expect(((await send('GET', '/api/latest')).json['readings'] as Json[]).map(({ datastreamId }) => datastreamId as number)).toEqual([other]);
  expect(sensing.latest(study)).toBe(undefined);
  expect(await sensing.readSeries(study, 0, DAY_AFTER, 10)).toEqual([]);
  expect([...(await sensing.latestAt(DAY_AFTER)).keys()]).toEqual([other]);
  for (const format of ['csv', 'geojson']) {
    const all = await send('GET', `/api/export/observations.${format}`);
    expect(all.status).toBe(200);
    expect(all.text).toContain('41');
    if (format === 'csv') expect(all.text.split('\n').slice(1, -1).every((line) => line.split(',')[1] === String(other))).toBe(true);
  }
});

test('retention deletes what ended and nothing else', async () => {
  const kept = await stored(other);
  const logged: { kind: string; body: unknown }[] = [];
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes, partitions: { forget: () => undefined }, seal_after_days: 0, log: { append: async (entry) => ({ index: logged.push(entry) - 1 }) } });
  expect(await history.retain()).toEqual(new Map([['study', 2]]));
  expect([await stored(study), await stored(other)]).toEqual([0, kept]);
  expect(logged).toEqual([{ kind: 'history.deleted', body: expect.objectContaining({ purpose: 'study', observations: 2, ended: true }) }]);
  expect(await history.retain()).toEqual(new Map());
  await history.close();
});

test('a renewed purpose takes readings again at once', async () => {
  const entry = purposes.get('study');
  if (entry === undefined) throw new Error('the register has lost the purpose');
  unwrap(await purposes.replace(purposes.all().map((each) => (each.id === 'study' ? { ...entry, ends: '2027-11-30' } : each)), purposes.hash(), 'apr_renewal'));
  expect((await post(study, DAY_AFTER)).status).toBe(201);
  expect((await send('GET', `/v1.1/Datastreams(${String(study)})/Observations`)).json['value']).toHaveLength(1);
});

test('no row of the city stands without a purpose of the register', async () => {
  const { rows } = await handle.pool.query<{ purpose: string }>('select distinct purpose from datastream');
  for (const { purpose } of rows) expect(purposes.get(purpose), purpose).toBeDefined();
  const columns = await handle.pool.query<{ nullable: string }>(`select is_nullable as nullable from information_schema.columns where table_name = 'datastream' and column_name = 'purpose'`);
  expect(columns.rows).toEqual([{ nullable: 'NO' }]);
  const thing = (await handle.pool.query<{ id: number }>('select id from thing limit 1')).rows[0]?.id;
  for (const purpose of ['unheard', '', 7, null]) {
    const answer = await send('POST', `/v1.1/Things(${String(thing)})/Datastreams`, { name: 'X', description: 'X', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'm', symbol: 'm', definition: 'm' }, properties: { purpose }, Sensor: { name: 'S', description: 'S', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'P', definition: 'http://example.org/p', description: 'P' } });
    expect([purpose, answer.status >= 400 && answer.status < 500]).toEqual([purpose, true]);
  }
});
