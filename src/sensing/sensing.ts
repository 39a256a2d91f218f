import type { Reading, StreamInfo } from '../contracts/reading.ts';
import type { Bus, Http } from '../platform/index.ts';
import { createEntities } from './entities/index.ts';
import { openReadings, type ReadingsDeps } from './readings.ts';
import type { Trust } from '../trust/index.ts';

export interface SensingDeps extends ReadingsDeps {
  readonly bus: Bus;
  readonly purposes: Trust['purposes'];
}

/** The door of sensing for the brain, the operations and the app. */
export interface Sensing {
  /** What is known of every datastream; kept current in memory. */
  streams(): ReadonlyMap<number, StreamInfo>;
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void;
  /** Called after the batch is durable, in the order of the commits. */
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
  /** The newest reading by phenomenon time, from memory; rebuilt at start. */
  latest(datastreamId: number): Reading | undefined;
  /** Newest reading of each stream with phenomenon and arrival up to `atMs`, at most two days old. */
  latestAt(atMs: number): Promise<ReadonlyMap<number, Reading>>;
  /** Readings with `fromMs` <= phenomenon < `toMs`, in order. */
  readSeries(datastreamId: number, fromMs: number, toMs: number, limit: number): Promise<Reading[]>;
  /** Readings that arrived in [`fromMs`, `toMs`) in order of arrival, in bounded chunks. */
  readHistory(datastreamIds: readonly number[], fromMs: number, toMs: number): AsyncIterable<readonly Reading[]>;
  registerRoutes(http: Http): Promise<void>;
  /** Opens MQTT, also over WebSocket at /mqtt of the HTTP server that `registerRoutes` got. */
  startMqtt(options: { host: string; port: number }): Promise<{ port: number }>;
  /** Readings stored since the start, and their rate over the last minute by kind of place. */
  ingestStats(): { admitted: number; perPlaceKind: ReadonlyMap<string, { perMinute: number }> };
  /** Stops taking readings; those that were taken are durable when it returns. */
  close(): Promise<void>;
}

/** Joins readings and entities. */
export async function createSensing(deps: SensingDeps): Promise<Sensing> {
  const readings = await openReadings(deps);
  const { handle, clock, purposes, publicUrl } = deps;
  const entities = createEntities({ handle, clock, purposes, publicUrl, insertObservations: (datastreamId, bodies) => readings.ingest.takeMany(datastreamId, bodies), admitObservation: (datastreamId, body) => readings.ingest.check(datastreamId, body), settings: () => readings.serverSettings() });
  entities.onEntityChange((change) => readings.noteEntityChange(change));
  return {
    streams: () => readings.streams(),
    onStreamsChanged: (handleIds) => readings.onStreamsChanged(handleIds),
    onReadings: (handleBatch) => readings.onReadings(handleBatch),
    latest: (id) => readings.latest(id),
    latestAt: (atMs) => readings.latestAt(atMs),
    readSeries: (id, fromMs, toMs, limit) => readings.readSeries(id, fromMs, toMs, limit),
    readHistory: (ids, fromMs, toMs) => readings.readHistory(ids, fromMs, toMs),
    registerRoutes: async (http) => {
      await readings.registerRoutes(http);
      await entities.registerEntityRoutes(http);
    },
    startMqtt: (options) => readings.startMqtt(options, (row) => entities.renderObservation(row)),
    ingestStats: () => readings.ingestStats(),
    close: () => readings.close(),
  };
}
