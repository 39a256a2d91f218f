import { Refused } from '../../kernel/index.ts';
import type { Counter, Logger, MqttBroker, MqttPeer } from '../../platform/index.ts';
import { storedSetOf, type Api } from '../entities/model.ts';
import type { Draft } from '../observations/draft.ts';
import type { EntityChange } from '../observations/directory.ts';
import type { ObservationRow } from '../observations/observation-row.ts';
import { rowOf } from './draft-row.ts';
import type { Topic } from './mqtt-topics.ts';

/** What the messages of one version of the API are made with. */
export interface UpdateApi {
  readonly api: Api;
  /** Entity JSON of an observation, as GET answers it. */
  readonly renderObservation: (row: ObservationRow) => Record<string, unknown>;
  /** Answers a GET of an address under the root, in process; null where it answers 204. Throws `Refused` where it refuses. */
  readonly read: (path: string, search: string) => Promise<unknown>;
}

/** Tells the subscribers of one API what is new (18-088 §14.3). */
export interface Updates {
  /** Before the SUBACK: what a property is now, so that its next change is seen. */
  prepare(topic: Topic): Promise<void>;
  /** The first subscriber of a topic came, or the last one left. */
  want(topic: Topic, isWanted: boolean): void;
  /** What a new subscriber gets at once: the newest observation of a Datastream, marked as retained. */
  greet(peer: MqttPeer, topic: Topic): void;
  forward(drafts: readonly Draft[]): void;
  noteChange(change: EntityChange): void;
  /** Nothing is asked of the database any more when it resolves. */
  close(): Promise<void>;
}

interface UpdatesDeps {
  readonly door: UpdateApi;
  readonly publish: MqttBroker['publish'];
  readonly logger: Logger;
  readonly dropped: Counter<'reason'>;
  readonly hasLatest: (datastreamId: number) => boolean;
}

const QUEUE_JOBS = 20_000;
const PROPERTY_TOPICS = 20_000;
/** What observations change of their Datastream is told at most this often. */
const EXTENT_MS = 1_000;
const EXTENT_PROPERTIES: ReadonlySet<string> = new Set(['phenomenonTime', 'resultTime', 'observedArea']);

