import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { Purpose } from '../../src/contracts/trust.ts';
import { unwrap } from '../../src/kernel/index.ts';
import { createBus, createMetrics, findRunningDatabase, openDatabase, silentLogger, type DatabaseHandle } from '../../src/platform/index.ts';
import { openHistory } from '../../src/sensing/history/index.ts';
import { verifyPurpose } from '../../src/trust/index.ts';
import { createPurposes, readPurposes, type Purposes } from '../../src/trust/purposes/index.ts';
import { makeDataFolder, ROOT, runCli } from '../city.ts';
import { openSse, type SseClient } from '../sse.ts';

// One purpose ends while a city and a second process that takes readings run, each with a clock that this test moves. Both refuse at
// every door, both answer no more, and upkeep leaves nothing of it.

const DAY_MS = 86_400_000;
const today = new Date().toISOString().slice(0, 10);
const purpose = (id: string, ends: string | null): object => ({ id, title: 'Noise of places', description: 'Levels at crossings, to plan quiet streets.', legal_basis: 'Environmental noise directive 2002/49/EC', owner: 'Environment office', retention_days: 400, ends });
const REGISTER = { purposes: [purpose('study', today), purpose('going-on', null), purpose('city-operations', null), purpose('service-requests', null)] };
const FEEDS = `
feeds:
  - { name: context, adapter: ngsi, purpose: study, options: {} }`;

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly mqttPort: number;
  readonly mqtt: MqttClient;
  readonly heard: { topic: string; text: string }[];
}
type Json = Record<string, any>;

let data: string;
let token: string;
let city: Running;
let ingest: Running;
let handle: DatabaseHandle;
let offsetMs = 0;
let study = 0;
let other = 0;
let live: SseClient;
const closers: (() => unknown)[] = [];
const clock = { nowMs: () => Date.now() + offsetMs };

async function start(role: 'city' | 'ingest'): Promise<Running> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'test', 'system', 'clocked.child.ts')], { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], env: { ...process.env, CLERESTORY_ROLE: role, CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0', CLERESTORY_SECOND_FACTOR: 'optional' } });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [told] = (await Promise.race([once(child, 'message'), once(child, 'exit').then(() => Promise.reject(new Error(`the process did not start:\n${errors}`)))])) as [{ url: string; mqttPort: number }];
  closers.push(async () => {
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
  });
  token ||= runCli(['token', '--role', 'administrator'], { CLERESTORY_DATA: data }).stdout.trim();
  const mqtt = await connectAsync(`mqtt://127.0.0.1:${String(told.mqttPort)}`, { username: 'x', password: token, protocolVersion: 5, reconnectPeriod: 0 });
  mqtt.on('error', () => undefined);
  const heard: Running['heard'] = [];
  mqtt.on('message', (topic, payload) => heard.push({ topic, text: payload.toString() }));
  closers.push(() => mqtt.endAsync(true));
  return { child, ...told, mqtt, heard };
}

beforeAll(async () => {
  data = makeDataFolder({ files: { 'purposes.yaml': stringify(REGISTER), 'feeds.yaml': FEEDS } });
  city = await start('city');
  const connection = findRunningDatabase(data);
  if (connection === null) throw new Error('the city has no database');
  handle = openDatabase(connection, silentLogger);
  closers.push(() => handle.close());
  ingest = await start('ingest');
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(data, { recursive: true, force: true });
});

const both = (): [string, Running][] => [['city', city], ['ingest', ingest]];
async function call({ url }: Running, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; text: string; json: Json }> {
  const answer = await fetch(url + path, { method, headers: { authorization: `Bearer ${token}`, ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }), ...headers }, ...(body === undefined ? {} : { body: typeof body === 'string' || body instanceof FormData ? body : JSON.stringify(body) }) });
  const text = await answer.text();
  let json: Json = {};
  try {
    json = JSON.parse(text) as Json;
  } catch {
    json = {}; // not every answer is JSON; the caller looks at `text` then
  }
  return { status: answer.status, text, json };
}
async function advance(by_ms: number): Promise<void> {
  offsetMs += by_ms;
  for (const [, { child }] of both()) {
    const answered = once(child, 'message');
    child.send({ advance_ms: by_ms });
    await answered;
  }
}
const at = (backMs: number): string => new Date(clock.nowMs() - backMs).toISOString();
const form = (purposeId: string): FormData => {
  const sent = new FormData();
  sent.append('mapping', JSON.stringify({ name: `probe-${purposeId}`, purpose: purposeId, kind: 'noise_meter', time: { columns: ['t'], format: 'YYYY-MM-DD HH:mm', zone: 'UTC' }, station: { key: 'A', name: 'Old bridge', location: [7.62, 51.96] }, values: [{ column: 'v', key: 'level', name: 'Level', unit: { name: 'decibel', symbol: 'dB' }, max: 200 }] }));
  sent.append('file', new Blob([`t,v\n${at(3_600_000).slice(0, 16).replace('T', ' ')},51\n`]), 'table.csv');
  return sent;
};
const NGSI = (): object => ({ id: 'urn:ngsi-ld:NoiseLevelObserved:ms-1', type: 'AirQualityObserved', temperature: { type: 'Property', value: 3.5, unitCode: 'CEL', observedAt: at(60_000) }, location: { type: 'GeoProperty', value: { type: 'Point', coordinates: [7.6, 51.9] } } });
const stored = async (id: number): Promise<number> => (await handle.pool.query<{ n: number }>('select count(*)::int as n from observation where datastream_id = $1', [id])).rows[0]?.n ?? -1;
const observation = (id: number, value: number, backMs = 0): [string, unknown] => [`/v1.1/Datastreams(${String(id)})/Observations`, { result: value, phenomenonTime: at(backMs) }];
const idsOf = ({ json }: { json: Json }): number[] => (json['value'] as Json[]).map((row) => row['@iot.id'] as number);

