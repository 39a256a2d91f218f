import { frag, raw, type Fragment } from '../query/fragment.ts';
import { findNavigation, modelOf, type EntityModel, type NavigationModel, type SetName } from './model.ts';

/** Where Things are and were, inside the transaction of `run`. */
export interface Placing {
  /** Adds pairs of a relation with many on both sides. */
  pair(navigation: NavigationModel, ownId: number, otherIds: readonly number[]): Promise<void>;
  /** Sets where the Thing is, and writes a HistoricalLocation (18-088 §10.2.2) unless nothing changed. */
  moveThing(thingId: number, locationIds: readonly number[]): Promise<void>;
  /** A Location gets other coordinates: readings from now on are about them, earlier ones keep their feature. */
  moveFeature(locationId: number, geometry: string): Promise<void>;
  /** A HistoricalLocation that is newer than all others of its Thing says where the Thing is now. */
  moveByHistory(historyId: number): Promise<void>;
}

interface PlacingOptions {
  readonly run: <T>(fragment: Fragment) => Promise<T[]>;
  readonly note: (model: EntityModel, id: number, kind: 'created' | 'updated') => void;
  readonly now: Date;
  /** Up to when readings are about the place before. */
  readonly until: () => Promise<Date>;
}

export function createPlacing({ run, note, now, until }: PlacingOptions): Placing {
  const ids = async (fragment: Fragment): Promise<number[]> => (await run<{ id: number }>(fragment)).map(({ id }) => id);

  const pair: Placing['pair'] = async ({ name, pair: table }, ownId, otherIds) => {
    if (table === undefined) throw new Error(`the relation ${name} has no table of pairs`);
    await run(frag`insert into ${raw(table.table)} (${raw(table.own)}, ${raw(table.other)}) select ${ownId}::bigint, other from unnest(${otherIds}::bigint[]) other on conflict do nothing`);
  };

  /** Readings from now on are about the new place; earlier ones keep their feature. */
  const leaveFeatures = async (streams: Fragment): Promise<void> => {
    if ((await ids(frag`select id from datastream where ${streams} and feature_id is not null limit 1`)).length === 0) return;
    await run(frag`insert into datastream_feature (datastream_id, until, feature_id) select id, ${await until()}::timestamptz, feature_id from datastream where ${streams} and feature_id is not null on conflict do nothing`);
    const left = await run<{ id: number; multi: boolean }>(frag`update datastream set feature_id = null where ${streams} and feature_id is not null returning id, multi is not null as multi`);
    for (const { id, multi } of left) note(modelOf(multi ? 'MultiDatastreams' : 'Datastreams'), id, 'updated');
  };

  /** False when the Thing is there already, or nowhere now. */
  const place = async (thingId: number, locationIds: readonly number[]): Promise<boolean> => {
    await run(frag`select 1 from thing where id = ${thingId}::bigint for update`);
    const present = await ids(frag`select location_id as id from thing_location where thing_id = ${thingId}::bigint order by location_id`);
    const wanted = [...new Set(locationIds)].sort((a, b) => a - b);
    if (present.length === wanted.length && present.every((id, at) => id === wanted[at])) return false;
    await run(frag`delete from thing_location where thing_id = ${thingId}::bigint`);
    await pair(THING_LOCATIONS, thingId, wanted);
    await leaveFeatures(frag`thing_id = ${thingId}::bigint`);
    note(modelOf('Things'), thingId, 'updated');
    return wanted.length > 0;
  };

  return {
    pair,
    moveThing: async (thingId, locationIds) => {
      if (!(await place(thingId, locationIds))) return;
      const [history] = await ids(frag`insert into historical_location (thing_id, time) values (${thingId}::bigint, ${now}::timestamptz) returning id`);
      if (history === undefined) throw new Error('an insert returned no id');
      await pair(HISTORY_LOCATIONS, history, locationIds);
      note(modelOf('HistoricalLocations'), history, 'created');
    },
    moveFeature: async (locationId, geometry) => {
      const [former] = await ids(frag`
        update location_feature f set present = false from location l
         where f.location_id = ${locationId}::bigint and f.present and l.id = f.location_id and l.location is distinct from ${geometry}::jsonb returning f.feature_id as id`);
      if (former === undefined) return;
      await leaveFeatures(frag`feature_id = ${former}::bigint`);
    },
    moveByHistory: async (historyId) => {
      const [history] = await run<{ thing_id: number; newest: boolean }>(
        frag`select h.thing_id, not exists (select 1 from historical_location o where o.thing_id = h.thing_id and o.id <> h.id and o.time >= h.time) as newest from historical_location h where h.id = ${historyId}::bigint`,
      );
      const locationIds = await ids(frag`select location_id as id from historical_location_location where historical_location_id = ${historyId}::bigint`);
      if (history?.newest === true && locationIds.length > 0) await place(history.thing_id, locationIds);
    },
  };
}

function relation(set: SetName, name: string): NavigationModel {
  const navigation = findNavigation(modelOf(set), name);
  if (navigation === undefined) throw new Error(`no relation ${name} of ${set}`);
  return navigation;
}

const THING_LOCATIONS = relation('Things', 'Locations');
const HISTORY_LOCATIONS = relation('HistoricalLocations', 'Locations');
