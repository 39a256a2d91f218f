import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { randomBytes, randomInt } from 'node:crypto';
import { parse } from 'csv-parse/sync';
import { connectAsync } from 'mqtt';
import { PbfWriter } from 'pbf';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CsvReport } from '../../src/contracts/csv-import.ts';
import type { DeviceCsvReport } from '../../src/contracts/device.ts';
import type { FeedAnswer, FeedHealth } from '../../src/contracts/feed.ts';
import { startTestCity, type TestCity } from '../city.ts';
import { writeZip } from '../zip.ts';

// The same four things are carried to every door: none comes in by any of them, and no door repeats or keeps what it refused.
const digits = (count: number): string => String(randomInt(10 ** (count - 1), 10 ** count));
const SECRETS = {
  'address.email': `m${randomBytes(6).toString('hex')}@example.org`,
  plate: `MS-KT ${digits(4).replace(/^0/, '1')}`,
  'address.mac': `3c:5a:b4:${(randomBytes(3).toString('hex').match(/../g) ?? []).join(':')}`,
  'media.image': Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46]), randomBytes(30)]).toString('base64'),
} as const;
const CASES = Object.entries(SECRETS);

const pages = new Map<string, string | Buffer>();
const source = createServer((request, response) => {
  const body = pages.get(request.url ?? '');
  response.writeHead(body === undefined ? 404 : 200).end(body ?? '');
});
let city: TestCity;
let admin = '';
let machine = '';
let thing = 0;
const streams = new Map<string, number>();

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/';
const SENSOR = { name: 'Box', description: 'A box', encodingType: 'text/html', metadata: 'x' };
const streamOf = (name: string, type: string, properties: object = {}) => ({ name, description: name, observationType: OM + type, unitOfMeasurement: { name: 'one', symbol: '1', definition: 'ucum:1' }, properties: { purpose: 'city-operations', ...properties }, Sensor: SENSOR, ObservedProperty: { name, definition: `http://example.org/${name.replaceAll(' ', '-')}`, description: name } });
const TABLE = "mapping: { delimiter: ';', time: { columns: [t], format: 'YYYY-MM-DD HH:mm', zone: Europe/Berlin }, station: { column: s }, values: [{ column: v, key: level, name: Water level }] }";

