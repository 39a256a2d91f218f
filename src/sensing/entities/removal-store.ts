import { removeObservations, removeObservationsOfStreams, removeObservationsWhere, type Run } from '../observations/index.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';
import { Refused } from '../../kernel/index.ts';
import { findNavigation, isStreamSet, modelOf, storedSetOf, type EntityModel } from './model.ts';

/** What a deletion takes; a dry run only counts it. */
export interface RemovalFigures {
  /** Entities of the set itself. */
  count: number;
  /** Phenomenon times of the observations that go; null when none do. */
  oldest: Date | null;
  newest: Date | null;
  /** What goes with them (18-088 Table 27), by set. */
  readonly cascade: Record<string, number>;
}

/** Deletes entities with what depends on them, inside the transaction of `run`. */
export interface Removal {
  /** Removes those of the ids that exist. Their ids. */
  readonly remove: (model: EntityModel, ids: readonly number[]) => Promise<number[]>;
  /** Removes the features that were made of the Locations. */
  readonly removeMade: (locationIds: readonly number[]) => Promise<void>;
  /** Adds to `figures` what `remove` would take; `seen` keeps streams from being counted twice. */
  readonly count: (model: EntityModel, ids: readonly number[], figures: RemovalFigures, seen: Set<number>) => Promise<void>;
}

const REMOVED_AT_ONCE = 10_000;
const STREAMS_AT_ONCE = 1_000;

export const noFigures = (): RemovalFigures => ({ count: 0, oldest: null, newest: null, cascade: {} });

