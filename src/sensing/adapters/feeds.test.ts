import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { FeedAnswer, FeedHealth } from '../../contracts/feed.ts';
import type { Principal } from '../../contracts/principal.ts';
import { manualClock, type ManualClock } from '../../kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { createGate } from '../../trust/index.ts';
import { createSensing, type Sensing } from '../sensing.ts';

const T0 = Date.parse('2026-11-24T06:00:00Z');
const purposes = { live: (id: string) => id !== 'ended', get: (id: string) => (id === 'unheard' ? undefined : { id }) };
const device: Principal = { kind: 'token', id: 'tok_1', name: 'probe', positions: ['device'], pseudonym: 'p' };
const bound: Principal = { ...device, id: 'tok_2', purpose: 'other' };
const supervisor: Principal = { kind: 'person', id: 'per_1', name: 'S', positions: ['supervisor'], pseudonym: 's' };
const auditor: Principal = { ...supervisor, id: 'per_2', positions: ['auditor'] };
const administrator: Principal = { ...supervisor, id: 'per_3', positions: ['administrator'] };
const TOKENS: Readonly<Record<string, Principal>> = { device, bound, supervisor, auditor, administrator };

interface Rig {
  readonly url: string;
  readonly sensing: Sensing;
  readonly handle: DatabaseHandle;
  health(name: string): FeedHealth;
  post(path: string, body: string | Buffer, options?: { token?: string; headers?: Record<string, string> }): Promise<{ status: number; json: FeedAnswer & { code?: string; detail?: string } }>;
  count(table: string): Promise<number>;
  close(): Promise<void>;
}

async function openRig(feedsYaml: string, options: { handle?: DatabaseHandle; clock?: ManualClock; codecs?: Record<string, string> } = {}): Promise<Rig> {
  const handle = options.handle ?? (await freshDatabase());
  const clock = options.clock ?? manualClock(T0);
  const metrics = createMetrics();
  const bus = await createBus(handle, clock, silentLogger);
  const allows = (principal: Principal, action: string): boolean => (principal.positions.includes('device') ? action === 'sensing.write' : action === 'operations.read' || (action === 'operations.supervise' && principal.positions.includes('supervisor')) || (action === 'sensing.delete' && principal.positions.includes('administrator')));
  const sensing = await createSensing({ handle, bus, clock, logger: silentLogger, metrics, purposes: purposes as never, gate: createGate(metrics, 0), authenticateToken: async () => device, authorize: allows, publicUrl: () => 'http://city.test', feeds: { feedsYaml, codecs: new Map(Object.entries(options.codecs ?? {})), random: (size) => new Uint8Array(size) } });
  const http = await buildHttp({ logger: silentLogger, authenticate: async (request) => TOKENS[request.headers.authorization ?? ''] ?? { code: 'auth.required', detail: 'none' }, authorize: allows });
  await sensing.registerRoutes(http);
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await http.close();
    await sensing.close();
    await bus.close();
  };
  afterAll(close);
  return {
    url,
    sensing,
    handle,
    close,
    health: (name) => {
      const found = sensing.feedHealth().find((feed) => feed.name === name);
      if (found === undefined) throw new Error(`no feed ${name}`);
      return found;
    },
    post: async (path, body, { token = 'device', headers = {} } = {}) => {
      const response = await fetch(url + path, { method: 'POST', body: new Uint8Array(Buffer.from(body)), headers: { authorization: token, 'content-type': 'application/json', ...headers } });
      return { status: response.status, json: (await response.json()) as FeedAnswer };
    },
    count: async (table) => (await handle.pool.query<{ n: number }>(`select count(*) as n from ${table}`)).rows[0]?.n ?? -1,
  };
}