beforeAll(async () => {
  source.listen(0, '127.0.0.1');
  await once(source, 'listening');
  const origin = `http://127.0.0.1:${String((source.address() as AddressInfo).port)}`;
  const frame = (data: unknown): string => JSON.stringify({ last_updated: 1_764_000_000, ttl: 0, version: '2.3', data });
  pages.set('/gbfs.json', frame({ en: { feeds: ['station_information', 'station_status'].map((name) => ({ name, url: `${origin}/${name}` })) } }));
  const stations = [['good', 'Castle'], ...CASES.map(([rule, secret]) => [`by-name-${rule.replace('.', '-')}`, secret]), ...CASES.map(([, secret]) => [secret, 'A station'])];
  pages.set('/station_information', frame({ stations: stations.map(([station_id, name]) => ({ station_id, name, lat: 51.96, lon: 7.61 })) }));
  pages.set('/station_status', frame({ stations: stations.map(([station_id]) => ({ station_id, num_bikes_available: 3, num_docks_available: 2, is_renting: true, is_returning: true, is_installed: true, last_reported: 1_764_000_000 })) }));
  const quoted = (text: string): string => `"${text}"`;
  pages.set(
    '/gtfs.zip',
    await writeZip({
      'agency.txt': 'agency_id,agency_name,agency_url,agency_timezone\nA,Trams,https://t.test,Europe/Berlin\n',
      'stops.txt': `stop_id,stop_name,stop_lat,stop_lon\ngood,Main Square,51.9,7.6\n${CASES.map(([, secret], at) => `s${String(at)},${quoted(secret)},51.9,7.6\n`).join('')}`,
      'routes.txt': 'route_id,route_short_name,route_type\nr1,1,0\n',
      'trips.txt': 'trip_id,route_id,service_id\nt1,r1,x\n',
      'stop_times.txt': `trip_id,arrival_time,departure_time,stop_id,stop_sequence\n${['good', 's0', 's1', 's2', 's3'].map((stop, at) => `t1,08:0${String(at)}:00,08:0${String(at)}:00,${stop},${String(at + 1)}\n`).join('')}`,
    }),
  );
  pages.set('/rt.pb', delays(['good', 's0', 's1', 's2', 's3']));
  city = await startTestCity({
    env: { CLERESTORY_LOG_LEVEL: 'debug' },
    files: {
      'feeds.yaml': `
egress: [{ host: "${origin}", private: true }]
feeds:
  - { name: bikes, adapter: gbfs, purpose: city-operations, interval_s: 86400, options: { url: "${origin}/gbfs.json" } }
  - { name: trams, adapter: gtfs, purpose: city-operations, interval_s: 86400, options: { schedule: "${origin}/gtfs.zip", realtime: ["${origin}/rt.pb"] } }
  - { name: context, adapter: ngsi, purpose: city-operations, options: {} }
  - { name: levels, adapter: csv, purpose: city-operations, options: { ${TABLE} } }
`,
    },
  });
  admin = city.token('administrator');
  machine = city.token('device', 'city-operations');
  const people = { counts: 'people', parameters: ['raw'] };
  const made = await city.call('POST', '/v1.1/Things', { token: admin, body: {
    name: 'Mast', description: 'A mast', Locations: [{ name: 'Mast', description: 'Mast', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }],
    Datastreams: [streamOf('Anything', 'OM_Observation'), streamOf('Passers-by', 'OM_CountObservation', people), streamOf('Counts by kind', 'OM_Observation', people)],
    MultiDatastreams: [{ name: 'Both ways', description: 'Both ways', observationType: `${OM}OM_ComplexObservation`, multiObservationDataTypes: [`${OM}OM_CountObservation`, `${OM}OM_CountObservation`, `${OM}OM_Measurement`], unitOfMeasurements: Array.from({ length: 3 }, () => ({ name: 'one', symbol: '1', definition: 'ucum:1' })), properties: { purpose: 'city-operations', counts: 'people' }, Sensor: SENSOR, ObservedProperties: ['In', 'Out', 'Speed'].map((name) => ({ name, definition: `http://example.org/way-${name}`, description: name })) }],
  } });
  expect(made.status, made.text).toBe(201);
  thing = Number(/\((\d+)\)/.exec(made.headers.get('location') ?? '')?.[1]);
  for (const set of ['Datastreams', 'MultiDatastreams']) for (const { '@iot.id': id, name } of (await city.call('GET', `/v1.1/Things(${String(thing)})/${set}`)).json.value as { '@iot.id': number; name: string }[]) streams.set(name, id);
});
afterAll(async () => {
  await city.stop();
  city.remove();
  source.closeAllConnections();
  source.close();
});

/** Delays of one trip at these stops (GTFS Realtime 2.0). */
function delays(stops: readonly string[]): Buffer {
  const pbf = new PbfWriter();
  pbf.writeMessage(1, (_: null, header) => {
    header.writeStringField(1, '2.0');
    header.writeVarintField(3, Math.floor(Date.now() / 1_000));
  }, null);
  pbf.writeMessage(2, (_: null, entity) => {
    entity.writeStringField(1, 'e1');
    entity.writeMessage(3, (__: null, update) => {
      update.writeMessage(1, (___: null, trip) => trip.writeStringField(1, 't1'), null);
      for (const stop of stops) update.writeMessage(2, (___: null, call) => {
        call.writeStringField(4, stop);
        call.writeMessage(2, (____: null, arrival) => arrival.writeVarintField(1, 60), null);
      }, null);
    }, null);
  }, null);
  return Buffer.from(pbf.finish());
}

