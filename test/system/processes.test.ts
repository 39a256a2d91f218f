import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT, startTestCity, type TestCity } from '../city.ts';

interface Ingest {
  readonly child: ChildProcess;
  readonly url: string;
  readonly mqttPort: number;
}

let city: TestCity;
let token = '';
const ingests: Ingest[] = [];

/** One more process of the city, as a person starts it. */
async function startIngest(data: string): Promise<Ingest> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'main.ts')], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, CLERESTORY_ROLE: 'ingest', CLERESTORY_DATA: data, CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0' } });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const found: { url?: string; mqtt?: string } = {};
  for await (const line of createInterface({ input: child.stdout })) {
    output += `${line}\n`;
    const http = /^\s+HTTP\s+(\S+)\/v1\.1/.exec(line)?.[1];
    const mqtt = /^\s+MQTT\s+\S+:(\d+)/.exec(line)?.[1];
    if (http !== undefined) found.url = http;
    if (mqtt !== undefined) found.mqtt = mqtt;
    if (line.includes('Ctrl-C stops it')) break;
  }
  if (found.url === undefined || found.mqtt === undefined) throw new Error(`the process did not start:\n${output}`);
  const ingest = { child, url: found.url, mqttPort: Number(found.mqtt) };
  ingests.push(ingest);
  return ingest;
}

beforeAll(async () => {
  city = await startTestCity();
  token = city.token('administrator');
});
afterAll(async () => {
  for (const { child } of ingests) child.kill('SIGKILL');
  await city.stop();
  city.remove();
});

const post = async (url: string, path: string, body: unknown): Promise<{ status: number; json: any }> => {
  const response = await fetch(`${url}/v1.1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
  return { status: response.status, json: await response.json() };
};
const get = async (url: string, path: string): Promise<any> => (await fetch(`${url}/v1.1/${path}`)).json();

const STREAM = { name: 'Level', description: 'Level', observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement', unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' }, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: 'none' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' } };
const idOf = (json: any): number => json['@iot.id'] as number;

test('several processes share the work: each knows the others’ entities and readings, and nothing is stored twice', async () => {
  const [a, b] = [await startIngest(city.data), await startIngest(city.data)];
  const made = await post(city.url, 'Things', { name: 'Gauge', description: 'A gauge', Locations: [{ name: 'Here', description: 'Here', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }], Datastreams: [STREAM] });
  expect(made.status).toBe(201);
  const thing = idOf(made.json);
  const stream = idOf((await get(city.url, `Things(${thing})/Datastreams`)).value[0]);

  const heard: any[] = [];
  const subscriber = await connectAsync(`mqtt://127.0.0.1:${city.mqttPort}`, { username: 'x', password: token, protocolVersion: 4 });
  subscriber.on('message', (_topic, payload) => heard.push(JSON.parse(payload.toString())));
  await subscriber.subscribeAsync(`v1.1/Datastreams(${stream})/Observations`);

  // made by one process, used at the others
  const urls = [city.url, a.url, b.url];
  const base = Date.now() - 60_000;
  for (const [n, url] of urls.entries()) {
    await expect.poll(async () => (await post(url, `Datastreams(${stream})/Observations`, { phenomenonTime: new Date(base + n * 1_000).toISOString(), result: n + 0.5 })).status, { timeout: 5_000 }).toBe(201);
  }
  await expect.poll(() => heard.length, { timeout: 5_000 }).toBe(3);
  expect(heard.map((entity) => entity.result).sort()).toEqual([0.5, 1.5, 2.5]);
  // the map of the city shows what another process stored last
  await expect.poll(async () => (await get(city.url, `Datastreams(${stream})/Observations?$count=true`))['@iot.count']).toBe(3);

  // the same readings to all three at once, over and over
  const readings = Array.from({ length: 300 }, (_, n) => ({ phenomenonTime: new Date(base + 10_000 + n * 10).toISOString(), result: n }));
  const links = await Promise.all(readings.flatMap((reading) => urls.map(async (url) => ({ time: reading.phenomenonTime, ...(await post(url, `Datastreams(${stream})/Observations`, reading)) }))));
  expect(links.every(({ status }) => status === 201)).toBe(true);
  const ids = Map.groupBy(links, ({ time }) => time);
  expect([...ids.values()].every((answers) => new Set(answers.map(({ json }) => idOf(json))).size === 1)).toBe(true);
  expect((await get(city.url, `Datastreams(${stream})/Observations?$count=true&$top=0`))['@iot.count']).toBe(303);

  // a change at one process counts at the others
  const second = idOf((await post(a.url, `Things(${thing})/Datastreams`, { ...STREAM, name: 'Second' })).json);
  await expect.poll(async () => (await post(b.url, `Datastreams(${second})/Observations`, { phenomenonTime: new Date(base).toISOString(), result: 1 })).status, { timeout: 5_000 }).toBe(201);
  await fetch(`${city.url}/v1.1/Datastreams(${second})`, { method: 'DELETE', headers: { authorization: `Bearer ${token}` } });
  await expect.poll(async () => (await post(b.url, `Datastreams(${second})/Observations`, { phenomenonTime: new Date(base).toISOString(), result: 1 })).status, { timeout: 5_000 }).toBe(404);
  await subscriber.endAsync(true);
});

test('a process that is killed loses nothing that it acknowledged, and sending again elsewhere doubles nothing', async () => {
  const made = await post(city.url, 'Things', { name: 'Second gauge', description: 'A gauge', Datastreams: [STREAM] });
  const stream = idOf((await get(city.url, `Things(${idOf(made.json)})/Datastreams`)).value[0]);
  const victim = await startIngest(city.data);
  const survivor = ingests[0] as Ingest;
  const base = Date.now() - 3_600_000;
  const acknowledged = new Set<string>();
  const open: string[] = [];
  let n = 0;
  let isOver = false;
  const body = (time: string): unknown => ({ phenomenonTime: time, result: Date.parse(time) % 1_000 });
  const lanes = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const time = new Date(base + (n += 1) * 7).toISOString();
      try {
        const { status } = await post(victim.url, `Datastreams(${stream})/Observations`, body(time));
        (status === 201 ? acknowledged : { add: (late: string) => open.push(late) }).add(time);
      } catch {
        open.push(time); // the process is gone: not acknowledged
        return;
      }
    }
  });
  await sleep(1_500);
  const exited = once(victim.child, 'exit');
  victim.child.kill('SIGKILL');
  await exited;
  isOver = true;
  await Promise.all(lanes);
  expect(acknowledged.size).toBeGreaterThan(100);
  for (const time of [...open, ...[...acknowledged].slice(-50)]) expect((await post(survivor.url, `Datastreams(${stream})/Observations`, body(time))).status).toBe(201);
  const { '@iot.count': stored } = await get(city.url, `Datastreams(${stream})/Observations?$count=true&$top=0`);
  expect(stored).toBe(acknowledged.size + open.length);
  // the others go on without it
  expect((await post(city.url, `Datastreams(${stream})/Observations`, { result: 1 })).status).toBe(201);
});

test('without a city there is nothing to take readings for', async () => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'src', 'main.ts')], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, CLERESTORY_ROLE: 'ingest', CLERESTORY_DATA: join(city.data, 'nothing-here'), CLERESTORY_PORT: '0', CLERESTORY_MQTT_PORT: '0' } });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(1);
  expect(errors).toMatch(/No city runs on .*start it first/);
});
