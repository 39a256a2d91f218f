import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { ROOT, makeDataFolder, runCli, startTestCity, type TestCity } from '../city.ts';

const STREAMS = 12;
const ROUNDS = 4;
const data = makeDataFolder({ from: join(ROOT, 'demo', 'city') });
let city: TestCity;
afterAll(async () => {
  await city.stop();
  city.remove();
});

interface Acknowledged {
  readonly results: Set<number>;
  readonly requests: Set<string>;
  readonly notes: Set<string>;
  readonly looks: Map<string, number>;
}
const acknowledged: Acknowledged = { results: new Set(), requests: new Set(), notes: new Set(), looks: new Map() };
let streams: number[] = [];
let incident = '';

async function furnish(): Promise<void> {
  const token = city.token('administrator');
  const made = await Promise.all(
    Array.from({ length: STREAMS }, (_, n) =>
      city.call('POST', '/v1.1/Things', {
        token,
        body: {
          name: `Gauge ${n}`,
          description: 'River gauge',
          properties: { kind: 'test_gauge' },
          Locations: [{ name: `Gauge ${n}`, description: '', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [-56.1 - n / 100, -34.9] } }],
          Datastreams: [
            {
              name: `Level ${n}`,
              description: '',
              observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement',
              unitOfMeasurement: { name: 'metre', symbol: 'm', definition: '' },
              properties: { purpose: 'water-safety' },
              Sensor: { name: 'Radar', description: '', encodingType: 'text/plain', metadata: '' },
              ObservedProperty: { name: 'Number', definition: 'https://example.org/number', description: '' },
            },
          ],
        },
      }),
    ),
  );
  for (const { status, text } of made) expect(status, text).toBe(201);
  const listed = await city.call('GET', '/v1.1/Datastreams?$select=id&$top=100');
  streams = listed.json.value.map((stream: Record<string, number>) => stream['@iot.id']);
  const opened = await city.call('POST', '/api/incidents', { token: city.token('operator'), body: { title: 'Drill: mast down', severity: 'moderate', point: [-56.16, -34.9] } });
  expect(opened.status, opened.text).toBeLessThan(300);
  incident = opened.json.id;
}

let serial = 0;
/** Sends until told to stop; only what was answered with success counts as acknowledged. Failed sends are what a crash looks like. */
function stream(send: (n: number) => Promise<void>, stopped: () => boolean, pause_ms: number): Promise<void> {
  return (async () => {
    while (!stopped()) {
      serial += 1;
      await send(serial).catch((error: unknown) => {
        if (!(error instanceof TypeError)) throw error; // fetch failed: the server is away
      });
      await new Promise((resolve) => setTimeout(resolve, pause_ms));
    }
  })();
}

function load(stopped: () => boolean): Promise<unknown> {
  const device = city.token('device');
  const operator = city.token('operator');
  const worker = city.token('case_worker');
  const readings = Array.from({ length: 8 }, () =>
    stream(async (n) => {
      const id = streams[n % streams.length];
      const { status } = await city.call('POST', `/v1.1/Datastreams(${id})/Observations`, { token: device, body: { result: n, phenomenonTime: new Date(Date.now() - 60_000).toISOString() } });
      if (status === 201) acknowledged.results.add(n);
    }, stopped, 1),
  );
  const bulk = stream(async (n) => {
    const values = Array.from({ length: 50 }, (_, k) => 1_000_000 + n * 50 + k);
    const { status, json } = await city.call('POST', '/v1.1/CreateObservations', {
      token: device,
      body: [{ Datastream: { '@iot.id': streams[n % streams.length] }, components: ['phenomenonTime', 'result'], dataArray: values.map((value, k) => [new Date(Date.now() - 60_000 + k).toISOString(), value]) }],
    });
    if (status === 201) (json as string[]).forEach((link, k) => link.startsWith('error') || acknowledged.results.add(values[k] as number));
  }, stopped, 5);
  const notes = stream(async (n) => {
    const { status } = await city.call('POST', `/api/incidents/${incident}/acts`, { token: operator, body: { act: 'note', text: `Line ${n}` } });
    if (status === 200) acknowledged.notes.add(`Line ${n}`);
  }, stopped, 5);
  const reports = stream(async (n) => {
    const response = await fetch(`${city.url}/open311/v2/requests.json`, { method: 'POST', body: new URLSearchParams({ service_code: 'pothole', lat: String(-34.8 - (n % 100) / 1000), long: '-56.1', description: `Hole ${n}`, email: `resident${n}@example.org` }) });
    if (response.status >= 300) return;
    const [{ service_request_id: id }] = (await response.json()) as [{ service_request_id: string }];
    acknowledged.requests.add(id);
    const look = await city.call('POST', `/api/requests/${id}/contact`, { token: worker, body: { purpose: 'service-requests', reason: 'Asking for the exact place' } });
    if (look.status === 200) acknowledged.looks.set(id, (acknowledged.looks.get(id) ?? 0) + 1);
  }, stopped, 100);
  return Promise.all([...readings, bulk, notes, reports]);
}

