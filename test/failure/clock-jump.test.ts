import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Principal } from '../../src/contracts/principal.ts';
import { manualClock } from '../../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle, type Http } from '../../src/platform/index.ts';
import { createSuspicion } from '../../src/sensing/devices/device.ts';
import { openHistory } from '../../src/sensing/history/index.ts';
import { createSensing, type Sensing } from '../../src/sensing/index.ts';
import { createRates } from '../../src/sensing/ingest/rates.ts';
import { createGate } from '../../src/trust/index.ts';
import { freshDatabase } from '../database.ts';
import { seedStreams } from '../streams.ts';
import { checkHistory } from './invariants.ts';

// A clock that jumps by hours, both ways: nothing is lost, nothing stands still.
const HOUR_MS = 3_600_000;
const T0 = Date.parse('2026-11-24T06:00:00Z');
const device: Principal = { kind: 'token', id: 'device', name: 'device', positions: ['device'], pseudonym: 'device' };
const purposes = { live: () => true, get: (id: string) => ({ id }) as never, all: () => [], version: () => 1, since: () => new Date(0), hash: () => '' };
const clock = manualClock(T0);
let handle: DatabaseHandle;
let sensing: Sensing;
let http: Http;
let streams: number[] = [];
let source: Server;
let asked = 0;

beforeAll(async () => {
  source = createServer((_, response) => {
    asked += 1;
    response.writeHead(200, { 'content-type': 'text/csv' }).end('t;v\n2026-11-24 05:00;1\n');
  }).listen(0, '127.0.0.1');
  await once(source, 'listening');
  const origin = `http://127.0.0.1:${String((source.address() as AddressInfo).port)}`;
  const feedsYaml = `
egress: [{ host: '${origin}', private: true }]
feeds:
  - { name: table, adapter: csv, purpose: city-operations, interval_s: 3600, options: { url: '${origin}/t.csv', mapping: { delimiter: ';', time: { columns: [t], format: 'YYYY-MM-DD HH:mm' }, station: { key: a, name: A }, values: [{ column: v, key: v, name: V }] } } }
`;
  handle = await freshDatabase();
  streams = await seedStreams(handle, 3);
  const metrics = createMetrics();
  const bus = await createBus(handle, clock, silentLogger);
  sensing = await createSensing({ handle, bus, clock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: () => true, publicUrl: () => 'http://city.test', feeds: { feedsYaml, codecs: new Map(), random: (size) => new Uint8Array(size) } });
  http = await buildHttp({ logger: silentLogger, authenticate: async () => device, authorize: () => true });
  await sensing.registerRoutes(http);
  await http.ready();
  sensing.startFeeds();
  return async () => {
    await http.close();
    await sensing.close();
    await bus.close();
  };
});
afterAll(() => {
  source.closeAllConnections();
  source.close();
});

const acknowledged = new Set<string>();
let n = 0;
async function post(rows = 20): Promise<void> {
  const readings = Array.from({ length: rows }, () => (n += 1)).map((result) => ({ stream: streams[result % streams.length] as number, result, time: new Date(clock.nowMs() - result * 1_000).toISOString() }));
  const answer = await http.inject({ method: 'POST', url: '/v1.1/CreateObservations', payload: readings.map(({ stream, result, time }) => ({ Datastream: { '@iot.id': stream }, components: ['phenomenonTime', 'result'], dataArray: [[time, result]] })) });
  expect(answer.statusCode, answer.body).toBe(201);
  answer.json<string[]>().forEach((link, at) => {
    expect(link).toMatch(/^http/);
    acknowledged.add(`${String(readings[at]?.stream)} ${String(readings[at]?.result)}`);
  });
}

test.each([
  ['ahead by three days', 3 * 24 * HOUR_MS],
  ['back by three days', -3 * 24 * HOUR_MS],
  ['back by thirty hours', -30 * HOUR_MS],
  ['ahead by thirty hours', 30 * HOUR_MS],
])('a clock that jumps %s takes readings, keeps them once, and rolls up what they say', async (_, jump_ms) => {
  await post();
  clock.advance(jump_ms);
  await post();
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes, partitions: { forget: () => undefined }, seal_after_days: 0, log: undefined });
  await history.rollUp();
  await post();
  const page = await http.inject({ method: 'GET', url: `/v1.1/Datastreams(${String(streams[0])})/Observations?$top=1&$orderby=phenomenonTime desc` });
  expect(page.statusCode).toBe(200);
  await checkHistory({ pool: handle.pool }, acknowledged, false);
  await history.close();
});

test('a source is asked on its schedule after the clock was set back', async () => {
  const first = asked;
  clock.advance(10 * HOUR_MS);
  await expect.poll(() => asked, { timeout: 10_000, interval: 100 }).toBeGreaterThan(first);
  await expect.poll(() => sensing.feedHealth()[0]?.running, { timeout: 10_000, interval: 100 }).toBe(false);
  const before = asked;
  clock.advance(-8 * HOUR_MS);
  await new Promise((resolve) => setTimeout(resolve, 1_500)); // a tick sees it
  expect(asked).toBe(before);
  clock.advance(1.2 * HOUR_MS);
  await expect.poll(() => asked, { timeout: 10_000, interval: 100 }).toBeGreaterThan(before);
});

test('rates and the rule of quarantine count a minute after the clock was set back, not the hours until it catches up', () => {
  const rates = createRates();
  rates.count('k', T0, 50);
  rates.count('k', T0 - 5 * HOUR_MS, 1);
  expect(rates.perMinute(T0 - 5 * HOUR_MS + 1_000).get('k')).toEqual({ perMinute: 1 });
  const suspicion = createSuspicion({ refused: 10, foreign: 10, window_ms: 60_000 });
  expect(suspicion.note('http.invalid', 9, T0)).toBeNull();
  // two hours of one refusal in ten minutes are no suspicion
  for (let minute = 0; minute < 120; minute += 10) expect(suspicion.note('http.invalid', 1, T0 - 5 * HOUR_MS + minute * 60_000)).toBeNull();
});
