import { frag, join, raw, type Fragment } from '../query/fragment.ts';
import { noteChange, type Run } from './batch-store.ts';

// Readings that are packed (migrations/0062) cannot be changed in place: the segments that hold them are unpacked into
// observation_hot first, in the same transaction, and packed again by the next sealing.

const COLUMNS = raw('id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid');
const NOTE_STREAMS = 1_000;
// A reading that is packed while it is looked for among the rows is found among the packed ones the second time.
export const ROUNDS = 2;

/** Readings of one datastream that were deleted or moved. */
export interface Removed {
  readonly stream: number;
  readonly rows: number;
  readonly first: Date;
  readonly last: Date;
}

/** Deletes all observations of the datastreams, hot and sealed, with their roll-ups and former values. Returns how many. */
export async function removeObservationsOfStreams(run: Run, streamIds: readonly number[]): Promise<number> {
  if (streamIds.length === 0) return 0;
  const of = frag`datastream_id = any(${streamIds}::bigint[])`;
  // rows first: whoever packs them at the same time is waited for, and then its segments are seen
  const hot = await run<Removed>(frag`
    with gone as (delete from observation_hot where ${of} returning datastream_id, phenomenon_start)
    select datastream_id as stream, count(*)::bigint as rows, min(phenomenon_start) as first, max(phenomenon_start) as last from gone group by datastream_id`);
  const packed = await run<Removed>(frag`
    with gone as (delete from observation_segment where ${of} returning datastream_id, rows, first_start, last_start)
    select datastream_id as stream, sum(rows)::bigint as rows, min(first_start) as first, max(last_start) as last from gone group by datastream_id`);
  await run(frag`delete from observation_correction where ${of}`);
  return (await noteRemoved(run, hot)) + (await noteRemoved(run, packed));
}

/** Deletes the observations of these ids, hot and sealed. Returns how many there were. */
export async function removeObservations(run: Run, ids: readonly number[]): Promise<number> {
  if (ids.length === 0) return 0;
  const [low, high] = edgesOf(ids);
  await run(frag`delete from observation_correction where observation_id = any(${ids}::bigint[])`);
  let rows = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await unseal(run, segmentsOfIds(ids));
    const removed = await run<Removed>(frag`
      with gone as (delete from observation_hot where id between ${low}::bigint and ${high}::bigint and id = any(${ids}::bigint[]) returning datastream_id, phenomenon_start)
      select datastream_id as stream, count(*)::bigint as rows, min(phenomenon_start) as first, max(phenomenon_start) as last from gone group by datastream_id`);
    rows += await noteRemoved(run, removed);
    if (rows >= ids.length) break;
  }
  return rows;
}

/** Deletes the observations that `condition` says; `${alias}` of the view is `observation`. In chunks the caller chooses by `limit`. */
export async function removeObservationsWhere(run: Run, condition: Fragment, limit: number): Promise<number> {
  const found = await run<{ id: number }>(frag`select id from observation where ${condition} limit ${limit}::bigint`);
  return removeObservations(run, found.map(({ id }) => id));
}

/** Unpacks the segments that may hold one of the ids, so that `observation_hot` has the readings. */
export async function unsealObservations(run: Run, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await unseal(run, segmentsOfIds(ids));
}

const edgesOf = (ids: readonly number[]): readonly [number, number] => ids.reduce(([low, high], id) => [Math.min(low, id), Math.max(high, id)], [Infinity, -Infinity] as readonly [number, number]);

/** The bounds of a segment may hold ids of others, so its readings are asked. */
function segmentsOfIds(ids: readonly number[]): Fragment {
  const [low, high] = edgesOf(ids);
  return frag`
    select distinct s.datastream_id, s.span_first as first_start, s.first_id from observation_sealed s
     where s.id_low <= ${high}::bigint and s.id_high >= ${low}::bigint and s.id = any(${ids}::bigint[])`;
}

/** Moves the readings of segments, given as (datastream_id, first_start, first_id), to the hot table. */
export async function unseal(run: Run, segments: Fragment): Promise<void> {
  const [any] = await run<{ any: boolean }>(frag`select exists (select 1 from observation_segment) as any`);
  if (any?.any !== true) return;
  const keys = await run<{ stream: number; start: string; id: number }>(frag`select datastream_id as stream, first_start::text as start, first_id as id from (${segments}) s`);
  if (keys.length === 0) return;
  const streams = keys.map(({ stream }) => stream);
  const starts = keys.map(({ start }) => start);
  const firstIds = keys.map(({ id }) => id);
  // the keys are locked first: whoever unpacks the same segment waits here, and finds it gone
  const taken = frag`select g.datastream_id, g.first_start, g.first_id from observation_segment g
    join unnest(${streams}::bigint[], ${starts}::timestamptz[], ${firstIds}::bigint[]) k (stream, start, id) on g.datastream_id = k.stream and g.first_start = k.start and g.first_id = k.id`;
  const held = await run<{ stream: number; start: string; id: number }>(frag`select datastream_id as stream, first_start::text as start, first_id as id from observation_segment where (datastream_id, first_start, first_id) in (${taken}) for update`);
  const lists = [frag`${held.map(({ stream }) => stream)}::bigint[]`, frag`${held.map(({ start }) => start)}::timestamptz[]`, frag`${held.map(({ id }) => id)}::bigint[]`];
  const key = frag`unnest(${join(lists, ', ')}) k (stream, start, first)`;
  const moved = await run<Removed>(frag`
    with moved as (
      insert into observation_hot (${COLUMNS})
      select s.* from ${key} cross join lateral (select ${COLUMNS} from observation_sealed where datastream_id = k.stream and span_first = k.start and first_id = k.first offset 0) s
      returning datastream_id, phenomenon_start)
    select datastream_id as stream, count(*)::bigint as rows, min(phenomenon_start) as first, max(phenomenon_start) as last from moved group by datastream_id`);
  await run(frag`delete from observation_segment g using ${key} where g.datastream_id = k.stream and g.first_start = k.start and g.first_id = k.first`);
  await markDaysChanged(run, moved);
}

/** The hash of these days does not hold any more; the next sealing makes a new one. */
async function markDaysChanged(run: Run, spans: readonly Removed[]): Promise<void> {
  if (spans.length === 0) return;
  const first = new Date(Math.min(...spans.map((span) => span.first.getTime())));
  const last = new Date(Math.max(...spans.map((span) => span.last.getTime())));
  await run(frag`update observation_sealed_day set changed = true where day between (${first}::timestamptz at time zone 'UTC')::date and (${last}::timestamptz at time zone 'UTC')::date and not changed`);
}

/** Tells the tally, the roll-ups and the sealed days, in the transaction of the removal. Returns how many readings went. */
export async function noteRemoved(run: Run, removed: readonly Removed[]): Promise<number> {
  await markDaysChanged(run, removed);
  let rows = 0;
  for (let at = 0; at < removed.length; at += NOTE_STREAMS) {
    const part = removed.slice(at, at + NOTE_STREAMS);
    const gone = part.reduce((sum, each) => sum + each.rows, 0);
    await noteChange(run, {
      rows: -gone,
      streams: part.map(({ stream }) => stream),
      first: new Date(Math.min(...part.map(({ first }) => first.getTime()))),
      last: new Date(Math.max(...part.map(({ last }) => last.getTime()))),
    });
    rows += gone;
  }
  return rows;
}
