import type pg from 'pg';
import type { Draft } from './draft.ts';
import { DAY_MS } from './partition-store.ts';

// One statement plans for so many days' partitions at most, so that sending an old day again does not pay for all days.
const SPAN_DAYS = 32;
// Readings of more spans than this are looked for in one statement over all of them.
const SPANS = 32;
const CLIENT_DAYS = 7;

/**
 * One state of the database: a reading may be packed or unpacked meanwhile. Rows are asked for one by one, which walks the index of
 * the one partition that holds the day; a segment, which lies in one week (migrations/0062), is unpacked once, however many of its
 * readings are asked for.
 */
const SAME = 'o.phenomenon_end is not distinct from t.ends and o.result_number is not distinct from t.number and o.result_json is not distinct from t.json and o.extra is not distinct from t.extra::jsonb';
const FIND = `
  with sent as materialized (
         select * from unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::text[], $6::text[]) with ordinality as t (stream, starts, ends, number, json, extra, n)),
       there as (
         select t.n, o.id
           from sent t cross join lateral (
                select * from observation_hot where datastream_id = t.stream and phenomenon_start = t.starts and phenomenon_start >= $7 and phenomenon_start <= $8 offset 0) o
          where ${SAME}
         union all
         select t.n, o.id
           from (select distinct g.* from (select distinct stream, starts from sent) t cross join lateral (
                select datastream_id, first_start, first_id from observation_segment where datastream_id = t.stream and first_start between t.starts - interval '7 days' and t.starts and last_start >= t.starts offset 0) g) segment
          cross join lateral (
                select * from observation_sealed where datastream_id = segment.datastream_id and span_first = segment.first_start and first_id = segment.first_id and phenomenon_start = any($2) offset 0) o
           join sent t on t.stream = o.datastream_id and t.starts = o.phenomenon_start
          where ${SAME})
  select n, min(id) as id from there group by n`;

/** Which of the drafts are stored already; they get the ids of the stored ones, the lowest where there are several. */
export async function findStored(on: pg.Client, suspects: readonly Draft[]): Promise<ReadonlySet<Draft>> {
  const stored = new Set<Draft>();
  const named = suspects.filter((draft) => draft.clientId !== undefined);
  if (named.length > 0) await findByClientId(on, named, stored);
  const timed = named.length === 0 ? suspects : suspects.filter((draft) => draft.clientId === undefined);
  const bySpan = Map.groupBy(timed, ({ phenomenonMs }) => Math.floor(phenomenonMs / (SPAN_DAYS * DAY_MS)));
  for (const drafts of bySpan.size > SPANS ? [timed] : bySpan.values()) await findAmong(on, drafts, stored);
  return stored;
}

/** Messages without a time of their own, by the ids that their senders gave them, as far back as CLIENT_DAYS. */
async function findByClientId(on: pg.Client, drafts: readonly Draft[], stored: Set<Draft>): Promise<void> {
  const answer = await on.query<{ n: string; id: string }>(
    `select t.n, min(o.id) as id
       from unnest($1::bigint[], $2::text[]) with ordinality as t (stream, client, n)
      cross join lateral (
            select id from observation_hot where datastream_id = t.stream and extra ? 'clientId' and extra ->> 'clientId' = t.client and phenomenon_start >= $3 offset 0) o
      group by t.n`,
    [drafts.map((draft) => draft.stream.id), drafts.map((draft) => draft.clientId), new Date(Math.min(...drafts.map((draft) => draft.arrivalMs)) - CLIENT_DAYS * DAY_MS)],
  );
  for (const row of answer.rows) {
    const draft = drafts[Number(row.n) - 1] as Draft;
    draft.id = Number(row.id);
    stored.add(draft);
  }
}

async function findAmong(on: pg.Client, drafts: readonly Draft[], stored: Set<Draft>): Promise<void> {
  const instant = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
  let firstMs = Infinity;
  let lastMs = -Infinity;
  for (const { phenomenonMs } of drafts) {
    firstMs = Math.min(firstMs, phenomenonMs);
    lastMs = Math.max(lastMs, phenomenonMs);
  }
  const answer = await on.query<{ n: string; id: string }>(FIND, [
    drafts.map((draft) => draft.stream.id),
    drafts.map((draft) => instant(draft.phenomenonMs)),
    drafts.map((draft) => instant(draft.phenomenonEndMs)),
    drafts.map((draft) => draft.value),
    drafts.map((draft) => draft.exact),
    drafts.map((draft) => draft.extra),
    instant(firstMs),
    instant(lastMs),
  ]);
  for (const row of answer.rows) {
    const draft = drafts[Number(row.n) - 1];
    if (draft === undefined) continue;
    draft.id = Number(row.id);
    stored.add(draft);
  }
}