async function serve(handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const AIR = `
feeds:
  - name: air
    adapter: sensor-community
    purpose: air-quality
    interval_s: 150
    options:
      devices:
        - { id: "123", key: market, name: Market, lon: 7.6, lat: 51.9 }
  - { name: gone, adapter: sensor-community, purpose: ended, options: { devices: [{ id: "1", key: a, name: A, lon: 0, lat: 0 }] } }
  - { name: unknown-purpose, adapter: sensor-community, purpose: unheard, options: { devices: [{ id: "1", key: a, name: A, lon: 0, lat: 0 }] } }
  - { name: typo, adapter: sensor-community, purpose: air-quality, options: { devises: [] } }
  - { name: no-such, adapter: telepathy, purpose: air-quality }
  - { name: resting, adapter: sensor-community, purpose: air-quality, enabled: false, options: { devices: [{ id: "1", key: a, name: A, lon: 0, lat: 0 }] } }
  - { name: Wrong Name, adapter: sensor-community, purpose: air-quality }
  - { name: abroad, adapter: gbfs, purpose: mobility, options: { url: "https://not-listed.example.org/gbfs.json" } }
`;
const airRohr = (values: Record<string, string>, id: number | string = 123): string => JSON.stringify({ esp8266id: id, software_version: 'NRZ-2020-133', sensordatavalues: Object.entries(values).map(([value_type, value]) => ({ value_type, value })) });

test('a pushed message becomes a Thing with Datastreams and readings; sent again it gives no new row', async () => {
  const rig = await openRig(AIR);
  const message = airRohr({ SDS_P1: '18.40', SDS_P2: '9.10', BME280_temperature: '3.50', BME280_pressure: '101325.00', signal: '-67', samples: '5000', min_micro: '3' });
  const first = await rig.post('/api/feeds/air', message);
  expect([first.status, first.json]).toEqual([200, { taken: 4, duplicate: 0, refused: [], refused_count: 0 }]);
  const again = await rig.post('/api/feeds/air', message);
  expect(again.json).toEqual({ taken: 0, duplicate: 4, refused: [], refused_count: 0 });
  const { rows } = await rig.handle.pool.query<{ value: number }>('select d.properties, d.observation_type, o.properties as property, t.properties as thing, n.result_number as value from datastream d join thing t on t.id = d.thing_id join observed_property o on o.id = d.observed_property_id join observation n on n.datastream_id = d.id order by n.result_number');
  expect(rows).toHaveLength(4);
  expect(rows.map((row) => row.value)).toEqual([3.5, 9.1, 18.4, 1013.25]);
  expect(rows[3]).toMatchObject({ properties: { feed: 'air', source_key: 'market/pressure', purpose: 'air-quality', interval_s: 150, min: 800, max: 1_100 }, property: { key: 'pressure' }, thing: { feed: 'air', source_key: 'market', kind: 'air-station' } });
  expect(JSON.stringify(rows)).not.toContain('123'); // the id of the sensor stays outside
  expect(rig.health('air')).toMatchObject({ state: 'live', taken: 4, duplicate: 4, places: 1, series: 4, age_s: 0, error: null });
});

test('what is wrong in feeds.yaml is shown at its feed and stops no other', async () => {
  const rig = await openRig(AIR);
  const states = Object.fromEntries(rig.sensing.feedHealth().map((feed) => [feed.name, feed.state]));
  expect(states).toEqual({ air: 'waiting', gone: 'broken', 'unknown-purpose': 'broken', typo: 'broken', 'no-such': 'broken', resting: 'off', 'Wrong Name': 'broken', abroad: 'broken' });
  expect(rig.health('typo').error).toMatchObject({ code: 'feed.config-invalid', field: 'options.devices' });
  expect(rig.health('no-such').error?.detail).toContain('There is no adapter telepathy');
  expect(rig.health('abroad').error).toMatchObject({ code: 'feed.egress-blocked' });
  expect((await rig.post('/api/feeds/typo', '{}')).json.code).toBe('feed.config-invalid');
  expect((await rig.post('/api/feeds/nobody', '{}')).status).toBe(404);
  for (const [yaml, problem] of [['feeds: [', 'not well-formed'], ['feeds: 3', 'feeds'], ['egress: ["http://a/b"]', 'egress: http://a/b'], ['nonsense: 1', 'nonsense']] as const) {
    const broken = await openRig(yaml, { handle: rig.handle });
    const setup = (await (await fetch(`${broken.url}/api/feeds/setup`, { headers: { authorization: 'auditor' } })).json()) as { problem: string };
    expect(setup.problem).toContain(problem);
    expect(broken.sensing.feedHealth()).toEqual([]);
  }
});

test('bad messages name place and cure, are counted and never give a 5xx', async () => {
  const rig = await openRig(AIR);
  const codes: [string | Buffer, number, string, Record<string, string>?][] = [
    ['', 400, 'http.malformed'],
    ['<html>', 400, 'feed.document-invalid'],
    ['[]', 400, 'feed.document-invalid'],
    ['['.repeat(100_000), 400, 'feed.document-invalid'],
    [`${'['.repeat(100)}${']'.repeat(100)}`, 400, 'http.too-deep'],
    [airRohr({ SDS_P1: '1' }, 999), 403, 'feed.sender-unknown'],
    [JSON.stringify({ esp8266id: 123, sensordatavalues: {} }), 400, 'feed.document-invalid'],
    [Buffer.from([0xff, 0xfe, 0x7b]), 400, 'feed.document-invalid'],
    [airRohr({ SDS_P1: '1' }), 415, 'http.unsupported-type', { 'content-type': 'text/html' }],
    [airRohr({ SDS_P1: '1' }), 400, 'feed.document-invalid', { 'content-encoding': 'gzip' }],
    [gzipSync(Buffer.alloc(64 * 1_048_576)), 413, 'feed.document-too-large', { 'content-encoding': 'gzip' }],
    [airRohr({ SDS_P1: '1' }), 415, 'http.unsupported-type', { 'content-encoding': 'compress' }],
    [Buffer.alloc(5_000_000, 32), 413, 'http.too-large'],
  ];
  for (const [body, status, code, headers] of codes) {
    const answer = await rig.post('/api/feeds/air', body, { headers: headers ?? {} });
    expect([String(body).slice(0, 20), answer.status, answer.json.code]).toEqual([String(body).slice(0, 20), status, code]);
  }
  expect((await rig.post('/api/feeds/air', gzipSync(airRohr({ SDS_P1: '5' })), { headers: { 'content-encoding': 'gzip' } })).json.taken).toBe(1);
  const mixed = await rig.post('/api/feeds/air', airRohr({ SDS_P1: 'NaN', SDS_P2: '99999', BME280_humidity: '55' }));
  expect(mixed.json).toMatchObject({ taken: 1, refused_count: 2, refused: [{ at: 'sensordatavalues[0]', code: 'feed.value-invalid' }, { at: 'market/pm25', code: 'gate.out-of-bounds' }] });
  expect((await rig.post('/api/feeds/air', airRohr({ SDS_P1: '1' }), { token: 'bound' })).json.code).toBe('auth.forbidden');
  expect((await rig.post('/api/feeds/air', airRohr({ SDS_P1: '1' }), { token: 'nobody' })).status).toBe(401);
  const refused = Object.fromEntries(rig.health('air').refused.map(({ code, count }) => [code, count]));
  expect(refused).toMatchObject({ 'feed.sender-unknown': 1, 'feed.value-invalid': 1, 'gate.out-of-bounds': 1 });
});

/** A sharing system of one station that can be moved and renamed, and broken in several ways. */
async function bikeSystem(): Promise<{ origin: string; state: { mode: string; name: string; lon: number; bikes: number; at: number; calls: number } }> {
  const state = { mode: 'good', name: 'Station', lon: 7.6, bikes: 5, at: T0 / 1_000, calls: 0 };
  const origin = await serve((request, response) => {
    state.calls += 1;
    const feeds = ['station_information', 'station_status'].map((name) => ({ name, url: `${origin}/${name}.json` }));
    const bodies: Record<string, unknown> = {
      '/gbfs.json': { last_updated: state.at, ttl: 0, version: '2.3', data: { en: { feeds } } },
      '/station_information.json': { last_updated: state.at, ttl: 0, version: '2.3', data: { stations: [{ station_id: 's1', name: state.name, lat: 51.9, lon: state.lon, capacity: 10 }] } },
      '/station_status.json': { last_updated: state.at, ttl: 0, version: '2.3', data: { stations: [{ station_id: 's1', num_bikes_available: state.bikes, num_docks_available: 5, is_installed: true, is_renting: true, is_returning: true, last_reported: state.at }] } },
    };
    if (state.mode === 'html') response.setHeader('content-type', 'text/html').end('<!DOCTYPE html><html><body>Sign in</body></html>');
    else if (state.mode === 'bomb') response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(64 * 1_048_576)));
    else if (state.mode === 'redirect') response.writeHead(302, { location: 'http://198.51.100.1/' }).end();
    else if (state.mode === 'error') response.writeHead(500).end();
    else response.setHeader('content-type', 'application/json').end(JSON.stringify(bodies[request.url ?? ''] ?? {}));
  });
  return { origin, state };
}

