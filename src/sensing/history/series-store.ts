import { sql } from 'kysely';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { HOUR_MS } from '../observations/batch-store.ts';
import { AGGREGATED } from './rollup-store.ts';

/** The valid numbers of a span of time. */
export interface Aggregate {
  readonly n: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly first: number;
  readonly last: number;
}

interface Part extends Aggregate {
  readonly firstMs: number;
  readonly lastMs: number;
}

const MINUTE_MS = 60_000;

/**
 * Aggregates of one datastream between neighbouring `edges` (ascending, ms), by the index of the left edge; those without a number are
 * absent. Exact as of one state of the database: roll-ups where they stand and nothing may have touched them since, else readings.
 */
export function readAggregates(handle: DatabaseHandle, streamId: number, edges: readonly number[], by: 'minute' | 'hour'): Promise<ReadonlyMap<number, Aggregate>> {
  return handle.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (trx) => {
      const step_ms = by === 'hour' ? HOUR_MS : MINUTE_MS;
      const parts = new Map<number, Part>();
      const covered = await readRolled(trx, streamId, edges, step_ms);
      for (const { index, part } of covered.parts) merge(parts, index, part);
      const gaps = gapsOf(edges, covered.buckets, step_ms);
      for (const { index, part } of await readFromReadings(trx, streamId, edges, gaps)) merge(parts, index, part);
      return parts;
    });
}

/** Roll-ups that lie in one span between edges and that no batch on the work list touches. */
async function readRolled(trx: Trx, streamId: number, edges: readonly number[], step_ms: number): Promise<{ buckets: ReadonlySet<number>; parts: { index: number; part: Part }[] }> {
  const [from, to] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  const [firstHour, lastHour] = [Math.floor(from / HOUR_MS), Math.ceil(to / HOUR_MS)];
  const open = await sql<{ hours: number[] | null; first_hour: number; last_hour: number }>`
    select hours, first_hour, last_hour from observation_batch where not rolled and first_hour < ${lastHour} and last_hour >= ${firstHour} and (streams is null or ${streamId} = any(streams))`.execute(trx);
  const touched = new Set<number>();
  for (const { hours, first_hour, last_hour } of open.rows) {
    if (hours !== null) for (const hour of hours) touched.add(hour);
    else for (let hour = Math.max(first_hour, firstHour); hour <= Math.min(last_hour, lastHour); hour += 1) touched.add(hour);
  }
  const [table, column] = step_ms === HOUR_MS ? ['observation_hour', 'hour'] : ['observation_minute', 'minute'];
  const found = await sql<Aggregate & { bucket: number }>`
    select ${sql.ref(column)} as bucket, n, sum, min, max, first, last from ${sql.table(table)}
     where datastream_id = ${streamId} and ${sql.ref(column)} >= ${Math.floor(from / step_ms)} and ${sql.ref(column)} < ${Math.ceil(to / step_ms)}
       and ${sql.ref(column)} < (select rolled_until from observation_tally) * ${HOUR_MS / step_ms}::integer order by 1`.execute(trx);
  const buckets = new Set<number>();
  const parts: { index: number; part: Part }[] = [];
  let index = 0;
  for (const { bucket, n, sum, min, max, first, last } of found.rows) {
    const startMs = bucket * step_ms;
    if (touched.has(Math.floor(startMs / HOUR_MS))) continue;
    while (index + 1 < edges.length && (edges[index + 1] as number) <= startMs) index += 1;
    if (startMs < (edges[index] as number) || startMs + step_ms > (edges[index + 1] ?? -Infinity)) continue; // an edge cuts it
    buckets.add(bucket);
    parts.push({ index, part: { n, sum, min, max, first, last, firstMs: startMs, lastMs: startMs } });
  }
  return { buckets, parts };
}

/** The spans of time that no bucket covers. */
function gapsOf(edges: readonly number[], covered: ReadonlySet<number>, step_ms: number): { from: Date[]; to: Date[] } {
  const gaps = { from: [] as Date[], to: [] as Date[] };
  const [start, end] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  let openMs: number | null = null;
  const close = (atMs: number): void => {
    if (openMs !== null && openMs < atMs) {
      gaps.from.push(new Date(openMs));
      gaps.to.push(new Date(atMs));
    }
    openMs = null;
  };
  for (let bucket = Math.floor(start / step_ms); bucket * step_ms < end; bucket += 1) {
    if (covered.has(bucket)) close(bucket * step_ms);
    else openMs ??= Math.max(start, bucket * step_ms);
  }
  close(end);
  return gaps;
}

async function readFromReadings(trx: Trx, streamId: number, edges: readonly number[], gaps: { readonly from: readonly Date[]; readonly to: readonly Date[] }): Promise<{ index: number; part: Part }[]> {
  const [since, until] = [gaps.from[0], gaps.to.at(-1)];
  if (since === undefined || until === undefined) return [];
  // the outer bounds are known when the statement is planned, so that most partitions are left out then
  const found = await sql<Part & { bucket: number }>`
    select width_bucket(o.phenomenon_start, ${edges.map((atMs) => new Date(atMs))}::timestamptz[]) as bucket, count(*)::integer as n, sum(result_number) as sum, min(result_number) as min, max(result_number) as max,
           (array_agg(result_number order by phenomenon_start, id))[1] as first, (array_agg(result_number order by phenomenon_start, id))[count(*)] as last,
           floor(extract(epoch from min(phenomenon_start)) * 1000)::float8 as "firstMs", floor(extract(epoch from max(phenomenon_start)) * 1000)::float8 as "lastMs"
      from unnest(${gaps.from}::timestamptz[], ${gaps.to}::timestamptz[]) as gap (since, until)
     cross join lateral (
           select id, phenomenon_start, result_number from observation
            where datastream_id = ${streamId} and phenomenon_start >= gap.since and phenomenon_start < gap.until and span_last >= gap.since and span_first < gap.until
              and phenomenon_start >= ${since} and phenomenon_start < ${until} and span_last >= ${since} and span_first < ${until} and ${AGGREGATED}
           offset 0) o
     group by 1`.execute(trx);
  return found.rows.map(({ bucket, ...part }) => ({ index: bucket - 1, part }));
}

function merge(parts: Map<number, Part>, index: number, part: Part): void {
  const known = parts.get(index);
  if (known === undefined) {
    parts.set(index, part);
    return;
  }
  const early = part.firstMs < known.firstMs ? part : known;
  const late = part.lastMs >= known.lastMs ? part : known;
  parts.set(index, { n: known.n + part.n, sum: known.sum + part.sum, min: Math.min(known.min, part.min), max: Math.max(known.max, part.max), first: early.first, firstMs: early.firstMs, last: late.last, lastMs: late.lastMs });
}