test('while it lives, both take readings of it at every door and show them', async () => {
  const thing = await call(city, 'POST', '/v1.1/Things', {
    name: 'Crossing',
    description: 'Crossing',
    Locations: [{ name: 'Here', description: 'Here', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }],
    Datastreams: ['study', 'going-on'].map((id) => ({ name: id, description: 'A minute', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'decibel', symbol: 'dB', definition: 'ucum:dB' }, properties: { purpose: id }, Sensor: { name: 'Meter', description: 'Meter', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'Noise', definition: 'http://example.org/noise', description: 'Noise' } })),
  });
  expect(thing.status, thing.text).toBe(201);
  const streams = (await call(city, 'GET', '/v1.1/Datastreams?$orderby=id')).json['value'] as Json[];
  [study, other] = ['study', 'going-on'].map((name) => streams.find((stream) => stream['name'] === name)?.['@iot.id'] as number) as [number, number];
  live = await openSse(Number(new URL(city.url).port), '/live?topics=readings', { headers: { authorization: `Bearer ${token}` } });
  expect(live.status).toBe(200);
  for (const [name, process] of both()) {
    await process.mqtt.subscribeAsync([`v1.1/Datastreams(${String(study)})/Observations`, 'v1.1/Observations']);
    for (const [id, value] of [[study, 41.25], [other, 42]] as const) {
      // the second process hears of the new datastreams by a notification
      await expect.poll(async () => (await call(process, 'POST', ...observation(id, value, name === 'city' ? 1_000 : 2_000))).status, { timeout: 30_000 }).toBe(201);
      await process.mqtt.publishAsync(`v1.1/Datastreams(${String(id)})/Observations`, JSON.stringify({ result: value, phenomenonTime: at(name === 'city' ? 3_000 : 4_000) }), { qos: 1 });
      // old enough to be packed
      expect((await call(process, 'POST', ...observation(id, value, (name === 'city' ? 40 : 41) * DAY_MS))).status).toBe(201);
    }
  }
  const [first] = idsOf(await call(city, 'GET', `/v1.1/Datastreams(${String(study)})/Observations?$orderby=phenomenonTime&$top=1`));
  expect((await call(city, 'PATCH', `/v1.1/Observations(${String(first)})`, { result: 43.75 })).status).toBe(200);
  expect((await call(city, 'POST', '/api/import/csv', form('study'))).json['stored']).toBe(1);
  const pushed = await call(city, 'POST', '/api/feeds/context', NGSI());
  expect([pushed.status, pushed.json['taken']], pushed.text).toEqual([200, 1]);
  expect(await stored(study)).toBe(6);
  for (const [, process] of both()) {
    expect(idsOf(await call(process, 'GET', `/v1.1/Datastreams(${String(study)})/Observations`))).toHaveLength(6);
    await expect.poll(() => process.heard.some(({ topic }) => topic.startsWith(`v1.1/Datastreams(${String(study)})`)), { timeout: 30_000 }).toBe(true);
  }
  await expect.poll(() => JSON.stringify(live.events).includes(`"id":${String(study)},`), { timeout: 30_000 }).toBe(true);

  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions: { forget: () => undefined }, seal_after_days: 35, log: { append: async () => ({ index: 0 }) } });
  await history.rollUp();
  expect((await history.seal()).length).toBeGreaterThan(0);
  await history.close();
  expect((await handle.pool.query('select 1 from observation_segment where datastream_id = $1', [study])).rowCount).toBeGreaterThan(0);
});