const bikes = (origin: string): string => `
egress: [{ host: "${origin}", private: true }]
feeds:
  - { name: bikes, adapter: gbfs, purpose: mobility, interval_s: 60, options: { url: "${origin}/gbfs.json" } }
`;

test('a pulled source: moved and renamed places, duplicates, and every way in which it can be broken', async () => {
  const { origin, state } = await bikeSystem();
  const clock = manualClock(T0);
  const rig = await openRig(bikes(origin), { clock });
  const run = async (): Promise<FeedHealth> => (await rig.post('/api/feeds/bikes/run', '{}', { token: 'supervisor' })).json as unknown as FeedHealth;
  expect((await rig.post('/api/feeds/bikes/run', '{}', { token: 'auditor' })).status).toBe(403);
  const first = await run();
  expect(first).toMatchObject({ state: 'live', places: 1, duplicate: 0, error: null });
  expect(first.taken).toBeGreaterThan(0);
  const rows = await rig.count('observation');
  expect(await run()).toMatchObject({ taken: first.taken, duplicate: first.taken });
  expect(await rig.count('observation')).toBe(rows);

  Object.assign(state, { name: 'New name', lon: 7.7, bikes: 4, at: state.at + 60 });
  clock.advance(60_000);
  await run();
  const { rows: things } = await rig.handle.pool.query('select t.name, l.location from thing t join thing_location p on p.thing_id = t.id join location l on l.id = p.location_id');
  expect(things).toEqual([{ name: 'New name', location: { type: 'Point', coordinates: [7.7, 51.9] } }]);
  expect(await rig.count('thing')).toBe(1);
  expect(await rig.count('historical_location')).toBe(2);

  for (const [mode, code] of [['html', 'feed.source-answer'], ['bomb', 'feed.document-too-large'], ['redirect', 'feed.egress-blocked'], ['error', 'feed.source-answer']] as const) {
    state.mode = mode;
    expect([mode, (await run()).error?.code]).toEqual([mode, code]);
  }
  expect(rig.health('bikes').state).toBe('live'); // what came last is still young
  clock.advance(130_000);
  expect(rig.health('bikes').state).toBe('late');
  clock.advance(60_000);
  expect(rig.health('bikes').state).toBe('failing');
  state.mode = 'good';
  expect(await run()).toMatchObject({ state: 'live', error: null });
  clock.advance(181_000);
  expect(rig.health('bikes').state).toBe('stale');
});

