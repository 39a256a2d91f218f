import { once, type EventEmitter } from 'node:events';
import { createConnection } from 'node:net';
import { connect as connectMqtt, connectAsync, type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import { beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import type { Refusal } from '../../src/kernel/index.ts';
import type { DatabaseHandle, Metrics } from '../../src/platform/index.ts';
import { freshDatabase } from '../database.ts';
import { serveSensing } from '../sensing-server.ts';
import { seedStreams } from '../streams.ts';

const ADMINISTRATOR: Principal = { kind: 'token', id: 'admin', name: 'admin', positions: ['administrator'], pseudonym: 'admin' };
const authenticateToken = async (token: string): Promise<Principal | Refusal> => (token === 'admin' ? ADMINISTRATOR : { code: 'auth.invalid', detail: 'The token is not known.' });

let handle: DatabaseHandle;
let metrics: Metrics;
let url = '';
let mqttPort = 0;
let streams: number[] = [];
const clients: MqttClient[] = [];

beforeAll(async () => {
  handle = await freshDatabase();
  streams = await seedStreams(handle, 6, { properties: { min: -100, max: 1000 } });
  const server = await serveSensing(handle, authenticateToken);
  ({ metrics, url, mqttPort } = server);
  return async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await server.close();
  };
});

type Json = Record<string, unknown>;
async function send(method: string, path: string, body?: unknown): Promise<Json> {
  const response = await fetch(`${url}/v1.1/${path}`, { method, headers: { authorization: 'Bearer admin', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Json);
}
async function connect(options: IClientOptions = {}, to = `mqtt://127.0.0.1:${mqttPort}`): Promise<MqttClient> {
  const client = await connectAsync(to, { username: 'x', password: 'admin', protocolVersion: 4, reconnectPeriod: 0, ...options });
  clients.push(client);
  client.on('error', () => undefined); // a test looks at the close
  return client;
}
/** What a client gets, as `topic` and parsed body, in order. */
async function listen(topics: string[], options: IClientOptions = {}): Promise<{ client: MqttClient; heard: { topic: string; body: Json; retain: boolean }[] }> {
  const client = await connect(options);
  const heard: { topic: string; body: Json; retain: boolean }[] = [];
  client.on('message', (topic, payload, packet: IPublishPacket) => heard.push({ topic, body: JSON.parse(payload.toString()) as Json, retain: packet.retain }));
  await client.subscribeAsync(topics, { qos: 1 });
  return { client, heard };
}
const value = async (name: string, labels: Json = {}): Promise<number> => {
  const metric = (await metrics.getMetricsAsJSON()).find((one) => one.name === name);
  return metric?.values.filter((one) => Object.entries(labels).every(([key, label]) => (one.labels as Json)[key] === label)).reduce((sum, one) => sum + one.value, 0) ?? 0;
};

const VERSIONS = [['3.1.1', 4], ['5', 5]] as const;

test.each(VERSIONS)('MQTT %s: every topic form of 18-088 §14.2 creates an observation', async (_name, protocolVersion) => {
  const [stream] = streams as [number];
  const { '@iot.id': thing } = await send('GET', `Datastreams(${stream})/Thing`);
  const feature = (await send('POST', 'FeaturesOfInterest', { name: 'Weir', description: 'A weir', encodingType: 'application/geo+json', feature: { type: 'Point', coordinates: [11, 48] } }))['@iot.id'];
  const count = async (): Promise<number> => (await handle.pool.query<{ n: number }>('select count(*) as n from observation where datastream_id = $1', [stream])).rows[0]?.n ?? -1;
  const before = await count();
  const client = await connect({ protocolVersion });
  const link = { Datastream: { '@iot.id': stream } };
  const forms: [string, Json][] = [['Observations', link], [`Datastreams(${stream})/Observations`, {}], [`Things(${String(thing)})/Datastreams(${stream})/Observations`, {}], [`FeaturesOfInterest(${String(feature)})/Observations`, link]];
  for (const [topic, more] of forms) for (const qos of [0, 1, 2] as const) await client.publishAsync(`v1.1/${topic}`, JSON.stringify({ result: qos, ...more }), { qos });
  await expect.poll(count).toBe(before + forms.length * 3);
  expect((await send('GET', `FeaturesOfInterest(${String(feature)})/Observations?$count=true&$top=0`))['@iot.count']).toBeGreaterThanOrEqual(3);
});

test.each(VERSIONS)('MQTT %s: sets, nested sets, entities and properties tell of what is created and updated, each as GET answers it', async (_name, protocolVersion) => {
  const stream = streams[1] as number;
  const { '@iot.id': thing } = await send('GET', `Datastreams(${stream})/Thing`);
  const { '@iot.id': otherThing } = await send('GET', `Datastreams(${streams[2] as number})/Thing`);
  const { client, heard } = await listen(['v1.1/Things', 'v1.1/Datastreams', 'v1.1/Sensors', 'v1.1/ObservedProperties', 'v1.1/Locations', 'v1.1/FeaturesOfInterest', 'v1.1/HistoricalLocations', `v1.1/Things(${String(thing)})/Datastreams`, `v1.1/Things(${String(thing)})`, `v1.1/Datastreams(${stream})`, `v1.1/Datastreams(${stream})/Thing`, `v1.1/Datastreams(${stream})/properties`, `v1.1/Datastreams(${stream})/name`, `v1.1/Things?$select=name`, `v1.1/Things(${String(thing)})?$expand=Datastreams($select=name)&$select=id`], { protocolVersion });
  const topicsOf = (): string[] => heard.map(({ topic }) => topic.slice(5)).sort();

  await send('PATCH', `Datastreams(${stream})`, { properties: { purpose: 'city-operations', min: -protocolVersion } });
  await expect.poll(topicsOf).toEqual(['Datastreams', `Datastreams(${stream})`, `Datastreams(${stream})/properties`, `Things(${String(thing)})/Datastreams`].sort());
  expect(heard.find(({ topic }) => topic.endsWith('/properties'))?.body).toEqual(await send('GET', `Datastreams(${stream})/properties`));
  expect(heard.find(({ topic }) => topic === `v1.1/Datastreams(${stream})`)?.body).toEqual(await send('GET', `Datastreams(${stream})`));

  heard.length = 0;
  await send('PATCH', `Things(${String(thing)})`, { name: 'Renamed' });
  await expect.poll(topicsOf).toEqual(['Things', `Things(${String(thing)})`, `Datastreams(${stream})/Thing`, 'Things?$select=name', `Things(${String(thing)})?$expand=Datastreams($select=name)&$select=id`].sort());
  expect(heard.find(({ topic }) => topic === 'v1.1/Things?$select=name')?.body).toEqual({ name: 'Renamed' });
  expect(heard.find(({ topic }) => topic.includes('$expand'))?.body).toEqual(await send('GET', `Things(${String(thing)})?$expand=Datastreams($select=name)&$select=id`));

  heard.length = 0;
  await send('PATCH', `Things(${String(otherThing)})`, { name: 'Another' }); // of another: only the sets hear of it
  await send('POST', `Things(${String(otherThing)})/Locations`, { name: 'Quay', description: 'A quay', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [11.6, 48.2] } });
  await send('POST', 'Sensors', { name: 'Radar', description: 'Radar gauge', encodingType: 'text/html', metadata: 'x' });
  await send('POST', 'ObservedProperties', { name: 'Flow', definition: 'http://example.org/flow', description: 'Flow' });
  await expect.poll(() => [...new Set(topicsOf())]).toEqual(expect.arrayContaining(['HistoricalLocations', 'Locations', 'ObservedProperties', 'Sensors', 'Things', 'Things?$select=name']));
  expect(topicsOf().filter((topic) => topic.includes(`Things(${String(thing)})`))).toEqual([]);

  // nobody wants it any more: nothing comes
  heard.length = 0;
  await client.unsubscribeAsync(['v1.1/Sensors', 'v1.1/ObservedProperties']);
  await send('POST', 'Sensors', { name: 'Sonar', description: 'Sonar gauge', encodingType: 'text/html', metadata: 'x' });
  await send('PATCH', `Datastreams(${stream})`, { name: `Last ${String(protocolVersion)}` });
  await expect.poll(topicsOf).toContain(`Datastreams(${stream})/name`);
  expect(topicsOf()).not.toContain('Sensors');
  await client.endAsync();
});

test.each(VERSIONS)('MQTT %s: observations come by Datastream, Thing and FeatureOfInterest, whole, selected or expanded; the newest comes at once', async (_name, protocolVersion) => {
  const stream = streams[3] as number;
  const { '@iot.id': thing } = await send('GET', `Datastreams(${stream})/Thing`);
  const post = (result: number, at: string): Promise<Json> => send('POST', `Datastreams(${stream})/Observations`, { result, phenomenonTime: at });
  const created = await post(1, `2026-11-2${protocolVersion === 4 ? '0' : '1'}T05:00:00Z`);
  const feature = (await send('GET', `Observations(${String(created['@iot.id'])})/FeatureOfInterest`))['@iot.id'];
  const [whole, selected, expanded, ofThing, ofFeature, all] = [`v1.1/Datastreams(${stream})/Observations`, `v1.1/Datastreams(${stream})/Observations?$select=result`, `v1.1/Datastreams(${stream})/Observations?$expand=Datastream($select=name)&$select=result`, `v1.1/Things(${String(thing)})/Datastreams(${stream})/Observations`, `v1.1/FeaturesOfInterest(${String(feature)})/Observations`, 'v1.1/Observations?$select=id'] as const;
  const { client, heard } = await listen([whole, selected, expanded, ofThing, ofFeature, all], { protocolVersion });
  await expect.poll(() => heard.map(({ topic, retain }) => `${topic} ${String(retain)}`).sort()).toEqual([whole, selected, expanded, ofThing].map((topic) => `${topic} true`).sort());
  expect(heard.find(({ topic }) => topic === whole)?.body).toMatchObject({ result: 1, '@iot.id': created['@iot.id'] });
  heard.length = 0;
  const next = await post(2, `2026-11-2${protocolVersion === 4 ? '0' : '1'}T06:00:00Z`);
  await post(3, `2026-11-2${protocolVersion === 4 ? '0' : '1'}T07:00:00Z`);
  await expect.poll(() => heard.length).toBe(12);
  const bodies = (topic: string): Json[] => heard.filter((one) => one.topic === topic && !one.retain).map(({ body }) => body);
  expect(bodies(whole)[0]).toEqual(await send('GET', `Observations(${String(next['@iot.id'])})`));
  expect(bodies(selected)).toEqual([{ result: 2 }, { result: 3 }]);
  expect(bodies(expanded)[0]).toEqual(await send('GET', `Observations(${String(next['@iot.id'])})?$expand=Datastream($select=name)&$select=result`));
  expect(bodies(ofThing).map(({ result }) => result)).toEqual([2, 3]);
  expect(bodies(ofFeature).map(({ result }) => result)).toEqual([2, 3]);
  expect(bodies(all)[0]).toEqual({ '@iot.id': next['@iot.id'] });
  await client.endAsync();
});

test('what observations change of their Datastream is told to who listens to that property', async () => {
  const stream = streams[4] as number;
  await send('POST', `Datastreams(${stream})/Observations`, { result: 1, phenomenonTime: '2026-11-20T05:00:00Z' });
  const { heard } = await listen([`v1.1/Datastreams(${stream})/phenomenonTime`]);
  await send('POST', `Datastreams(${stream})/Observations`, { result: 1, phenomenonTime: '2026-11-20T09:00:00Z' });
  await expect.poll(() => heard.map(({ body }) => body), { timeout: 5_000 }).toEqual([{ phenomenonTime: '2026-11-20T05:00:00.000Z/2026-11-20T09:00:00.000Z' }]);
});

test.each(VERSIONS)('MQTT %s: a MultiDatastream takes and tells its observations', async (_name, protocolVersion) => {
  const { '@iot.id': thing } = await send('GET', `Datastreams(${streams[0] as number})/Thing`);
  const unit = { name: 'degree Celsius', symbol: '°C', definition: 'ucum:Cel' };
  const measurement = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement';
  const multi = await send('POST', 'MultiDatastreams', {
    name: 'Weather',
    description: 'Air and water',
    observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation',
    multiObservationDataTypes: [measurement, measurement],
    unitOfMeasurements: [unit, unit],
    properties: { purpose: 'city-operations' },
    Thing: { '@iot.id': thing },
    Sensor: { name: 'Probe', description: 'Two probes', encodingType: 'text/html', metadata: 'x' },
    ObservedProperties: [{ name: 'Air', definition: 'http://example.org/air', description: 'Air' }, { name: 'Water', definition: 'http://example.org/water', description: 'Water' }],
  });
  const topic = `v1.1/MultiDatastreams(${String(multi['@iot.id'])})/Observations`;
  const { client, heard } = await listen([topic], { protocolVersion });
  await client.publishAsync(topic, '{"result":[12.5,9]}', { qos: 1 });
  await client.publishAsync('v1.1/Observations', JSON.stringify({ result: [13, 9], MultiDatastream: { '@iot.id': multi['@iot.id'] } }), { qos: 1 });
  await expect.poll(() => heard.map(({ body }) => body['result'])).toEqual([[12.5, 9], [13, 9]]);
  await client.endAsync();
});

test('subscriptions that could never be answered are refused', async () => {
  const client = await connect();
  for (const topic of ['v1.1/Things?$filter=id eq 1', 'v1.1/Things?$select', 'v1.1/Things(x)', 'v1.1/Things(1)/Nothing', 'v1.1/Things(1)/name?$select=id', 'v1.1/Things(1)/name/more', 'v1.1/Datastreams/Observations', 'v1.1/Sensors(1)/Datastreams(1)/Observations', 'v1.1/+', 'v9/Things']) await expect(client.subscribeAsync(topic), topic).rejects.toThrow();
});

test('MQTT 5 says why: CONNACK, SUBACK and PUBACK carry reasons, and a refused reading leaves the connection open', async () => {
  await expect(connect({ protocolVersion: 5, password: 'wrong' })).rejects.toMatchObject({ code: 0x86 });
  const client = connectMqtt(`mqtt://127.0.0.1:${mqttPort}`, { username: 'x', password: 'admin', protocolVersion: 5, clientId: '', reconnectPeriod: 0 });
  clients.push(client);
  const [connack] = (await once(client as unknown as EventEmitter, 'connect')) as [IConnackPacket];
  expect(connack.properties).toMatchObject({ assignedClientIdentifier: expect.stringMatching(/^client-\d+$/) as string, receiveMaximum: 100, maximumPacketSize: 1_048_576, wildcardSubscriptionAvailable: false });
  const granted = await client.subscribeAsync('v1.1/#').catch((error: unknown) => error);
  expect(granted).toBeInstanceOf(Error);
  const stream = streams[5] as number;
  const refused = await client.publishAsync(`v1.1/Datastreams(${stream})/Observations`, '{"result":"x"}', { qos: 1 }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 0x99 });
  await client.publishAsync(`v1.1/Datastreams(${stream})/Observations`, '{"result":1}', { qos: 1 });
  await client.subscribeAsync('v1.1/Things');
  await client.unsubscribeAsync(['v1.1/Things', 'v1.1/Sensors']);
  const end = once(client as unknown as EventEmitter, 'disconnect');
  client.publish('v1.1/Nothing', '{}', { qos: 1 }, () => undefined);
  expect((await end) as { reasonCode: number }[]).toMatchObject([{ reasonCode: 0x90 }]);
});

test.each(VERSIONS)('MQTT %s over WebSocket publishes and hears', async (_name, protocolVersion) => {
  const stream = streams[5] as number;
  const client = await connect({ protocolVersion }, `${url.replace('http', 'ws')}/mqtt`);
  await client.subscribeAsync('v1.1/Observations');
  const heard = once(client as unknown as EventEmitter, 'message');
  await client.publishAsync(`v1.1/Datastreams(${stream})/Observations`, '{"result":7}', { qos: 1 });
  expect(JSON.parse(String((await heard)[1]))).toMatchObject({ result: 7 });
});

test('a subscriber that does not read is cut off and holds nobody up; what came is accounted for to the unit', async () => {
  const stream = streams[5] as number;
  const [received, taken, refused, cut] = await Promise.all([value('clerestory_mqtt_received_total'), value('clerestory_mqtt_outcomes_total', { outcome: 'taken' }), value('clerestory_mqtt_outcomes_total', { outcome: 'refused' }), value('clerestory_mqtt_outcomes_total', { outcome: 'cut' })]);
  expect(taken + refused + cut).toBe(received);
  // a socket of our own that subscribes and then reads nothing
  const socket = createConnection({ host: '127.0.0.1', port: mqttPort });
  socket.on('error', () => undefined);
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
  const packet = (head: number, body: Buffer): Buffer => Buffer.concat([Buffer.from([head, body.length]), body]);
  socket.write(packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, 0b11000010, 0, 60]), text('slow'), text('x'), text('admin')])));
  await once(socket, 'data');
  socket.write(packet(0x82, Buffer.concat([Buffer.from([0, 1]), text('v1.1/Observations'), Buffer.from([0])])));
  await once(socket, 'data');
  socket.pause();
  const { heard } = await listen(['v1.1/Observations?$select=result']);
  const publisher = await connect();
  const before = await value('clerestory_mqtt_closed_total', { reason: 'slow-reader' });
  const startMs = Date.parse('2026-11-19T00:00:00Z');
  let sent = 0;
  // each observation is some 4 kB, so that the buffers of the kernel fill
  const filler = 'x'.repeat(3_900);
  while ((await value('clerestory_mqtt_closed_total', { reason: 'slow-reader' })) === before) {
    if (sent > 20_000) return expect.unreachable('the slow reader was not cut off');
    await Promise.all(Array.from({ length: 200 }, () => publisher.publishAsync(`v1.1/Datastreams(${stream})/Observations`, JSON.stringify({ result: 1, phenomenonTime: new Date(startMs + (sent += 1)).toISOString(), resultQuality: filler }), { qos: 1 })));
  }
  await expect.poll(() => heard.length).toBe(sent);
  expect(await value('clerestory_mqtt_dropped_total')).toBeGreaterThan(0);
  expect(await value('clerestory_mqtt_outcomes_total', { outcome: 'taken' })).toBe(taken + sent);
  socket.destroy();
});