test('once it has ended, both refuse its readings at every door and take those of the other purpose', async () => {
  // what was told before arrives first
  const marker = JSON.stringify(77.7);
  expect((await call(city, 'POST', ...observation(other, 77.7))).status).toBe(201);
  for (const [, { heard }] of both()) await expect.poll(() => heard.some(({ text }) => text.includes(marker)), { timeout: 30_000 }).toBe(true);
  for (const [, { heard }] of both()) heard.length = 0;
  await advance(DAY_MS);
  const before = await stored(study);
  const [some] = (await handle.pool.query<{ id: number }>('select id from observation_hot where datastream_id = $1 order by id limit 1', [study])).rows;
  for (const [name, process] of both()) {
    const doors: [string, { status: number; text: string }][] = [
      ['Observations of a Datastream', await call(process, 'POST', ...observation(study, 44))],
      ['Observations', await call(process, 'POST', '/v1.1/Observations', { result: 44, phenomenonTime: at(0), Datastream: { '@iot.id': study } })],
      ['v2.0', await call(process, 'POST', '/v2.0/Observations', { result: 44, phenomenonTime: at(0), Datastream: { '@id': `Datastreams(${String(study)})` } })],
    ];
    for (const [door, { status, text }] of doors) expect([name, door, status, text]).toEqual([name, door, 403, expect.stringContaining('purpose.expired')]);
    const arrays = await call(process, 'POST', '/v1.1/CreateObservations', [study, other].map((id) => ({ Datastream: { '@iot.id': id }, components: ['phenomenonTime', 'result'], dataArray: [[at(1), 45]] })));
    expect([name, JSON.parse(arrays.text)]).toEqual([name, [expect.not.stringContaining('http'), expect.stringContaining('Observations')]]);
    const batch = await call(process, 'POST', '/v1.1/$batch', { requests: [study, other].map((id, n) => ({ id: String(n), method: 'post', url: `Datastreams(${String(id)})/Observations`, body: { result: 46, phenomenonTime: at(2) } })) }, { prefer: 'continue-on-error' });
    const answers = batch.json['responses'] as { id: string; status: number; body?: unknown }[];
    expect([name, answers.map(({ status }) => status)]).toEqual([name, [403, 201]]);
    expect(JSON.stringify(answers[0])).toContain('purpose.expired');
    for (const [method, path] of [['PATCH', `/v1.1/Observations(${String(some?.id)})`], ['PUT', `/v1.1/Observations(${String(some?.id)})`], ['PATCH', `/v2.0/Observations(${String(some?.id)})`]] as const) {
      const { status } = await call(process, method, path, { result: 47, phenomenonTime: at(3) });
      expect([name, method, path, status === 403 || status === 404]).toEqual([name, method, path, true]);
    }
    const sent = await process.mqtt.publishAsync(`v1.1/Datastreams(${String(study)})/Observations`, JSON.stringify({ result: 48 }), { qos: 1 }).then(
      () => 'taken',
      () => 'refused',
    );
    expect([name, sent]).toEqual([name, 'refused']);
    const file = await call(process, 'POST', '/api/import/csv', form('study'));
    expect([name, file.status, file.text]).toEqual([name, 403, expect.stringContaining('purpose.expired')]);
    expect([name, (await call(process, 'POST', '/v1.1/Things', { name: 'Late', description: 'x', Datastreams: [{ name: 'Late', description: 'x', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'm', symbol: 'm', definition: 'm' }, properties: { purpose: 'study' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'P', definition: 'http://example.org/p', description: 'P' } }] })).status]).toEqual([name, 403]);
  }
  const pushed = await call(city, 'POST', '/api/feeds/context', NGSI());
  expect([pushed.json['taken'] ?? 0, pushed.text]).toEqual([0, expect.stringContaining('purpose.expired')]);
  expect(await stored(study)).toBe(before);
});

