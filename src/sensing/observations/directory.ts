import type { StreamInfo } from '../../contracts/reading.ts';
import type { Database, DatabaseHandle, Logger } from '../../platform/index.ts';
import { registrationOf } from '../../trust/index.ts';
import { needsCheck } from '../v2/result-check.ts';
import type { Stream } from './stream.ts';
import { ensureDefaultFeatures, hasFeature, readStreams, type StreamFilter, type StreamRow } from './stream-store.ts';

/** A change of an entity, as the entities module tells it after the commit. */
export interface EntityChange {
  /** Name of the entity set, such as `Datastreams`. */
  readonly set: string;
  readonly id: number;
  readonly kind: string;
}

/** All datastreams in memory: what the gate, the rules and the map know of them. */
export interface Directory {
  readonly streams: ReadonlyMap<number, Stream>;
  readonly infos: ReadonlyMap<number, StreamInfo>;
  /** The stream, when what is in memory is known to be current; else undefined, and `find` must be asked. */
  get(id: number): Stream | undefined;
  /** The stream, read from the database when it is not known yet or changes just now. */
  find(id: number): Promise<Stream | undefined>;
  /** Takes a stream into memory that the transaction `on` has made, before others can see it. */
  adopt(on: Database, id: number): Promise<Stream | undefined>;
  /** Whether the FeatureOfInterest exists; those found are remembered until it changes. */
  hasFeature(id: number): Promise<boolean>;
  /** Makes the default feature of a stream that needs one. */
  ensureFeature(stream: Stream): Promise<void>;
  noteChange(change: EntityChange): void;
  onChanged(handle: (ids: readonly number[]) => void): () => void;
  /** Calls the handlers of `onChanged`, when something outside has changed what is shown of the streams. */
  tell(ids: readonly number[]): void;
  /** Reads everything again; for when changes may have been missed. */
  reload(): void;
  /** Resolves when every change that was noted is in memory. */
  settled(): Promise<void>;
}

const FILTER_OF_SET: Readonly<Record<string, 'datastream' | 'thing' | 'location' | 'observed_property'>> = { Datastreams: 'datastream', MultiDatastreams: 'datastream', Things: 'thing', Locations: 'location', ObservedProperties: 'observed_property' };
const REMEMBERED_FEATURES = 50_000;
const RETRY_MS = 1_000;

