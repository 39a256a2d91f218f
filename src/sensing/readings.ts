import { setTimeout as sleep } from 'node:timers/promises';
import type { Action, Principal } from '../contracts/principal.ts';
import type { Reading, StreamInfo } from '../contracts/reading.ts';
import { LIMITS, refuse, type Clock, type Refusal } from '../kernel/index.ts';
import { Gauge, type DatabaseHandle, type Http, type Logger, type Metrics } from '../platform/index.ts';
import type { Gate, Trust } from '../trust/index.ts';
import type { ChangeSetDeps } from './batch/change-set.ts';
import { accountDevices } from './devices/accounting.ts';
import { registerIngestRoutes } from './ingest/http.ts';
import { createIngest, type Ingest, type IngestDeps } from './ingest/ingest.ts';
import { createJournal } from './ingest/journal.ts';
import { openMqttDoor, type MqttApi, type MqttDeps, type MqttDoor } from './ingest/mqtt.ts';
import { createRates } from './ingest/rates.ts';
import { openHistory, type History } from './history/index.ts';
import { openDirectory, type Directory, type EntityChange } from './observations/directory.ts';
import { draftOf, type Draft } from './observations/draft.ts';
import type { ObservationRow } from './observations/observation-row.ts';
import { readHistory, readLatest, readLatestAt, readSeries } from './observations/observation-store.ts';
import { removeOrphans, removeStored, sweepAfterCrash } from './observations/orphan-store.ts';
import { DAY_MS, openPartitions } from './observations/partition-store.ts';
import type { Stream } from './observations/stream.ts';
import { createIdBlocks, openWriter } from './observations/writer-store.ts';
import type { PeerHandlers, Peers } from './peers/peers.ts';

export interface ReadingsDeps {
  readonly handle: DatabaseHandle;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly purposes: Pick<Trust['purposes'], 'live' | 'get'> & Partial<Pick<Trust['purposes'], 'all' | 'onChange'>>;
  readonly gate: Gate;
  readonly authenticateToken: (token: string) => Promise<Principal | Refusal>;
  readonly authorize: (principal: Principal, action: Action) => boolean;
  /** Hears whom MQTT denied what. */
  readonly noteDenied?: (principal: Principal, action: string, resource: string) => void;
  readonly publicUrl: () => string;
  /** How old readings are treated; without it none is packed or deleted by itself. */
  readonly history?: { readonly seal_after_days: number; readonly log: Pick<Trust['log'], 'append' | 'readOpening'> };
  /** Creates what stands inside an observation; without it such an observation is refused (501). */
  readonly createInline?: IngestDeps['createInline'];
  /** Hears of senders with a good token, no device, that write to Datastreams which do not exist. */
  readonly noteUnknownSender?: (pseudonym: string) => void;
  /** Other processes on the same database; without it this process is alone. */
  readonly peers?: Peers;
}

