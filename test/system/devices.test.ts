import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { once, type EventEmitter } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { beforeAll, expect, test } from 'vitest';
import type { Device, DeviceCredential, DeviceCsvReport, DeviceList } from '../../src/contracts/device.ts';
import { systemClock, systemRandom } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle, type Http, type Metrics } from '../../src/platform/index.ts';
import { createSensing, type Sensing } from '../../src/sensing/index.ts';
import { createTrust, mintToken, type Trust } from '../../src/trust/index.ts';
import { freshDatabase } from '../database.ts';

type FindDevice = Parameters<Trust['deviceTokens']['bindDevices']>[0];
const run = promisify(execFile);
const hasMosquitto = ['/usr/bin/mosquitto_pub', '/usr/local/bin/mosquitto_pub', '/opt/homebrew/bin/mosquitto_pub'].some((path) => existsSync(path));
if (!hasMosquitto) console.warn('mosquitto_pub is not installed (package mosquitto-clients): its tests are left out');

let handle: DatabaseHandle;
let sensing: Sensing;
let http: Http;
let trust: Trust;
let metrics: Metrics;
let url = '';
let mqttPort = 0;
const dataFolder = mkdtempSync(join(tmpdir(), 'clerestory-devices-'));
const administrator = mintToken(dataFolder, { position: 'administrator' });
const operator = mintToken(dataFolder, { position: 'operator' });
const anyDevice = mintToken(dataFolder, { position: 'device' });

beforeAll(async () => {
  handle = await freshDatabase();
  metrics = createMetrics();
  const bus = await createBus(handle, systemClock, silentLogger);
  trust = await createTrust({ handle, bus, clock: systemClock, random: systemRandom, logger: silentLogger, metrics, dataFolder, purposesYaml: null, publicUrl: undefined });
  sensing = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics, purposes: trust.purposes, gate: trust.gate, authenticateToken: trust.authenticateToken, authorize: trust.authorize, publicUrl: () => url, devices: { tokens: trust.deviceTokens, random: systemRandom } });
  http = await buildHttp({ logger: silentLogger, authenticate: trust.authenticate, authorize: trust.authorize });
  await sensing.registerRoutes(http);
  url = await http.listen({ host: '127.0.0.1', port: 0 });
  mqttPort = (await sensing.startMqtt({ host: '127.0.0.1', port: 0 })).port;
  return async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await http.close();
    await sensing.close();
    await trust.close();
    await bus.close();
    rmSync(dataFolder, { recursive: true, force: true });
  };
});

async function call<T = any>(method: string, path: string, token: string, body?: unknown): Promise<{ status: number; json: T; text: string }> {
  const isText = typeof body === 'string';
  const response = await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': isText ? 'text/csv' : 'application/json' }) }, ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, json: (text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : null) as T, text };
}
async function add(name: string, measures = ['level']): Promise<DeviceCredential> {
  const { status, json, text } = await call<DeviceCredential>('POST', '/api/devices', administrator, { name, point: [11.57, 48.14], measures, interval_s: 600, purpose: 'city-operations', kind: 'river_gauge' });
  expect(status, text).toBe(201);
  return json;
}
const deviceOf = async (id: string): Promise<Device> => (await call<Device>('GET', `/api/devices/${id}`, operator)).json;
const streamOf = ({ device }: DeviceCredential, at = 0): number => device.streams[at]?.id ?? 0;
const readingsOf = async (stream: number): Promise<unknown[]> => ((await (await fetch(`${url}/v1.1/Datastreams(${stream})/Observations?$orderby=id`)).json()) as { value: { result: unknown }[] }).value.map(({ result }) => result);

const clients: MqttClient[] = [];
async function connect(token: string, username: string, options: IClientOptions = {}, to = `mqtt://127.0.0.1:${mqttPort}`): Promise<MqttClient> {
  const client = await connectAsync(to, { username, password: token, protocolVersion: 4, reconnectPeriod: 0, ...options });
  clients.push(client);
  client.on('error', () => undefined); // a test looks at the close
  return client;
}
const connectDevice = ({ device, token }: DeviceCredential, options: IClientOptions = {}): Promise<MqttClient> => connect(token, device.id, options);
const closed = (client: MqttClient): Promise<unknown> => once(client as unknown as EventEmitter, 'close');