const idOf = (name: string): number => streams.get(name) ?? 0;
/** Names of the Things that no feed has made. */
const ownThings = async (): Promise<string[]> => ((await city.call('GET', '/v1.1/Things?$top=1000')).json.value as { name: string; properties: { feed?: string } }[]).filter(({ properties }) => properties.feed === undefined).map(({ name }) => name);
/** What the broker says to a publication: the reason code of MQTT 5, or that it ended the connection. */
async function publish(topic: string, body: unknown): Promise<'taken' | 'refused' | 'cut off'> {
  const client = await connectAsync(`mqtt://127.0.0.1:${String(city.mqttPort)}`, { username: 'x', password: machine, reconnectPeriod: 0, protocolVersion: 5 });
  const closed = new Promise<'cut off'>((resolve) => client.once('close', () => resolve('cut off')));
  const said = client.publishAsync(topic, JSON.stringify(body), { qos: 1 }).then(() => 'taken' as const, () => 'refused' as const);
  const outcome = await Promise.race([said, closed]);
  client.end(true);
  return outcome;
}
const refused = (answer: { status: number; text: string }, secret: string, rule: string): void => {
  expect([answer.status, answer.text.includes(secret), answer.text.includes(`rule ${rule}`)], answer.text).toEqual([403, false, true]);
};

test.each(CASES)('%s: no entity with it is made or changed over SensorThings, whichever way it is said', async (rule, secret) => {
  const call = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) => city.call(method, path, { token: machine, body, headers });
  refused(await call('POST', '/v1.1/Things', { name: secret, description: 'x' }), secret, rule);
  for (const text of [{ description: secret }, { properties: { note: secret } }, { properties: { [secret]: 1 } }, { properties: { deep: [{ er: [secret] }] } }]) refused(await call('POST', '/v1.1/Things', { name: 'Box', description: 'x', ...text }), secret, rule);
  refused(await call('POST', '/v1.1/Sensors', { ...SENSOR, metadata: secret }), secret, rule);
  refused(await call('POST', '/v2.0/Things', { name: secret }), secret, rule);
  refused(await call('POST', '/v2.0/Things', { name: 'Box', description: secret }), secret, rule);
  refused(await call('POST', '/v1.1/Things', { name: 'Box', description: 'x', Datastreams: [{ ...streamOf(secret, 'OM_Measurement') }] }), secret, rule);
  refused(await call('PATCH', `/v1.1/Things(${String(thing)})`, { description: secret }), secret, rule);
  refused(await call('PATCH', `/v2.0/Things(${String(thing)})`, { description: secret }), secret, rule);
  refused(await call('PATCH', `/v1.1/Things(${String(thing)})`, [{ op: 'replace', path: '/description', value: secret }], { 'content-type': 'application/json-patch+json' }), secret, rule);
  refused(await call('PUT', `/v1.1/Things(${String(thing)})`, { name: 'Mast', description: secret }), secret, rule);
  refused(await call('POST', '/v1.1/Observations', { result: 1, Datastream: { '@iot.id': idOf('Anything') }, FeatureOfInterest: { name: secret, description: 'x', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [7, 51] } } }), secret, rule);
  for (const root of ['/v1.1', '/v2.0']) {
    const batch = await call('POST', `${root}/$batch`, { requests: [{ id: '1', method: 'post', url: 'Things', body: { name: 'Box', description: secret } }] });
    expect([batch.json.responses[0].status, batch.text.includes(secret)], batch.text).toEqual([403, false]);
  }
  expect(await ownThings()).toEqual(['Mast']);
});

