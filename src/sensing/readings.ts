import type { Action, Principal } from '../contracts/principal.ts';
import type { Reading, StreamInfo } from '../contracts/reading.ts';
import { LIMITS, type Clock, type Refusal } from '../kernel/index.ts';
import { Gauge, type DatabaseHandle, type Http, type Logger, type Metrics } from '../platform/index.ts';
import type { Gate, Trust } from '../trust/index.ts';
import { registerIngestRoutes } from './ingest/http.ts';
import { createIngest, type Ingest } from './ingest/ingest.ts';
import { createJournal } from './ingest/journal.ts';
import { openMqttDoor, type MqttDoor } from './ingest/mqtt.ts';
import { createRates } from './ingest/rates.ts';
import { openDirectory, type EntityChange } from './observations/directory.ts';
import type { Draft } from './observations/draft.ts';
import type { ObservationRow } from './observations/observation-row.ts';
import { readHistory, readLatest, readLatestAt, readSeries } from './observations/observation-store.ts';
import { openPartitions } from './observations/partition-store.ts';
import { createIdBlocks, openWriter } from './observations/writer-store.ts';

export interface ReadingsDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'>;
  readonly gate: Gate;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  readonly publicUrl: () => string;
}

/** Everything about readings: taking them in, keeping them, giving them out. Entities are another matter. */
export interface Readings {
  readonly ingest: Ingest;
  noteEntityChange(change: EntityChange): void;
  streams(): ReadonlyMap<number, StreamInfo>;
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void;
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
  latest(datastreamId: number): Reading | undefined;
  latestAt(atMs: number): Promise<ReadonlyMap<number, Reading>>;
  readSeries(datastreamId: number, fromMs: number, toMs: number, limit: number): Promise<Reading[]>;
  readHistory(datastreamIds: readonly number[], fromMs: number, toMs: number): AsyncIterable<readonly Reading[]>;
  registerRoutes(http: Http): Promise<void>;
  startMqtt(options: { host: string; port: number }, renderObservation: (row: ObservationRow) => unknown): Promise<{ port: number }>;
  /** What the landing page of /v1.1 says of this side. */
  serverSettings(): { conformance: readonly string[]; more: Readonly<Record<string, unknown>> };
  ingestStats(): { admitted: number; perPlaceKind: ReadonlyMap<string, { perMinute: number }> };
  close(): Promise<void>;
}

// Requirements of 18-088 §13.2, §14.2 and §14.3
const REQUIREMENT = 'http://www.opengis.net/spec/iot_sensing/1.1/req/';
const DATA_ARRAY = `${REQUIREMENT}data-array/data-array`;
const CREATE_BY_MQTT = `${REQUIREMENT}create-observations-via-mqtt/observations-creation`;
const RECEIVE_BY_MQTT = `${REQUIREMENT}receive-updates-via-mqtt/receive-updates`;

const WRITERS = 2;
const ACK_TIMEOUT_MS = 10_000;

