import { sql, type RawBuilder } from 'kysely';
import type { DatabaseHandle, Trx } from '../../platform/index.ts';
import { HOUR_MS } from '../observations/batch-store.ts';

// A bucket of fewer readings costs more as a row than it saves (migrations/0063).
const LEAST_READINGS = 5;
const BATCHES_AT_ONCE = 500;
// Bounds of one transaction, so that neither reads nor a stop wait long for it: readings that came late, hours of single datastreams
// to compute again after a change, and time for the hours that have ended.
const LATE_READINGS = 20_000;
const CHANGED_HOURS = 10_000;
const ENDED_HOURS_MS = 500;
// Hours between two touched ones that are computed again with them: one walk along the index instead of two.
const GAP_HOURS = 6;
// Ids are given out in blocks of so many.
const GAP_IDS = 10_000;
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
  readonly rows: number;
  readonly first_id: number | null;
  readonly last_id: number | null;
  readonly first_hour: number;
  readonly last_hour: number;
  readonly streams: readonly number[] | null;
}

/** Ends a roll-up between two statements; nothing of it remains. */
class Stopped extends Error {}

/**
 * Brings the roll-ups on: what late, changed and removed readings touched is computed again, and hours that have ended are computed.
 * One transaction of bounded work, so each batch counts once; batches that are done are folded into the tally. Returns whether there
 * is more to do. `isStopping` is asked between statements; when it says so, the rest is left to the next start.
 */
export async function rollUp(handle: DatabaseHandle, nowMs: number, isStopping: () => boolean = () => false): Promise<boolean> {
  try {
    return await handle.db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (trx) => {
        // one process at a time; the others find the work done
        const lock = await sql<{ taken: boolean }>`select pg_try_advisory_xact_lock(${LOCK}) as taken`.execute(trx);
        if (lock.rows[0]?.taken !== true) return false;
        const compute: Compute = async (hours) => {
          if (isStopping()) throw new Stopped();
          await computeHours(trx, hours);
        };
        // compiling a plan over hundreds of partitions takes longer than running it
        await sql`set local jit = off`.execute(trx);
        const tally = await sql<{ until: number }>`select rolled_until as until from observation_tally`.execute(trx);
        const until = tally.rows[0]?.until ?? 0;
        const isRestLeft = await catchUp(trx, until, compute);
        const hasHoursLeft = await goOn(trx, until, Math.floor((nowMs - GRACE_MS) / HOUR_MS), compute);
        await sql`
          with folded as (delete from observation_batch where rolled and at < now() - ${sql.lit(KEEP_BATCHES)}::interval returning rows)
          update observation_tally set rows = observation_tally.rows + (select sum(rows) from folded) where exists (select 1 from folded)`.execute(trx);
        return isRestLeft || hasHoursLeft;
      });
  } catch (error) {
    if (error instanceof Stopped) return false;
    throw error;
  }
}

/** Computes again what the oldest batches touched, as many as fit one transaction. Returns whether some are left. */
async function catchUp(trx: Trx, until: number, compute: Compute): Promise<boolean> {
  const due = await sql<DueBatch>`select seq, rows, first_id, last_id, first_hour, last_hour, streams::float8[] from observation_batch where not rolled order by seq limit ${BATCHES_AT_ONCE}`.execute(trx);
  const done: DueBatch[] = [];
  const late: DueBatch[] = [];
  let [lateReadings, changedHours] = [0, 0];
  for (const batch of due.rows) {
    const { first_hour, last_hour, streams, rows } = batch;
    // hours that are not rolled yet are computed when they have ended
    if (first_hour < until && streams === null) {
      if (late.length > 0 && lateReadings + rows > LATE_READINGS) break;
      lateReadings += rows;
      late.push(batch);
    } else if (first_hour < until && streams !== null && streams.length > 0) {
      const last = Math.min(last_hour, until - 1);
      const fit = Math.max(changedHours === 0 ? 1 : 0, Math.floor((CHANGED_HOURS - changedHours) / streams.length));
      if (fit === 0) break;
      changedHours += streams.length * Math.min(fit, last - first_hour + 1);
      await compute(streams.map((stream) => ({ stream, first: first_hour, last: Math.min(last, first_hour + fit - 1) })));
      if (first_hour + fit <= last) {
        await sql`update observation_batch set first_hour = ${first_hour + fit} where seq = ${batch.seq}`.execute(trx);
        break;
      }
    }
    done.push(batch);
  }
  if (late.length > 0) await compute(await touchedBy(trx, late, until));
  if (done.length > 0) await sql`update observation_batch set rolled = true where seq = any(${done.map(({ seq }) => seq)}::bigint[])`.execute(trx);
  return done.length < due.rows.length || due.rows.length === BATCHES_AT_ONCE;
}