test.each(CASES)('%s: no result with it is taken, by HTTP, in arrays, in batches, by MQTT, in either version', async (rule, secret) => {
  const anything = idOf('Anything');
  const call = (path: string, body: unknown) => city.call('POST', path, { token: machine, body });
  for (const result of [secret, { note: secret }, [secret]]) {
    refused(await call(`/v1.1/Datastreams(${String(anything)})/Observations`, { result }), secret, rule);
    refused(await call(`/v2.0/Datastreams(${String(anything)})/Observations`, { phenomenonTime: { start: '2026-11-01T10:00:00Z' }, result }), secret, rule);
  }
  const arrays = await call('/v1.1/CreateObservations', [{ Datastream: { '@iot.id': anything }, components: ['result'], dataArray: [[secret], [{ note: secret }]] }]);
  expect([JSON.stringify(arrays.json), arrays.text.includes(secret)]).toEqual([expect.stringContaining('error'), false]);
  const batch = await call('/v1.1/$batch', { requests: [{ id: '1', method: 'post', url: `Datastreams(${String(anything)})/Observations`, body: { result: { note: secret } } }] });
  expect([batch.json.responses[0].status, batch.text.includes(secret)]).toEqual([403, false]);
  for (const [topic, body] of [[`v1.1/Datastreams(${String(anything)})/Observations`, { result: { note: secret } }], [`v2.0/Datastreams(${String(anything)})/Observations/create`, { result: secret }], ['v1.1/Things', { name: secret, description: secret }], ['v2.0/Things/create', { name: secret }]] as const) expect(await publish(topic, body), topic).not.toBe('taken');
  expect((await city.call('GET', `/v1.1/Datastreams(${String(anything)})/Observations?$count=true`)).json['@iot.count']).toBe(0);
  expect(await ownThings()).toEqual(['Mast']);
});

test.each(CASES)('%s: the register of devices and the import of tables name field, row and rule', async (rule, secret) => {
  const device = { name: secret, point: [7.6, 51.9], measures: ['level'], interval_s: 60, purpose: 'city-operations' };
  const made = await city.call('POST', '/api/devices', { token: admin, body: device });
  refused(made, secret, rule);
  expect(made.json.field).toBe('name');
  const table = `name,longitude,latitude,measures,interval_s,purpose\nGauge,7.6,51.9,level,60,city-operations\n${secret},7.6,51.9,level,60,city-operations\n`;
  for (const dryRun of ['true', 'false']) {
    const { json, text } = (await city.call('POST', `/api/devices/csv?dryRun=${dryRun}`, { token: admin, body: table, headers: { 'content-type': 'text/csv' } })) as { json: DeviceCsvReport; text: string };
    expect([json.faults, json.made, text.includes(secret)]).toEqual([[{ line: 3, column: 'name', detail: expect.stringContaining(`rule ${rule}`) }], 0, false]);
  }

  const mapping = { name: `probe-${rule.replace('.', '-')}`, purpose: 'city-operations', time: { columns: ['t'], format: 'YYYY-MM-DD HH:mm', zone: 'Europe/Berlin' }, station: { column: 's' }, values: [{ column: 'v', key: 'level', name: 'Level' }] };
  for (const dryRun of [true, false]) {
    const form = new FormData();
    form.append('mapping', JSON.stringify(mapping));
    form.append('file', new Blob([`t,s,v\n2026-11-01 00:00,Bridge,1\n2026-11-01 00:00,${secret},2\n2026-11-01 00:15,${secret},2\n`]), 'table.csv');
    const answer = await fetch(`${city.url}/api/import/csv?dryRun=${String(dryRun)}`, { method: 'POST', headers: { authorization: `Bearer ${admin}`, accept: 'application/json' }, body: form });
    const text = await answer.text();
    expect([answer.status, text.includes(secret)], text).toEqual([200, false]);
    const report = JSON.parse(text) as CsvReport;
    expect(report.refused_by_code['gate.person-data']).toBe(1);
    expect(report.refusals.find(({ code }) => code === 'gate.person-data')).toMatchObject({ line: 3, column: expect.stringContaining(`rule ${rule}`), detail: expect.stringContaining(`rule ${rule}`) });
    expect(report.stored).toBe(dryRun ? null : 1);
  }
  expect((await city.call('DELETE', `/v1.1/Things?$filter=properties/feed eq 'import.${mapping.name}'`, { token: admin })).status).toBe(200);
});