test('a device that is added has a Thing, a Location, Datastreams with unit and bounds, and a token for those alone', async () => {
  const made = await add('Gauge at the mill', ['level', 'water_temperature']);
  const [level] = made.device.streams;
  const stream = (await call('GET', `/v1.1/Datastreams(${level?.id})?$expand=Thing($expand=Locations),ObservedProperty`, operator)).json;
  expect(stream).toMatchObject({ name: 'Water level', unitOfMeasurement: { symbol: 'm' }, properties: { purpose: 'city-operations', interval_s: 600, min: -10, max: 50 }, ObservedProperty: { properties: { key: 'level' } }, Thing: { name: 'Gauge at the mill', Locations: [{ location: { coordinates: [11.57, 48.14] } }] } });
  expect((await call('POST', `/v1.1/Datastreams(${level?.id})/Observations`, made.token, { result: 1.5 })).status).toBe(201);
  expect(await deviceOf(made.device.id)).toMatchObject({ state: 'active', taken: 1, perMinute: 1, refused: [] });
  // the same ObservedProperty serves the next one
  const other = await add('Gauge at the bridge');
  const second = (await call('GET', `/v1.1/Datastreams(${streamOf(other)})/ObservedProperty`, operator)).json;
  expect(second['@iot.id']).toBe(stream.ObservedProperty['@iot.id']);
});

test('a device writes into its own Datastreams only, whichever way, and makes no entities', async () => {
  const [mine, theirs] = [await add('Mine'), await add('Theirs')];
  const foreign = streamOf(theirs);
  const single = await call('POST', '/v1.1/Observations', mine.token, { result: 1, Datastream: { '@iot.id': foreign } });
  expect(single).toMatchObject({ status: 403, json: { error: { code: 'device.stream-not-own' } } });
  expect((await call('POST', `/v1.1/Datastreams(${foreign})/Observations`, mine.token, { result: 1 })).json).toMatchObject({ error: { code: 'device.stream-not-own' } });
  const arrays = await call<string[]>('POST', '/v1.1/CreateObservations', mine.token, [
    { Datastream: { '@iot.id': streamOf(mine) }, components: ['result'], dataArray: [[1], [2]] },
    { Datastream: { '@iot.id': foreign }, components: ['result'], dataArray: [[3]] },
  ]);
  expect(arrays.status).toBe(201);
  expect(arrays.json.map((line) => /device\.stream-not-own/.test(line))).toEqual([false, false, true]);
  expect((await call('POST', '/v1.1/Things', mine.token, { name: 'x', description: 'x' })).json).toMatchObject({ error: { code: 'auth.forbidden' } });
  expect((await call('PATCH', `/v1.1/Datastreams(${streamOf(mine)})`, mine.token, { name: 'x' })).status).toBe(403);
  expect(await readingsOf(foreign)).toEqual([]);
  expect((await deviceOf(mine.device.id)).refused).toContainEqual(expect.objectContaining({ code: 'device.stream-not-own', count: 3 }));
});

test('over MQTT a device publishes to its topics and hears its own; another topic ends the connection, and so does another name', async () => {
  const [mine, theirs] = [await add('Mine by MQTT'), await add('Theirs by MQTT')];
  await expect(connect(mine.token, 'somebody')).rejects.toThrow(/bad user|not authorized/i);
  await expect(connect(mine.token, theirs.device.id)).rejects.toThrow(/bad user|not authorized/i);
  const client = await connectDevice(mine);
  const topic = `v1.1/Datastreams(${streamOf(mine)})/Observations`;
  await client.publishAsync(topic, '{"result":2}', { qos: 1 });
  await client.publishAsync('v1.1/Observations', `{"result":3,"Datastream":{"@iot.id":${streamOf(mine)}}}`, { qos: 2 });
  expect(await readingsOf(streamOf(mine))).toEqual([2, 3]);
  for (const allowed of [topic, '$refused', `v1.1/Datastreams(${streamOf(mine)})`, `${topic}?$select=result`]) await client.subscribeAsync(allowed);
  for (const denied of ['#', 'v1.1/Observations', `v1.1/Datastreams(${streamOf(theirs)})/Observations`, 'v1.1/Things', `v1.1/Datastreams(${streamOf(mine)})/Thing`, `${topic}?$expand=Datastream/Thing`]) await expect(client.subscribeAsync(denied), denied).rejects.toThrow();
  const end = closed(client);
  client.publish(`v1.1/Datastreams(${streamOf(theirs)})/Observations`, '{"result":4}', { qos: 1 }, () => undefined);
  await end;
  expect(await readingsOf(streamOf(theirs))).toEqual([]);
  expect((await deviceOf(mine.device.id)).refused.map(({ code }) => code).sort()).toEqual(['device.name-different', 'device.stream-not-own']);
});