export async function openReadings(deps: ReadingsDeps): Promise<Readings> {
  const { handle, clock, logger, metrics, gate, purposes, publicUrl } = deps;
  const directory = await openDirectory(handle, logger);
  const partitions = await openPartitions(handle, clock, logger);
  const readers = new Set<(batch: readonly Reading[]) => void>();
  const rates = createRates();
  let admitted = 0;
  let mqtt: MqttDoor | undefined;
  let http: Http | undefined;
  const mqttUrls: string[] = [];

  const loadLatest = async (): Promise<void> => {
    const found = await readLatest(handle.db, [...directory.streams.keys()], partitions.names());
    for (const [id, reading] of found) {
      const stream = directory.streams.get(id);
      if (stream === undefined) continue;
      stream.latest = reading;
      stream.newestMs = Math.max(stream.newestMs, reading.phenomenonMs);
      stream.newest = null;
    }
  };
  await loadLatest();

  const onCommitted = (drafts: readonly Draft[]): void => {
    const nowMs = clock.nowMs();
    const batch = new Array<Reading>(drafts.length);
    for (let at = 0; at < drafts.length; at += 1) {
      const { stream, phenomenonMs, arrivalMs, value, valid } = drafts[at] as Draft;
      const reading: Reading = { datastreamId: stream.id, phenomenonMs, arrivalMs, value, valid };
      batch[at] = reading;
      if (stream.latest === undefined || phenomenonMs >= stream.latest.phenomenonMs) stream.latest = reading;
      rates.count(stream.info.placeKind, nowMs);
    }
    admitted += drafts.length;
    for (const read of readers) read(batch);
    mqtt?.forward(drafts);
  };

  const ids = createIdBlocks();
  const writers = Array.from({ length: WRITERS }, (_, number) => openWriter(handle, ids, logger, number));
  const journal = createJournal({ writers, partitions, logger, onCommitted, queue_rows: LIMITS.ingest_queue_rows, batch_rows: LIMITS.ingest_batch_rows, ack_timeout_ms: ACK_TIMEOUT_MS });
  const ingest = createIngest({ directory, journal, gate, purposes, clock, metrics });
  new Gauge({
    name: 'clerestory_ingest_queue_rows',
    help: 'Observations that wait for their commit',
    registers: [metrics],
    collect() {
      this.set(journal.queuedRows);
    },
  });

  // deleted observations may have been the newest: memory is read again
  let reloading: Promise<void> | undefined;
  const reload = (): void => {
    for (const stream of directory.streams.values()) stream.newest = null;
    reloading ??= loadLatest()
      .catch((error: unknown) => logger.error({ err: error }, 'the newest readings could not be read again after a deletion'))
      .finally(() => (reloading = undefined));
  };

  return {
    ingest,
    noteEntityChange: (change) => {
      if (change.set === 'Observations') reload();
      else directory.noteChange(change);
    },
    streams: () => directory.infos,
    onStreamsChanged: (handleIds) => directory.onChanged(handleIds),
    onReadings: (handleBatch) => {
      readers.add(handleBatch);
      return () => readers.delete(handleBatch);
    },
    latest: (id) => directory.streams.get(id)?.latest,
    latestAt: (atMs) => readLatestAt(handle.db, [...directory.streams.keys()], atMs),
    readSeries: (id, fromMs, toMs, limit) => readSeries(handle.db, id, fromMs, toMs, limit),
    readHistory: (streamIds, fromMs, toMs) => readHistory(handle, streamIds, fromMs, toMs, LIMITS.future_ms),
    registerRoutes: async (on) => {
      http = on;
      await registerIngestRoutes(on, ingest, publicUrl);
    },
    startMqtt: async (options, renderObservation) => {
      mqtt = await openMqttDoor({ ingest, journal, clock, logger, metrics, authenticateToken: deps.authenticateToken, authorize: deps.authorize, renderObservation });
      if (http !== undefined) mqtt.broker.attachWebSocket(http.server);
      const listening = await mqtt.broker.listen(options);
      mqttUrls.push(...mqttUrlsOf(publicUrl(), listening.port, http !== undefined));
      return listening;
    },
    serverSettings: () => ({
      conformance: mqttUrls.length > 0 ? [DATA_ARRAY, CREATE_BY_MQTT, RECEIVE_BY_MQTT] : [DATA_ARRAY],
      more: mqttUrls.length > 0 ? { [CREATE_BY_MQTT]: { endpoints: mqttUrls }, [RECEIVE_BY_MQTT]: { endpoints: mqttUrls } } : {},
    }),
    ingestStats: () => ({ admitted, perPlaceKind: rates.perMinute(clock.nowMs()) }),
    close: async () => {
      await mqtt?.broker.close();
      await journal.drain();
      await partitions.close();
      await directory.settled();
      await reloading;
      for (const writer of writers) await writer.close();
    },
  };
}

function mqttUrlsOf(publicUrl: string, port: number, overWebSocket: boolean): string[] {
  const { hostname, host, protocol } = new URL(publicUrl);
  return [`mqtt://${hostname}:${port}`, ...(overWebSocket ? [`${protocol === 'https:' ? 'wss' : 'ws'}://${host}/mqtt`] : [])];
}
