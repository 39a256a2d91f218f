import type { AddressInfo } from 'node:net';
import type { Principal } from '../src/contracts/principal.ts';
import type { Reading, StreamInfo } from '../src/contracts/reading.ts';
import type { RequestFiled } from '../src/contracts/request.ts';
import type { RuleState, Warning } from '../src/contracts/warning.ts';
import { isoOf, newId, systemClock, systemRandom, type Clock } from '../src/kernel/index.ts';
import { createOperations, type BrainDoor, type Operations, type SensingDoor } from '../src/operations/index.ts';
import { buildHttp, createBus, createMetrics, silentLogger, type Bus, type DatabaseHandle, type Http, type LiveLimits, type Metrics } from '../src/platform/index.ts';

/** A small sensing in memory: streams and readings that a test puts in, told to the room as the real one does. */
export interface MemorySensing extends SensingDoor {
  addStream(stream: StreamInfo): void;
  removeStream(id: number): void;
  take(readings: readonly Reading[]): void;
}

export function memorySensing(): MemorySensing {
  const streams = new Map<number, StreamInfo>();
  const all = new Map<number, Reading[]>();
  const latest = new Map<number, Reading>();
  const onReadings = new Set<(batch: readonly Reading[]) => void>();
  const onStreams = new Set<(ids: readonly number[]) => void>();
  const listen = <T>(set: Set<T>, handle: T): (() => void) => {
    set.add(handle);
    return () => set.delete(handle);
  };
  return {
    streams: () => streams,
    onStreamsChanged: (handle) => listen(onStreams, handle),
    onReadings: (handle) => listen(onReadings, handle),
    latest: (id) => latest.get(id),
    latestAt: async (atMs) => {
      const found = new Map<number, Reading>();
      for (const [id, readings] of all) {
        const then = readings
          .filter((reading) => reading.phenomenonMs <= atMs && reading.arrivalMs <= atMs)
          .sort((a, b) => a.phenomenonMs - b.phenomenonMs)
          .at(-1);
        if (then !== undefined) found.set(id, then);
      }
      return found;
    },
    readSeries: async (id, fromMs, toMs, limit) =>
      (all.get(id) ?? [])
        .filter(({ phenomenonMs }) => phenomenonMs >= fromMs && phenomenonMs < toMs)
        .sort((a, b) => a.phenomenonMs - b.phenomenonMs)
        .slice(0, limit),
    ingestStats: () => ({ perPlaceKind: new Map([...streams.values()].map(({ placeKind }) => [placeKind, { perMinute: 1 }])) }),
    addStream: (stream) => {
      streams.set(stream.id, stream);
      for (const handle of onStreams) handle([stream.id]);
    },
    removeStream: (id) => {
      streams.delete(id);
      for (const handle of onStreams) handle([id]);
    },
    take: (readings) => {
      for (const reading of readings) {
        const series = all.get(reading.datastreamId) ?? [];
        series.push(reading);
        all.set(reading.datastreamId, series);
        if (reading.phenomenonMs >= (latest.get(reading.datastreamId)?.phenomenonMs ?? 0)) latest.set(reading.datastreamId, reading);
      }
      for (const handle of onReadings) handle(readings);
    },
  };
}

export interface MemoryBrain extends BrainDoor {
  set(id: number, state: RuleState, atMs: number): void;
}

export function memoryBrain(): MemoryBrain {
  const history: { id: number; state: RuleState; atMs: number }[] = [];
  const now = new Map<number, RuleState>();
  const listeners = new Set<(ids: readonly number[]) => void>();
  return {
    stateOf: (id) => now.get(id) ?? 'ok',
    onStates: (handle) => {
      listeners.add(handle);
      return () => listeners.delete(handle);
    },
    statesAt: async (atMs) => new Map(history.filter((change) => change.atMs <= atMs).map(({ id, state }) => [id, state])),
    set: (id, state, atMs) => {
      history.push({ id, state, atMs });
      now.set(id, state);
      for (const handle of listeners) handle([id]);
    },
  };
}

export const stream = (id: number, more: Partial<StreamInfo> = {}): StreamInfo => ({
  id,
  name: `Water level ${id}`,
  property: 'water_level',
  unit: 'cm',
  purpose: 'river-watch',
  interval_s: 60,
  thingId: id,
  placeName: `Gauge ${id}`,
  placeKind: 'river_gauge',
  point: [11.5 + id / 1_000, 48.1],
  ...more,
});

