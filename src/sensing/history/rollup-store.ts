import { sql, type RawBuilder } from 'kysely';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { HOUR_MS } from '../observations/batch-store.ts';

// A bucket of fewer readings costs more as a row than it saves (migrations/0063).
const LEAST_READINGS = 5;
const BATCHES_AT_ONCE = 500;
const HOURS_AT_ONCE = 24;
// A reading that is on its way when its hour ends should be in it; one that comes later is put in by its batch.
const GRACE_MS = 60_000;
// Other processes read them; the table stays so small that it needs no index of those that are due.
const KEEP_BATCHES = '2 minutes';
const LOCK = 6_301;

/** Numbers that are aggregated: valid, and small enough that no sum of them leaves the doubles. */
export const AGGREGATED: RawBuilder<unknown> = sql`valid and result_number is not null and abs(result_number) < 1e280`;

interface DueBatch {
  readonly seq: number;
  readonly first_id: number | null;
  readonly last_id: number | null;
  readonly first_hour: number;
  readonly last_hour: number;
  readonly streams: readonly number[] | null;
}

/**
 * Brings the roll-ups on: what late, changed and removed readings touched is computed again, and hours that have ended are computed.
 * One transaction, so each batch counts once; batches that are done are folded into the tally. Returns whether there is more to do.
 */
export async function rollUp(handle: DatabaseHandle, nowMs: number): Promise<boolean> {
  return handle.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (trx) => {
      // one process at a time; the others find the work done
      const lock = await sql<{ taken: boolean }>`select pg_try_advisory_xact_lock(${LOCK}) as taken`.execute(trx);
      if (lock.rows[0]?.taken !== true) return false;
      const tally = await sql<{ until: number }>`select rolled_until as until from observation_tally`.execute(trx);
      const until = tally.rows[0]?.until ?? 0;
      const due = await sql<DueBatch>`select seq, first_id, last_id, first_hour, last_hour, streams::float8[] from observation_batch where not rolled order by seq limit ${BATCHES_AT_ONCE}`.execute(trx);
      for (const range of await touchedBy(trx, due.rows, until)) await computeHours(trx, range);
      const target = Math.min(Math.floor((nowMs - GRACE_MS) / HOUR_MS), until + HOURS_AT_ONCE);
      if (target > until) await computeHours(trx, { streams: null, first: until, last: target - 1 });
      if (target > until) await sql`update observation_tally set rolled_until = ${target}`.execute(trx);
      if (due.rows.length > 0) await sql`update observation_batch set rolled = true where seq = any(${due.rows.map(({ seq }) => seq)}::bigint[])`.execute(trx);
      await sql`
        with folded as (delete from observation_batch where rolled and at < now() - ${sql.lit(KEEP_BATCHES)}::interval returning rows)
        update observation_tally set rows = observation_tally.rows + (select sum(rows) from folded) where exists (select 1 from folded)`.execute(trx);
      return due.rows.length === BATCHES_AT_ONCE || target === until + HOURS_AT_ONCE;
    });
}

/** Hours from `first` to `last`, of some datastreams or of all. */
interface HourRange {
  readonly streams: readonly number[] | null;
  readonly first: number;
  readonly last: number;
}

/** Which hours that are rolled already the batches touch, as few ranges. */
async function touchedBy(trx: Trx, batches: readonly DueBatch[], until: number): Promise<HourRange[]> {
  const ranges: HourRange[] = [];
  const hoursOf = new Map<number, Set<number>>();
  for (const { first_id, last_id, first_hour, last_hour, streams } of batches) {
    if (first_hour >= until) continue; // its hours are computed when they have ended
    if (streams !== null) ranges.push({ streams, first: first_hour, last: Math.min(last_hour, until - 1) });
    if (first_id === null || last_id === null) continue;
    const found = await sql<{ stream: number; hour: number }>`
      select distinct datastream_id as stream, floor(extract(epoch from phenomenon_start) / 3600)::integer as hour from observation
       where id between ${first_id} and ${last_id} and id_low <= ${last_id} and id_high >= ${first_id}
         and phenomenon_start >= to_timestamp(${first_hour}::float8 * 3600) and phenomenon_start < to_timestamp(${until}::float8 * 3600)
         and span_last >= to_timestamp(${first_hour}::float8 * 3600) and span_first < to_timestamp(${until}::float8 * 3600)`.execute(trx);
    for (const { stream, hour } of found.rows) {
      const hours = hoursOf.get(stream) ?? new Set();
      hours.add(hour);
      hoursOf.set(stream, hours);
    }
  }
  return [...ranges, ...gather(hoursOf)];
}

/** Neighbouring hours of a stream become one range, and streams with the same range one list. */
function gather(hoursOf: ReadonlyMap<number, ReadonlySet<number>>): HourRange[] {
  const streamsOf = new Map<string, { streams: number[]; first: number; last: number }>();
  const put = (stream: number, first: number, last: number): void => {
    const key = `${first} ${last}`;
    const range = streamsOf.get(key) ?? { streams: [], first, last };
    range.streams.push(stream);
    streamsOf.set(key, range);
  };
  for (const [stream, hours] of hoursOf) {
    const sorted = [...hours].sort((a, b) => a - b);
    let first = sorted[0] as number;
    for (const [at, hour] of sorted.entries()) {
      if (sorted[at + 1] === hour + 1) continue;
      put(stream, first, hour);
      first = sorted[at + 1] as number;
    }
  }
  return [...streamsOf.values()];
}

/** Computes the roll-ups of a range from the readings, in place of what stood there. */
async function computeHours(trx: Trx, { streams, first, last }: HourRange): Promise<void> {
  const [from, to] = [new Date(first * HOUR_MS), new Date((last + 1) * HOUR_MS)];
  const ofStreams = streams === null ? sql`true` : sql`datastream_id = any(${streams}::bigint[])`;
  for (const { table, bucket, seconds } of [{ table: 'observation_hour', bucket: 'hour', seconds: 3600 }, { table: 'observation_minute', bucket: 'minute', seconds: 60 }]) {
    const factor = 3600 / seconds;
    await sql`delete from ${sql.table(table)} where ${ofStreams} and ${sql.ref(bucket)} >= ${first * factor} and ${sql.ref(bucket)} < ${(last + 1) * factor}`.execute(trx);
    await sql`
      insert into ${sql.table(table)} (datastream_id, ${sql.ref(bucket)}, n, sum, min, max, first, last)
      select datastream_id, floor(extract(epoch from phenomenon_start) / ${sql.lit(seconds)})::integer, count(*), sum(result_number), min(result_number), max(result_number),
             (array_agg(result_number order by phenomenon_start, id))[1], (array_agg(result_number order by phenomenon_start, id))[count(*)]
        from observation where ${ofStreams} and phenomenon_start >= ${from} and phenomenon_start < ${to} and span_last >= ${from} and span_first < ${to} and ${AGGREGATED}
       group by 1, 2 having count(*) >= ${LEAST_READINGS}`.execute(trx);
  }
}
