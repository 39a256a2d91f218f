import { createConnection } from 'node:net';
import { once, type EventEmitter } from 'node:events';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Position, Principal } from '../../src/contracts/principal.ts';
import type { Refusal } from '../../src/kernel/index.ts';
import type { DatabaseHandle } from '../../src/platform/index.ts';
import type { Sensing } from '../../src/sensing/index.ts';
import type { Gate } from '../../src/trust/index.ts';
import { freshDatabase } from '../database.ts';
import { serveSensing } from '../sensing-server.ts';
import { seedStreams } from '../streams.ts';

const tokenOf = (id: string, positions: Position[], purpose?: string): Principal => ({ kind: 'token', id, name: id, positions, pseudonym: id, ...(purpose === undefined ? {} : { purpose }) });
const TOKENS = new Map([['device', tokenOf('device', ['device'])], ['other-device', tokenOf('other-device', ['device'])], ['operator', tokenOf('operator', ['operator'])], ['admin', tokenOf('admin', ['administrator'])], ['parking', tokenOf('parking', ['device'], 'parking')], ['nobody', tokenOf('nobody', [])]]);
const authenticateToken = async (token: string): Promise<Principal | Refusal> => TOKENS.get(token) ?? { code: 'auth.invalid', detail: 'The token is not known.' };

let handle: DatabaseHandle;
let sensing: Sensing;
let gate: Gate;
let url = '';
let mqttPort = 0;
let streams: number[] = [];

beforeAll(async () => {
  handle = await freshDatabase();
  streams = await seedStreams(handle, 5, { properties: { min: -100, max: 1000 } });
  const server = await serveSensing(handle, authenticateToken);
  ({ gate, sensing, url, mqttPort } = server);
  return server.close;
});

const post = (path: string, body: unknown, token = 'device', type = 'application/json'): Promise<Response> => fetch(`${url}/v1.1/${path}`, { method: 'POST', headers: { 'content-type': type, ...(token === '' ? {} : { authorization: `Bearer ${token}` }) }, body: typeof body === 'string' ? body : JSON.stringify(body) });
const get = async (path: string): Promise<Record<string, unknown>> => (await (await fetch(path.startsWith('http') ? path : `${url}/v1.1/${path}`, { headers: { authorization: 'Bearer operator' } })).json()) as Record<string, unknown>;
const clients: MqttClient[] = [];
afterAll(() => Promise.all(clients.map((client) => client.endAsync(true))));
async function connect(token: string, options: IClientOptions = {}, to = `mqtt://127.0.0.1:${mqttPort}`): Promise<MqttClient> {
  const client = await connectAsync(to, { username: 'anything', password: token, protocolVersion: 4, reconnectPeriod: 0, ...options });
  clients.push(client);
  client.on('error', () => undefined); // a test looks at the close
  return client;
}
const count = async (stream: number): Promise<number> => (await handle.pool.query<{ n: number }>('select count(*) as n from observation where datastream_id = $1', [stream])).rows[0]?.n ?? -1;
const nextMessage = async (client: MqttClient): Promise<{ topic: string; body: Record<string, unknown> }> => {
  const [topic, payload] = (await once(client as unknown as EventEmitter, 'message')) as [string, Buffer];
  return { topic, body: JSON.parse(payload.toString()) as Record<string, unknown> };
};

test('a posted observation is answered with its address, under which it stands', async () => {
  const response = await post('Observations', { phenomenonTime: '2026-11-24T05:00:00.250Z', result: 1.5, Datastream: { '@iot.id': streams[0] } });
  expect(response.status).toBe(201);
  const location = response.headers.get('location') ?? '';
  expect(location).toMatch(/\/v1\.1\/Observations\(\d+\)$/);
  const entity = await get(location);
  expect(entity).toMatchObject({ result: 1.5, phenomenonTime: '2026-11-24T05:00:00.250Z' });
  expect(await get(`Observations(${String(entity['@iot.id'])})/FeatureOfInterest`)).toMatchObject({ feature: { type: 'Point', coordinates: [11.5, 48.1] } });
});