test('a new token ends the old one and its connections at once; a revoked device stays out', async () => {
  const made = await add('Rotated');
  const path = `/v1.1/Datastreams(${streamOf(made)})/Observations`;
  const client = await connectDevice(made);
  expect((await call('POST', path, made.token, { result: 1 })).status).toBe(201);
  const end = closed(client);
  const renewed = (await call<DeviceCredential>('POST', `/api/devices/${made.device.id}/token`, administrator, {})).json;
  await end;
  expect((await call('POST', path, made.token, { result: 2 })).status).toBe(401);
  await expect(connectDevice(made)).rejects.toThrow();
  expect((await call('POST', path, renewed.token, { result: 3 })).status).toBe(201);
  const second = await connectDevice(renewed);
  const ended = closed(second);
  expect((await call('POST', `/api/devices/${made.device.id}/state`, administrator, { act: 'revoke', reason: 'Stolen' })).json).toMatchObject({ state: 'revoked', stateReason: 'Stolen' });
  await ended;
  expect((await call('POST', path, renewed.token, { result: 4 })).status).toBe(401);
  expect((await call('POST', `/api/devices/${made.device.id}/token`, administrator, {})).json).toMatchObject({ code: 'device.act-not-allowed' });
  expect((await call('POST', `/api/devices/${made.device.id}/state`, administrator, { act: 'release' })).status).toBe(409);
  expect(await readingsOf(streamOf(made))).toEqual([1, 3]);
});

test('a device that is refused twenty times is quarantined, and its good readings are refused until somebody releases it', async () => {
  const made = await add('Broken');
  const path = `/v1.1/Datastreams(${streamOf(made)})/Observations`;
  for (let n = 0; n < 19; n += 1) expect((await call('POST', path, made.token, { result: 1_000 })).json).toMatchObject({ error: { code: 'gate.out-of-bounds' } });
  expect((await deviceOf(made.device.id)).state).toBe('active');
  await call('POST', path, made.token, { result: 1_000 });
  expect((await call('POST', path, made.token, { result: 1 })).json).toMatchObject({ code: 403, error: { code: 'device.quarantined' } });
  await expect.poll(() => deviceOf(made.device.id)).toMatchObject({ state: 'quarantined', stateReason: '20 of its readings were refused within 10 min.' });
  expect((await deviceOf(made.device.id)).refused).toContainEqual(expect.objectContaining({ code: 'gate.out-of-bounds', count: 20 }));
  expect((await call('POST', `/api/devices/${made.device.id}/state`, administrator, { act: 'release' })).json).toMatchObject({ state: 'active', stateReason: null });
  expect((await call('POST', path, made.token, { result: 1 })).status).toBe(201);
});

test('five readings for datastreams of others are enough for quarantine; MQTT says so on $refused', async () => {
  const [mine, theirs] = [await add('Impostor'), await add('Victim')];
  const client = await connectDevice(mine);
  await client.subscribeAsync('$refused');
  const codes: string[] = [];
  client.on('message', (_topic, payload) => codes.push((JSON.parse(payload.toString()) as { error: { code: string } }).error.code));
  for (let n = 0; n < 5; n += 1) await client.publishAsync('v1.1/Observations', `{"result":1,"Datastream":{"@iot.id":${streamOf(theirs)}}}`, { qos: 1 });
  await client.publishAsync('v1.1/Observations', `{"result":1,"Datastream":{"@iot.id":${streamOf(mine)}}}`, { qos: 1 });
  await expect.poll(() => codes).toEqual([...Array.from({ length: 5 }, () => 'device.stream-not-own'), 'device.quarantined']);
  expect(await readingsOf(streamOf(mine))).toEqual([]);
});

test('a token without a device works as before, and is listed as unknown when it writes nowhere', async () => {
  const made = await add('Open to all positions');
  expect((await call('POST', `/v1.1/Datastreams(${streamOf(made)})/Observations`, anyDevice, { result: 5 })).status).toBe(201);
  expect((await call('POST', '/v1.1/Observations', anyDevice, { result: 5, Datastream: { '@iot.id': 999_999 } })).status).toBe(403);
  const { unknownSenders } = (await call<DeviceList>('GET', '/api/devices', operator)).json;
  expect(unknownSenders).toEqual([{ pseudonym: expect.stringMatching(/^token-/) as string, count: 1, lastAt: expect.any(String) as string }]);
});

