import type { FeedHealth } from '../contracts/feed.ts';
import type { Reading, StreamInfo } from '../contracts/reading.ts';
import type { Random, Refusal } from '../kernel/index.ts';
import type { Bus, Http } from '../platform/index.ts';
import { createCsvImports } from './adapters/csv/import.ts';
import { registerCsvImportRoutes } from './adapters/csv/import-routes.ts';
import { registerFeedRoutes } from './adapters/feed-routes.ts';
import { openFeeds, type FeedsDeps } from './adapters/feeds.ts';
import { openDevices } from './devices/index.ts';
import { performTogether } from './batch/change-set.ts';
import { registerBatchRoutes } from './batch/routes.ts';
import { API_1_1, createEntities } from './entities/index.ts';
import { API_2_0 } from './v2/model.ts';
import { openPeers } from './peers/peers.ts';
import { openReadings, type ReadingsDeps } from './readings.ts';
import { registerHistoryRoutes } from './history/index.ts';
import type { Trust } from '../trust/index.ts';

export interface SensingDeps extends Omit<ReadingsDeps, 'peers'> {
  readonly bus: Bus;
  /** Name of this process, when others may share the work on the same database. */
  readonly sharedAs?: string;
  readonly purposes: Pick<Trust['purposes'], 'get' | 'live' | 'all'> & Partial<Pick<Trust['purposes'], 'onChange'>>;
  /** Without it no device has a credential of its own. */
  readonly devices?: { readonly tokens: Trust['deviceTokens']; readonly random: Random };
  /** Feeds of the city and the codecs of their devices; without it there are none. */
  readonly feeds?: Pick<FeedsDeps, 'feedsYaml' | 'codecs' | 'random'>;
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
  /** Health of the feeds of feeds.yaml, in the order of the file. */
  feedHealth(): FeedHealth[];
  /** Begins to ask the feeds that are pulled. */
  startFeeds(): void;
  registerRoutes(http: Http): Promise<void>;
  /** Opens MQTT, also over WebSocket at /mqtt of the HTTP server that `registerRoutes` got. */
  startMqtt(options: { host: string; port: number }): Promise<{ port: number }>;
  /** Ends the MQTT connections of a token that was revoked. */
  disconnectPrincipal(principalId: string): void;
  /** Readings stored since the start, and their rate over the last minute by kind of place. */
  ingestStats(): { admitted: number; perPlaceKind: ReadonlyMap<string, { perMinute: number }> };
  /** Stops taking readings; those that were taken are durable when it returns. */
  close(): Promise<void>;
}

/** A purpose that the register does not have is no reason: what stands under it came before. */
function refusalOf(purposes: Pick<Trust['purposes'], 'get' | 'live'>, purpose: string): Refusal | null {
  return purposes.get(purpose) === undefined || purposes.live(purpose) ? null : { code: 'purpose.expired', detail: `The purpose ${purpose} has ended or not begun.` };
}

/** Joins readings and entities. */
export async function createSensing(deps: SensingDeps): Promise<Sensing> {
  const peers = deps.sharedAs === undefined ? undefined : openPeers({ handle: deps.handle, logger: deps.logger, name: deps.sharedAs });
  const devices = deps.devices === undefined ? undefined : await openDevices({ ...deps, ...deps.devices });
  const readings = await openReadings({ ...deps, ...(peers === undefined ? {} : { peers }), createInline: (principal, inline) => entities.createInline(principal, inline), ...(devices === undefined ? {} : { noteUnknownSender: (pseudonym: string) => devices.noteUnknown(pseudonym) }) });
  const { handle, clock, purposes, publicUrl } = deps;
  const { ingest } = readings;
  const entities = createEntities({
    handle,
    clock,
    purposes,
    publicUrl,
    announce: peers === undefined ? undefined : (run, changes) => peers.announce(run, changes),
    insertObservations: (...sent) => ingest.takeMany(...sent),
    takeObservation: (...sent) => ingest.takeOne(...sent),
    admitObservation: (...sent) => ingest.check(...sent),
    isMulti: (id) => readings.isMulti(id),
    admitDescription: (...written) => deps.gate.admitDescription(...written),
    settings: () => readings.serverSettings(),
  });
  entities.onEntityChange((change) => readings.noteEntityChange(change));
  await peers?.join(readings.peerHandlers);
  const imports = createCsvImports({ handle, clock, purposes, entities, gate: deps.gate, readings: { takeDataArrays: (principal, body) => ingest.takeDataArrays(principal, body), onReadings: (handleBatch) => readings.onReadings(handleBatch) }, streams: () => readings.streams() });
  const feeds = deps.feeds === undefined ? undefined : await openFeeds({ ...deps, ...deps.feeds, entities, readings: { takeDataArrays: (principal, body) => ingest.takeDataArrays(principal, body), onReadings: (handleBatch) => readings.onReadings(handleBatch) } });
  return {
    streams: () => readings.streams(),
    onStreamsChanged: (handleIds) => readings.onStreamsChanged(handleIds),
    onReadings: (handleBatch) => readings.onReadings(handleBatch),
    latest: (id) => readings.latest(id),
    latestAt: (atMs) => readings.latestAt(atMs),
    readSeries: (id, fromMs, toMs, limit) => readings.readSeries(id, fromMs, toMs, limit),
    readHistory: (ids, fromMs, toMs) => readings.readHistory(ids, fromMs, toMs),
    feedHealth: () => feeds?.health() ?? [],
    startFeeds: () => feeds?.start(),
    registerRoutes: async (http) => {
      await readings.registerRoutes(http, (row) => entities.renderObservation(row));
      await entities.registerEntityRoutes(http);
      registerHistoryRoutes(http, { history: readings.history, handle, streams: () => readings.streams(), latest: (id) => readings.latest(id), clock, refusalOf: (purpose) => refusalOf(purposes, purpose) });
      const changeSets = { handle, tell: entities.tell, ...readings.changeSets };
      for (const root of [API_1_1.root, API_2_0.root]) await registerBatchRoutes(http, root, { publicUrl, changeSets });
      await registerCsvImportRoutes(http, { imports, logger: deps.logger });
      if (feeds !== undefined) await registerFeedRoutes(http, { feeds, clock, authorize: deps.authorize });
      await devices?.registerRoutes(http, {
        entities,
        streams: () => readings.streams(),
        settled: () => readings.settled(),
        latest: (id) => readings.latest(id),
        publicUrl,
        mqttUrl: () => readings.mqttUrl(),
        disconnect: (deviceId) => readings.disconnectDevice(deviceId),
        together: (act) => performTogether(changeSets, act),
      });
    },
    startMqtt: (options) => readings.startMqtt(options, [entities.mqttApi(), entities.mqttApi20()], (principal, topic, payload) => feeds?.takeFromTopic(topic, payload, principal) ?? Promise.resolve(false)),
    disconnectPrincipal: (principalId) => readings.disconnectPrincipal(principalId),
    ingestStats: () => readings.ingestStats(),
    close: async () => {
      await feeds?.close();
      await peers?.stopFollowing();
      await readings.close();
      await devices?.close();
      await peers?.close();
    },
  };
}