export function createUpdates({ door, publish, logger, dropped, hasLatest }: UpdatesDeps): Updates {
  const idName = door.api.control.id;
  const toAll = new Map<string, Topic>();
  const byStream = new Map<number, Map<string, Topic>>();
  const byFeature = new Map<number, Map<string, Topic>>();
  /** All that is answered by asking the database, by table. */
  const byTable = new Map<string, Map<string, Topic>>();
  const extents = new Map<number, Map<string, Topic>>();
  const lastTexts = new Map<string, string>();
  /** New subscribers by topic. */
  const waiting = new Map<string, MqttPeer[]>();
  /** Observations sent to each topic, as far as somebody waits for the newest of it. */
  const sentWhileReading = new Map<string, number>();
  const { enqueue, end } = createQueue(logger, () => dropped.inc({ reason: 'queue-full' }));

  const put = <Key>(map: Map<Key, Map<string, Topic>>, key: Key, topic: Topic, isWanted: boolean): void => {
    const held = map.get(key) ?? new Map<string, Topic>();
    if (isWanted) map.set(key, held.set(topic.text, topic));
    else if (held.delete(topic.text) && held.size === 0) map.delete(key);
  };
  const read = async (path: string, search = ''): Promise<unknown> => {
    try {
      return (await door.read(path, search)) ?? null;
    } catch (error) {
      if (error instanceof Refused) return undefined; // it is not there, or not there any more
      throw error;
    }
  };
  const textOf = (topic: Topic, value: unknown): string => JSON.stringify(topic.property !== null && value === null ? { [topic.property]: null } : value);

  const idAt = async (path: string): Promise<number | null> => {
    const found = (await read(path)) as Record<string, unknown> | null | undefined;
    const id = found?.[idName];
    return typeof id === 'number' ? id : null;
  };
  /** Sends what `topic` shows of the entity, if it is the one that it shows. */
  const tell = async (topic: Topic, id: number): Promise<void> => {
    if (topic.kind === 'collection') {
      const value = await read(`${topic.path}(${String(id)})`, topic.search);
      if (value !== undefined && value !== null) publish(topic.text, textOf(topic, value));
      return;
    }
    if (topic.id === null ? (await idAt(topic.path)) !== id : topic.id !== id) return;
    const value = await read(topic.property === null ? topic.path : `${topic.path}/${topic.property}`, topic.search);
    if (value === undefined) return;
    const text = textOf(topic, value);
    if (topic.kind === 'property') {
      if (lastTexts.get(topic.text) === text) return;
      lastTexts.set(topic.text, text);
    }
    publish(topic.text, text);
  };

  /** Tables of the sets that show the rows; a version without MultiDatastreams has all of them in one. */
  const tablesOf = (set: string): string[] => {
    const isApart = door.api.models.some((model) => model.set === set);
    return door.api.models.filter((model) => storedSetOf(model) === set || (!isApart && set === 'MultiDatastreams' && model.set === 'Datastreams')).map(({ table }) => table);
  };

  const changedExtents = new Set<number>();
  let extentTimer: NodeJS.Timeout | undefined;
  const noteExtents = (drafts: readonly Draft[]): void => {
    for (const { stream } of drafts) if (extents.has(stream.id)) changedExtents.add(stream.id);
    if (changedExtents.size === 0 || extentTimer !== undefined) return;
    extentTimer = setTimeout(() => {
      extentTimer = undefined;
      for (const id of changedExtents) for (const topic of extents.get(id)?.values() ?? []) enqueue(() => tell(topic, id));
      changedExtents.clear();
    }, EXTENT_MS);
    extentTimer.unref();
  };

  const sendObservation = (draft: Draft, topics: Iterable<Topic>): void => {
    let json: Record<string, unknown> | undefined;
    for (const topic of topics) {
      const { observations, options } = topic;
      if (observations?.of === 'stream' && observations.thingId !== null && observations.thingId !== draft.stream.info.thingId) continue;
      if (options.expand.length > 0 || options.select?.some(({ rest }) => rest.length > 0) === true) {
        enqueue(async () => {
          const value = await read(`Observations(${String(draft.id)})`, topic.search);
          if (value !== undefined) publish(topic.text, textOf(topic, value));
        });
        continue;
      }
      const sent = sentWhileReading.get(topic.text);
      if (sent !== undefined) sentWhileReading.set(topic.text, sent + 1);
      json ??= door.renderObservation(rowOf(draft));
      publish(topic.text, JSON.stringify(options.select === null ? json : pick(json, options.select, idName)));
    }
  };

  /** The newest observation for all who wait for it; who subscribes while it is read gets the next one. */
  const sendNewest = async (topic: Topic): Promise<void> => {
    const peers = waiting.get(topic.text) ?? [];
    waiting.delete(topic.text);
    sentWhileReading.set(topic.text, 0);
    const page = (await read(topic.path, `$orderby=phenomenonTime desc&$top=1${topic.search === '' ? '' : `&${topic.search}`}`)) as { value?: unknown[] } | null | undefined;
    const newest = page?.value?.[0];
    const isOvertaken = sentWhileReading.get(topic.text) !== 0;
    sentWhileReading.delete(topic.text);
    // the subscribers have a newer one already when one came meanwhile
    if (newest === undefined || isOvertaken) return;
    const text = JSON.stringify(newest);
    for (const peer of peers) peer.tell(topic.text, text, true);
  };

  return {
    prepare: async (topic) => {
      if (topic.property === null || lastTexts.has(topic.text)) return;
      const value = await read(`${topic.path}/${topic.property}`);
      // without a value to compare with, the next update is told in any case
      if (lastTexts.size >= PROPERTY_TOPICS) lastTexts.clear();
      if (value !== undefined) lastTexts.set(topic.text, textOf(topic, value));
    },
    want: (topic, isWanted) => {
      const { observations } = topic;
      if (observations?.of === 'all') {
        if (isWanted) toAll.set(topic.text, topic);
        else toAll.delete(topic.text);
      } else if (observations !== null) put(observations.of === 'stream' ? byStream : byFeature, observations.id, topic, isWanted);
      put(byTable, topic.model.table, topic, isWanted);
      if (topic.property === null) return;
      if (topic.id !== null && EXTENT_PROPERTIES.has(topic.property)) put(extents, topic.id, topic, isWanted);
      if (!isWanted) lastTexts.delete(topic.text);
    },
    greet: (peer, topic) => {
      const { observations } = topic;
      if (observations?.of !== 'stream' || !hasLatest(observations.id)) return;
      const others = waiting.get(topic.text);
      if (others !== undefined) others.push(peer);
      else {
        waiting.set(topic.text, [peer]);
        enqueue(() => sendNewest(topic));
      }
    },
    forward: (drafts) => {
      if (extents.size > 0) noteExtents(drafts);
      if (toAll.size === 0 && byStream.size === 0 && byFeature.size === 0) return;
      for (const draft of drafts) {
        const topics = new Set([...toAll.values(), ...(byStream.get(draft.stream.id)?.values() ?? [])]);
        const feature = byFeature.size === 0 ? null : featureOf(draft);
        if (feature !== null) for (const topic of byFeature.get(feature)?.values() ?? []) topics.add(topic);
        if (topics.size > 0) sendObservation(draft, topics);
      }
    },
    noteChange: ({ set, id, kind }) => {
      // a new observation comes by `forward`
      if (kind === 'deleted' || (set === 'Observations' && kind === 'created')) return;
      for (const table of tablesOf(set)) for (const topic of byTable.get(table)?.values() ?? []) enqueue(() => tell(topic, id));
    },
    close: async () => {
      clearTimeout(extentTimer);
      await end();
    },
  };
}

interface Queue {
  readonly enqueue: (job: () => Promise<void>) => void;
  /** Drops what waits, and resolves when what runs is done. */
  readonly end: () => Promise<void>;
}

/** Runs one job after the other; a job that fails is logged and the next one runs. */
function createQueue(logger: Logger, onFull: () => void): Queue {
  const jobs: (() => Promise<void>)[] = [];
  let running: Promise<void> | undefined;
  let ended = false;
  const run = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      try {
        await job();
      } catch (error) {
        logger.error({ err: error }, 'an update for MQTT subscribers could not be read');
      }
    }
    running = undefined;
  };
  return {
    enqueue: (job) => {
      if (ended) return;
      if (jobs.length >= QUEUE_JOBS) {
        onFull();
        return;
      }
      jobs.push(job);
      running ??= Promise.resolve().then(run);
    },
    end: async () => {
      ended = true;
      jobs.length = 0;
      await running;
    },
  };
}

function pick(json: Record<string, unknown>, select: readonly { readonly name: string }[], idName: string): Record<string, unknown> {
  const names = new Set(select.map(({ name }) => (name === 'id' ? idName : name)));
  return Object.fromEntries(Object.entries(json).filter(([name]) => names.has(name) || names.has(name.split('@', 1)[0] ?? '')));
}

const featureOf = ({ extra, stream }: Draft): number | null => (extra === null ? undefined : (JSON.parse(extra) as { feature?: number }).feature) ?? stream.featureId;