test('a device without readings is taken back with all that was made for it; one with readings is not', async () => {
  const made = await add('A mistake');
  const { thingId } = made.device;
  const location = (await call('GET', `/v1.1/Things(${thingId})/Locations`, operator)).json.value[0]['@iot.id'] as number;
  expect((await call('DELETE', `/api/devices/${made.device.id}`, administrator)).status).toBe(204);
  for (const gone of [`Things(${thingId})`, `Datastreams(${streamOf(made)})`, `Locations(${location})`]) expect((await fetch(`${url}/v1.1/${gone}`)).status, gone).toBe(404);
  expect((await call('POST', `/v1.1/Datastreams(${streamOf(made)})/Observations`, made.token, { result: 1 })).status).toBe(401);
  const kept = await add('No mistake');
  await call('POST', `/v1.1/Datastreams(${streamOf(kept)})/Observations`, kept.token, { result: 1 });
  expect((await call('DELETE', `/api/devices/${kept.device.id}`, administrator)).json).toMatchObject({ status: 409, code: 'device.act-not-allowed' });
});

test('a table is looked through line by line before anything is made, and gives a table of tokens', async () => {
  const head = 'name,longitude,latitude,measures,interval_s,purpose,kind\r\n';
  const before = (await call<DeviceList>('GET', '/api/devices', operator)).json.devices.length;
  const bad = await call<DeviceCsvReport>('POST', '/api/devices/csv?dryRun=false', administrator, `${head}One,11.5,48.1,level,600,city-operations,\r\nOne,11.5,98,levl,0,nonsense,\r\n`);
  expect(bad.json).toMatchObject({ rows: 2, made: 0, csv: null });
  expect(bad.json.faults.map(({ line, column }) => `${line} ${column}`).sort()).toEqual(['3 interval_s', '3 latitude', '3 measures', '3 purpose']);
  expect(bad.json.faults.find(({ column }) => column === 'latitude')?.detail).toBe('It is a number of degrees from -90 to 90.');
  const template = await call('GET', '/api/devices/template.csv', operator);
  expect((await call<DeviceCsvReport>('POST', '/api/devices/csv', administrator, template.text)).json).toEqual({ rows: 1, faults: [], made: 0, csv: null });
  expect((await call<DeviceList>('GET', '/api/devices', operator)).json.devices.length).toBe(before);
  const made = (await call<DeviceCsvReport>('POST', '/api/devices/csv?dryRun=false', administrator, `${head.replaceAll(',', ';')}"Table; one";11,5;48,1;level;600;city-operations;\r\nTable two;11,6;48,2;level noise;60;city-operations;car_park\r\n`)).json;
  expect(made).toMatchObject({ rows: 2, made: 2, faults: [] });
  const [, , second] = made.csv?.split('\r\n') ?? [];
  const [name, id, streams, token] = second?.split(',') ?? [];
  expect([name, streams?.split(' ').length]).toEqual(['Table two', 2]);
  expect((await call('POST', `/v1.1/Datastreams(${streams?.split(' ')[1]})/Observations`, token ?? '', { result: 50 })).status).toBe(201);
  expect(await deviceOf(id ?? '')).toMatchObject({ name: 'Table two', taken: 1 });
});

test('who may not manage the register neither adds nor changes devices', async () => {
  const made = await add('Looked at');
  expect((await call('GET', '/api/devices', operator)).status).toBe(200);
  expect((await call('GET', '/api/devices', made.token)).status).toBe(403);
  for (const [method, path] of [['POST', '/api/devices'], ['POST', `/api/devices/${made.device.id}/token`], ['DELETE', `/api/devices/${made.device.id}`]] as const) expect((await call(method, path, operator, method === 'POST' ? {} : undefined)).status).toBe(403);
  expect((await call('POST', '/api/devices', administrator, { name: 'x', point: [200, 0], measures: [], interval_s: 1, purpose: 'p' })).status).toBe(400);
  expect((await call('POST', '/api/devices', administrator, { name: 'x', point: [0, 0], measures: ['level'], interval_s: 1, purpose: 'nonsense' })).json).toMatchObject({ code: 'purpose.unknown' });
});