/** Computes hours that have ended, from `until` on and before `end`. Returns whether some are left. */
async function goOn(trx: Trx, until: number, end: number, compute: Compute): Promise<boolean> {
  if (until >= end) return false;
  const startMs = performance.now();
  let next = until;
  // twice as many as before each time, because many hours may have no readings at all
  for (let hours = 1; next < Math.min(end, until + HOURS_AT_ONCE) && performance.now() - startMs < ENDED_HOURS_MS; hours *= 2) {
    const last = Math.min(next + hours, end, until + HOURS_AT_ONCE) - 1;
    await compute({ first: next, last });
    next = last + 1;
  }
  await sql`update observation_tally set rolled_until = ${next}`.execute(trx);
  return next < end;
}

/** Hours from `first` to `last`, of all datastreams. */
interface Hours {
  readonly first: number;
  readonly last: number;
}

/** Of one datastream. */
interface StreamHours extends Hours {
  readonly stream: number;
}

type Compute = (hours: Hours | readonly StreamHours[]) => Promise<void>;

/** Which hours that are rolled already the readings of the batches are of; no hour of a datastream twice. */
async function touchedBy(trx: Trx, batches: readonly DueBatch[], until: number): Promise<StreamHours[]> {
  const spans = spansOf(batches);
  const [since, before] = [new Date(Math.min(...spans.map((span) => span.first)) * HOUR_MS), new Date(Math.min(until, Math.max(...spans.map((span) => span.last)) + 1) * HOUR_MS)];
  // the outer times are known when the statement is planned, so that most partitions are left out then
  const found = await sql<{ stream: number; hour: number }>`
    select distinct o.stream, o.hour
      from unnest(${spans.map(({ firstId }) => firstId)}::bigint[], ${spans.map(({ lastId }) => lastId)}::bigint[], ${spans.map(({ first }) => new Date(first * HOUR_MS))}::timestamptz[], ${spans.map(({ last }) => new Date((last + 1) * HOUR_MS))}::timestamptz[]) as b (first_id, last_id, since, before)
     cross join lateral (
           select datastream_id as stream, floor(extract(epoch from phenomenon_start) / 3600)::integer as hour from observation
            where id between b.first_id and b.last_id and id_low <= b.last_id and id_high >= b.first_id and ${within(sql.ref('b.since'), sql.ref('b.before'))} and ${within(since, before)}
           offset 0) o`.execute(trx);
  const hoursOf = new Map<number, number[]>();
  for (const { stream, hour } of found.rows) {
    const hours = hoursOf.get(stream);
    if (hours === undefined) hoursOf.set(stream, [hour]);
    else hours.push(hour);
  }
  return [...hoursOf].flatMap(([stream, hours]) => gather(hours).map((range) => ({ stream, ...range })));
}

interface IdSpan {
  readonly firstId: number;
  lastId: number;
  first: number;
  last: number;
}

/** Batches whose ids follow each other as one: each asks every partition of its hours. What lies between them is few, and harmless. */
function spansOf(batches: readonly DueBatch[]): IdSpan[] {
  const spans: IdSpan[] = [];
  for (const { first_id, last_id, first_hour, last_hour } of batches.toSorted((a, b) => (a.first_id ?? 0) - (b.first_id ?? 0))) {
    if (first_id === null || last_id === null) continue;
    const before = spans.at(-1);
    if (before === undefined || first_id > before.lastId + GAP_IDS) spans.push({ firstId: first_id, lastId: last_id, first: first_hour, last: last_hour });
    else Object.assign(before, { lastId: Math.max(before.lastId, last_id), first: Math.min(before.first, first_hour), last: Math.max(before.last, last_hour) });
  }
  return spans;
}

