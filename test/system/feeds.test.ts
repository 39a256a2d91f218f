import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FeedHealth } from '../../src/contracts/feed.ts';
import { startTestCity, type TestCity } from '../city.ts';

// One whole city with feeds of several kinds, and servers of this test in the place of the sources.

const CODEC = 'function decodeUplink(i) { return { data: { temperature: ((i.bytes[0] << 8) | i.bytes[1]) / 10, rssi: -40 } } }';
const device = (eui: string, key: string): string => `{ dev_eui: "${eui}", profile: climate, key: ${key}, name: ${key}, lon: 7.6, lat: 51.9 }`;
const climate = (name: string, server: string, devices: string): string => `
  - name: ${name}
    adapter: lorawan
    purpose: city-operations
    options:
      server: ${server}
      profiles: { climate: { codec: climate, fields: [{ field: temperature, property: temperature, name: Air temperature, unit: °C, min: -40, max: 60 }] } }
      devices: [${devices}]`;

const pages = new Map<string, string>();
const source = createServer((request, response) => {
  const body = pages.get(request.url ?? '');
  if (body === undefined) response.writeHead(404).end();
  else response.setHeader('content-type', 'application/json').end(body);
});
let city: TestCity;
let folder: string;

beforeAll(async () => {
  source.listen(0, '127.0.0.1');
  await once(source, 'listening');
  const origin = `http://127.0.0.1:${(source.address() as AddressInfo).port}`;
  const now = Math.floor(Date.now() / 1_000);
  const frame = (data: unknown): string => JSON.stringify({ last_updated: now, ttl: 0, version: '2.3', data });
  pages.set('/gbfs.json', frame({ en: { feeds: ['station_information', 'station_status'].map((name) => ({ name, url: `${origin}/${name}` })) } }));
  pages.set('/station_information', frame({ stations: [{ station_id: 's1', name: 'Domplatz', lat: 51.96, lon: 7.62, capacity: 10 }] }));
  pages.set('/station_status', frame({ stations: [{ station_id: 's1', num_bikes_available: 5, num_docks_available: 5, is_installed: true, is_renting: true, is_returning: true, last_reported: now }] }));
  folder = mkdtempSync(join(tmpdir(), 'clerestory-feeds-'));
  mkdirSync(join(folder, 'codecs'));
  writeFileSync(join(folder, 'codecs', 'climate.js'), CODEC);
  const feeds = `
egress: [{ host: "${origin}", private: true }]
feeds:
  - { name: bikes, adapter: gbfs, purpose: city-operations, interval_s: 60, options: { url: "${origin}/gbfs.json" } }
${climate('chirp', 'chirpstack', device('AAAAAAAAAAAAAAAA', 'tree'))}
${climate('things', 'the-things-stack', device('BBBBBBBBBBBBBBBB', 'square'))}
  - { name: broken, adapter: lorawan, purpose: city-operations, options: {} }`;
  city = await startTestCity({ from: folder, files: { 'feeds.yaml': feeds } });
});
afterAll(async () => {
  await city?.stop();
  city?.remove();
  source.closeAllConnections();
  source.close();
  rmSync(folder, { recursive: true, force: true });
});

async function healthOf(name: string): Promise<FeedHealth> {
  const { json } = (await city.call('GET', '/api/feeds', { token: city.token('operator') })) as { json: { sources: FeedHealth[] } };
  const found = json.sources.find((feed) => feed.name === name);
  if (found === undefined) throw new Error(`no feed ${name}`);
  return found;
}
const payload = (celsius: number): string => Buffer.from([(celsius * 10) >> 8, (celsius * 10) & 255]).toString('base64');