test('another process knows every device, its counts and its state, and what it changes counts here at once', async () => {
  const made = await add('Lasting');
  const path = `/v1.1/Datastreams(${streamOf(made)})/Observations`;
  await call('POST', path, made.token, { result: 1 });
  await call('POST', `/api/devices/${made.device.id}/state`, administrator, { act: 'quarantine', reason: 'Being moved' });
  const bus = await createBus(handle, systemClock, silentLogger);
  let find: FindDevice = () => Promise.resolve(undefined);
  const tokens = { ...trust.deviceTokens, bindDevices: (finder: FindDevice) => void (find = finder) };
  const other = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics: createMetrics(), purposes: trust.purposes, gate: trust.gate, authenticateToken: trust.authenticateToken, authorize: trust.authorize, publicUrl: () => url, devices: { tokens, random: systemRandom } });
  const otherHttp = await buildHttp({ logger: silentLogger, authenticate: trust.authenticate, authorize: trust.authorize });
  await other.registerRoutes(otherHttp);
  expect(await find(made.device.id)).toMatchObject({ state: 'quarantined', streams: new Set([streamOf(made)]) });
  expect((await call('POST', path, made.token, { result: 2 })).json).toMatchObject({ error: { code: 'device.quarantined' } });
  const released = await otherHttp.inject({ method: 'POST', url: `/api/devices/${made.device.id}/state`, headers: { authorization: `Bearer ${administrator}` }, payload: { act: 'release' } });
  expect(released.json()).toMatchObject({ state: 'active' });
  await expect.poll(async () => (await call('POST', path, made.token, { result: 3, phenomenonTime: '2026-11-24T05:00:00Z' })).status).toBe(201);
  await otherHttp.close();
  await other.close();
  await bus.close();
});

test.skipIf(!hasMosquitto)('the lines that the page shows work as they are in a shell', async () => {
  const made = await add('Shell');
  await run('sh', ['-c', made.mosquitto]);
  await run('sh', ['-c', `${made.curl} -s -f -o /dev/null`]);
  expect(await readingsOf(streamOf(made))).toEqual([1.35, 1.35]);
  const host = ['-h', '127.0.0.1', '-p', String(mqttPort)];
  const sent = async (): Promise<number> => (await metrics.getMetricsAsJSON()).find(({ name }) => name === 'clerestory_mqtt_published_total')?.values[0]?.value ?? 0;
  const before = await sent();
  const listening = run('mosquitto_sub', [...host, '-u', 'x', '-P', operator, '-t', `v1.1/Datastreams(${streamOf(made)})/Observations`, '-C', '2', '-W', '20', '-F', '%r %p']);
  await expect.poll(sent).toBe(before + 1);
  await run('mosquitto_pub', [...host, '-V', 'mqttv5', '-u', made.device.id, '-P', made.token, '-q', '2', '-t', `v1.1/Datastreams(${streamOf(made)})/Observations`, '-m', '{"result":2.5}']);
  const lines = (await listening).stdout.trim().split('\n');
  expect(lines.map((line) => line.slice(0, 1))).toEqual(['1', '0']); // what was known before comes retained
  expect(lines.map((line) => (JSON.parse(line.slice(2)) as { result: number }).result)).toEqual([1.35, 2.5]);
});

test.skipIf(!hasMosquitto)('mosquitto_pub works over WebSocket where it is built with it', async () => {
  const made = await add('Shell over WebSocket');
  const help = await run('mosquitto_pub', ['--help']).catch((error: { stdout: string }) => error);
  if (!help.stdout.includes('--ws')) return console.warn('this mosquitto_pub has no --ws: left out');
  const port = new URL(url).port;
  await run('mosquitto_pub', ['-h', '127.0.0.1', '-p', port, '--ws', '-u', made.device.id, '-P', made.token, '-q', '1', '-t', `v1.1/Datastreams(${streamOf(made)})/Observations`, '-m', '{"result":1}']);
  expect(await readingsOf(streamOf(made))).toEqual([1]);
});

test('in a batch a device is refused by item, and inside a change set with the whole set', async () => {
  const [mine, theirs] = [await add('Batch mine'), await add('Batch theirs')];
  const post = (id: string, stream: number, group?: string): unknown => ({ id, method: 'post', url: `Datastreams(${stream})/Observations`, body: { result: 1 }, ...(group === undefined ? {} : { atomicityGroup: group }) });
  const { status, json } = await call<{ responses: { id: string; status: number }[] }>('POST', '/v1.1/$batch', mine.token, { requests: [post('a', streamOf(mine)), post('b', streamOf(theirs)), post('c', streamOf(mine), 'set'), post('d', streamOf(theirs), 'set')] });
  expect(status).toBe(200);
  const statusOf = (id: string): number | undefined => json.responses.find((one) => one.id === id)?.status;
  expect([statusOf('a'), statusOf('b')]).toEqual([201, 403]);
  expect(statusOf('c') === 201 || statusOf('d') === 201).toBe(false);
  expect(await readingsOf(streamOf(mine))).toEqual([1]);
  expect(await readingsOf(streamOf(theirs))).toEqual([]);
});
