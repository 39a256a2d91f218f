import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FeedHealth } from '../../src/contracts/feed.ts';
import type { Position, Principal } from '../../src/contracts/principal.ts';
import type { Refusal } from '../../src/kernel/index.ts';
import { SHARED_DATA } from '../city.ts';
import { freshDatabase } from '../database.ts';
import { serveSensing } from '../sensing-server.ts';

const tokenOf = (id: string, positions: Position[]): Principal => ({ kind: 'token', id, name: id, positions, pseudonym: id });
const TOKENS = new Map([['supervisor', tokenOf('supervisor', ['supervisor'])], ['device', tokenOf('device', ['device'])]]);
const authenticateToken = async (token: string): Promise<Principal | Refusal> => TOKENS.get(token) ?? { code: 'auth.invalid', detail: 'The token is not known.' };

/** What the sources answer, by path; changed by the tests. */
const pages = new Map<string, { body: string | Buffer; type: string }>();
const asked: string[] = [];
let source: Server;
let sourceUrl = '';
let url = '';
const hasData = existsSync(join(SHARED_DATA, 'gtfs'));
const shared = (path: string): Buffer => readFileSync(join(SHARED_DATA, path));

beforeAll(async () => {
  source = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const page = pages.get(path);
    response.writeHead(page === undefined ? 404 : 200, { 'content-type': page?.type ?? 'text/plain' }).end(page?.body ?? 'nothing here');
  }).listen(0, '127.0.0.1');
  await once(source, 'listening');
  sourceUrl = `http://127.0.0.1:${(source.address() as AddressInfo).port}`;
  const feedsYaml = `
egress: [{ host: '${sourceUrl}', private: true }]
feeds:
  - { name: bikes, adapter: gbfs, purpose: city-operations, options: { url: '${sourceUrl}/gbfs.json' } }
  - { name: transport, adapter: gtfs, purpose: city-operations, options: { schedule: '${sourceUrl}/gtfs.zip', realtime: ['${sourceUrl}/trips.pb', '${sourceUrl}/vehicles.pb'] } }
  - { name: roads, adapter: datex, purpose: city-operations, options: { urls: ['${sourceUrl}/situations.xml'], language: de } }
  - { name: alerts, adapter: cap, purpose: city-operations, options: { url: '${sourceUrl}/alerts.atom' } }
  - name: levels
    adapter: csv
    purpose: city-operations
    options: { mapping: { delimiter: ';', decimal: ',', time: { columns: [t], format: 'DD.MM.YYYY HH:mm', zone: Europe/Berlin }, station: { key: bridge, name: Old bridge, location: [7.62, 51.96] }, values: [{ column: level, key: level, name: Water level }] } }
`;
  const handle = await freshDatabase();
  const server = await serveSensing(handle, authenticateToken, { feeds: { feedsYaml, codecs: new Map(), random: () => Buffer.from([128]) } });
  url = server.url;
  return server.close;
});
afterAll(() => source.close());

const run = async (name: string): Promise<FeedHealth> => {
  const answer = await fetch(`${url}/api/feeds/${name}/run`, { method: 'POST', headers: { authorization: 'Bearer supervisor' } });
  expect(answer.status, await answer.clone().text()).toBe(200);
  return (await answer.json()) as FeedHealth;
};
const get = async (path: string): Promise<Record<string, unknown>[]> => ((await (await fetch(`${url}/v1.1/${path}`, { headers: { authorization: 'Bearer supervisor' } })).json()) as { value: Record<string, unknown>[] }).value;
const newest = async (feed: string, more = ''): Promise<Record<string, unknown>> => {
  const found = await get(`Datastreams?$top=1000&$filter=properties/feed eq '${feed}'${more}&$expand=Observations($top=1;$orderby=phenomenonTime desc)`);
  return Object.fromEntries(found.map(({ properties, Observations }) => [(properties as { source_key: string }).source_key, (Observations as { result: unknown }[])[0]?.result]));
};

test('stations of a sharing system come in with 0 and false, and a second run adds nothing', async () => {
  const feeds = ['station_information', 'station_status', 'free_bike_status'].map((name) => ({ name, url: `${sourceUrl}/${name}` }));
  const page = (data: unknown): { body: string; type: string } => ({ body: JSON.stringify({ last_updated: 1_751_437_263, ttl: 0, version: '2.3', data }), type: 'application/json' });
  pages.set('/gbfs.json', page({ en: { feeds } }));
  pages.set('/station_information', page({ stations: [{ station_id: 's', name: 'Castle', lat: 51.96, lon: 7.61 }] }));
  pages.set('/station_status', page({ stations: [{ station_id: 's', num_bikes_available: 0, num_docks_available: 12, is_renting: false, is_returning: true, is_installed: true, last_reported: 1_751_437_200 }] }));
  expect(await run('bikes')).toMatchObject({ state: 'live', taken: 5, duplicate: 0 });
  expect(await newest('bikes')).toEqual({ 's/vehicles-available': 0, 's/docks-available': 12, 's/renting': false, 's/returning': true, 's/installed': true });
  expect(asked).not.toContain('/free_bike_status');
  expect(await run('bikes')).toMatchObject({ taken: 5, duplicate: 5 });
});

