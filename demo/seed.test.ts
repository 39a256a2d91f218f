import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Principal } from '../src/contracts/principal.ts';
import { Purpose } from '../src/contracts/trust.ts';
import { systemClock } from '../src/kernel/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger } from '../src/platform/index.ts';
import { createSensing } from '../src/sensing/index.ts';
import { createGate } from '../src/trust/index.ts';
import { freshDatabase } from '../test/database.ts';
import { type Catalogue } from './catalogue.ts';
import { type CityClient, connectCity } from './city-client.ts';
import { PLACE_KINDS } from './kinds.ts';
import { listStreams } from './registered-streams.ts';
import { seedCity } from './seed.ts';
import { simulate } from './simulator.ts';

const PLACES_PER_KIND = 2;
const DEVICE: Principal = { kind: 'token', id: 'tok_1', name: 'Demo', positions: ['device', 'administrator'], pseudonym: 'p1' };
/** Two places a kind, in the old town. */
const catalogue: Catalogue = {
  places: PLACE_KINDS.flatMap(({ kind, title }) => Array.from({ length: PLACES_PER_KIND }, (_, index) => ({ reference: `${kind.replaceAll('_', '-')}-00${index + 1}`, kind, name: `${title} ${index + 1}`, district: 'Centro', lon: -56.19 - index / 1_000, lat: -34.9 }))),
  streams: [],
};

let city: CityClient;
let close: () => Promise<void>;

beforeAll(async () => {
  const handle = await freshDatabase();
  const metrics = createMetrics();
  const bus = await createBus(handle, systemClock, silentLogger);
  const register = z.object({ purposes: z.array(Purpose) }).parse(parse(readFileSync(new URL('./city/purposes.yaml', import.meta.url), 'utf8'))).purposes;
  const byId = new Map(register.map((purpose) => [purpose.id, purpose]));
  const purposes = { get: (id: string) => byId.get(id), live: (id: string) => byId.has(id), all: () => register, version: () => 1, since: () => new Date(), hash: () => '' };
  const address = { url: '' };
  const sensing = await createSensing({ handle, bus, clock: systemClock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, Date.now()), authenticateToken: async () => DEVICE, authorize: () => true, publicUrl: () => address.url });
  const http = await buildHttp({ logger: silentLogger, authenticate: async () => DEVICE, authorize: () => true });
  await sensing.registerRoutes(http);
  address.url = await http.listen({ host: '127.0.0.1', port: 0 });
  city = connectCity({ url: address.url, token: 'any' });
  close = async () => {
    await http.close();
    await sensing.close();
    await bus.close();
  };
});
afterAll(() => close());

async function countOf(set: string): Promise<number> {
  return ((await city.get(`/v1.1/${set}?$count=true&$top=1`)) as { '@iot.count': number })['@iot.count'];
}

/** A client whose process is killed after some requests. */
function killedAfter(requests: number): CityClient {
  let left = requests;
  const count = (): void => {
    left -= 1;
    if (left < 0) throw new Error('killed');
  };
  return {
    get: (path) => city.get(path),
    post: async (path, body, language) => {
      count();
      return city.post(path, body, language);
    },
  };
}

it('goes on where it was killed, and changes nothing when it is complete', async () => {
  const nowMs = Date.now();
  const options = { catalogue, scenario: 'storm-day', nowMs, progress: () => undefined } as const;
  const streams = PLACE_KINDS.reduce((sum, { streams: each }) => sum + each.length * PLACES_PER_KIND, 0);
  // In the middle of the instruments, of the places, and of the history.
  for (const requests of [5, 30, 13]) await expect(seedCity({ ...options, city: killedAfter(requests) })).rejects.toThrow('killed');
  const partly = await countOf('Things');
  expect(partly).toBeGreaterThan(0);
  await seedCity({ ...options, city });
  expect(await countOf('Things')).toBe(catalogue.places.length);
  expect(await countOf('Datastreams')).toBe(streams);
  expect(await countOf('Sensors')).toBe(PLACE_KINDS.length);
  expect(await countOf('Locations')).toBe(catalogue.places.length);
  const filled = await countOf('Observations');
  expect(filled).toBeGreaterThan(streams * 100);

  expect(await seedCity({ ...options, city })).toMatchObject({ created: 0 });
  expect(await countOf('Things')).toBe(catalogue.places.length);
  expect(await countOf('Observations')).toBeLessThan(filled + streams);
});

it('registers streams with purpose, interval and bounds, at their places', async () => {
  const { value } = (await city.get("/v1.1/Datastreams?$filter=properties/reference eq 'drain-001.level'&$expand=Thing($expand=Locations),ObservedProperty")) as { value: Record<string, unknown>[] };
  expect(value).toMatchObject([{
    unitOfMeasurement: { symbol: 'm' },
    properties: { purpose: 'water-safety', interval_s: 30, min: 0, max: 6 },
    ObservedProperty: { properties: { key: 'level' } },
    Thing: { name: 'Drain 1', properties: { kind: 'drain' }, Locations: [{ location: { coordinates: [-56.19, -34.9] } }] },
  }]);
  const streams = await listStreams(city);
  expect(new Set(streams.map(({ model }) => model.kind)).size).toBe(PLACE_KINDS.length);
});

it('then lives: readings of now come in, residents report, and it ends when it is told to', async () => {
  const before = await countOf('Observations');
  const startedMs = Date.now();
  const end = new AbortController();
  // of the storm: what else residents report hangs on the hour at which the test runs
  const reports: { form: URLSearchParams; language: string | undefined }[] = [];
  const residents: CityClient = {
    get: () => Promise.reject(new Error('residents read nothing')),
    post: async (path, body, language) => {
      expect(path).toBe('/open311/v2/requests.json');
      if ((body as URLSearchParams).get('service_code') === 'flooded-street') reports.push({ form: body as URLSearchParams, language });
      return [];
    },
  };
  const running = simulate({ city, residents, scenario: 'storm-day', speed: 120, nowMs: Date.now, say: () => undefined, signal: end.signal });
  const ended = expect(running).rejects.toThrow(/abort/i);
  while (reports.length < 2 && Date.now() < startedMs + 20_000) await new Promise((resolve) => setTimeout(resolve, 200));
  end.abort();
  await ended;
  expect(reports.length).toBeGreaterThanOrEqual(2);
  expect(reports[0]?.language).toBe('es');
  expect(await countOf('Observations')).toBeGreaterThan(before + 30);
  const { value } = (await city.get('/v1.1/Observations?$orderby=phenomenonTime desc&$top=1')) as { value: { phenomenonTime: string }[] };
  expect(Date.parse(value[0]?.phenomenonTime ?? '')).toBeLessThanOrEqual(Date.now());
  expect(Date.parse(value[0]?.phenomenonTime ?? '')).toBeGreaterThan(startedMs - 2_000);
});
