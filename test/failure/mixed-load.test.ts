import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../../src/kernel/index.ts';
import { createMetrics, openDatabase, silentLogger, type DatabaseHandle } from '../../src/platform/index.ts';
import { openHistory } from '../../src/sensing/history/index.ts';
import { makeDataFolder, startTestCity, type TestCity } from '../city.ts';
import { checkHistory } from './invariants.ts';

// Everything that writes readings and entities at once, and kill -9 in the middle of it. 20 rounds by KILL_ROUNDS=20; the suite runs a share.
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 3);
const VICTIMS = ['server', 'database', 'both'] as const;
const LOAD_MS = 3_000;
const STREAMS = 8;
const DAY_MS = 86_400_000;
const FEEDS = `
egress: []
feeds:
  - name: levels
    adapter: csv
    purpose: city-operations
    options: { mapping: { delimiter: ';', time: { columns: [t], format: 'YYYY-MM-DD HH:mm' }, station: { column: s }, values: [{ column: v, key: level, name: Water level }] } }
`;
const MAPPING = { name: 'archive', purpose: 'city-operations', time: { columns: ['t'], format: 'YYYY-MM-DD HH:mm' }, station: { column: 's' }, values: [{ column: 'v', key: 'level', name: 'Level' }] };

const data = makeDataFolder({ files: { 'feeds.yaml': FEEDS } });
let city: TestCity | undefined;
afterAll(async () => {
  await city?.stop();
  city?.remove();
});

const OM = 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement';
const METRE = { name: 'metre', symbol: 'm', definition: 'ucum:m' };
const thingOf = (name: string, more: object = {}): object => ({
  name,
  description: 'Gauge',
  Locations: [{ name, description: 'Here', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.6, 51.9] } }],
  Datastreams: [{ name, description: 'Level', observationType: OM, unitOfMeasurement: METRE, properties: { purpose: 'city-operations' }, Sensor: { name: 'S', description: 'S', encodingType: 'text/plain', metadata: '' }, ObservedProperty: { name: 'Level', definition: 'http://example.org/level', description: 'Level' }, ...more }],
});

/** What was answered with success, and so must be there. */
interface Acknowledged {
  readonly readings: Set<string>;
  readonly devices: Set<string>;
  readonly sets: Set<string>;
  readonly feedRows: Set<number>;
  readonly deletedBelow: { value: number };
  imports: number;
}

interface Load {
  readonly city: TestCity;
  readonly streams: readonly number[];
  readonly doomed: number;
  readonly acknowledged: Acknowledged;
  readonly stopped: () => boolean;
}

let serial = 0;
const next = (): number => (serial += 1);
const minuteOf = (n: number): string => new Date(Date.parse('2026-01-01T00:00:00Z') + n * 60_000).toISOString().slice(0, 16).replace('T', ' ');

/** Acts until told to stop. A fetch that fails and a 503 are what a crash looks like; any other fault of the server is one. */
async function again({ stopped }: Load, pause_ms: number, act: () => Promise<{ status: number; text: string } | null>): Promise<void> {
  while (!stopped()) {
    try {
      const answer = await act();
      if (answer !== null) expect(answer.status === 503 || answer.status < 500, `${answer.status}: ${answer.text.slice(0, 500)}`).toBe(true);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch failed
    }
    await sleep(pause_ms);
  }
}