test('tables that are pushed come in with their refusals named', async () => {
  const push = async (): Promise<unknown> => (await fetch(`${url}/api/feeds/levels`, { method: 'POST', headers: { authorization: 'Bearer device', 'content-type': 'text/csv' }, body: 't;level\n01.02.2023 00:15;1,25\n01.02.2023 00:30;x\n' })).json();
  expect(await push()).toMatchObject({ taken: 1, duplicate: 0, refused: [{ at: 'line 3, level', code: 'import.value-invalid' }], refused_count: 1 });
  expect(await push()).toMatchObject({ taken: 0, duplicate: 1 });
  expect(await newest('levels')).toEqual({ 'bridge/level': 1.25 });
});

test('alerts of an index come in, an area moves with its polygon, a cancel ends them', async () => {
  const alert = (id: string, msgType: string, polygon: string, references = ''): { body: string; type: string } => ({
    type: 'application/cap+xml',
    body: `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${id}</identifier><sender>w@city.test</sender><sent>2026-11-2${id}T06:00:00+01:00</sent><status>Actual</status><msgType>${msgType}</msgType><scope>Public</scope>${references}<info><category>Met</category><event>Storm</event><urgency>Immediate</urgency><severity>Severe</severity><certainty>Likely</certainty><area><areaDesc>Old town</areaDesc><polygon>${polygon}</polygon></area></info></alert>`,
  });
  const index = (...ids: string[]): { body: string; type: string } => ({ type: 'application/atom+xml', body: `<feed xmlns="http://www.w3.org/2005/Atom">${ids.map((id) => `<entry><id>${id}</id><link href="/${id}.cap"/></entry>`).join('')}</feed>` });
  pages.set('/alerts.atom', index('1', '9'));
  pages.set('/1.cap', alert('1', 'Alert', '51.9,7.6 51.9,7.7 52,7.7 51.9,7.6'));
  const first = await run('alerts');
  expect(first).toMatchObject({ taken: 1 });
  expect(first.refused).toMatchObject([{ count: 1 }]); // 9.cap is not there
  expect(await newest('alerts')).toEqual({ 'area:Old town/alert': 'Severe' });
  pages.set('/2.cap', alert('2', 'Cancel', '51.9,7.6 51.9,7.8 52,7.8 51.9,7.6', '<references>w@city.test,1,2026-11-21T06:00:00+01:00</references>'));
  pages.set('/alerts.atom', index('1', '2'));
  await run('alerts');
  expect(await newest('alerts')).toEqual({ 'area:Old town/alert': 'Cancelled' });
  const [thing] = await get("Things?$filter=name eq 'Old town'&$expand=Locations,HistoricalLocations");
  expect(JSON.stringify(thing?.['Locations'])).toContain('7.8');
  expect(thing?.['HistoricalLocations']).toHaveLength(2);
});

test('a source that answers HTML, or not at all, is named in the health of its feed and nothing else suffers', async () => {
  pages.set('/situations.xml', { body: '<html><body>Please sign in</body></html>', type: 'text/html' });
  expect(await run('roads')).toMatchObject({ taken: 0, error: { code: 'feed.source-answer' } });
  pages.set('/gtfs.zip', { body: 'not a zip', type: 'application/zip' });
  expect(await run('transport')).toMatchObject({ taken: 0, error: { code: 'feed.document-invalid', field: 'zip' } });
});

describe.skipIf(!hasData)('published documents (../shared/data; skipped where that folder is missing)', () => {
  test('of the roads of Bolzano are categories at their places', async () => {
    pages.set('/situations.xml', { body: shared('datex2/ITPBZ-SituationPublication-v2.xml'), type: 'application/xml' });
    expect(await run('roads')).toMatchObject({ error: null, taken: 9 });
    expect(await newest('roads')).toMatchObject({ 'place/46.498,11.355/AbnormalTraffic': 'slowTraffic' });
  });

  test('of Caltrain are delays of stops and lines; positions of vehicles stay outside', async () => {
    pages.set('/gtfs.zip', { body: shared('gtfs/rt/ct-static.zip'), type: 'application/zip' });
    pages.set('/trips.pb', { body: shared('gtfs/rt/ct-trip-updates.pb'), type: 'application/x-protobuf' });
    pages.set('/vehicles.pb', { body: shared('gtfs/rt/ct-vehicle-positions.pb'), type: 'application/x-protobuf' });
    const health = await run('transport');
    expect(health.error).toBeNull();
    expect(health.refused.find(({ code }) => code === 'feed.single-vehicles')).toMatchObject({ count: 1 });
    const lines = Object.entries(await newest('transport')).filter(([key]) => key.endsWith('/trips-tracked'));
    const decoded = JSON.parse(shared('gtfs/rt/ct-trip-updates.pb.json').toString('utf8')) as { entity: { tripUpdate: { trip: { routeId: string } } }[] };
    const own = new Map<string, number>();
    for (const { tripUpdate } of decoded.entity) own.set(`line/${tripUpdate.trip.routeId}/trips-tracked`, (own.get(`line/${tripUpdate.trip.routeId}/trips-tracked`) ?? 0) + 1);
    expect(new Map(lines)).toEqual(own);
    const things = await get("Things?$filter=properties/feed eq 'transport'&$top=1000&$expand=Locations");
    expect(new Set(things.map(({ properties }) => (properties as { kind: string }).kind))).toEqual(new Set(['stop', 'line']));
    expect(JSON.stringify(things)).not.toContain('-121.99604'); // where a train was
    const before = health.taken;
    expect(await run('transport')).toMatchObject({ taken: before });
  });
});