test('observations are also taken under a Datastream, its Thing and a FeatureOfInterest', async () => {
  const [stream] = streams as [number];
  const thing = sensing.streams().get(stream)?.thingId ?? 0;
  expect((await post(`Datastreams(${stream})/Observations`, { result: 2 })).status).toBe(201);
  expect((await post(`Things(${thing})/Datastreams(${stream})/Observations`, { result: 2 })).status).toBe(201);
  expect((await post(`Things(${thing + 1})/Datastreams(${stream})/Observations`, { result: 2 })).status).toBe(404);
  expect((await post('Datastreams(4711)/Observations', { result: 2 })).status).toBe(404);
  const feature = await post('FeaturesOfInterest', { name: 'Weir', description: 'A weir', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [11, 48] } }, 'admin');
  const id = /\((\d+)\)$/.exec(feature.headers.get('location') ?? '')?.[1];
  if (id === undefined) return expect.unreachable(`the feature was answered with ${feature.status}: ${await feature.text()}`);
  const response = await post(`FeaturesOfInterest(${id})/Observations`, { result: 3, Datastream: { '@iot.id': stream } });
  expect(response.status).toBe(201);
  expect(await get(`${response.headers.get('location') ?? ''}/FeatureOfInterest`)).toMatchObject({ name: 'Weir' });
});

test('a refusal names code, field and cure in the error shape of SensorThings, and is counted without its content', async () => {
  const response = await post('Observations', { result: 5_000, Datastream: { '@iot.id': streams[0] } });
  expect(response.status).toBe(403);
  expect(await response.json()).toEqual({ code: 403, type: 'error', message: 'The registered bounds are -100 to 1000. Check the unit and the bounds of the datastream.', error: { code: 'gate.out-of-bounds', field: 'result' } });
  expect(gate.counts().refused).toContainEqual({ code: 'gate.out-of-bounds', purpose: 'city-operations', count: 1 });
  expect(await (await post('Observations', '{"result":NaN}')).json()).toMatchObject({ error: { code: 'http.malformed' } });
  expect((await post('Observations', { result: 1, Datastream: { '@iot.id': streams[0] } }, 'device', 'text/plain')).status).toBe(415);
  expect((await post('Observations', { result: 1, Datastream: { '@iot.id': streams[0] } }, '')).status).toBe(401);
  expect((await post('Observations', { result: 1, Datastream: { '@iot.id': streams[0] } }, 'wrong')).status).toBe(401);
  expect((await post('Observations', { result: 1, Datastream: { '@iot.id': streams[0] } }, 'nobody')).status).toBe(403);
  expect(await (await post('Observations', { result: 1, Datastream: { '@iot.id': streams[0] } }, 'parking')).json()).toMatchObject({ error: { code: 'auth.forbidden' } });
  expect((await post('CreateObservations', 'x'.repeat(16_777_217))).status).toBe(413);
});

test('CreateObservations answers a link for every good row and an error for every other', async () => {
  const stream = streams[1] as number;
  const response = await post('CreateObservations', [{ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], 'dataArray@iot.count': 3, dataArray: [['2026-11-24T05:00:00Z', 1.0], ['2026-11-24T05:01:00Z', '<b>'], ['2026-11-24T05:02:00Z', 3]] }]);
  expect(response.status).toBe(201);
  const rows = (await response.json()) as string[];
  expect(rows).toHaveLength(3);
  expect(rows[1]).toBe('error: result: A finite JSON number is registered here. Send a finite JSON number as result. (gate.not-a-number)');
  expect(await get(rows[2] as string)).toMatchObject({ result: 3 });
  expect(await count(stream)).toBe(2);
});