async function checkEverythingIsThere(): Promise<void> {
  const stored: number[] = [];
  for (let link: string | undefined = '/v1.1/Observations?$select=result&$top=1000&$orderby=id'; link !== undefined; ) {
    const page: { json: any; status: number; text: string } = await city.call('GET', link);
    expect(page.status, page.text.slice(0, 300)).toBe(200);
    for (const row of page.json.value) stored.push(row.result);
    link = page.json['@iot.nextLink'];
  }
  const found = new Set(stored);
  expect(found.size, 'a reading is stored twice').toBe(stored.length);
  expect([...acknowledged.results].filter((result) => !found.has(result)), 'acknowledged readings that are missing').toEqual([]);
  const detail = await city.call('GET', `/api/incidents/${incident}`, { token: city.token('operator') });
  const lines = new Set(detail.json.log.map((entry: { text: string }) => entry.text));
  expect([...acknowledged.notes].filter((note) => !lines.has(note)), 'acknowledged log lines that are missing').toEqual([]);
  for (const id of acknowledged.requests) {
    const { status } = await city.call('GET', `/open311/v2/requests/${id}.json`);
    expect(status, `request ${id}`).toBe(200);
  }
  const verified = runCli(['verify', 'log', join(data, 'log')], {});
  expect(verified.status, verified.stdout + verified.stderr).toBe(0);
  const looks = [...acknowledged.looks.values()].reduce((sum, count) => sum + count, 0);
  expect((await city.call('GET', '/api/log')).json.looks).toBeGreaterThanOrEqual(looks);
}

function postgresPid(): number {
  return Number(readFileSync(join(data, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
}

test('kill -9 of the process or of PostgreSQL under load loses nothing that was acknowledged', async () => {
  city = await startTestCity({ data });
  await furnish();
  for (let round = 0; round < ROUNDS; round += 1) {
    let stopping = false;
    const loading = load(() => stopping);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    const before = acknowledged.results.size;
    expect(before).toBeGreaterThan(0);
    if (round % 2 === 0) {
      await city.kill();
      stopping = true;
      await loading;
      city = await startTestCity({ data });
    } else {
      spawnSync('kill', ['-9', String(postgresPid())]);
      await new Promise((resolve) => setTimeout(resolve, 500)); // answers that were under way
      const meanwhile = acknowledged.results.size;
      for (let waited_ms = 0; waited_ms < 60_000 && acknowledged.results.size <= meanwhile + STREAMS; waited_ms += 250) await new Promise((resolve) => setTimeout(resolve, 250));
      expect(acknowledged.results.size, `readings are taken again after PostgreSQL came back\n${city.output().slice(-3_000)}`).toBeGreaterThan(meanwhile + STREAMS);
      stopping = true;
      await loading;
    }
    await checkEverythingIsThere();
  }
  expect(acknowledged.requests.size).toBeGreaterThan(ROUNDS);
  expect(acknowledged.notes.size).toBeGreaterThan(ROUNDS);
});