/** Everything about readings: taking them in, keeping them, giving them out. Entities are another matter. */
export interface Readings {
  readonly ingest: Ingest;
  readonly history: History;
  noteEntityChange(change: EntityChange): void;
  /** What becomes of that which other processes did; for Peers.join. */
  readonly peerHandlers: PeerHandlers;
  /** Whether the id is that of a MultiDatastream. */
  isMulti(datastreamId: number): boolean;
  /** What a change set needs to store observations with it. */
  readonly changeSets: Pick<ChangeSetDeps, 'hasDays' | 'makeDays' | 'store' | 'removeStored' | 'forget' | 'afterCommit'>;
  streams(): ReadonlyMap<number, StreamInfo>;
  onStreamsChanged(handle: (ids: readonly number[]) => void): () => void;
  onReadings(handle: (batch: readonly Reading[]) => void): () => void;
  latest(datastreamId: number): Reading | undefined;
  latestAt(atMs: number): Promise<ReadonlyMap<number, Reading>>;
  readSeries(datastreamId: number, fromMs: number, toMs: number, limit: number): Promise<Reading[]>;
  readHistory(datastreamIds: readonly number[], fromMs: number, toMs: number): AsyncIterable<readonly Reading[]>;
  /** `render` makes the JSON with which the creation of one observation is answered. */
  registerRoutes(http: Http, render?: (row: ObservationRow) => unknown): Promise<void>;
  startMqtt(options: { host: string; port: number }, apis: readonly MqttApi[], onOtherTopic?: MqttDeps['onOtherTopic']): Promise<{ port: number }>;
  /** Where MQTT is, once it was started. */
  mqttUrl(): string | undefined;
  /** Ends the MQTT connections of a device. */
  disconnectDevice(deviceId: string): void;
  disconnectPrincipal(principalId: string): void;
  /** Resolves when every change that was noted is in memory. */
  settled(): Promise<void>;
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
const UNKNOWN_STREAM_TRIES = 10;
const UNKNOWN_STREAM_MS = 200;
const ACK_TIMEOUT_MS = 10_000;

export async function openReadings(deps: ReadingsDeps): Promise<Readings> {
  const { handle, clock, logger, metrics, gate, purposes, publicUrl } = deps;
  const directory = await openDirectory(handle, logger);
  const partitions = await openPartitions(handle, clock, logger);
  const history = openHistory({ handle, clock, logger, metrics, purposes, partitions, seal_after_days: deps.history?.seal_after_days ?? 0, log: deps.history?.log, onRemoved: () => reload() });
  const readers = new Set<(batch: readonly Reading[]) => void>();
  const rates = createRates();
  let admitted = 0;
  let mqtt: MqttDoor | undefined;
  let http: Http | undefined;
  const mqttUrls: string[] = [];

  const loadLatest = async (): Promise<void> => {
    const known = new Map([...directory.streams.values()].map((stream) => [stream.id, stream.latest]));
    if (deps.peers?.areThere() === true) await partitions.refresh();
    const found = await readLatest(handle.db, [...known.keys()], partitions.names());
    for (const [id, latest] of known) {
      const stream = directory.streams.get(id);
      if (stream === undefined || stream.latest !== latest) continue; // a newer one was stored meanwhile
      const reading = found.get(id);
      stream.latest = reading;
      if (reading === undefined) continue;
      stream.newestMs = Math.max(stream.newestMs, reading.phenomenonMs);
      stream.newest = null;
    }
  };
  await loadLatest();

  // Readings that were under way when their Datastream was deleted: those that were stored by then go in one sweep, those that
  // come after it when they are stored.
  const deleted = new Set<number>();
  let sweeping: Promise<unknown> | undefined;
  const noteOrphans = (act: () => Promise<unknown>): void => {
    const before = sweeping;
    sweeping = Promise.resolve(before)
      .then(act)
      .catch((error: unknown) => logger.error({ err: error }, 'readings of deleted datastreams could not be removed'));
  };
  const sweep = (id: number): void => {
    deleted.add(id);
    if (deleted.size > 1) return;
    noteOrphans(async () => {
      const ids = [...deleted];
      deleted.clear();
      await removeOrphans(handle, ids);
    });
  };

  const crashSweep = await sweepAfterCrash(handle, (ids) => removeOrphans(handle, ids), logger);
  const onCommitted = (drafts: readonly Draft[]): void => {
    const nowMs = clock.nowMs();
    const batch = new Array<Reading>(drafts.length);
    const orphans: Draft[] = [];
    for (let at = 0; at < drafts.length; at += 1) {
      const { stream, phenomenonMs, arrivalMs, value, valid } = drafts[at] as Draft;
      const reading: Reading = { datastreamId: stream.id, phenomenonMs, arrivalMs, value, valid };
      batch[at] = reading;
      if (stream.latest === undefined || phenomenonMs >= stream.latest.phenomenonMs) stream.latest = reading;
      if (stream.isGone) orphans.push(drafts[at] as Draft);
      rates.count(stream.info.placeKind, nowMs);
    }
    admitted += drafts.length;
    if (orphans.length > 0) noteOrphans(() => removeStored(handle, orphans));
    for (const read of readers) read(batch);
    mqtt?.forward(drafts);
  };

  const ids = createIdBlocks();
  const processName = deps.peers?.name ?? `${String(process.pid)}-${Date.now().toString(36)}`;
  const writers = Array.from({ length: WRITERS }, (_, number) => openWriter({ handle, ids, logger, name: `${processName}-${String(number)}`, isShared: () => deps.peers?.areThere() ?? false }));
  const journal = createJournal({ writers, partitions, logger, onCommitted, queue_rows: LIMITS.ingest_queue_rows, batch_rows: LIMITS.ingest_batch_rows, ack_timeout_ms: ACK_TIMEOUT_MS, refusal: () => deps.peers?.refusal() ?? null });
  const ingest = accountDevices(createIngest({ directory, journal, gate, purposes, clock, metrics, createInline: deps.createInline ?? (async () => refuse('http.not-implemented', 'Observations bring no new entities here.')) }), (pseudonym) => deps.noteUnknownSender?.(pseudonym));
  measureQueue(metrics, () => journal.queuedRows);

  // deleted observations may have been the newest: memory is read again
  let reloading: Promise<void> | undefined;
  const reload = (): void => {
    for (const stream of directory.streams.values()) stream.newest = null;
    reloading ??= loadLatest()
      .catch((error: unknown) => logger.error({ err: error }, 'the newest readings could not be read again after a deletion'))
      .finally(() => (reloading = undefined));
  };

  const mayShow = (id: number): boolean => isShown(directory.streams.get(id), purposes);
  const stopHearing = tellHidden(directory, purposes);
  const noteEntityChange = (change: EntityChange): void => {
    if (change.set === 'Observations') reload();
    else directory.noteChange(change);
    if (change.kind === 'deleted' && (change.set === 'Datastreams' || change.set === 'MultiDatastreams')) sweep(change.id);
    mqtt?.noteChange(change);
  };
  /** The Datastream may be part of a change set that commits after its readings. */
  const findSoon = async (id: number): Promise<Stream | undefined> => {
    for (let left = UNKNOWN_STREAM_TRIES; ; left -= 1) {
      const stream = directory.get(id) ?? (await directory.find(id));
      if (stream !== undefined || left === 0) return stream;
      await sleep(UNKNOWN_STREAM_MS);
    }
  };
  const takeStored = async (rows: readonly ObservationRow[]): Promise<void> => {
    const drafts: Draft[] = [];
    for (const row of rows) {
      const stream = await findSoon(row.datastream_id);
      if (stream === undefined) continue; // deleted meanwhile
      if (!isShown(stream, purposes)) continue; // its purpose ended meanwhile
      const draft = draftOf(stream, row);
      const day = Math.floor(draft.phenomenonMs / DAY_MS);
      if (!partitions.isKnown(day)) await partitions.ensure(day);
      stream.newestMs = Math.max(stream.newestMs, draft.phenomenonMs);
      stream.newest = null;
      drafts.push(draft);
    }
    if (drafts.length > 0) onCommitted(drafts);
  };

  return {
    ingest,
    history,
    noteEntityChange,
    peerHandlers: {
      onStored: takeStored,
      onChanged: reload,
      onEntityChange: noteEntityChange,
      onGap: () => {
        directory.reload();
        reload();
      },
    },
    isMulti: (id) => directory.streams.get(id)?.isMulti ?? false,
    changeSets: {
      hasDays: (drafts) => drafts.every(({ phenomenonMs }) => partitions.isKnown(Math.floor(phenomenonMs / DAY_MS))),
      makeDays: async (drafts) => {
        for (const day of new Set(drafts.map(({ phenomenonMs }) => Math.floor(phenomenonMs / DAY_MS)))) await partitions.ensure(day);
      },
      store: (drafts) => ingest.store(drafts),
      removeStored: async (drafts) => {
        await removeStored(handle, drafts);
        reload(); // the same reading, sent again, must not be found in memory
      },
      forget: (changes) => {
        for (const { set, id, kind } of changes) if (kind === 'created') directory.noteChange({ set, id, kind: 'deleted' });
      },
      afterCommit: async (drafts) => {
        for (const stream of new Set(drafts.map((draft) => draft.stream))) if (stream.featureId === null && stream.hasLocation) await directory.ensureFeature(stream);
      },
    },
    streams: () => directory.infos,
    onStreamsChanged: (handleIds) => directory.onChanged(handleIds),
    onReadings: (handleBatch) => {
      readers.add(handleBatch);
      return () => readers.delete(handleBatch);
    },
    latest: (id) => (mayShow(id) ? directory.streams.get(id)?.latest : undefined),
    latestAt: (atMs) => readLatestAt(handle.db, [...directory.streams.keys()].filter(mayShow), atMs),
    readSeries: (id, fromMs, toMs, limit) => (mayShow(id) ? readSeries(handle.db, id, fromMs, toMs, limit) : Promise.resolve([])),
    readHistory: (streamIds, fromMs, toMs) => readHistory(handle, streamIds.filter(mayShow), fromMs, toMs, LIMITS.future_ms),
    registerRoutes: async (on, render) => {
      http = on;
      on.addHook('preClose', async () => mqtt?.broker.closeWebSockets()); // the HTTP server waits for its sockets
      await registerIngestRoutes(on, ingest, publicUrl, render);
    },
    startMqtt: async (options, apis, onOtherTopic) => {
      mqtt = await openMqttDoor({ ingest, journal, clock, logger, metrics, authenticateToken: deps.authenticateToken, authorize: deps.authorize, ...(deps.noteDenied === undefined ? {} : { noteDenied: deps.noteDenied }), apis, hasLatest: (id) => mayShow(id) && directory.streams.get(id)?.latest !== undefined, mayShow, ...(onOtherTopic === undefined ? {} : { onOtherTopic }) });
      if (http !== undefined) mqtt.broker.attachWebSocket(http.server, new URL(publicUrl()).host);
      const listening = await mqtt.broker.listen(options);
      mqttUrls.push(...mqttUrlsOf(publicUrl(), listening.port, http !== undefined));
      return listening;
    },
    mqttUrl: () => mqttUrls[0],
    disconnectDevice: (deviceId) => mqtt?.broker.disconnectDevice(deviceId),
    disconnectPrincipal: (principalId) => mqtt?.broker.disconnectPrincipal(principalId),
    settled: () => directory.settled(),
    serverSettings: () => ({
      conformance: mqttUrls.length > 0 ? [DATA_ARRAY, CREATE_BY_MQTT, RECEIVE_BY_MQTT] : [DATA_ARRAY],
      more: mqttUrls.length > 0 ? { [CREATE_BY_MQTT]: { endpoints: mqttUrls }, [RECEIVE_BY_MQTT]: { endpoints: mqttUrls } } : {},
    }),
    ingestStats: () => ({ admitted, perPlaceKind: rates.perMinute(clock.nowMs()) }),
    close: async () => {
      stopHearing();
      await mqtt?.close();
      await journal.drain();
      await history.close();
      await Promise.all([partitions.close(), directory.settled(), reloading]);
      await Promise.all([sweeping, crashSweep.close()]);
      for (const writer of writers) await writer.close();
    },
  };
}

/** Readings whose purpose has ended are shown to nobody, also before they are deleted. */
function isShown(stream: Stream | undefined, purposes: ReadingsDeps['purposes']): boolean {
  return stream === undefined || purposes.get(stream.info.purpose) === undefined || purposes.live(stream.info.purpose);
}

/** Who watches hears at once that there is no value any more, or again. Returns what ends it. */
function tellHidden(directory: Pick<Directory, 'streams' | 'tell'>, purposes: ReadingsDeps['purposes']): () => void {
  const listHidden = (): Set<number> => new Set([...directory.streams.values()].filter((stream) => !isShown(stream, purposes)).map(({ id }) => id));
  let hidden = listHidden();
  const stop = purposes.onChange?.(() => {
    const before = hidden;
    hidden = listHidden();
    directory.tell([...[...hidden].filter((id) => !before.has(id)), ...[...before].filter((id) => !hidden.has(id))]);
  });
  return () => stop?.();
}

function measureQueue(metrics: Metrics, queuedRows: () => number): void {
  new Gauge({
    name: 'clerestory_ingest_queue_rows',
    help: 'Observations that wait for their commit',
    registers: [metrics],
    collect() {
      this.set(queuedRows());
    },
  });
}

function mqttUrlsOf(publicUrl: string, port: number, overWebSocket: boolean): string[] {
  const { hostname, host, protocol } = new URL(publicUrl);
  return [`mqtt://${hostname}:${port}`, ...(overWebSocket ? [`${protocol === 'https:' ? 'wss' : 'ws'}://${host}/mqtt`] : [])];
}