test('a Datastream that was just created takes its first reading at once', async () => {
  const thing = sensing.streams().get(streams[0] as number)?.thingId;
  const created = await post('Datastreams', { name: 'Flow', description: 'Flow of water', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'cubic metre per second', symbol: 'm3/s', definition: 'ucum:m3/s' }, properties: { purpose: 'city-operations', interval_s: 60 }, Thing: { '@iot.id': thing }, Sensor: { name: 'S', description: 'S', encodingType: 'text/html', metadata: 'x' }, ObservedProperty: { name: 'Water flow', definition: 'http://example.org/flow', description: 'Flow' } }, 'admin');
  const id = Number(/\((\d+)\)$/.exec(created.headers.get('location') ?? '')?.[1]);
  if (Number.isNaN(id)) return expect.unreachable(`the Datastream was answered with ${created.status}: ${await created.text()}`);
  expect((await post(`Datastreams(${id})/Observations`, { result: 7 })).status).toBe(201);
  expect(sensing.streams().get(id)).toMatchObject({ name: 'Flow', property: 'water-flow', unit: 'm3/s', interval_s: 60, placeKind: 'gauge', point: [11.5, 48.1] });
  expect(sensing.latest(id)?.value).toBe(7);
});

test('the PUBACK of a QoS 1 message comes after the commit, and not while the database is held', async () => {
  const stream = streams[2] as number;
  const publisher = await connect('device');
  const lock = await handle.pool.connect();
  await lock.query('begin');
  await lock.query('lock table observation in access exclusive mode');
  let acknowledged = false;
  const published = publisher.publishAsync(`v1.1/Datastreams(${stream})/Observations`, '{"result":4.5}', { qos: 1 }).then(() => (acknowledged = true));
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(acknowledged).toBe(false);
  await lock.query('commit');
  lock.release();
  await published;
  expect(await count(stream)).toBe(1);
  await publisher.publishAsync('v1.1/Observations', `{"result":5.5,"Datastream":{"@iot.id":${stream}}}`, { qos: 2 });
  expect(await count(stream)).toBe(2);
});

test('subscribers get the entity of every new observation, from MQTT and from HTTP', async () => {
  const stream = streams[3] as number;
  const subscriber = await connect('operator');
  await subscriber.subscribeAsync([`v1.1/Datastreams(${stream})/Observations`], { qos: 1 });
  const first = nextMessage(subscriber);
  expect((await post(`Datastreams(${streams[4] as number})/Observations`, { result: 1 })).status).toBe(201); // of another stream
  const response = await post(`Datastreams(${stream})/Observations`, { result: 6, phenomenonTime: '2026-11-24T05:00:00Z' });
  const { topic, body } = await first;
  expect(topic).toBe(`v1.1/Datastreams(${stream})/Observations`);
  expect(body).toEqual(await get(response.headers.get('location') ?? ''));
  await subscriber.subscribeAsync('v1.1/Observations');
  const second = nextMessage(subscriber);
  const publisher = await connect('device');
  await publisher.publishAsync('v1.1/Observations', `{"result":8,"Datastream":{"@iot.id":${streams[4] as number}}}`, { qos: 1 });
  expect((await second).body).toMatchObject({ result: 8 });
});

test('a refused reading is acknowledged and explained to its sender alone', async () => {
  const [publisher, bystander] = [await connect('device', { clientId: 'same-id' }), await connect('other-device', { clientId: 'same-id' })];
  await publisher.subscribeAsync('$refused');
  await bystander.subscribeAsync('$refused');
  const overheard: unknown[] = [];
  bystander.on('message', (topic) => overheard.push(topic));
  const heard = nextMessage(publisher);
  await publisher.publishAsync(`v1.1/Datastreams(${streams[2] as number})/Observations`, '{"result":"face"}', { qos: 1 });
  const { body } = await heard;
  expect(body).toMatchObject({ topic: `v1.1/Datastreams(${streams[2] as number})/Observations`, code: 403, error: { code: 'gate.not-a-number', field: 'result' }, cure: 'Send a finite JSON number as result.' });
  await bystander.publishAsync('v1.1/Observations', '{', { qos: 1 });
  await expect.poll(() => overheard).toEqual(['$refused']);
});