function loadsOf(load: Load): Promise<unknown>[] {
  const { city: at, streams, doomed, acknowledged, stopped } = load;
  const token = at.token('administrator');
  const timeOf = (n: number): string => new Date(Date.now() - (n % 3 === 0 ? 30 * DAY_MS : 3_600_000) + (n % 1_000) * 1_000).toISOString();
  const post = () =>
    again(load, 1, async () => {
      const rows = Array.from({ length: 100 }, () => next()).map((n) => ({ stream: streams[n % streams.length] as number, n }));
      const answer = await at.call('POST', '/v1.1/CreateObservations', { token, body: rows.map(({ stream, n }) => ({ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: [[timeOf(n), n]] })) });
      if (answer.status === 201) (answer.json as string[]).forEach((link, n) => link.startsWith('http') && acknowledged.readings.add(`${String(rows[n]?.stream)} ${String(rows[n]?.n)}`));
      return answer;
    });
  const publish = async (): Promise<void> => {
    while (!stopped()) {
      try {
        const client = await connectAsync(`mqtt://127.0.0.1:${String(at.mqttPort)}`, { username: 'x', password: token, reconnectPeriod: 0, connectTimeout: 1_000 });
        client.on('error', () => undefined); // shows as a publish that fails
        const gone = new Promise<never>((_, reject) => client.once('close', () => reject(new Error('closed'))));
        gone.catch(() => undefined);
        while (!stopped()) {
          const n = next();
          const stream = streams[n % streams.length] as number;
          await Promise.race([client.publishAsync(`v1.1/Datastreams(${String(stream)})/Observations`, JSON.stringify({ result: n, phenomenonTime: timeOf(n) }), { qos: 1 }), gone]);
          acknowledged.readings.add(`${String(stream)} ${String(n)}`);
        }
        await client.endAsync(true);
      } catch {
        await sleep(50); // connects again until the round ends
      }
    }
  };
  const push = () =>
    again(load, 20, async () => {
      const rows = Array.from({ length: 50 }, () => next());
      const response = await fetch(`${at.url}/api/feeds/levels`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'text/csv' }, body: `t;s;v\n${rows.map((n) => `${minuteOf(n)};s${String(n % 7)}-${String(Math.floor(n / 400))};${String(n)}\n`).join('')}` });
      const text = await response.text();
      if (response.status < 300) for (const n of rows) acknowledged.feedRows.add(n);
      return { status: response.status, text };
    });
  const importFile = () =>
    again(load, 50, async () => {
      const form = new FormData();
      form.append('mapping', JSON.stringify(MAPPING));
      form.append('file', new Blob([`t,s,v\n${Array.from({ length: 20_000 }, (_, n) => `${minuteOf(n)},s${String(n % 5)},${String(n)}\n`).join('')}`]), 'table.csv');
      const response = await fetch(`${at.url}/api/import/csv`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: form });
      const text = await response.text();
      if (response.status === 200) acknowledged.imports += 1;
      return { status: response.status, text };
    });
  const addDevice = () =>
    again(load, 20, async () => {
      const name = `Probe ${String(next())}`;
      const answer = await at.call('POST', '/api/devices', { token, body: { name, point: [7.6, 51.9], measures: ['level', 'temperature'], interval_s: 60, purpose: 'city-operations' } });
      if (answer.status === 201) acknowledged.devices.add(answer.json.device.id as string);
      return answer;
    });
  const changeSet = () =>
    again(load, 20, async () => {
      const name = `Set ${String(next())}`;
      const requests = [
        { id: '1', method: 'post', url: 'Things', atomicityGroup: 'g', body: thingOf(name, { Observations: [{ result: 1, phenomenonTime: '2026-11-01T00:00:00Z' }] }) },
        { id: '2', method: 'post', url: '$1/Locations', atomicityGroup: 'g', body: { name: `${name} moved`, description: 'There', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [7.7, 51.9] } } },
      ];
      const answer = await at.call('POST', '/v1.1/$batch', { token, body: { requests } });
      if (answer.status === 200 && (answer.json.responses as { status: number }[]).every(({ status }) => status === 201)) acknowledged.sets.add(name);
      return answer;
    });
  const remove = () =>
    again(load, 100, async () => {
      const rows = Array.from({ length: 200 }, () => next());
      const last = rows.at(-1) as number;
      const stored = await at.call('POST', '/v1.1/CreateObservations', { token, body: [{ Datastream: { '@iot.id': doomed }, components: ['phenomenonTime', 'result'], dataArray: rows.map((n) => [timeOf(n), n]) }] });
      if (stored.status !== 201) return stored;
      const answer = await at.call('DELETE', `/v1.1/Observations?$filter=${encodeURIComponent(`Datastream/id eq ${String(doomed)} and result lt ${String(last)}`)}`, { token });
      if (answer.status === 200) acknowledged.deletedBelow.value = last;
      return answer;
    });
  return [post(), post(), publish(), push(), importFile(), addDevice(), changeSet(), remove()];
}

/** The city's own database, from its pid file: line 1 is the process, 4 the port, 5 the folder of the socket. */
function databaseOf(): { pid: number; handle: DatabaseHandle } {
  const lines = readFileSync(join(data, 'postgres', 'postmaster.pid'), 'utf8').split('\n');
  return { pid: Number(lines[0]), handle: openDatabase({ host: lines[4], port: Number(lines[3]), user: 'clerestory', database: 'postgres' }, silentLogger, 4) };
}

/** Packs what is old enough, again and again; what a crash breaks off has not happened. */
async function pack(handle: DatabaseHandle, stopped: () => boolean): Promise<number> {
  const history = openHistory({ handle, clock: systemClock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions: { forget: () => undefined }, seal_after_days: 14, log: undefined });
  let days = 0;
  while (!stopped()) {
    days += await history.seal().then((sealed) => sealed.length, () => 0);
    await sleep(200);
  }
  await history.close();
  return days;
}