test('and neither gives out what it still has', async () => {
  const span = `from=${at(60 * DAY_MS)}&to=${at(-DAY_MS)}`;
  for (const [name, process] of both()) {
    for (const path of [`/v1.1/Datastreams(${String(study)})/Observations`, `/v1.1/Datastreams(${String(study)})/Observations/$count`, `/v2.0/Datastreams(${String(study)})/Observations`, `/api/history/datastreams/${String(study)}?${span}&step=raw`, `/api/history/datastreams/${String(study)}?${span}&step=day`, `/api/latest?datastreams=${String(study)}`, ...['csv', 'geojson', 'parquet'].map((format) => `/api/export/observations.${format}?datastreams=${String(study)}`)]) {
      const { status, text } = await call(process, 'GET', path);
      expect([name, path, status, text.includes('purpose.expired')]).toEqual([name, path, 403, true]);
    }
    const owners = ((await call(process, 'GET', '/v1.1/Observations?$top=1000&$expand=Datastream($select=id)')).json['value'] as Json[]).map((row) => (row['Datastream'] as Json)['@iot.id'] as number);
    expect([name, new Set(owners)]).toEqual([name, new Set([other])]);
    const readings = (await call(process, 'GET', '/api/latest')).json['readings'] as { datastreamId: number }[];
    expect([name, readings.map(({ datastreamId }) => datastreamId)]).toEqual([name, [other]]);
    for (const format of ['csv', 'geojson']) expect([name, format, (await call(process, 'GET', `/api/export/observations.${format}`)).text.match(/4[13]\.[27]5/)]).toEqual([name, format, null]);
    for (const topic of [`v1.1/Datastreams(${String(study)})/Observations?$select=result`, `v2.0/Datastreams(${String(study)})/Observations`]) {
      const subscribed = await process.mqtt.subscribeAsync(topic).then(
        (granted) => (granted.some((each) => (each.qos as number) < 128) ? 'granted' : 'refused'),
        () => 'refused',
      );
      expect([name, topic, subscribed]).toEqual([name, topic, 'refused']);
    }
    // of what the other purpose brought in there is word, so the connection lives
    await expect.poll(() => process.heard.length, { timeout: 30_000 }).toBeGreaterThan(0);
    expect(process.heard.filter(({ topic }) => topic.includes(`(${String(study)})`))).toEqual([]);
  }
  const places = (await call(city, 'GET', '/api/places')).json['places'] as { streams: { id: number; value: number | null }[] }[];
  const values = new Map(places.flatMap(({ streams }) => streams.map(({ id, value }) => [id, value] as const)));
  expect([values.get(study), values.get(other)]).toEqual([null, 46]);
  // who watches the map is told that there is no value any more
  const lastOf = (id: number): unknown => live.events.flatMap(({ data: frame }) => (frame as { streams?: { id: number; value: unknown }[] }).streams ?? []).findLast((each) => each.id === id)?.value;
  await expect.poll(() => lastOf(study), { timeout: 60_000 }).toBe(null);
});

const left = async (id: number): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {};
  const tables = await handle.pool.query<{ name: string }>(`select c.table_name as name from information_schema.columns c join information_schema.tables t using (table_schema, table_name) where c.column_name = 'datastream_id' and c.table_schema = 'public' and t.table_type = 'BASE TABLE'`);
  for (const { name } of tables.rows) counts[name] = (await handle.pool.query<{ n: number }>(`select count(*)::int as n from ${name} where datastream_id = $1`, [id])).rows[0]?.n ?? -1;
  return counts;
};

test('the command says what is left of it; upkeep deletes rows, packed readings, roll-ups and former values, and then it does not', async () => {
  const verify = async (): Promise<[number, string]> => {
    const lines: string[] = [];
    return [await verifyPurpose({ data, nowMs: clock.nowMs() + 2 * DAY_MS, print: (line) => void lines.push(line) }), lines.join('\n')];
  };
  const [kept, keptOther] = [await left(study), await left(other)];
  expect(Object.entries(kept).filter(([, n]) => n > 0).map(([name]) => name).length).toBeGreaterThan(3);
  expect(await verify()).toEqual([1, expect.stringContaining(`datastream ${String(study)} holds readings, and study ended more than a day ago`)]);

  const purposes: Purposes = unwrap(await readPurposes({ handle, clock }));
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes, partitions: { forget: () => undefined }, seal_after_days: 0, log: { append: async () => ({ index: 0 }) } });
  expect([...(await history.retain()).keys()]).toEqual(['study']);
  await history.rollUp();
  await history.close();
  purposes.close();
  const DESCRIPTIONS = new Set(['feed_entity', 'observation_change', 'datastream_observed_property']);
  expect(Object.entries(await left(study)).filter(([name, n]) => n > 0 && !DESCRIPTIONS.has(name))).toEqual([]);
  for (const table of ['observation_hot', 'observation_segment']) expect([table, (await left(other))[table]]).toEqual([table, keptOther[table]]);
  expect((await verify())[0]).toBe(0);
});

test('a change that two people agreed to counts in both without a restart', async () => {
  const bus = await createBus(handle, clock, silentLogger);
  const register = unwrap(await createPurposes({ handle, clock, bus, yaml: null }));
  const replace = async (more: Partial<Purpose>): Promise<void> => {
    unwrap(await register.replace(register.all().map((each) => (each.id === 'going-on' ? { ...each, ...more } : each)), register.hash(), 'apr_test'));
  };
  const statuses = async (): Promise<number[]> => Promise.all(both().map(async ([, process]) => (await call(process, 'POST', ...observation(other, 50))).status));
  await replace({ ended: true });
  await expect.poll(statuses, { timeout: 30_000 }).toEqual([403, 403]);
  await replace({ ended: false, ends: '2099-12-31' });
  await expect.poll(statuses, { timeout: 30_000 }).toEqual([201, 201]);
  register.close();
  await bus.close();
});