const BROKER = `
feeds:
  - { name: broker, adapter: ngsi, purpose: air-quality, options: {} }
`;

test('an entity that cannot stand where it says is refused with its readings, and those beside it are taken', async () => {
  const rig = await openRig(BROKER);
  const entity = (id: string, coordinates: unknown): object => ({ id, type: 'WeatherObserved', temperature: 3, dateObserved: '2026-11-24T05:00:00Z', location: { type: 'Point', coordinates } });
  const answer = await rig.post('/api/feeds/broker', JSON.stringify({ subscriptionId: 'a', data: [entity('good', [7.6, 51.9]), entity('off-the-earth', [7, 510]), entity('odd\u0000id', [7, 51]), entity('half\ud800', [7, 51]), { id: 'v', type: 'Vehicle' }] }));
  expect([answer.status, answer.json.taken, answer.json.refused_count]).toEqual([200, 1, 10]);
  expect(answer.json.refused.map(({ code }) => code)).toEqual(expect.arrayContaining(['feed.single-vehicles', 'sensing.entity-invalid', 'feed.reference-unknown']));
  expect(await rig.count('thing')).toBe(1);
  await rig.close();
  // what was counted was written, odd ids and all
  const again = await openRig(BROKER, { handle: rig.handle });
  expect(again.health('broker')).toMatchObject({ taken: 1, state: 'live' });
  expect(again.health('broker').refused.map(({ code }) => code)).toContain('feed.single-vehicles');
});

