import { sql } from 'kysely';
import type { Reading } from '../../contracts/reading.ts';
import type { Database, DatabaseHandle } from '../../platform/index.ts';
import { DAY_MS } from './partition-store.ts';

interface ReadingRow {
  readonly stream: number;
  readonly phenomenon: number;
  readonly arrived: number;
  readonly value: number | null;
  readonly valid: boolean;
}

// milliseconds as double: extract() of a timestamptz is exact to the microsecond
const COLUMNS = sql.raw("o.datastream_id as stream, floor(extract(epoch from o.phenomenon_start) * 1000)::float8 as phenomenon, floor(extract(epoch from o.arrived) * 1000)::float8 as arrived, o.result_number as value, o.valid");

const readingOf = (row: ReadingRow): Reading => ({ datastreamId: row.stream, phenomenonMs: row.phenomenon, arrivalMs: row.arrived, value: row.value, valid: row.valid });

const LATEST_AT_BACK_MS = 2 * DAY_MS;

/**
 * The newest reading of each of `streamIds` by phenomenon time, newest partitions first: a stream that has one in the
 * partition of today costs one step in an index. `partitions` as Partitions.names() gives them.
 */
export async function readLatest(db: Database, streamIds: readonly number[], partitions: readonly string[]): Promise<Map<number, Reading>> {
  const latest = new Map<number, Reading>();
  let missing = streamIds;
  for (const partition of partitions) {
    if (missing.length === 0) break;
    const isOther = partition === partitions[0];
    const found = await sql<ReadingRow>`
      select ${COLUMNS} from unnest(${missing}::bigint[]) as s (id)
        cross join lateral (select * from ${sql.table(partition)} where datastream_id = s.id order by phenomenon_start desc, id desc limit 1) o`.execute(db);
    for (const row of found.rows) {
      const known = latest.get(row.stream);
      if (known === undefined || row.phenomenon > known.phenomenonMs) latest.set(row.stream, readingOf(row));
    }
    // a reading in the partition for all other times may be older than one in a day's partition
    if (isOther) continue;
    const here = new Set(found.rows.map((row) => row.stream));
    missing = missing.filter((id) => !here.has(id));
  }
  for (const row of missing.length === 0 ? [] : await readLatestSealed(db, missing)) {
    const known = latest.get(row.stream);
    if (known === undefined || row.phenomenon > known.phenomenonMs) latest.set(row.stream, readingOf(row));
  }
  return latest;
}

async function readLatestSealed(db: Database, streamIds: readonly number[]): Promise<ReadingRow[]> {
  const found = await sql<ReadingRow>`
    select ${COLUMNS} from unnest(${streamIds}::bigint[]) as s (id)
      cross join lateral (
        select * from observation_sealed where datastream_id = s.id and span_last = (select max(last_start) from observation_segment where datastream_id = s.id)
         order by phenomenon_start desc, id desc limit 1) o`.execute(db);
  return found.rows;
}

/** The newest reading of every stream with phenomenon and arrival up to `atMs`, at most two days old. */
export async function readLatestAt(db: Database, streamIds: readonly number[], atMs: number): Promise<Map<number, Reading>> {
  const until = new Date(atMs);
  const from = new Date(atMs - LATEST_AT_BACK_MS);
  const found = await sql<ReadingRow>`
    select ${COLUMNS} from unnest(${streamIds}::bigint[]) as s (id)
      cross join lateral (
        select * from observation where datastream_id = s.id and phenomenon_start between ${from} and ${until} and span_last >= ${from} and span_first <= ${until} and arrived <= ${until}
         order by phenomenon_start desc, id desc limit 1) o`.execute(db);
  return new Map(found.rows.map((row) => [row.stream, readingOf(row)]));
}

/** Readings of a stream with `fromMs` <= phenomenon < `toMs`, in order, at most `limit`. */
export async function readSeries(db: Database, streamId: number, fromMs: number, toMs: number, limit: number): Promise<Reading[]> {
  const found = await sql<ReadingRow>`
    select ${COLUMNS} from observation o
     where o.datastream_id = ${streamId} and o.phenomenon_start >= ${new Date(fromMs)} and o.phenomenon_start < ${new Date(toMs)} and o.span_last >= ${new Date(fromMs)} and o.span_first < ${new Date(toMs)}
     order by o.phenomenon_start, o.id limit ${limit}`.execute(db);
  return found.rows.map(readingOf);
}

const CHUNK_ROWS = 5_000;
const WINDOW_MS = 6 * 3_600_000;

/**
 * Readings of the streams that arrived in [`fromMs`, `toMs`), in order of arrival, in chunks of at most 5,000. Walks in windows
 * of six hours, so that no sort and no memory grows with the length of the history.
 */
export async function* readHistory(handle: DatabaseHandle, streamIds: readonly number[], fromMs: number, toMs: number, futureMs: number): AsyncGenerator<readonly Reading[]> {
  if (streamIds.length === 0) return;
  const client = await handle.pool.connect();
  let broken: unknown;
  try {
    let step_ms = WINDOW_MS;
    let endMs = fromMs;
    for (let windowMs = fromMs; windowMs < toMs; windowMs = endMs) {
      endMs = Math.min(windowMs + step_ms, toMs);
      // times in which nothing arrived are passed in steps that double
      const any = await client.query<{ any: boolean }>('select exists (select 1 from observation where datastream_id = any($1::bigint[]) and arrived >= $2 and arrived < $3 and arrived_high >= $2 and arrived_low < $3) as any', [streamIds, new Date(windowMs), new Date(endMs)]);
      if (any.rows[0]?.any !== true) {
        step_ms *= 2;
        continue;
      }
      if (step_ms > WINDOW_MS) {
        step_ms = Math.max(step_ms / 2, WINDOW_MS);
        endMs = windowMs;
        continue;
      }
      await client.query('begin read only');
      await client.query(
        `declare history no scroll cursor for
         select o.datastream_id as stream, floor(extract(epoch from o.phenomenon_start) * 1000)::float8 as phenomenon, floor(extract(epoch from o.arrived) * 1000)::float8 as arrived, o.result_number as value, o.valid
           from observation o where o.datastream_id = any($1::bigint[]) and o.arrived >= $2 and o.arrived < $3 and o.arrived_high >= $2 and o.arrived_low < $3 and o.phenomenon_start <= $4 order by o.arrived, o.id`,
        [streamIds, new Date(windowMs), new Date(endMs), new Date(endMs + futureMs)],
      );
      for (;;) {
        const { rows } = await client.query<ReadingRow>(`fetch ${CHUNK_ROWS} from history`);
        if (rows.length > 0) yield rows.map(readingOf);
        if (rows.length < CHUNK_ROWS) break;
      }
      await client.query('commit');
    }
  } catch (error) {
    broken = error;
    throw error;
  } finally {
    // a reader that stopped early leaves its cursor open
    if (broken === undefined) await client.query('rollback').catch((error: unknown) => (broken = error));
    client.release(broken instanceof Error ? broken : undefined);
  }
}