async function checkEntities({ pool }: DatabaseHandle, acknowledged: Acknowledged, doomed: number): Promise<void> {
  const column = async (text: string, values: unknown[] = []): Promise<unknown[]> => (await pool.query<{ it: unknown }>(text, values)).rows.map(({ it }) => it);
  expect(await column("select id as it from thing where properties ? 'device' and not exists (select 1 from device d where d.thing_id = thing.id)"), 'Things of devices that are not there').toEqual([]);
  const devices = new Set(await column('select d.id as it from device d join thing t on t.id = d.thing_id where (select count(*) from device_stream s where s.device_id = d.id) = 2'));
  expect([...acknowledged.devices].filter((id) => !devices.has(id)), 'devices').toEqual([]);
  const whole = new Set(await column("select t.name as it from thing t join datastream d on d.thing_id = t.id join observation o on o.datastream_id = d.id where t.name like 'Set %' and (select count(*) from historical_location h where h.thing_id = t.id) = 2 group by t.name having count(*) = 1"));
  expect([...acknowledged.sets].filter((name) => !whole.has(name)), 'change sets').toEqual([]);
  expect(await column("select name as it from thing where name like 'Set %' group by name having count(*) > 1"), 'change sets that happened twice').toEqual([]);
  expect(new Set(await column("select name as it from thing where name like 'Set %'")), 'change sets that happened in part').toEqual(whole);
  expect(await column("select properties ->> 'source_key' as it from thing where properties ? 'source_key' group by properties ->> 'feed', properties ->> 'source_key' having count(*) > 1"), 'stations that were made twice').toEqual([]);
  const ofFeed = new Set(await column("select o.result_number::integer as it from observation o join datastream d on d.id = o.datastream_id where d.properties ->> 'feed' = 'levels'"));
  expect([...acknowledged.feedRows].filter((n) => !ofFeed.has(n)).slice(0, 10), 'readings of the feed').toEqual([]);
  if (acknowledged.imports > 0) expect(await column("select count(*)::integer as it from observation o join datastream d on d.id = o.datastream_id where d.properties ->> 'feed' = 'import.archive'")).toEqual([20_000]);
  expect(await column('select count(*)::integer as it from observation where datastream_id = $1 and result_number < $2', [doomed, acknowledged.deletedBelow.value]), 'readings that were deleted').toEqual([0]);
}

test('kill -9 of the server, its database or both in the middle of everything', { timeout: 120_000 + ROUNDS * 120_000 }, async () => {
  let running = (city = await startTestCity({ data }));
  const token = running.token('administrator');
  for (let n = 0; n <= STREAMS; n += 1) expect((await running.call('POST', '/v1.1/Things', { token, body: thingOf(`Gauge ${String(n)}`) })).status).toBe(201);
  const listed = await running.call('GET', '/v1.1/Datastreams?$select=id&$orderby=id');
  const [doomed, ...streams] = listed.json.value.map((stream: Record<string, number>) => stream['@iot.id']) as [number, ...number[]];
  const acknowledged: Acknowledged = { readings: new Set(), devices: new Set(), sets: new Set(), feedRows: new Set(), deletedBelow: { value: 0 }, imports: 0 };
  let packed = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const victim = VICTIMS[round % VICTIMS.length] as (typeof VICTIMS)[number];
    let isOver = false;
    const { pid, handle } = databaseOf();
    const packing = pack(handle, () => isOver);
    const loads = loadsOf({ city: running, streams, doomed, acknowledged, stopped: () => isOver });
    const all = Promise.all(loads);
    all.catch(() => (isOver = true)); // awaited below
    await sleep(LOAD_MS + (round % 5) * 137);
    const before = acknowledged.readings.size;
    if (victim !== 'server') process.kill(pid, 'SIGKILL');
    if (victim === 'database') await expect.poll(() => isOver || acknowledged.readings.size > before + 200, { timeout: 60_000, message: 'readings are taken again' }).toBe(true);
    if (victim === 'database') await sleep(1_000);
    else await running.kill();
    isOver = true;
    await all;
    packed += await packing;
    await handle.close();
    if (victim !== 'database') running = city = await startTestCity({ data });
    const open = databaseOf();
    try {
      await checkHistory(open.handle, acknowledged.readings, false);
      await checkEntities(open.handle, acknowledged, doomed);
    } finally {
      await open.handle.close();
    }
    const { readings, devices, sets, feedRows, deletedBelow, imports } = acknowledged;
    console.log(`round ${String(round + 1)}, ${victim}: ${String(readings.size)} readings, ${String(feedRows.size)} of the feed, ${String(imports)} imports, ${String(devices.size)} devices, ${String(sets.size)} change sets, deleted below ${String(deletedBelow.value)}, ${String(packed)} days packed`);
    expect(running.output()).not.toMatch(/uncaught|unhandled/i);
  }
  for (const count of [acknowledged.readings.size, acknowledged.feedRows.size, acknowledged.devices.size, acknowledged.sets.size, acknowledged.deletedBelow.value]) expect(count).toBeGreaterThan(0);
});