/** Neighbouring hours become one range. */
function gather(hours: readonly number[]): Hours[] {
  const sorted = hours.toSorted((a, b) => a - b);
  const ranges: Hours[] = [];
  let first = sorted[0] ?? 0;
  for (const [at, hour] of sorted.entries()) {
    const next = sorted[at + 1];
    if (next !== undefined && next - hour <= GAP_HOURS) continue;
    ranges.push({ first, last: hour });
    first = next ?? 0;
  }
  return ranges;
}

/** Computes roll-ups from the readings, in place of what stood there. */
async function computeHours(trx: Trx, hours: Hours | readonly StreamHours[]): Promise<void> {
  if ('first' in hours) {
    const span = [new Date(hours.first * HOUR_MS), new Date((hours.last + 1) * HOUR_MS)] as const;
    for (const table of TABLES) {
      await sql`delete from ${sql.table(table.name)} where ${sql.ref(table.bucket)} >= ${(hours.first * 3600) / table.seconds} and ${sql.ref(table.bucket)} < ${((hours.last + 1) * 3600) / table.seconds}`.execute(trx);
      await insertFrom(trx, table, sql`observation o where ${within(...span)}`);
    }
    return;
  }
  if (hours.length === 0) return;
  const outer = [new Date(Math.min(...hours.map(({ first }) => first)) * HOUR_MS), new Date((Math.max(...hours.map(({ last }) => last)) + 1) * HOUR_MS)] as const;
  const [streams, since, before] = [hours.map(({ stream }) => stream), hours.map(({ first }) => new Date(first * HOUR_MS)), hours.map(({ last }) => new Date((last + 1) * HOUR_MS))];
  const ranges = sql`unnest(${streams}::bigint[], ${since}::timestamptz[], ${before}::timestamptz[]) as r (stream, since, before)`;
  for (const table of TABLES) {
    await sql`
      delete from ${sql.table(table.name)} b using ${ranges}
       where b.datastream_id = r.stream and b.${sql.ref(table.bucket)} >= (extract(epoch from r.since) / ${sql.lit(table.seconds)})::integer and b.${sql.ref(table.bucket)} < (extract(epoch from r.before) / ${sql.lit(table.seconds)})::integer`.execute(trx);
    // the outer times are known when the statement is planned, so that most partitions are left out then
    await insertFrom(
      trx,
      table,
      sql`${ranges} cross join lateral (
          select * from observation where datastream_id = r.stream and ${within(sql.ref('r.since'), sql.ref('r.before'))} and ${within(...outer)} offset 0) o where true`,
    );
  }
}

interface RollUpTable {
  readonly name: string;
  readonly bucket: string;
  readonly seconds: number;
}
const TABLES: readonly RollUpTable[] = [
  { name: 'observation_hour', bucket: 'hour', seconds: 3600 },
  { name: 'observation_minute', bucket: 'minute', seconds: 60 },
];

/** The bounds of segments leave most of them out (migrations/0062). */
const within = (since: unknown, before: unknown): RawBuilder<unknown> => sql`phenomenon_start >= ${since} and phenomenon_start < ${before} and span_last >= ${since} and span_first < ${before}`;

/** `readings` is what follows FROM, up to a condition; its rows are called o. */
async function insertFrom(trx: Trx, { name, bucket, seconds }: RollUpTable, readings: RawBuilder<unknown>): Promise<void> {
  await sql`
    insert into ${sql.table(name)} (datastream_id, ${sql.ref(bucket)}, n, sum, min, max, first, last)
    select datastream_id, floor(extract(epoch from phenomenon_start) / ${sql.lit(seconds)})::integer, count(*), sum(result_number), min(result_number), max(result_number),
           (array_agg(result_number order by phenomenon_start, id))[1], (array_agg(result_number order by phenomenon_start, id))[count(*)]
      from ${readings} and ${AGGREGATED}
     group by 1, 2 having count(*) >= ${LEAST_READINGS}`.execute(trx);
}
