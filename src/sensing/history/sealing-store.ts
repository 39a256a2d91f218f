import type pg from 'pg';
import { sha256 } from '../../kernel/index.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { frag, toStatement, type Fragment } from '../query/fragment.ts';
import { DAY_MS } from '../observations/partition-store.ts';
import { unseal } from '../observations/removal-store.ts';
import { CSV_HEADER, csvStatement, type CsvSource } from './csv.ts';
import { copyOut, readStored, STORED_COLUMNS, type Session } from './copy-store.ts';
import { packSegment, SEGMENT_ROWS, type Segment, type StoredReading } from './segment.ts';

export interface SealedDay {
  /** Days since 1970 in UTC. */
  readonly day: number;
  readonly rows: number;
  /** Of the CSV with its header. */
  readonly bytes: number;
  readonly sha256: string;
}

export const WEEK_DAYS = 7;
// Days before 1900 and after 2200 stay as rows: their microseconds are beyond the exact integers of a double.
const FIRST_DAY = -25_567;
const LAST_DAY = 84_006;
const EPOCH_2000_US = 946_684_800_000_000n;
// 1970-01-01 was a Thursday
const weekOf = (day: number): number => day - ((((day + 3) % WEEK_DAYS) + WEEK_DAYS) % WEEK_DAYS);
const isoDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);
const dateOf = (day: number): Date => new Date(day * DAY_MS);
/** `2026-10-01` as days since 1970. */
export const dayOf = (text: string): number => Math.floor(Date.parse(`${text}T00:00:00Z`) / DAY_MS);

/** First days of the weeks that end before `untilDay` and have readings as rows, or changed after they were sealed. */
export async function listWeeksToSeal(handle: DatabaseHandle, untilDay: number): Promise<number[]> {
  const until = weekOf(Math.min(untilDay, LAST_DAY));
  const { rows } = await handle.pool.query<{ day: string }>(
    `select distinct (phenomenon_start at time zone 'UTC')::date::text as day from observation_hot where phenomenon_start >= $1 and phenomenon_start < $2
      union select day::text from observation_sealed_day where changed and day < ($2::timestamptz at time zone 'UTC')::date`,
    [dateOf(FIRST_DAY), dateOf(until)],
  );
  return [...new Set(rows.map(({ day }) => weekOf(dayOf(day))))].sort((a, b) => a - b);
}

/**
 * Packs all readings of a week in one transaction, returns the days whose bytes are new, and proves inside it that each day's CSV is the same before and after: else it
 * throws and nothing has changed. Readings that arrive meanwhile stay as rows until the next sealing. Whoever changes one of the
 * readings at the same time wins: the transaction fails with SQLSTATE 40001.
 */
export async function sealWeek(handle: DatabaseHandle, week: number, now: Date): Promise<readonly SealedDay[]> {
  const client = await handle.pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin isolation level repeatable read');
    await client.query('set local cursor_tuple_fraction = 1');
    const days = await pack({ client }, week, now);
    await client.query('commit');
    return days;
  } catch (error) {
    await client.query('rollback').catch((cause: unknown) => (broken = cause as Error));
    throw error;
  } finally {
    client.release(broken);
  }
}

