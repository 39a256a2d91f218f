import { afterAll } from 'vitest';
import type { Principal } from '../src/contracts/principal.ts';
import { Purpose } from '../src/contracts/trust.ts';
import { manualClock, systemClock, type ManualClock } from '../src/kernel/index.ts';
import { buildHttp, createBus, createLogger, createMetrics, silentLogger, type DatabaseHandle, type Http } from '../src/platform/index.ts';
import { createSensing } from '../src/sensing/index.ts';
import { createGate } from '../src/trust/index.ts';
import { freshDatabase } from './database.ts';

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

/** /v1.1 of an empty city, on a bare server where everybody may do everything. */
export interface SensorThingsRig {
  readonly handle: DatabaseHandle;
  readonly http: Http;
  readonly clock: ManualClock;
  /** The caller of the next requests. */
  principal: Principal;
  send(method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE' | 'HEAD' | 'OPTIONS', path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Json>;
  /** Names (or ids) of the entities that the address answers, in its order. */
  list(path: string, property?: string): Promise<unknown[]>;
  create(path: string, body: unknown): Promise<number>;
  /** Opens MQTT; any password is that of the device. */
  startMqtt(): Promise<{ port: number }>;
}

export const ROOT = 'http://city.test/v1.1';
const DEVICE: Principal = { kind: 'token', id: 'tok_1', name: 'Probe', positions: ['device'], pseudonym: 'p1' };
const purpose = (id: string): Purpose => Purpose.parse({ id, title: id, description: 'For the tests of this server.', legal_basis: 'None needed', owner: 'Tests', retention_days: 30 });
const REGISTER = new Map([purpose('city-operations'), purpose('flood-warning'), { ...purpose('old-study'), ends: '2020-01-01' }].map((entry) => [entry.id, entry]));

export async function openSensorThings(startMs = Date.parse('2026-11-24T06:00:00Z')): Promise<SensorThingsRig> {
  const handle = await freshDatabase();
  const clock = manualClock(startMs);
  const metrics = createMetrics();
  const bus = await createBus(handle, systemClock, silentLogger);
  const purposes = { get: (id: string) => REGISTER.get(id), live: (id: string) => REGISTER.has(id) && id !== 'old-study', all: () => [...REGISTER.values()], version: () => 1, since: () => new Date(startMs), hash: () => '' };
  const sensing = await createSensing({ handle, bus, clock, logger: silentLogger, metrics, purposes, gate: createGate(metrics, startMs), authenticateToken: async () => DEVICE, authorize: () => true, publicUrl: () => 'http://city.test' });
  const rig = { principal: DEVICE };
  const http = await buildHttp({ logger: process.env['RIG_LOG'] === undefined ? silentLogger : createLogger('error'), authenticate: async () => rig.principal, authorize: () => true });
  await sensing.registerRoutes(http);
  await http.ready();
  afterAll(async () => {
    await http.close();
    await sensing.close();
    await bus.close();
  });
  const send: SensorThingsRig['send'] = async (method, path, body, headers = {}) => {
    const url = path.startsWith('http') ? path.slice('http://city.test'.length) : `/v1.1${path}`;
    const answer = await http.inject({ method, url, ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }), headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers } });
    const isJson = String(answer.headers['content-type'] ?? '').startsWith('application/json') && answer.body !== '';
    return { status: answer.statusCode, body: isJson ? answer.json<Json>() : {}, text: answer.body, headers: answer.headers as Record<string, string | undefined> };
  };
  const get: SensorThingsRig['get'] = async (path) => {
    const answer = await send('GET', path);
    if (answer.status !== 200) throw new Error(`GET ${path}: ${String(answer.status)} ${answer.text}`);
    return answer.body;
  };
  return Object.assign(rig, {
    handle,
    http,
    clock,
    startMqtt: () => sensing.startMqtt({ host: '127.0.0.1', port: 0 }),
    send,
    get,
    list: async (path: string, property = 'name') => ((await get(path))['value'] as Json[]).map((entity) => entity[property]),
    create: async (path: string, body: unknown) => {
      const answer = await send('POST', path, body);
      if (answer.status !== 201) throw new Error(`POST ${path}: ${String(answer.status)} ${answer.text}`);
      return answer.body['@iot.id'] as number;
    },
  });
}

export const LOCATION = { name: 'Bridge', description: 'Pier of the bridge', encodingType: 'application/geo+json', location: { type: 'Point', coordinates: [11.57, 48.14] } };
export const SENSOR = { name: 'Radar', description: 'Radar gauge', encodingType: 'application/pdf', metadata: 'http://example.org/radar.pdf' };
export const LEVEL = { name: 'Water level', definition: 'http://example.org/level', description: 'Height of the water' };
export const datastream = (more: Json = {}): Json => ({
  name: 'Level at the bridge',
  description: 'Every minute',
  observationType: 'http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Observation',
  unitOfMeasurement: { name: 'metre', symbol: 'm', definition: 'ucum:m' },
  properties: { purpose: 'city-operations' },
  ...more,
});
export const FULL_THING = { name: 'Gauge', description: 'River gauge', properties: { kind: 'river_gauge', owner: { name: 'City' } }, Locations: [LOCATION], Datastreams: [datastream({ Sensor: SENSOR, ObservedProperty: LEVEL })] };