export function createRemoval(run: Run, note: (model: EntityModel, id: number, kind: 'updated' | 'deleted') => void): Removal {
  const idsOf = async (fragment: Fragment): Promise<number[]> => (await run<{ id: number }>(fragment)).map(({ id }) => id);
  const list = (ids: readonly number[]): Fragment => frag`${ids}::bigint[]`;

  /** Datastreams and MultiDatastreams that go with the entities. */
  const streamsOf = async (model: EntityModel, ids: readonly number[], lock: boolean): Promise<{ id: number; multi: boolean }[]> => {
    const owner = { Things: 'thing_id', Sensors: 'sensor_id' }[model.set as string];
    const where = isStreamSet(model.set)
      ? frag`id = any(${list(ids)})`
      : owner !== undefined
        ? frag`${raw(owner)} = any(${list(ids)})`
        : model.set === 'ObservedProperties'
          ? frag`id in (select datastream_id from datastream_observed_property where observed_property_id = any(${list(ids)}))`
          : null;
    return where === null ? [] : run(frag`select id, multi is not null as multi from datastream where ${where} order by id${raw(lock ? ' for update' : '')}`);
  };
  const aboutOf = (model: EntityModel, id: number): Fragment | null => (storedSetOf(model) === 'FeaturesOfInterest' ? (findNavigation(model, 'Observations')?.link('observation', frag`${id}::bigint`) ?? null) : null);
  /** Features that were made for the streams, or of the Locations. */
  const madeFor = (streamIds: readonly number[], locationIds: readonly number[]): Promise<number[]> =>
    idsOf(frag`select made.feature_id as id from location_feature made where made.location_id = any(${list(locationIds)})
      or made.feature_id in (select feature_id from datastream where id = any(${list(streamIds)}) union all select feature_id from datastream_feature where datastream_id = any(${list(streamIds)}))`);

  /** Nothing leads to a feature that was made of a Location once its streams are gone: only an observation that names it keeps it. */
  const removeUnused = async (features: readonly number[]): Promise<void> => {
    if (features.length === 0) return;
    const gone = await idsOf(frag`
      delete from feature_of_interest f where f.id = any(${list(features)})
         and not exists (select 1 from datastream d where d.feature_id = f.id or d.ultimate_feature_id = f.id) and not exists (select 1 from datastream_feature d where d.feature_id = f.id)
         and not exists (select 1 from observation_hot o where o.extra ? 'feature' and (o.extra ->> 'feature')::bigint = f.id)
         and not exists (select 1 from observation_segment g cross join unnest(g.extras) e (extra) where g.extras is not null and (e.extra ->> 'feature')::bigint = f.id)
      returning f.id`);
    for (const id of gone) note(modelOf('FeaturesOfInterest'), id, 'deleted');
  };

  /** 18-088 deletes the observations with their feature; in 23-019 they do not depend on it, so nothing is deleted unasked. */
  const requireNoneAbout = async (id: number, about: Fragment): Promise<void> => {
    const [first] = await run(frag`select 1 from observation where ${about} limit 1`);
    if (first !== undefined) throw new Refused({ code: 'http.conflict', detail: `Observations are about Feature ${String(id)}; delete them first: DELETE Features(${String(id)})/Observations?$filter=true.` });
  };

  const remove: Removal['remove'] = async (model, ids) => {
    if (model.set === 'Observations') {
      const found = await idsOf(frag`select id from observation where id between ${Math.min(...ids)}::bigint and ${Math.max(...ids)}::bigint and id = any(${list(ids)})`);
      await removeObservations(run, found);
      for (const id of found) note(model, id, 'deleted');
      return found;
    }
    const found = await idsOf(frag`select id from ${raw(model.table)} where id = any(${list(ids)}) order by id for update`);
    if (found.length === 0) return found;
    const streams = await streamsOf(model, found, true);
    const streamIds = streams.map(({ id }) => id);
    const unused = await madeFor(streamIds, model.set === 'Locations' ? found : []);
    // observations have no foreign keys: they would cost the ingest path a look-up a row
    for (let at = 0; at < streamIds.length; at += STREAMS_AT_ONCE) await removeObservationsOfStreams(run, streamIds.slice(at, at + STREAMS_AT_ONCE));
    for (const id of found) {
      const about = aboutOf(model, id);
      if (about !== null && model.storedAs !== undefined) await requireNoneAbout(id, about);
      if (about !== null) while ((await removeObservationsWhere(run, about, REMOVED_AT_ONCE)) > 0);
    }
    if (model.set === 'Locations') {
      const movedIds = await idsOf(frag`select distinct thing_id as id from thing_location where location_id = any(${list(found)})`);
      await run(frag`delete from historical_location where id in (select historical_location_id from historical_location_location where location_id = any(${list(found)}))`);
      for (const id of movedIds) note(modelOf('Things'), id, 'updated');
    }
    await run(frag`delete from datastream where id = any(${list(streamIds)})`);
    if (!isStreamSet(model.set)) await run(frag`delete from ${raw(model.table)} where id = any(${list(found)})`);
    await removeUnused(unused);
    if (!isStreamSet(model.set)) for (const { id, multi } of streams) note(modelOf(multi ? 'MultiDatastreams' : 'Datastreams'), id, 'deleted');
    for (const id of found) note(model, id, 'deleted');
    return found;
  };

  const add = (figures: RemovalFigures, set: string, count: number): void => {
    if (count > 0) figures.cascade[set] = (figures.cascade[set] ?? 0) + count;
  };
  const countObservations = async (where: Fragment, figures: RemovalFigures): Promise<number> => {
    const [counts] = await run<{ rows: number; oldest: Date | null; newest: Date | null }>(frag`select count(*) as rows, min(phenomenon_start) as oldest, max(coalesce(phenomenon_end, phenomenon_start)) as newest from observation where ${where}`);
    if (counts === undefined || counts.oldest === null || counts.newest === null) return 0;
    if (figures.oldest === null || counts.oldest < figures.oldest) figures.oldest = counts.oldest;
    if (figures.newest === null || counts.newest > figures.newest) figures.newest = counts.newest;
    return counts.rows;
  };

  return {
    remove,
    removeMade: async (locationIds) => {
      const features = await idsOf(frag`select feature_id as id from location_feature where location_id = any(${list(locationIds)})`);
      if (features.length > 0) await remove(modelOf('FeaturesOfInterest'), features);
    },
    count: async (model, ids, figures, seen) => {
      if (ids.length === 0) return;
      figures.count += ids.length;
      if (model.set === 'Observations') {
        await countObservations(frag`id between ${Math.min(...ids)}::bigint and ${Math.max(...ids)}::bigint and id = any(${list(ids)})`, figures);
        return;
      }
      const streams = (await streamsOf(model, ids, false)).filter(({ id }) => !seen.has(id));
      for (const { id } of streams) seen.add(id);
      if (!isStreamSet(model.set)) {
        add(figures, 'Datastreams', streams.filter(({ multi }) => !multi).length);
        add(figures, 'MultiDatastreams', streams.filter(({ multi }) => multi).length);
      }
      for (let at = 0; at < streams.length; at += STREAMS_AT_ONCE) add(figures, 'Observations', await countObservations(frag`datastream_id = any(${list(streams.slice(at, at + STREAMS_AT_ONCE).map(({ id }) => id))})`, figures));
      for (const id of ids) {
        const about = aboutOf(model, id);
        if (about !== null) add(figures, 'Observations', await countObservations(about, figures));
      }
      const histories = model.set === 'Things' ? frag`thing_id = any(${list(ids)})` : model.set === 'Locations' ? frag`id in (select historical_location_id from historical_location_location where location_id = any(${list(ids)}))` : null;
      if (histories !== null) add(figures, 'HistoricalLocations', (await idsOf(frag`select id from historical_location where ${histories}`)).length);
    },
  };
}