async function pack(session: Session, week: number, now: Date): Promise<readonly SealedDay[]> {
  const { client } = session;
  const span = [dateOf(week), dateOf(week + WEEK_DAYS)];
  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    const { text, parameters } = toStatement(fragment);
    return (await client.query(text, [...parameters])).rows as T[];
  };
  const { rows: days } = await client.query<{ day: string }>(
    `select distinct (phenomenon_start at time zone 'UTC')::date::text as day from observation_hot where phenomenon_start >= $1 and phenomenon_start < $2
      union select day::text from observation_sealed_day where changed and day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date order by 1`,
    span,
  );
  const before = new Map<number, SealedDay>();
  for (const { day } of days) before.set(dayOf(day), await measureDay(session, 'observation', dayOf(day)));
  await unseal(run, frag`
    select datastream_id, first_start, first_id from observation_segment
     where first_start >= ${dateOf(week)}::timestamptz and first_start < ${dateOf(week + WEEK_DAYS)}::timestamptz
       and datastream_id in (select datastream_id from observation_hot where phenomenon_start >= ${dateOf(week)}::timestamptz and phenomenon_start < ${dateOf(week + WEEK_DAYS)}::timestamptz)`);

  const readings: StoredReading[] = [];
  const flush = async (rows: number): Promise<void> => {
    if (readings.length > 0) await insertSegment(client, packSegment(readings.splice(0, rows)));
  };
  for await (const chunk of readStored(session, `select ${STORED_COLUMNS} from observation_hot where phenomenon_start >= $1 and phenomenon_start < $2 order by datastream_id, phenomenon_start, id`, span)) {
    for (const reading of chunk) {
      if (readings.length === SEGMENT_ROWS || (readings[0] !== undefined && readings[0].streamId !== reading.streamId)) await flush(SEGMENT_ROWS);
      readings.push(reading);
    }
  }
  await flush(SEGMENT_ROWS);
  await client.query('delete from observation_hot where phenomenon_start >= $1 and phenomenon_start < $2', span);

  const sealed: SealedDay[] = [];
  for (const [day, expected] of before) {
    const found = await measureDay(session, 'observation_sealed', day);
    if (found.sha256 !== expected.sha256) throw new Error(`${isoDay(day)} was not packed as it is: ${expected.rows} readings before, ${found.rows} after`);
    if (found.rows === 0) await client.query('delete from observation_sealed_day where day = $1', [isoDay(day)]);
    else {
      const { rows: kept } = await client.query<{ log_index: number | null }>(
        `insert into observation_sealed_day (day, rows, bytes, sha256, sealed_at) values ($1, $2, $3, $4, $5)
         on conflict (day) do update set rows = excluded.rows, bytes = excluded.bytes, sha256 = excluded.sha256, sealed_at = excluded.sealed_at, changed = false,
           log_index = case when observation_sealed_day.sha256 = excluded.sha256 then observation_sealed_day.log_index end
         returning log_index`,
        [isoDay(day), found.rows, found.bytes, found.sha256, now],
      );
      if (kept[0]?.log_index === null) sealed.push(found); // else its bytes are those that the log tells of
    }
  }
  return sealed;
}

async function measureDay(session: Session, source: CsvSource, day: number): Promise<SealedDay> {
  const digest = sha256();
  let bytes = 0;
  let rows = 0;
  const take = (chunk: Buffer): void => {
    digest.update(chunk);
    bytes += chunk.length;
  };
  take(Buffer.from(CSV_HEADER));
  for await (const chunk of copyOut(session, csvStatement({ source, streamIds: null, fromMs: day * DAY_MS, toMs: (day + 1) * DAY_MS }), (count) => (rows = count))) take(chunk);
  return { day, rows, bytes, sha256: digest.digest('hex') };
}

/** `timestamptz` text of microseconds since 2000; BigInt because their sum with 1970 need not be exact as a double. */
function instantText(sinceUs: number): string {
  const us = BigInt(sinceUs) + EPOCH_2000_US;
  const inSecond = ((us % 1_000_000n) + 1_000_000n) % 1_000_000n;
  return `${new Date(Number((us - inSecond) / 1_000n)).toISOString().slice(0, 19)}.${String(inSecond).padStart(6, '0')}Z`;
}

const SEGMENT_COLUMNS = [
  'datastream_id', 'first_start', 'last_start', 'first_id', 'id_low', 'id_high', 'arrived_low', 'arrived_high', 'start_step', 'id_step', 'number_divisor', 'rows', 'unit_us',
  'start2', 'start4', 'start8', 'id2', 'id4', 'id8', 'end2', 'end4', 'end8', 'result_time2', 'result_time4', 'result_time8', 'arrived2', 'arrived4', 'arrived8', 'number2', 'number4', 'number8',
  'number_floats', 'texts', 'extras', 'valids',
] as const;
const INSERT_SEGMENT = `insert into observation_segment (${SEGMENT_COLUMNS.join(', ')}) values (${SEGMENT_COLUMNS.map((_, at) => `$${at + 1}`).join(', ')})`;