test.each(CASES)('%s: a table or a notification that is pushed loses the places that carry it, and nothing else', async (rule, secret) => {
  const push = async (name: string, body: string, type: string): Promise<{ json: FeedAnswer; text: string }> => {
    const answer = await city.call('POST', `/api/feeds/${name}`, { token: machine, body, headers: { 'content-type': type } });
    expect([answer.status, answer.text.includes(secret)], answer.text).toEqual([200, false]);
    return answer;
  };
  const table = await push('levels', `t;s;v\n2026-11-0${String(CASES.findIndex(([each]) => each === rule) + 1)} 00:00;Bridge;1\n2026-11-01 00:00;${secret};1\n`, 'text/csv');
  expect(table.json.taken).toBe(1);
  expect(table.json.refused).toContainEqual({ at: `place number 2, name: rule ${rule}`, code: 'gate.person-data', detail: expect.stringContaining(`rule ${rule}`) });
  const at = new Date(Date.now() - 60_000).toISOString();
  const entity = (id: string, more: object = {}) => ({ id: `urn:ngsi-ld:AirQualityObserved:${id}`, type: 'AirQualityObserved', temperature: { type: 'Property', value: 3.5, unitCode: 'CEL', observedAt: at }, location: { type: 'GeoProperty', value: { type: 'Point', coordinates: [7.6, 51.9] } }, ...more });
  const pushed = await push('context', JSON.stringify({ data: [entity(`good-${rule}`), entity(secret), entity('named', { name: { type: 'Property', value: secret } })] }), 'application/json');
  expect(pushed.json.taken).toBeGreaterThanOrEqual(1);
  expect(pushed.json.refused.some(({ code, at: place }) => code === 'gate.person-data' && place.includes(`rule ${rule}`)), pushed.text).toBe(true);
});

test('sources that are asked lose those places too, and their health names rule and place', async () => {
  for (const [name, taken, places] of [['bikes', 5, 1], ['trams', 1, 2]] as const) {
    const { json, status, text } = (await city.call('POST', `/api/feeds/${name}/run`, { token: admin, body: {} })) as { json: FeedHealth; status: number; text: string };
    expect(status, text).toBe(200);
    expect(json, name).toMatchObject({ error: null, places });
    expect(json.taken).toBeGreaterThanOrEqual(taken);
    const found = json.refused.find(({ code }) => code === 'gate.person-data');
    expect(found, text).toMatchObject({ at: expect.stringMatching(/^place (?:number \d+|[\w/-]+), [\w.…]+: rule [\w.]+$/) });
    expect((found?.count ?? 0) % (name === 'bikes' ? 8 : 4), text).toBe(0); // each run counts every one of them
    for (const [, secret] of CASES) expect(text).not.toContain(secret);
  }
  const { text } = await city.call('GET', '/api/feeds', { token: admin });
  for (const [, secret] of CASES) expect(text).not.toContain(secret);
});

test('a person may write the contact of an office into a text, and nothing else of it anywhere', async () => {
  const put = (body: object, token = admin) => city.call('POST', '/v1.1/Sensors', { token, body: { ...SENSOR, ...body } });
  for (const text of [SECRETS['address.email'], 'Stadtwerke, +49 251 694 0', 'Gateway 10.20.30.40']) {
    expect((await put({ description: text }, machine)).status).toBe(403);
    expect((await put({ name: text })).status).toBe(403);
    const made = await put({ description: text });
    expect(made.status, made.text).toBe(201);
    expect((await city.call('DELETE', new URL(made.headers.get('location') ?? '').pathname, { token: admin })).status).toBe(200);
  }
  for (const text of [SECRETS.plate, SECRETS['address.mac'], 'Steuer-ID 86095742719', SECRETS['media.image']]) expect((await put({ description: text })).status, text).toBe(403);
  expect((await put({ properties: { imei: 490154203237518 } })).status).toBe(403); // a number that its name gives away
});