test.each([['$SYS/x', 'device'], ['v1.1/Things', 'device'], ['v1.1/Observations', 'nobody'], ['v1.1/Observations/more', 'device']])('publishing to %s as %s ends the connection without an acknowledgement', async (topic, token) => {
  const client = await connect(token);
  const closed = once(client as unknown as EventEmitter, 'close');
  let acknowledged = false;
  client.publish(topic, '{"result":1}', { qos: 1 }, (error) => (acknowledged = error === undefined || error === null));
  await closed;
  expect(acknowledged).toBe(false);
});

test('other subscriptions and wrong credentials are refused', async () => {
  await expect(connect('wrong')).rejects.toThrow(/bad user|not authorized/i);
  const client = await connect('operator');
  for (const topic of ['#', 'v1.1/#', '+/Observations', '$SYS/#', 'v1.1/Nothings', `v1.1/Observations${'x'.repeat(300)}`]) {
    await expect(client.subscribeAsync(topic)).rejects.toThrow();
  }
});

test('a packet that is too long ends the connection before it is read', async () => {
  const socket = createConnection({ host: '127.0.0.1', port: mqttPort });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close');
  socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]));
  await closed;
});

test('MQTT works over WebSocket at /mqtt of the HTTP port', async () => {
  const stream = streams[4] as number;
  const before = await count(stream);
  const client = await connect('device', {}, `${url.replace('http', 'ws')}/mqtt`);
  await client.publishAsync(`v1.1/Datastreams(${stream})/Observations`, '{"result":1}', { qos: 1 });
  expect(await count(stream)).toBe(before + 1);
});

test('the landing page says where MQTT is', async () => {
  const { serverSettings } = (await get('')) as { serverSettings: Record<string, { endpoints: string[] }> & { conformance: string[] } };
  const requirement = 'http://www.opengis.net/spec/iot_sensing/1.1/req/create-observations-via-mqtt/observations-creation';
  expect(serverSettings.conformance).toContain(requirement);
  expect(serverSettings[requirement]?.endpoints).toEqual([`mqtt://127.0.0.1:${mqttPort}`, `${url.replace('http', 'ws')}/mqtt`]);
});

test('single posts of many connections are all stored, once', async () => {
  const stream = streams[2] as number;
  const before = await count(stream);
  const startMs = Date.parse('2026-11-23T00:00:00Z');
  const statuses = await Promise.all(Array.from({ length: 400 }, (_, n) => post(`Datastreams(${stream})/Observations`, { result: n, phenomenonTime: new Date(startMs + Math.floor(n / 2) * 1000).toISOString() }).then((response) => response.status)));
  expect(new Set(statuses)).toEqual(new Set([201]));
  expect(await count(stream)).toBe(before + 400);
});

test('a message without a time is stored once when its sender names it and sends it again', async () => {
  const stream = streams[2] as number;
  const before = await count(stream);
  const send = (key: string, result: number): Promise<Response> => fetch(`${url}/v1.1/Datastreams(${stream})/Observations`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer device', 'idempotency-key': key }, body: JSON.stringify({ result }) });
  const first = await send('"meter-7-0001"', 7);
  expect(first.status).toBe(201);
  const again = await Promise.all([send('"meter-7-0001"', 7), send('meter-7-0001', 7), send('meter-7-0001', 7)]);
  expect(again.map((answer) => [answer.status, answer.headers.get('location')])).toEqual(again.map(() => [201, first.headers.get('location')]));
  const other = await Promise.all([send('meter-7-0002', 7), send('meter-7-0002', 7)]); // two at once
  expect(new Set(other.map((answer) => answer.headers.get('location'))).size).toBe(1);
  expect(await count(stream)).toBe(before + 2);
  expect(JSON.stringify(await get(first.headers.get('location') ?? ''))).not.toContain('meter-7');
  const wrong = await send('two words', 7);
  expect([wrong.status, (await wrong.json())]).toEqual([400, expect.objectContaining({ error: { code: 'http.invalid', field: 'Idempotency-Key' } })]);
});
