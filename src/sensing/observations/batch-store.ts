import type { DatabaseHandle } from '../../platform/index.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';
import type { Draft } from './draft.ts';

/** Runs a statement inside the transaction or the session of the caller. */
export type Run = <T>(fragment: Fragment) => Promise<T[]>;

export const HOUR_MS = 3_600_000;
export const hourOf = (atMs: number): number => Math.floor(atMs / HOUR_MS);
/** A batch that touches more hours names only the first and the last (migrations/0063). */
const LISTED_HOURS = 64;

/** Notes a batch of new readings; it goes with their COPY in one transaction. Its values are `batchValues`. */
export const NOTE_BATCH = 'insert into observation_batch (writer, rows, first_id, last_id, hours, first_hour, last_hour) values ($1, $2, $3, $4, $5, $6, $7)';

/** Drafts carry their ids. As text, for the wire. */
export function batchValues(writer: string, drafts: readonly Draft[]): readonly (string | null)[] {
  const hours = new Set<number>();
  let firstId = Infinity;
  let lastId = 0;
  let first = Infinity;
  let last = -Infinity;
  let known = NaN;
  for (const { id, phenomenonMs } of drafts) {
    if (id < firstId) firstId = id;
    if (id > lastId) lastId = id;
    const hour = hourOf(phenomenonMs);
    if (hour === known) continue; // most are of the hour of the one before
    known = hour;
    if (hour < first) first = hour;
    if (hour > last) last = hour;
    if (hours.size <= LISTED_HOURS) hours.add(hour);
  }
  const listed = hours.size <= LISTED_HOURS ? `{${[...hours].join(',')}}` : null;
  return [writer, String(drafts.length), String(firstId), String(lastId), listed, String(first), String(last)];
}

/** How many observations there are, hot and sealed: the sum of all batches. */
export async function countAllObservations(run: Run): Promise<number> {
  const [found] = await run<{ rows: number }>(frag`select ((select rows from observation_tally) + coalesce((select sum(rows) from observation_batch), 0))::bigint as rows`);
  return found?.rows ?? 0;
}

/** A transaction that wrote readings, as other processes hear of it. */
export interface Batch {
  readonly seq: number;
  readonly writer: string;
  readonly rows: number;
  readonly first_id: number | null;
  readonly last_id: number | null;
  readonly streams: readonly number[] | null;
}

export interface BatchTail {
  /** Batches that became visible since the last call, at most `limit`; each exactly once. */
  read(limit: number): Promise<readonly Batch[]>;
}

// A sequence number that nobody has used for so long belongs to a transaction that was rolled back. A COPY is ended after 15 s.
const HOLE_PATIENCE_MS = 60_000;

/**
 * Follows the batches of all processes from `afterSeq` on. Numbers are given out before the commit, so a lower one may become
 * visible after a higher one: holes are looked at again until they are filled or too old. `nowMs` is a monotonic clock.
 */
export function tailBatches(handle: DatabaseHandle, afterSeq: number, nowMs: () => number = () => performance.now()): BatchTail {
  let highest = afterSeq;
  const holes = new Map<number, number>(); // missing number, since when
  return {
    read: async (limit) => {
      const { rows } = await handle.pool.query<Batch>('select seq, writer, rows, first_id, last_id, streams::float8[] from observation_batch where seq > $1 or seq = any($2::bigint[]) order by seq limit $3', [highest, [...holes.keys()], limit]);
      const now = nowMs();
      for (const { seq } of rows) {
        holes.delete(seq);
        for (let missing = Math.max(highest + 1, seq - limit); missing < seq; missing += 1) holes.set(missing, now);
        if (seq > highest) highest = seq;
      }
      for (const [seq, sinceMs] of holes) if (now - sinceMs > HOLE_PATIENCE_MS) holes.delete(seq);
      return rows;
    },
  };
}

/** Notes a change of readings that are stored already, in the transaction of the change. `rows` below 0: so many were removed. */
export async function noteChange(run: Run, change: { readonly rows: number; readonly streams: readonly number[]; readonly first: Date; readonly last: Date }): Promise<void> {
  const [first, last] = [hourOf(change.first.getTime()), hourOf(change.last.getTime())];
  await run(frag`insert into observation_batch (writer, rows, first_hour, last_hour, streams) values ('change', ${change.rows}::bigint, ${first}::integer, ${last}::integer, ${change.streams}::bigint[])`);
  for (const [table, column, factor] of [['observation_hour', 'hour', 1], ['observation_minute', 'minute', 60]] as const) {
    await run(frag`delete from ${raw(table)} where datastream_id = any(${change.streams}::bigint[]) and ${raw(column)} >= ${first * factor}::integer and ${raw(column)} < ${(last + 1) * factor}::integer`);
  }
}
