import { sql } from 'kysely';
import type { Database, DatabaseHandle } from '../../platform/index.ts';

export interface StreamRow {
  readonly id: number;
  readonly name: string;
  readonly observation_type: string;
  readonly unit: string | null;
  /** Observation types of the elements; null for a plain Datastream. */
  readonly element_types: readonly string[] | null;
  /** resultType as 2.0 stated it (migrations/0061). */
  readonly stated_result_type: unknown;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly purpose: string;
  readonly thing_id: number;
  readonly feature_id: number | null;
  readonly thing_name: string;
  readonly thing_kind: string | null;
  readonly property_name: string;
  readonly property_key: string | null;
  /** GeoJSON of the Thing's present Location. */
  readonly location: unknown;
}

/** Which streams to read: all, or those that an entity's change may concern. */
export type StreamFilter = { readonly by: 'all' } | { readonly by: 'datastream' | 'thing' | 'location' | 'observed_property'; readonly ids: readonly number[] };

export async function readStreams(db: Database, filter: StreamFilter): Promise<StreamRow[]> {
  const ids = filter.by === 'all' ? [] : filter.ids;
  const where = {
    all: sql`true`,
    datastream: sql`d.id = any(${ids}::bigint[])`,
    thing: sql`d.thing_id = any(${ids}::bigint[])`,
    location: sql`d.thing_id in (select thing_id from thing_location where location_id = any(${ids}::bigint[]))`,
    observed_property: sql`d.observed_property_id = any(${ids}::bigint[])`,
  }[filter.by];
  const found = await sql<StreamRow>`
    select d.id, d.name, d.observation_type, d.unit_of_measurement ->> 'symbol' as unit, d.multi -> 'types' as element_types, d.stated_result_type, d.properties, d.purpose, d.thing_id, d.feature_id,
           t.name as thing_name, t.properties ->> 'kind' as thing_kind, p.name as property_name, p.properties ->> 'key' as property_key, l.location
      from datastream d
      join thing t on t.id = d.thing_id
      join observed_property p on p.id = d.observed_property_id
      left join lateral (select l.location from thing_location tl join location l on l.id = tl.location_id where tl.thing_id = t.id order by l.id limit 1) l on true
     where ${where}`.execute(db);
  return found.rows;
}

export async function hasFeature(db: Database, id: number): Promise<boolean> {
  const found = await sql`select 1 from feature_of_interest where id = ${id}`.execute(db);
  return found.rows.length > 0;
}

/**
 * Makes the default FeatureOfInterest of Datastreams from their Things' Locations (18-088 §10.2.1), or takes the one that was
 * made of the same Location before (table location_feature). Datastreams of Things without a Location are not in the answer.
 */
export async function ensureDefaultFeatures(handle: DatabaseHandle, streamIds: readonly number[]): Promise<ReadonlyMap<number, number>> {
  return handle.db.transaction().execute(async (trx) => {
    const placed = await sql<{ id: number; location_id: number }>`
      select d.id, (select min(tl.location_id) from thing_location tl where tl.thing_id = d.thing_id)::bigint as location_id
        from datastream d where d.id = any(${streamIds}::bigint[]) and exists (select 1 from thing_location tl where tl.thing_id = d.thing_id)`.execute(trx);
    const locationIds = [...new Set(placed.rows.map((row) => row.location_id))];
    // the locks keep two servers from making two features of one Location; in order, so that they do not wait for each other
    await sql`select id from location where id = any(${locationIds}::bigint[]) order by id for update`.execute(trx);
    await sql`
      with made as (
        select l.*, nextval(pg_get_serial_sequence('feature_of_interest', 'id')) as feature_id
          from location l where l.id = any(${locationIds}::bigint[]) and not exists (select 1 from location_feature f where f.location_id = l.id and f.present)),
      features as (
        insert into feature_of_interest (id, name, description, encoding_type, feature, bbox, properties)
        select feature_id, name, description, encoding_type, location, bbox, '{}' from made)
      insert into location_feature (location_id, feature_id) select id, feature_id from made`.execute(trx);
    const set = await sql<{ id: number; feature_id: number }>`
      update datastream d set feature_id = coalesce(d.feature_id, f.feature_id)
        from unnest(${placed.rows.map((row) => row.id)}::bigint[], ${placed.rows.map((row) => row.location_id)}::bigint[]) as p (id, location_id) join location_feature f on f.location_id = p.location_id and f.present
       where d.id = p.id returning d.id, d.feature_id`.execute(trx);
    return new Map(set.rows.map((row) => [row.id, row.feature_id]));
  });
}
