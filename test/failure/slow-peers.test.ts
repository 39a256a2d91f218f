import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestCity, type TestCity } from '../city.ts';

// Who sends or reads slowly, or not at all, costs nobody else anything.
const SLOW = 100;
const ROWS = 2_000;
const BATCHES = 60;
let city: TestCity;
let token = '';
let stream = 0;
const sockets: Socket[] = [];

beforeAll(async () => {
  city = await startTestCity();
  token = city.token('administrator');
  const made = await city.call('POST', '/v1.1/Things', { token, body: { name: 'Gauge', description: 'A gauge', Locations: [{ name: 'Here', description: 'Here', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }], Datastreams: [{ name: 'Level', description: 'Level', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' } }] } });
  expect(made.status).toBe(201);
  stream = (await city.call('GET', '/v1.1/Datastreams?$select=id')).json.value[0]['@iot.id'] as number;
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await city.stop();
  city.remove();
});

async function open(port: number): Promise<Socket> {
  const socket = connectTcp(port, '127.0.0.1');
  socket.on('error', () => undefined); // the server may cut it off
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

let n = 0;
const batch = (): unknown => [{ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: Array.from({ length: ROWS }, () => [new Date(Date.parse('2026-11-01T00:00:00Z') + (n += 1) * 100).toISOString(), n]) }];
const post = async (): Promise<number> => (await city.call('POST', '/v1.1/CreateObservations', { token, body: batch() })).status;
const metric = async (pattern: RegExp): Promise<number> => Number(pattern.exec(await (await fetch(`${city.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text())?.[1] ?? 0);

test('bodies that come a byte at a time hold nobody up', async () => {
  const port = Number(new URL(city.url).port);
  const slow = await Promise.all(Array.from({ length: SLOW }, () => open(port)));
  const paths = ['/v1.1/Observations', '/v1.1/CreateObservations', '/v1.1/$batch', '/api/import/csv', '/api/feeds/none', '/api/devices/csv'];
  slow.forEach((socket, at) => socket.write(`POST ${paths[at % paths.length] ?? ''} HTTP/1.1\r\nHost: city.test\r\nAuthorization: Bearer ${token}\r\nContent-Type: ${at % paths.length === 3 ? 'multipart/form-data; boundary=b' : 'application/json'}\r\nContent-Length: 100000\r\n\r\n`));
  for (let round = 0; round < 20; round += 1) {
    for (const socket of slow) if (socket.writable) socket.write('[');
    expect(await post()).toBe(201);
  }
  expect((await city.call('GET', '/v1.1/Observations?$count=true&$top=1')).json['@iot.count']).toBe(20 * ROWS);
  for (const socket of slow) socket.destroy();
});

test('exports and pages that are asked for and never read hold nobody up', async () => {
  const port = Number(new URL(city.url).port);
  const mute = await Promise.all(Array.from({ length: SLOW }, () => open(port)));
  mute.forEach((socket, at) => socket.pause().write(`GET ${at < 10 ? '/api/export/observations.csv' : '/v1.1/Observations?$top=1000'} HTTP/1.1\r\nHost: city.test\r\nAuthorization: Bearer ${token}\r\n\r\n`));
  for (let round = 0; round < 5; round += 1) {
    expect(await post()).toBe(201);
    expect((await city.call('GET', '/v1.1/Datastreams')).status).toBe(200);
  }
  // only so many exports at a time: the next one is told to come again, and comes through once the others have gone
  for (const socket of mute) socket.destroy();
  await expect.poll(async () => (await fetch(`${city.url}/api/export/observations.csv?from=2030-01-01T00:00:00Z`)).status, { timeout: 30_000, interval: 250 }).toBe(200);
});

test('a subscriber that does not read is cut off; the others get everything', async () => {
  const options = { username: 'x', password: token, reconnectPeriod: 0 };
  const topic = `v1.1/Datastreams(${String(stream)})/Observations`;
  const reader = await connectAsync(`mqtt://127.0.0.1:${String(city.mqttPort)}`, options);
  const heard = new Set<number>();
  reader.on('message', (_, payload) => void heard.add((JSON.parse(payload.toString('utf8')) as { result: number }).result));
  await reader.subscribeAsync(topic, { qos: 0 });
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);
  const packet = (head: number, ...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([head, ...(body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7])]), body]);
  };
  const mute = await open(city.mqttPort);
  mute.write(Buffer.concat([packet(0x10, text('MQTT'), Buffer.from([4, 0xc2, 0, 60]), text('mute'), text('x'), text(token)), packet(0x82, Buffer.from([0, 1]), text(topic), Buffer.from([0]))]));
  await once(mute, 'data');
  mute.pause();
  await sleep(200); // the SUBACK
  heard.clear();
  const first = n + 1;
  let stored = 0;
  for (let left = BATCHES; left > 0; left -= 1) if ((await post()) === 201) stored += 1;
  expect(stored).toBe(BATCHES);
  await expect.poll(() => [...heard].filter((result) => result >= first).length, { timeout: 30_000, interval: 250 }).toBe(BATCHES * ROWS);
  await expect.poll(() => metric(/clerestory_mqtt_closed_total\{reason="slow-reader"\} (\d+)/), { timeout: 30_000, interval: 250 }).toBe(1);
  await reader.endAsync(true);
});