async function insertSegment(client: pg.PoolClient, segment: Segment): Promise<void> {
  const lists = [segment.starts, segment.ids, segment.ends, segment.resultTimes, segment.arrivals, segment.quotients].flatMap(({ two, four, eight }) => [two, four, eight]);
  const { streamId, firstStartUs, lastStartUs, firstId, idLow, idHigh, arrivedLowUs, arrivedHighUs, startStepUs, idStep, numberDivisor, rows, unitUs, floats, texts, extras, valids } = segment;
  await client.query({
    name: 'insert segment',
    text: INSERT_SEGMENT,
    values: [streamId, instantText(firstStartUs), instantText(lastStartUs), firstId, idLow, idHigh, instantText(arrivedLowUs), instantText(arrivedHighUs), startStepUs, idStep, numberDivisor, rows, unitUs, ...lists, floats?.map(floatText) ?? null, texts, extras, valids],
  });
}

/** The driver would write -0 as 0. */
const floatText = (number: number | null): string | null => (number === null ? null : Object.is(number, -0) ? '-0' : String(number));

const UPKEEP_LOCK = 6_304;

/** Runs `act` unless another process of this database runs it already. */
export async function alone(handle: DatabaseHandle, act: () => Promise<void>): Promise<void> {
  const client = await handle.pool.connect();
  let broken: Error | undefined;
  try {
    const { rows } = await client.query<{ taken: boolean }>('select pg_try_advisory_lock($1) as taken', [UPKEEP_LOCK]);
    if (rows[0]?.taken !== true) return;
    try {
      await act();
    } finally {
      await client.query('select pg_advisory_unlock($1)', [UPKEEP_LOCK]).catch((error: unknown) => (broken = error as Error));
    }
  } finally {
    client.release(broken); // the end of a connection ends its lock
  }
}

/** Sealed days whose hash is not in the log yet. */
export async function listUnlogged(handle: DatabaseHandle): Promise<SealedDay[]> {
  const { rows } = await handle.pool.query<{ day: string; rows: number; bytes: number; sha256: string }>('select day::text, rows, bytes, sha256 from observation_sealed_day where log_index is null and not changed order by day');
  return rows.map((row) => ({ ...row, day: dayOf(row.day) }));
}

export async function noteLogged(handle: DatabaseHandle, { day, sha256: hash }: SealedDay, index: number): Promise<void> {
  await handle.pool.query('update observation_sealed_day set log_index = $3 where day = $1 and sha256 = $2', [isoDay(day), hash, index]);
}

export async function readSealedDay(handle: DatabaseHandle, day: number): Promise<(SealedDay & { readonly changed: boolean; readonly log_index: number | null; readonly sealed_at: Date }) | null> {
  const { rows } = await handle.pool.query<{ rows: number; bytes: number; sha256: string; changed: boolean; log_index: number | null; sealed_at: Date }>('select rows, bytes, sha256, changed, log_index, sealed_at from observation_sealed_day where day = $1', [isoDay(day)]);
  return rows[0] === undefined ? null : { ...rows[0], day };
}

// a reader whose state of the database is older than the sealing must still find the rows
const EMPTY_FOR_MS = 3_600_000;
const LOCK_TIMEOUT_MS = 500;

/** Drops the partitions of days that were sealed at least an hour ago and have no rows. Returns the days. */
export async function dropEmptyPartitions(handle: DatabaseHandle, now: Date): Promise<number[]> {
  const { rows } = await handle.pool.query<{ name: string; day: string }>(
    `select c.relname as name, s.day::text from observation_sealed_day s join pg_class c on c.relname = 'observation_' || to_char(s.day, 'YYYYMMDD')
       join pg_inherits i on i.inhrelid = c.oid and i.inhparent = 'observation_hot'::regclass
      where s.sealed_at <= $1 and not s.changed order by s.day`,
    [new Date(now.getTime() - EMPTY_FOR_MS)],
  );
  const dropped: number[] = [];
  for (const { name, day } of rows) {
    const client = await handle.pool.connect();
    try {
      await client.query('begin');
      // the parent first, in the order in which those who write take their locks; who waits longer for it than this would hold them up
      await client.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
      await client.query('lock table only observation_hot in access exclusive mode');
      const held = await client.query(`select 1 from ${name} limit 1`);
      if (held.rows.length === 0) {
        await client.query(`drop table ${name}`);
        dropped.push(dayOf(day));
      }
      await client.query('commit');
    } catch (error) {
      await client.query('rollback');
      if ((error as { code?: unknown }).code !== '55P03') throw error; // busy: the next run tries again
    } finally {
      client.release();
    }
  }
  return dropped;
}