test('many messages at once are all durable when they are answered; beyond the queue they are told to come again', async () => {
  const rig = await openRig(BROKER);
  const message = (n: number): string => JSON.stringify({ id: `station-${n % 20}`, type: 'WeatherObserved', temperature: n / 100, dateObserved: new Date(T0 - 3_600_000 + n * 1_000).toISOString() });
  const answers = await Promise.all(Array.from({ length: 300 }, (_, n) => rig.post('/api/feeds/broker', message(n))));
  const taken = answers.filter(({ status, json }) => status === 200 && json.taken === 1).length;
  expect(answers.filter(({ status }) => status === 503).length).toBe(300 - taken);
  expect(await rig.count('observation')).toBe(taken);
  // nothing was lost: sent again, what was refused comes in and the rest is known
  for (let n = 0; n < 300; n += 1) expect((await rig.post('/api/feeds/broker', message(n))).status).toBe(200);
  expect([await rig.count('observation'), await rig.count('thing')]).toEqual([300, 20]);
  expect(rig.health('broker')).toMatchObject({ taken: 300, duplicate: taken });
});

test('the schedule asks, backs off when the source fails, and rests while the feed is paused', async () => {
  const { origin, state } = await bikeSystem();
  const clock = manualClock(T0);
  const rig = await openRig(bikes(origin), { clock });
  rig.sensing.startFeeds();
  await expect.poll(() => rig.health('bikes').taken, { timeout: 10_000 }).toBeGreaterThan(0);
  const waitS = (): number => Math.round((Date.parse(rig.health('bikes').next_run_at ?? '') - clock.nowMs()) / 1_000);
  expect(waitS()).toBe(54); // 60 s less a tenth: this test draws zeros
  state.mode = 'error';
  const waits: number[] = [];
  for (let at = 0; at < 3; at += 1) {
    await rig.post('/api/feeds/bikes/run', '{}', { token: 'supervisor' });
    waits.push(waitS());
  }
  expect(waits).toEqual([108, 216, 432]);
  expect((await rig.post('/api/feeds/bikes/pause', '{}', { token: 'supervisor' })).json).toMatchObject({ state: 'paused', next_run_at: null });
  state.mode = 'good';
  const { calls } = state;
  clock.advance(3_600_000);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect(state.calls).toBe(calls);
  await rig.close();
  // it remembers after a restart that it is paused and what it had
  const again = await openRig(bikes(origin), { clock, handle: rig.handle });
  expect(again.health('bikes')).toMatchObject({ state: 'paused', places: 1, error: { code: 'feed.source-answer' } });
  again.sensing.startFeeds();
  await again.post('/api/feeds/bikes/resume', '{}', { token: 'supervisor' });
  await expect.poll(() => again.health('bikes').state, { timeout: 10_000 }).toBe('live');
  expect(await again.count('thing')).toBe(1);
});

test('entities that a person deleted are made again; those of a crash are found by their key', async () => {
  const rig = await openRig(AIR);
  await rig.post('/api/feeds/air', airRohr({ SDS_P1: '1' }));
  const { rows } = await rig.handle.pool.query<{ id: number }>('select id from thing');
  await rig.handle.pool.query('truncate feed_entity'); // as if the server had died between the two writes
  await rig.close();
  const again = await openRig(AIR, { handle: rig.handle, clock: manualClock(T0 + 1_000) });
  await again.post('/api/feeds/air', airRohr({ SDS_P1: '2' }));
  expect([await again.count('thing'), await again.count('datastream')]).toEqual([1, 1]);
  const removed = await fetch(`${again.url}/v1.1/Things(${rows[0]?.id ?? 0})`, { method: 'DELETE', headers: { authorization: 'administrator' } });
  expect([removed.status, await again.count('datastream')]).toEqual([200, 0]);
  expect((await again.post('/api/feeds/air', airRohr({ SDS_P1: '3' }))).json).toMatchObject({ taken: 1, refused_count: 0 });
  expect([await again.count('thing'), await again.count('datastream'), await again.count('observation')]).toEqual([1, 1, 1]);
});
