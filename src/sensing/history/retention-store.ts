import { frag, toStatement, type Fragment } from '../query/fragment.ts';
import { CompiledQuery } from 'kysely';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import type { Run } from '../observations/batch-store.ts';
import { DAY_MS } from '../observations/partition-store.ts';
import { noteRemoved, unseal, type Removed } from '../observations/removal-store.ts';

const STREAMS_AT_ONCE = 20;

/** Statements of this module's fragments in a transaction. */
export const runIn =
  (trx: Trx): Run =>
  async <T>(fragment: Fragment): Promise<T[]> => {
    const { text, parameters } = toStatement(fragment);
    return (await trx.executeQuery<T>(CompiledQuery.raw(text, parameters))).rows;
  };

/**
 * Deletes readings of the purpose's datastreams with a phenomenon before `before`, rows and packed ones, a day of twenty datastreams a
 * transaction, with their roll-ups and former values. Returns how many.
 */
export async function removeExpired(handle: DatabaseHandle, purpose: string, before: Date): Promise<number> {
  const { rows } = await handle.pool.query<{ id: number }>('select id from datastream where purpose = $1 order by id', [purpose]);
  let removed = 0;
  for (let at = 0; at < rows.length; at += STREAMS_AT_ONCE) {
    const streams = rows.slice(at, at + STREAMS_AT_ONCE).map(({ id }) => id);
    for (;;) {
      const gone = await handle.db.transaction().execute((trx) => removeChunk(runIn(trx), streams, before));
      if (gone === null) break;
      removed += gone;
    }
  }
  return removed;
}

/** One bounded piece of it; null when nothing is left. */
async function removeChunk(run: Run, streams: readonly number[], before: Date): Promise<number | null> {
  const [oldest] = await run<{ hot: Date | null; packed: boolean; cut: boolean; corrected: boolean }>(frag`
    select (select min(phenomenon_start) from observation_hot where datastream_id = any(${streams}::bigint[]) and phenomenon_start < ${before}::timestamptz) as hot,
           exists (select 1 from observation_segment where datastream_id = any(${streams}::bigint[]) and last_start < ${before}::timestamptz) as packed,
           exists (select 1 from observation_segment where datastream_id = any(${streams}::bigint[]) and first_start < ${before}::timestamptz and last_start >= ${before}::timestamptz) as cut,
           exists (select 1 from observation_correction where datastream_id = any(${streams}::bigint[]) and phenomenon_start < ${before}::timestamptz) as corrected`);
  if (oldest === undefined || (oldest.hot === null && !oldest.packed && !oldest.cut && !oldest.corrected)) return null;
  await run(frag`delete from observation_correction where datastream_id = any(${streams}::bigint[]) and phenomenon_start < ${before}::timestamptz`);
  if (oldest.cut) await unseal(run, frag`select datastream_id, first_start, first_id from observation_segment where datastream_id = any(${streams}::bigint[]) and first_start < ${before}::timestamptz and last_start >= ${before}::timestamptz`);
  const packed = await run<Removed>(frag`
    with gone as (delete from observation_segment where datastream_id = any(${streams}::bigint[]) and last_start < ${before}::timestamptz returning datastream_id, rows, first_start, last_start)
    select datastream_id as stream, sum(rows)::bigint as rows, min(first_start) as first, max(last_start) as last from gone group by datastream_id`);
  if (packed.length > 0 || oldest.hot === null) return noteRemoved(run, packed);
  const until = new Date(Math.min(before.getTime(), (Math.floor(oldest.hot.getTime() / DAY_MS) + 1) * DAY_MS));
  const hot = await run<Removed>(frag`
    with gone as (delete from observation_hot where datastream_id = any(${streams}::bigint[]) and phenomenon_start < ${until}::timestamptz returning datastream_id, phenomenon_start)
    select datastream_id as stream, count(*)::bigint as rows, min(phenomenon_start) as first, max(phenomenon_start) as last from gone group by datastream_id`);
  return noteRemoved(run, hot);
}

export interface Holding {
  readonly purpose: string;
  readonly rows: number;
  readonly oldest: Date | null;
  readonly sealed_rows: number;
  readonly sealed_bytes: number;
}

/** What is kept, by purpose. Reads an index entry of every row: for a job, not for a request. */
export async function readHoldings(handle: DatabaseHandle): Promise<Holding[]> {
  const { rows } = await handle.pool.query<Holding>(`
    with hot as (select datastream_id, count(*) as rows, min(phenomenon_start) as oldest from observation_hot group by datastream_id),
         packed as (select datastream_id, sum(rows) as rows, min(first_start) as oldest, sum(pg_column_size(g.*)) as bytes from observation_segment g group by datastream_id)
    select d.purpose, coalesce(sum(hot.rows), 0)::bigint + coalesce(sum(packed.rows), 0)::bigint as rows, least(min(hot.oldest), min(packed.oldest)) as oldest,
           coalesce(sum(packed.rows), 0)::bigint as sealed_rows, coalesce(sum(packed.bytes), 0)::bigint as sealed_bytes
      from datastream d left join hot on hot.datastream_id = d.id left join packed on packed.datastream_id = d.id group by d.purpose order by d.purpose`);
  return rows;
}

/** Bytes on the disk, indexes included: of the rows, and of the packed readings. */
export async function readBytes(handle: DatabaseHandle): Promise<{ hot_bytes: number; sealed_bytes: number }> {
  const { rows } = await handle.pool.query<{ hot_bytes: number; sealed_bytes: number }>(`
    select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint as hot_bytes, pg_total_relation_size('observation_segment')::bigint as sealed_bytes
      from pg_inherits where inhparent = 'observation_hot'::regclass`);
  return rows[0] ?? { hot_bytes: 0, sealed_bytes: 0 };
}