test('a pulled feed is asked by itself and its stations are on the map', async () => {
  await expect.poll(async () => (await healthOf('bikes')).state, { timeout: 30_000, interval: 500 }).toBe('live');
  const { json } = (await city.call('GET', '/api/places', { token: city.token('operator') })) as { json: { places: { name: string; kind: string; point: number[] }[] } };
  expect(json.places).toContainEqual(expect.objectContaining({ name: 'Domplatz', kind: 'bike-station', point: [7.62, 51.96] }));
  const metrics = await city.call('GET', '/metrics');
  expect(metrics.text).toMatch(/clerestory_feed_age_seconds\{feed="bikes"\} \d/);
  expect(await healthOf('broken')).toMatchObject({ state: 'broken', error: { code: 'feed.config-invalid' } });
});

test('LoRaWAN by webhook: uplinks are stored, other events are answered, strangers are counted', async () => {
  const uplink = (eui: string, celsius: number): unknown => ({ time: '2026-11-24T05:00:00Z', deviceInfo: { devEui: eui }, fPort: 2, data: payload(celsius) });
  const token = city.token('device', 'city-operations');
  const first = await city.call('POST', '/api/feeds/chirp?event=up', { token, body: uplink('aaaaaaaaaaaaaaaa', 21.5) });
  expect([first.status, first.json]).toEqual([200, { taken: 1, duplicate: 0, refused: [], refused_count: 0 }]);
  expect((await city.call('POST', '/api/feeds/chirp?event=up', { token, body: uplink('aaaaaaaaaaaaaaaa', 21.5) })).json).toMatchObject({ taken: 0, duplicate: 1 });
  expect((await city.call('POST', '/api/feeds/chirp?event=join', { token, body: { deviceInfo: {} } })).json).toMatchObject({ taken: 0, refused_count: 0 });
  expect((await city.call('POST', '/api/feeds/chirp?event=up', { token, body: uplink('CCCCCCCCCCCCCCCC', 1) })).json).toMatchObject({ taken: 0, refused: [{ at: 'device', code: 'feed.sender-unknown' }] });
  const found = (await city.call('GET', "/v1.1/Observations?$filter=Datastream/properties/feed eq 'chirp'&$expand=Datastream($expand=Thing)")) as { json: { value: { result: number; Datastream: { Thing: { name: string } } }[] } };
  expect(found.json.value).toMatchObject([{ result: 21.5, Datastream: { Thing: { name: 'tree' } } }]);
  expect(JSON.stringify(found.json)).not.toMatch(/aaaaaaaaaaaaaaaa/i);
  expect(await healthOf('chirp')).toMatchObject({ ignored: 2, refused: [{ code: 'feed.sender-unknown', count: 1 }] });
});

test('LoRaWAN by MQTT: the broker of the city takes the topics of its feeds, and says why it refused', async () => {
  const client = await connectAsync(`mqtt://127.0.0.1:${city.mqttPort}`, { username: 'network-server', password: city.token('device', 'city-operations') });
  const refused: string[] = [];
  client.on('message', (_topic, message) => refused.push(message.toString()));
  await client.subscribeAsync('$refused');
  const message = (eui: string, celsius: number): string => JSON.stringify({ end_device_ids: { device_id: 'x', dev_eui: eui }, received_at: '2026-11-24T05:00:01Z', uplink_message: { f_port: 2, frm_payload: payload(celsius), received_at: '2026-11-24T05:00:01.5Z' } });
  await client.publishAsync('v3/app/devices/square/up', message('BBBBBBBBBBBBBBBB', 19), { qos: 1 });
  const found = (await city.call('GET', "/v1.1/Observations?$filter=Datastream/properties/feed eq 'things'")) as { json: { value: { result: number }[] } };
  expect(found.json.value).toMatchObject([{ result: 19 }]);
  await client.publishAsync('v3/app/devices/stranger/up', message('DDDDDDDDDDDDDDDD', 19), { qos: 1 });
  await expect.poll(() => refused.length).toBe(1);
  expect(refused[0]).toContain('feed.sender-unknown');
  expect(refused[0]).not.toContain('DDDD');
  await client.endAsync();
});