export async function openDirectory(handle: DatabaseHandle, logger: Logger): Promise<Directory> {
  const streams = new Map<number, Stream>();
  const infos = new Map<number, StreamInfo>();
  const handlers = new Set<(ids: readonly number[]) => void>();
  const features = new Set<number>();
  const stale = new Set<number>();
  const noted = new Map<string, Set<number>>();
  let refreshing: Promise<void> | undefined;
  let reloading: Promise<void> | undefined;

  const take = (row: StreamRow): void => {
    const info = infoOf(row);
    const isMulti = row.element_types !== null;
    // rules and maps are about single numbers; lists are for those who ask for them
    if (isMulti) infos.delete(row.id);
    else infos.set(row.id, info);
    const parts = { info, isMulti, registration: registrationOf({ observationType: row.observation_type, properties: row.properties, purpose: row.purpose, elementTypes: row.element_types, stream: row.id }), structure: !isMulti && needsCheck(row.stated_result_type, row.observation_type) ? row.stated_result_type : null, parameters: namesOf(row.properties['parameters']), featureId: row.feature_id, hasLocation: row.location !== null };
    const known = streams.get(row.id);
    if (known !== undefined) Object.assign(known, parts);
    else streams.set(row.id, { id: row.id, ...parts, isGone: false, latest: undefined, newestMs: -Infinity, newest: null });
  };
  const drop = (id: number): boolean => {
    infos.delete(id);
    return streams.delete(id);
  };
  const tell = (ids: readonly number[]): void => {
    if (ids.length === 0) return;
    for (const handleIds of handlers) handleIds(ids);
  };
  const read = async (filter: StreamFilter): Promise<number[]> => {
    const rows = await readStreams(handle.db, filter);
    for (const row of rows) take(row);
    return rows.map((row) => row.id);
  };

  const refresh = async (): Promise<void> => {
    while (noted.size > 0) {
      const changes = [...noted];
      noted.clear();
      const touched = new Set<number>();
      for (const [set, ids] of changes) {
        const by = FILTER_OF_SET[set];
        if (by === undefined) continue;
        const asked = [...ids];
        try {
          const found = await read({ by, ids: asked });
          for (const id of found) touched.add(id);
          // what was asked for and is not there any more: the entity was deleted, and its Datastreams with it
          const there = new Set(found);
          const gone = by === 'datastream' ? asked.filter((id) => !there.has(id)) : by === 'thing' || by === 'observed_property' ? await missingOf(ids, by) : [];
          for (const id of gone) if (drop(id)) touched.add(id);
        } catch (error) {
          logger.warn({ err: error, set }, 'changed datastreams could not be read; trying again');
          const again = noted.get(set) ?? new Set();
          for (const id of asked) again.add(id);
          noted.set(set, again);
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
          continue;
        }
        for (const id of asked) if (by === 'datastream') stale.delete(id);
      }
      tell([...touched]);
    }
  };
  // Datastreams that go with a deleted Thing or ObservedProperty are named by no change of their own
  const missingOf = async (ids: ReadonlySet<number>, by: 'thing' | 'observed_property'): Promise<number[]> => {
    const suspects = by === 'thing' ? [...infos.values()].filter((info) => ids.has(info.thingId)).map((info) => info.id) : [...infos.keys()];
    if (suspects.length === 0) return [];
    const present = new Set((await readStreams(handle.db, { by: 'datastream', ids: suspects })).map((row) => row.id));
    return suspects.filter((id) => !present.has(id));
  };

  const featureless = new Set<Stream>();
  let made: Promise<void> | undefined;
  let making: Promise<void> | undefined;
  const makeFeatures = async (): Promise<void> => {
    const asked = [...featureless];
    featureless.clear();
    const features = await ensureDefaultFeatures(handle, asked.map((stream) => stream.id));
    for (const stream of asked) {
      stream.featureId = features.get(stream.id) ?? null;
      if (stream.featureId === null) stream.hasLocation = false; // until the Thing gets one and that change is noted
    }
  };

  await read({ by: 'all' });

  const directory: Directory = {
    streams,
    infos,
    get: (id) => (stale.size > 0 && stale.has(id) ? undefined : streams.get(id)),
    find: async (id) => {
      if (!stale.has(id) && streams.has(id)) return streams.get(id);
      const found = await read({ by: 'datastream', ids: [id] });
      if (found.length === 0 && drop(id)) tell([id]);
      return streams.get(id);
    },
    adopt: async (on, id) => {
      for (const row of await readStreams(on, { by: 'datastream', ids: [id] })) take(row);
      return streams.get(id);
    },
    hasFeature: async (id) => {
      if (features.has(id)) return true;
      if (!(await hasFeature(handle.db, id))) return false;
      if (features.size >= REMEMBERED_FEATURES) features.clear();
      features.add(id);
      return true;
    },
    ensureFeature: (stream) => {
      featureless.add(stream);
      // those who ask while one round is under way share the next one
      making ??= Promise.resolve(made)
        .catch(() => undefined) // whoever waited for that round has heard of it
        .then(() => {
          making = undefined;
          return (made = makeFeatures());
        });
      return making;
    },
    noteChange: ({ set, id, kind }) => {
      const stream = FILTER_OF_SET[set] === 'datastream' && kind === 'deleted' ? streams.get(id) : undefined;
      if (stream !== undefined) stream.isGone = true;
      if (set === 'FeaturesOfInterest') {
        features.delete(id);
        for (const stream of streams.values()) if (stream.featureId === id) stream.featureId = null;
        return;
      }
      // a new Thing, Location or ObservedProperty concerns no stream that does not change itself
      if (FILTER_OF_SET[set] === undefined || (kind === 'created' && FILTER_OF_SET[set] !== 'datastream')) return;
      if (FILTER_OF_SET[set] === 'datastream') stale.add(id);
      const ids = noted.get(set) ?? new Set();
      ids.add(id);
      noted.set(set, ids);
      refreshing ??= Promise.resolve()
        .then(refresh)
        .finally(() => (refreshing = undefined));
    },
    tell,
    onChanged: (handleIds) => {
      handlers.add(handleIds);
      return () => handlers.delete(handleIds);
    },
    reload: () => {
      for (const id of streams.keys()) directory.noteChange({ set: 'Datastreams', id, kind: 'updated' });
      reloading = read({ by: 'all' })
        .then(tell)
        .catch((error: unknown) => logger.error({ err: error }, 'the datastreams could not be read again'));
    },
    settled: async () => {
      await reloading;
      while (refreshing !== undefined) await refreshing;
    },
  };
  return directory;
}

const DEFAULT_INTERVAL_S = 3_600;

function infoOf(row: StreamRow): StreamInfo {
  const interval_s = row.properties['interval_s'];
  return {
    id: row.id,
    name: row.name,
    property: row.property_key ?? slugOf(row.property_name),
    unit: row.unit ?? '',
    purpose: row.purpose,
    interval_s: typeof interval_s === 'number' && interval_s > 0 ? interval_s : DEFAULT_INTERVAL_S,
    thingId: row.thing_id,
    placeName: row.thing_name,
    placeKind: row.thing_kind ?? 'other',
    ...(isImported(row.properties['feed']) ? { isArchive: true } : {}),
    point: pointOf(row.location),
  };
}

const isImported = (feed: unknown): boolean => typeof feed === 'string' && feed.startsWith('import.');

const namesOf = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((name): name is string => typeof name === 'string') : []);

/** Small letters and digits, words joined by hyphens: `Water level (Pegel)` becomes `water-level-pegel`. */
const slugOf = (name: string): string => name.normalize('NFKD').toLowerCase().replace(/\p{M}/gu, '').replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-+|-+$/g, '');

/** The position of a GeoJSON Point or Feature of one; of other geometries the middle of their bounds. Null when there is none. */
function pointOf(location: unknown): readonly [number, number] | null {
  if (typeof location !== 'object' || location === null) return null;
  const { type, geometry, coordinates } = location as { type?: unknown; geometry?: unknown; coordinates?: unknown };
  if (type === 'Feature') return pointOf(geometry);
  let west = Infinity;
  let south = Infinity;
  let east = -Infinity;
  let north = -Infinity;
  const walk = (part: unknown, depth: number): void => {
    if (!Array.isArray(part) || depth > 4) return;
    const [lon, lat] = part as unknown[];
    if (typeof lon === 'number' && typeof lat === 'number') {
      west = Math.min(west, lon);
      east = Math.max(east, lon);
      south = Math.min(south, lat);
      north = Math.max(north, lat);
    } else for (const member of part) walk(member, depth + 1);
  };
  walk(coordinates, 0);
  return west <= east ? [(west + east) / 2, (south + north) / 2] : null;
}
