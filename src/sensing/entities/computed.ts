import { frag, raw, type Fragment } from '../query/fragment.ts';
import type { Value } from '../query/value.ts';

// What a Datastream shows and does not store, as SQL for a filter: the same values as `addExtents` works out for an answer.

/** The box around the default features of each datastream, present and former; a box without extent is a point or a line. */
const AREAS = `(
  select area.id, box(point(area.west, area.south), point(area.east, area.north)) as bbox,
    case when area.west = area.east and area.south = area.north then jsonb_build_object('type', 'Point', 'coordinates', jsonb_build_array(area.west, area.south))
         when area.west = area.east or area.south = area.north then jsonb_build_object('type', 'LineString', 'coordinates', jsonb_build_array(jsonb_build_array(area.west, area.south), jsonb_build_array(area.east, area.north)))
         else jsonb_build_object('type', 'Polygon', 'coordinates', jsonb_build_array(jsonb_build_array(jsonb_build_array(area.west, area.south), jsonb_build_array(area.east, area.south), jsonb_build_array(area.east, area.north), jsonb_build_array(area.west, area.north), jsonb_build_array(area.west, area.south)))) end as area
  from (select about.id, min((feature.bbox[1])[0]) as west, min((feature.bbox[1])[1]) as south, max((feature.bbox[0])[0]) as east, max((feature.bbox[0])[1]) as north
        from (select stream.id, stream.feature_id from datastream stream union all select former.datastream_id, former.feature_id from datastream_feature former) about
        join feature_of_interest feature on feature.id = about.feature_id and feature.bbox is not null group by about.id) area)`;

export function observedArea(alias: string): Value {
  const one = (column: string): Fragment => frag`(select of_stream.${raw(column)} from ${raw(AREAS)} of_stream where of_stream.id = ${raw(alias)}.id)`;
  return { type: 'stored-geometry', stored: { table: AREAS, column: 'area', alias, json: one('area'), box: one('bbox') } };
}

/** Result times of the first and of the last observation by phenomenon; null when one of them has none. */
export function resultExtent(alias: string): Value {
  const at = (order: 'asc' | 'desc'): Fragment => frag`(select o.result_time from observation o where o.datastream_id = ${raw(alias)}.id order by o.phenomenon_start ${raw(order)} limit 1)`;
  const [first, last] = [at('asc'), at('desc')];
  return { type: 'interval', start: frag`(case when ${last} is not null then ${first} end)`, end: frag`(case when ${first} is not null then ${last} end)` };
}

/** validTime of an observation: an ISO 8601 interval, kept as sent. */
export function validTime(alias: string): Value {
  const text = frag`(${raw(alias)}.extra ->> 'validTime')`;
  return { type: 'interval', start: frag`split_part(${text}, '/', 1)::timestamptz`, end: frag`coalesce(nullif(split_part(${text}, '/', 2), ''), split_part(${text}, '/', 1))::timestamptz` };
}