export const reading = (datastreamId: number, atMs: number, value: number | null, valid = true): Reading => ({ datastreamId, phenomenonMs: atMs, arrivalMs: atMs, value, valid });

export function warning(more: Partial<Warning> = {}): Warning {
  const raisedAt = more.raisedAt ?? isoOf(Date.now());
  return {
    id: newId<string>('wrn', Date.now(), systemRandom),
    ruleId: 'river-high',
    title: 'River above its warning level',
    severity: 'severe',
    state: 'warning',
    placeId: 7,
    placeName: 'Gauge at the mill bridge',
    placeKind: 'river_gauge',
    point: [11.57, 48.13],
    playbook: 'river-high-water',
    purpose: 'river-watch',
    since: raisedAt,
    raisedAt,
    clearedAt: null,
    explanation: {
      asOf: raisedAt,
      sentence: 'The level of 412 cm is above 400 cm.',
      rule: { id: 'river-high', version: 3, owner: 'Water office', condition: 'level > 400 cm' },
      terms: [],
    },
    ...more,
  };
}

export function filed(more: Partial<RequestFiled> = {}): RequestFiled {
  return {
    requestId: newId<string>('req', Date.now(), systemRandom),
    serviceCode: 'street-light',
    serviceName: 'Broken street light',
    severity: 'minor',
    playbook: 'street-light',
    description: 'The lamp flickers all night.',
    hasWords: true,
    language: 'en',
    address: 'Mill Lane 4',
    point: [11.58, 48.14],
    filedAt: isoOf(Date.now()),
    purpose: 'service-requests',
    ...more,
  };
}

export const ANN: Principal = { kind: 'person', id: 'per_ann', name: 'Ann', positions: ['operator'], pseudonym: 'op-ann' };
export const BO: Principal = { kind: 'person', id: 'per_bo', name: 'Bo', positions: ['supervisor', 'operator'], pseudonym: 'op-bo' };

export interface Room {
  readonly operations: Operations;
  readonly bus: Bus;
  readonly http: Http;
  readonly metrics: Metrics;
  readonly sensing: MemorySensing;
  readonly brain: MemoryBrain;
  readonly port: number;
  publish(topic: string, key: string, payload: unknown): Promise<void>;
  close(): Promise<void>;
}

/** The room on a real database and a real socket. Who calls is named by the header `x-person`: `ann`, `bo` or any other operator. */
export async function startRoom(
  handle: DatabaseHandle,
  options: { playbooksYaml?: string | null; clock?: Clock; liveLimits?: Partial<LiveLimits>; listen?: boolean } = {},
): Promise<Room> {
  const clock = options.clock ?? systemClock;
  const bus = await createBus(handle, clock, silentLogger);
  const sensing = memorySensing();
  const brain = memoryBrain();
  const metrics = createMetrics();
  const operations = await createOperations({
    handle,
    bus,
    clock,
    random: systemRandom,
    logger: silentLogger,
    metrics,
    sensing,
    brain,
    playbooksYaml: options.playbooksYaml ?? null,
    ...(options.liveLimits === undefined ? {} : { liveLimits: options.liveLimits }),
  });
  const http = await buildHttp({
    logger: silentLogger,
    authenticate: async (request) => {
      const person = String(request.headers['x-person'] ?? 'ann');
      return person === 'ann' ? ANN : person === 'bo' ? BO : { ...ANN, id: `per_${person}`, name: person };
    },
    authorize: () => true,
  });
  await operations.registerRoutes(http);
  if (options.listen === true) await http.listen({ host: '127.0.0.1', port: 0 });
  else await http.ready();
  return {
    operations,
    bus,
    http,
    metrics,
    sensing,
    brain,
    port: options.listen === true ? (http.server.address() as AddressInfo).port : 0,
    publish: (topic, key, payload) => handle.db.transaction().execute((trx) => bus.publish(trx, topic, key, payload)),
    close: async () => {
      await operations.close();
      await http.close();
      await bus.close();
    },
  };
}

/** Waits until `holds`; the test's own timeout is the limit. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}