test('three people are nobody, whichever way they are counted and whichever way they are asked for', async () => {
  const token = admin;
  const heard: string[] = [];
  const listener = await connectAsync(`mqtt://127.0.0.1:${String(city.mqttPort)}`, { username: 'x', password: token, reconnectPeriod: 0 });
  listener.on('message', (_topic, payload) => void heard.push(payload.toString('utf8')));
  await listener.subscribeAsync(['v1.1/Observations', `v1.1/Datastreams(${String(idOf('Passers-by'))})/Observations`, `v1.1/MultiDatastreams(${String(idOf('Both ways'))})/Observations`]);
  const times = (hour: number): string => `2026-11-02T${String(hour).padStart(2, '0')}:00:00Z/2026-11-02T${String(hour).padStart(2, '0')}:15:00Z`;
  const send = async (path: string, result: unknown, hour: number, more: object = {}): Promise<number> => (await city.call('POST', `/v1.1/${path}/Observations`, { token, body: { result, phenomenonTime: times(hour), ...more } })).status;
  const [one, kinds, both] = [`Datastreams(${String(idOf('Passers-by'))})`, `Datastreams(${String(idOf('Counts by kind'))})`, `MultiDatastreams(${String(idOf('Both ways'))})`];
  for (let hour = 0; hour < 4; hour += 1) {
    expect(await send(one, 3, hour)).toBe(201);
    expect(await send(kinds, { walking: 3, riding: [3, { more: 3 }] }, hour)).toBe(201);
    expect(await send(both, [3, 13, 3.5], hour)).toBe(201);
  }
  // written as a text, or beside the count, it would pass the floor
  expect(await send(kinds, { walking: '3' }, 5)).toBe(403);
  expect(await send(one, 3, 5, { parameters: { raw: 3 } })).toBe(403);
  expect(await send(one, 3, 5, { resultQuality: { raw: [3] } })).toBe(403);
  expect(await send(one, 3, 5, { resultQuality: 'good' })).toBe(201);
  expect(await send(both, [3, 3, 3], 5, { phenomenonTime: '2026-11-02T05:00:00Z/2026-11-02T05:01:00Z' })).toBe(403); // a minute is too short for each of them
  const arrays = await city.call('POST', '/v1.1/CreateObservations', { token, body: [{ MultiDatastream: { '@iot.id': idOf('Both ways') }, components: ['result', 'phenomenonTime'], dataArray: [[[3, 3, 3.5], times(6)]] }, { Datastream: { '@iot.id': idOf('Passers-by') }, components: ['result', 'phenomenonTime'], dataArray: [[3, times(6)]] }] });
  expect(arrays.text).not.toContain('error');
  expect((await city.call('POST', `/v2.0/${one}/Observations`, { token, body: { result: 3, phenomenonTime: { start: '2026-11-02T07:00:00Z', end: '2026-11-02T07:15:00Z' } } })).status).toBe(201);
  const last = (await city.call('GET', `/v1.1/${one}/Observations?$orderby=id desc&$top=1`)).json.value[0] as { '@iot.id': number };
  expect((await city.call('PATCH', `/v1.1/Observations(${String(last['@iot.id'])})`, { token, body: { result: 3 } })).status).toBe(200);

  await expect.poll(() => heard.length, { timeout: 20_000 }).toBeGreaterThan(10);
  await listener.endAsync();
  const past = `from=2026-11-01T00:00:00Z&to=2026-11-03T00:00:00Z`;
  const ids = [...streams].flatMap(([name, id]) => (name === 'Both ways' ? [] : [id])).join(',');
  const asked = [
    `/v1.1/${one}/Observations`, `/v1.1/${kinds}/Observations`, `/v1.1/${both}/Observations`, `/v1.1/${one}/Observations?$resultFormat=dataArray`, `/v1.1/Things(${String(thing)})?$expand=Datastreams($expand=Observations),MultiDatastreams($expand=Observations)`,
    `/v2.0/${one}/Observations`, `/v2.0/${kinds}/Observations`, `/v2.0/Datastreams(${String(idOf('Both ways'))})/Observations`, `/api/export/observations.csv?datastreams=${ids}&${past}`, `/api/export/observations.csv?${past}`, `/api/export/observations.geojson?datastreams=${ids}&${past}`,
    ...['raw', 'minute', 'hour', 'day'].map((step) => `/api/history/datastreams/${String(idOf('Passers-by'))}?${past}&step=${step}`), '/api/places',
  ];
  const resultsIn = (text: string): string[] => [...text.matchAll(/"(?:result":(?=[[{\d-])|(?:value|lastValue|mean|min|max|sum|first|last)":(?=[\d-]))(\[[^\]]*\]|-?\d[\d.e+-]*|\{[^}]*\})/g)].map(([, found]) => found as string);
  const resultsInArrays = (text: string): string[] => (JSON.parse(text) as { value: { components: string[]; dataArray: unknown[][] }[] }).value.flatMap(({ components, dataArray }) => dataArray.map((row) => JSON.stringify(row[components.indexOf('result')])));
  const resultsInCsv = (text: string): string[] => {
    const table: string[][] = parse(text, { relax_column_count: true });
    const [head, ...rows] = table;
    const of = (row: string[], column: string): string => row[head?.indexOf(column) ?? -1] ?? '';
    return rows.filter((row) => [...streams.values()].includes(Number(of(row, 'datastream')))).map((row) => of(row, 'result'));
  };
  const FEW = /(?<![\d.])[1-9](?:\.0+)?(?![\d.])/;
  let numbers = 0;
  for (const path of asked) {
    const { status, text: all } = await city.call('GET', path, { token });
    expect(status, `${path} ${all}`).toBe(200);
    // beside it stand those of the feeds, which count bicycles
    const text = path === '/api/places' ? JSON.stringify((JSON.parse(all) as { places: { name: string }[] }).places.filter(({ name }) => name === 'Mast')) : all;
    const found = path.includes('.csv') ? resultsInCsv(text) : path.includes('dataArray') ? resultsInArrays(text) : resultsIn(text);
    expect(found.length > 0, `${path} ${text}`).toBe(true);
    numbers += found.length;
    for (const each of found) expect(each.replaceAll('3.5', ''), path).not.toMatch(FEW);
  }
  expect(numbers).toBeGreaterThan(40);
  for (const payload of heard) for (const each of resultsIn(payload)) expect(each.replaceAll('3.5', '')).not.toMatch(FEW);
  const stored = (await city.call('GET', `/v1.1/${both}/Observations?$orderby=phenomenonTime`)).json.value as { result: unknown }[];
  expect(stored.slice(0, 1)).toMatchObject([{ result: [0, 15, 3.5] }]); // the speed is no count
  expect(((await city.call('GET', `/v1.1/${kinds}/Observations`)).json.value as { result: unknown }[])[0]?.result).toEqual({ walking: 0, riding: [0, { more: 0 }] });
  const parquet = await fetch(`${city.url}/api/export/observations.parquet?datastreams=${ids}&${past}`, { headers: { authorization: `Bearer ${token}` } });
  expect([parquet.status, Buffer.from(await parquet.arrayBuffer()).includes('"walking": 3')]).toEqual([200, false]);
});

test('of all that was refused there is nothing on the disk and in no line of output', async () => {
  const files = readdirSync(city.data, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name)));
  expect(files.some((bytes) => bytes.includes('Main Square'))).toBe(true); // what came in is found
  for (const [rule, secret] of CASES) {
    if (rule === 'address.email') continue; // a person wrote it into a text above, which is allowed
    expect(files.some((bytes) => bytes.includes(secret)), rule).toBe(false);
    expect(city.output().includes(secret), rule).toBe(false);
  }
  const { lastDay } = (await city.call('GET', '/api/gate')).json as { lastDay: { rule: string; count: number }[] };
  for (const [rule] of CASES) expect(lastDay.some((row) => row.rule === rule && row.count > 0), rule).toBe(true);
});
