import { connectAsync, type MqttClient } from 'mqtt';
import { beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import { freshDatabase } from '../database.ts';
import { serveSensing } from '../sensing-server.ts';

// One test a requirement of OGC 23-019 §11 that the service document lists while MQTT is open.
const ADMINISTRATOR: Principal = { kind: 'token', id: 'admin', name: 'admin', positions: ['administrator'], pseudonym: 'admin' };
const SPECIFICATION = 'http://www.opengis.net/spec/sensorthings/2.0/';
type Json = Record<string, unknown>;

let url = '';
let mqttPort = 0;
let stream = 0;
const clients: MqttClient[] = [];
const tested = new Set<string>();
const requirement = (name: string, check: (protocolVersion: 4 | 5) => Promise<void>): void => {
  tested.add(name);
  for (const [version, number] of [['3.1.1', 4], ['5', 5]] as const) test(`${name} over MQTT ${version}`, () => check(number));
};

async function send(method: string, path: string, body?: unknown): Promise<{ status: number; body: Json; id: number }> {
  const response = await fetch(`${url}/v2.0/${path}`, { method, headers: { authorization: 'Bearer any', 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Json), id: Number(/\((\d+)\)$/.exec(response.headers.get('location') ?? '')?.[1]) };
}
async function connect(protocolVersion: 4 | 5): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${String(mqttPort)}`, { username: 'x', password: 'admin', protocolVersion, reconnectPeriod: 0 });
  clients.push(client);
  client.on('error', () => undefined); // a test looks at the close
  return client;
}
async function listen(protocolVersion: 4 | 5, topics: string[]): Promise<{ client: MqttClient; heard: [string, Json][] }> {
  const client = await connect(protocolVersion);
  const heard: [string, Json][] = [];
  client.on('message', (topic, payload, packet) => void (packet.retain ? undefined : heard.push([topic, JSON.parse(payload.toString()) as Json])));
  await client.subscribeAsync(topics, { qos: 1 });
  return { client, heard };
}

beforeAll(async () => {
  const handle = await freshDatabase();
  const server = await serveSensing(handle, async () => ADMINISTRATOR);
  ({ url, mqttPort } = server);
  const property = (await send('POST', 'ObservedProperties', { name: 'Level', definition: 'http://example.org/level' })).id;
  const made = await send('POST', 'Datastreams', { name: 'Level', resultType: { type: 'Quantity', label: 'Level', definition: `ObservedProperties(${String(property)})`, uom: { code: 'm' } }, Thing: { name: 'Gauge' }, Sensor: { name: 'Radar' }, properties: { purpose: 'city-operations' } });
  stream = made.id;
  return async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    await server.close();
  };
});

requirement('req/binding/mqtt/simple_create', async (protocolVersion) => {
  const client = await connect(protocolVersion);
  const results = async (): Promise<unknown[]> => ((await send('GET', `Datastreams(${String(stream)})/Observations?$filter=result%20gt%20${String(protocolVersion * 100)}&$orderby=result`)).body['value'] as Json[]).map((one) => [one['result'], one['phenomenonTime']]);
  const time = { start: '2026-11-12T13:00:00.000Z' };
  await client.publishAsync(`v2.0/Datastreams(${String(stream)})/Observations/create`, JSON.stringify({ result: protocolVersion * 100 + 1, phenomenonTime: time }), { qos: 1 });
  await client.publishAsync('v2.0/Observations/create', JSON.stringify({ result: protocolVersion * 100 + 2, phenomenonTime: time, Datastream: { '@id': `Datastreams(${String(stream)})` } }), { qos: 1 });
  expect(await results()).toEqual([[protocolVersion * 100 + 1, time], [protocolVersion * 100 + 2, time]]);
  // entities of every set
  const name = `Made by ${String(protocolVersion)}`;
  await client.publishAsync('v2.0/FeatureTypes/create', JSON.stringify({ name }), { qos: 1 });
  await client.publishAsync(`v2.0/Datastreams(${String(stream)})/Thing/Locations/create`, JSON.stringify({ name, encodingType: 'text/plain', location: 'here' }), { qos: 1 });
  for (const set of ['FeatureTypes', 'Locations']) expect([set, ((await send('GET', `${set}?$filter=name%20eq%20'${name}'`)).body['value'] as Json[]).length]).toEqual([set, 1]);
  // what is wrong is told, and nothing is made
  const { client: other, heard } = await listen(protocolVersion, ['$refused']);
  await other.publishAsync('v2.0/FeatureTypes/create', JSON.stringify({ title: 'x' }), { qos: 1 }).catch(() => undefined); // MQTT 5 says no, 3.1.1 can not
  await expect.poll(() => heard.map(([, body]) => (body['error'] as Json)['field'])).toEqual(['title']);
});

requirement('req/binding/mqtt/pub_sub/select', async (protocolVersion) => {
  const topic = `v2.0/Datastreams(${String(stream)})/Observations`;
  const { client, heard } = await listen(protocolVersion, [topic, `${topic}?$select=phenomenonTime,result`, 'v2.0/Things?$select=name', `v2.0/Datastreams(${String(stream)})/name`]);
  const time = { start: `2026-11-12T1${String(protocolVersion)}:30:00.000Z` };
  const { id } = await send('POST', `Datastreams(${String(stream)})/Observations`, { result: 1, phenomenonTime: time });
  await expect.poll(() => heard.length).toBe(2);
  expect(new Map(heard)).toEqual(new Map<string, Json>([[topic, { id, phenomenonTime: time, result: 1 }], [`${topic}?$select=phenomenonTime,result`, { phenomenonTime: time, result: 1 }]]));
  await send('POST', 'Things', { name: 'New', description: 'not asked for' });
  await send('PATCH', `Datastreams(${String(stream)})`, { name: `Level ${String(protocolVersion)}` });
  await expect.poll(() => heard.slice(2)).toEqual([['v2.0/Things?$select=name', { name: 'New' }], [`v2.0/Datastreams(${String(stream)})/name`, { value: `Level ${String(protocolVersion)}` }]]);
  // no wildcards, since addresses are recursive
  for (const wrong of ['v2.0/#', 'v2.0/+/Observations', 'v2.0/MultiDatastreams']) expect([wrong, await client.subscribeAsync(wrong).then((grants) => grants.every(({ qos }) => qos >= 128), () => true)]).toEqual([wrong, true]);
});

requirement('req/binding/mqtt/pub_sub/expand', async (protocolVersion) => {
  const topic = `v2.0/Datastreams(${String(stream)})/Observations?$expand=Datastream($select=id),ProximateFeatureOfInterest&$select=result`;
  const { heard } = await listen(protocolVersion, [topic, 'v2.0/Features?$expand=FeatureTypes($select=name)']);
  const feature = await send('POST', 'Features', { name: 'Sample', encodingType: 'text/plain', feature: 'here', FeatureTypes: [{ name: 'Water' }] });
  await send('POST', `Datastreams(${String(stream)})/Observations`, { result: protocolVersion, phenomenonTime: { start: '2026-11-12T13:45:00Z' }, ProximateFeatureOfInterest: { id: feature.id } });
  await expect.poll(() => heard.length).toBe(2);
  expect(heard[0]?.[1]).toMatchObject({ id: feature.id, name: 'Sample', FeatureTypes: [{ name: 'Water' }] });
  expect(heard[1]?.[1]).toMatchObject({ result: protocolVersion, Datastream: { id: stream }, ProximateFeatureOfInterest: { id: feature.id, name: 'Sample' } });
});

test('req/binding/mqtt/advertisement: the service document names the endpoints, and lists what is tested here only', async () => {
  const settings = (await send('GET', '')).body['serverSettings'] as Json & { conformance: string[] };
  expect((settings[`${SPECIFICATION}req/binding/mqtt`] as { endpoints: string[] }).endpoints).toEqual([`mqtt://127.0.0.1:${String(mqttPort)}`, `${url.replace('http', 'ws')}/mqtt`]);
  const listed = settings.conformance.filter((uri) => uri.includes('/mqtt')).map((uri) => uri.replace(SPECIFICATION, ''));
  expect(listed.sort()).toEqual([...tested].sort());
});
