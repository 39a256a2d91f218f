import { isoOf, LIMITS } from '../../kernel/index.ts';
import { edgeOf, readOldestDay } from '../observations/index.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';
import { rowColumns, type PagePlan } from '../query/page.ts';
import type { IdDays } from './id-days.ts';

// Observations stand in partitions by day. An order by time over all of them asks every partition for every datastream, and an
// order by id has no index at all (a unique one costs a fifth of the ingest). So the likely part is read first, by a window of
// time or ids that leaves most partitions out, and the rest only when rows are missing.

export type Row = Readonly<Record<string, unknown>> & { readonly id: number };
export type PagedRow = Row & { readonly keys: readonly (string | null)[] };
type Run = <T>(fragment: Fragment) => Promise<T[]>;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
// readings of later days have no partition of their own
const AHEAD_DAYS = 3;
const RECENT_MS = 48 * HOUR_MS;
const MEMBER_WINDOWS_MS = [RECENT_MS, 8 * RECENT_MS];
const LEAST_WIDTH_MS = 1_000;
const GROWTH = 16;
const WINDOWS = 4;
const FIRST_WINDOW_IDS = 2_000;
const BUCKET_IDS = 2_000;
const COUNTED_IDS = 1_000_000;

/** The rows of a page and one more, when there is one. */
export async function readRows(run: Run, plan: PagePlan, nowMs: number, idDays: IdDays): Promise<PagedRow[]> {
  if (plan.everythingById && plan.model.set === 'Observations') return (await readDense(run, plan, idDays)) ?? readById(run, plan);
  if (plan.byTime !== null && plan.options.skip > 0) return plan.restricted ? readSkippedByTime(run, plan) : readFarByTime(run, plan, nowMs);
  const startMs = plan.byTime === null ? null : plan.after !== null ? instantOf(plan.after[0]) : plan.byTime === 'desc' ? nowMs : null;
  if (startMs === null) return run<PagedRow>(plan.select());
  // the place where the page before ended bounds the time too, which the comparison of rows does not tell the indexes
  const edge = plan.after === null ? null : frag`${isoOf(plan.byTime === 'desc' ? startMs + 1 : startMs)}::timestamptz`;
  return readWindows(run, plan, startMs, edge, plan.restricted ? RECENT_MS : await likelyWidth(run, startMs, plan.rows), 0);
}

/** Reads windows of time from `edge` on (null: from the end of time), each longer than the one before, the last without an end. */
async function readWindows(run: Run, plan: PagePlan, startMs: number, from: Fragment | null, firstWidth: number, skip: number): Promise<PagedRow[]> {
  const rows: PagedRow[] = [];
  const descending = plan.byTime === 'desc';
  let edge = from;
  let width = firstWidth;
  for (let window = 0; window <= WINDOWS && rows.length <= plan.rows; window += 1) {
    const endMs = Math.floor(descending ? startMs - width : startMs + width);
    const end: Fragment | null = window === WINDOWS || !isStorable(endMs) ? null : frag`${isoOf(endMs)}::timestamptz`;
    const time = raw(`${plan.alias}.phenomenon_start`);
    const [first, last] = [raw(`${plan.alias}.span_first`), raw(`${plan.alias}.span_last`)]; // leave sealed segments out (migrations/0062)
    const parts: Fragment[] = [];
    if (edge !== null) parts.push(descending ? frag`${time} < ${edge} and ${first} < ${edge}` : frag`${time} >= ${edge} and ${last} >= ${edge}`);
    if (end !== null) parts.push(descending ? frag`${time} >= ${end} and ${last} >= ${end}` : frag`${time} < ${end} and ${first} < ${end}`);
    const [one = raw('true'), other = raw('true')] = parts;
    rows.push(...(await run<PagedRow>(plan.select(frag`${one} and ${other}`, window === 0 ? skip : 0))));
    if (end === null) break;
    edge = end;
    width *= GROWTH;
  }
  return rows.slice(0, plan.rows + 1);
}

/**
 * The page by id when its ids follow each other without a hole in the days where they are likely: since no id is given twice, no
 * other partition can hold one of the page then, and none is asked. Null when that is not so.
 */
async function readDense(run: Run, plan: PagePlan, idDays: IdDays): Promise<PagedRow[] | null> {
  if (plan.after === null || plan.options.skip > 0) return null;
  const edge = Number(plan.after[0]);
  const descending = plan.options.orderby[0]?.descending ?? false;
  const [low, high] = descending ? [edge - plan.rows - 1, edge - 1] : [edge + 1, edge + plan.rows + 1];
  const likely = await idDays.likely(run, descending ? high : low, plan.alias);
  if (likely === null) return null;
  const rows = await run<PagedRow>(selectById(plan, frag`${isIdBetween(low, high)} and ${likely}`, plan.rows + 1));
  return rows.length === plan.rows + 1 ? rows : null;
}

const selectById = (plan: PagePlan, within: Fragment, limit: number): Fragment => frag`select ${rowColumns(plan.model, plan.options, plan.alias)}, array[t0.id::text] as keys from observation t0 where ${within} order by t0.id${raw(plan.options.orderby[0]?.descending === true ? ' desc' : '')} limit ${limit}::bigint`;

/** A time in which some more rows than those of the page are likely, going by the size of the day's partition. */
async function likelyWidth(run: Run, atMs: number, rows: number): Promise<number> {
  const [day] = await run<{ rows: number }>(frag`select reltuples::double precision as rows from pg_class where relname = ${`observation_${isoOf(atMs).slice(0, 10).replaceAll('-', '')}`}`);
  const perDay = day?.rows ?? 0;
  return perDay <= 0 ? HOUR_MS : Math.min(HOUR_MS, Math.max(LEAST_WIDTH_MS, (4 * rows * 24 * HOUR_MS) / perDay));
}

/** `2026-11-24 06:00:00.25+00`, as the database writes it; null when it cannot be read. */
function instantOf(text: string | null | undefined): number | null {
  const atMs = Date.parse((text ?? '').replace(' ', 'T').replace(/([+-]\d{2})$/, '$1:00'));
  return isStorable(atMs) ? atMs : null;
}

/** Between the years 1 and 9999, where ISO 8601 has four digits. */
const isStorable = (atMs: number): boolean => atMs > -62_135_596_800_000 && atMs < 253_402_300_800_000;

async function readById(run: Run, plan: PagePlan): Promise<PagedRow[]> {
  const [edges] = await run<{ last: number }>(frag`select last_value as last from observation_id`);
  const lastId = (edges?.last ?? 0) + LIMITS.ingest_batch_rows;
  const descending = plan.options.orderby[0]?.descending ?? false;
  const rows: PagedRow[] = [];
  let edge = plan.after === null ? (descending ? lastId + 1 : 0) : Number(plan.after[0]);
  let skip = 0;
  if (plan.options.skip > 0) ({ edge, skip } = await skipById(run, edge, lastId, descending, plan.options.skip));
  for (let width = FIRST_WINDOW_IDS; rows.length <= plan.rows + skip && (descending ? edge > 0 : edge < lastId); width *= 4) {
    const [low, high] = descending ? [Math.max(0, edge - width), edge - 1] : [edge + 1, edge + width];
    const found = await run<PagedRow>(selectById(plan, isIdBetween(low, high), plan.rows + 1 + skip - rows.length));
    rows.push(...found);
    edge = descending ? low : high;
  }
  return rows.slice(skip);
}

const isIdBetween = (low: number, high: number): Fragment => frag`t0.id between ${low}::bigint and ${high}::bigint and t0.id_low <= ${high}::bigint and t0.id_high >= ${low}::bigint`;

/** The id to begin after, and how many rows from there on are still to be skipped: whole ranges of ids are counted, not read. */
async function skipById(run: Run, from: number, lastId: number, descending: boolean, skip: number): Promise<{ edge: number; skip: number }> {
  let edge = from;
  let left = skip;
  while (descending ? edge > 0 : edge < lastId) {
    const [low, high] = descending ? [Math.max(0, edge - COUNTED_IDS), edge - 1] : [edge + 1, edge + COUNTED_IDS];
    const bucketOf = descending ? frag`((${high}::bigint - t0.id) / ${BUCKET_IDS}::bigint)` : frag`((t0.id - ${low}::bigint) / ${BUCKET_IDS}::bigint)`;
    const buckets = await run<{ bucket: number; rows: number }>(frag`select ${bucketOf}::integer as bucket, count(*) as rows from observation t0 where ${isIdBetween(low, high)} group by 1 order by 1`);
    for (const { bucket, rows } of buckets) {
      if (rows > left) return { edge: descending ? high - bucket * BUCKET_IDS + 1 : low + bucket * BUCKET_IDS - 1, skip: left };
      left -= rows;
    }
    edge = descending ? low : high;
  }
  return { edge, skip: left };
}

/** Skips over all datastreams by counting days, then hours, then minutes; `skip` of the plan must not be 0. */
async function readFarByTime(run: Run, plan: PagePlan, nowMs: number): Promise<PagedRow[]> {
  const place = plan.after === null ? await skipByTime(run, plan, nowMs) : null;
  if (place === null) return run<PagedRow>(plan.select());
  const width = Math.max(MINUTE_MS, await likelyWidth(run, place.atMs, plan.rows));
  return readWindows(run, plan, place.atMs, frag`${isoOf(place.atMs)}::timestamptz`, width, place.skip);
}

/** The minute in which the page begins, and how many rows of it are still to be skipped; null when it lies beyond all days. */
async function skipByTime(run: Run, plan: PagePlan, nowMs: number): Promise<{ atMs: number; skip: number } | null> {
  const descending = plan.byTime === 'desc';
  const oldestMs = (await readOldestDay(run)) ?? nowMs;
  const newestMs = (Math.floor(nowMs / DAY_MS) + AHEAD_DAYS) * DAY_MS;
  const [time, first, last] = [raw(`${plan.alias}.phenomenon_start`), raw(`${plan.alias}.span_first`), raw(`${plan.alias}.span_last`)];
  const since = (atMs: number): Fragment => frag`${time} >= ${isoOf(atMs)}::timestamptz and ${last} >= ${isoOf(atMs)}::timestamptz`;
  const until = (atMs: number): Fragment => frag`${time} < ${isoOf(atMs)}::timestamptz and ${first} < ${isoOf(atMs)}::timestamptz`;
  const count = async (within: Fragment): Promise<number> => (await run<{ rows: number }>(plan.among(raw('count(*) as rows'), within, false)))[0]?.rows ?? 0;
  let atMs = descending ? newestMs : oldestMs;
  let skip = plan.options.skip - (await count(descending ? since(newestMs) : until(oldestMs)));
  if (skip < 0) return null;
  for (const width of [DAY_MS, HOUR_MS, MINUTE_MS]) {
    for (;;) {
      if (descending ? atMs <= oldestMs : atMs >= newestMs) return null;
      const [low, high] = descending ? [atMs - width, atMs] : [atMs, atMs + width];
      const rows = await count(frag`${since(low)} and ${until(high)}`);
      if (rows > skip) break;
      skip -= rows;
      atMs = descending ? low : high;
    }
  }
  return { atMs, skip };
}

/** Skips along the index of one datastream's times, and reads whole rows from there on only. */
async function readSkippedByTime(run: Run, plan: PagePlan): Promise<PagedRow[]> {
  const time = raw(`${plan.alias}.phenomenon_start`);
  const [first, last] = [raw(`${plan.alias}.span_first`), raw(`${plan.alias}.span_last`)];
  const { skip } = plan.options;
  const descending = plan.byTime === 'desc';
  const [place] = await run<{ at: string | null }>(frag`select (${plan.among(time, raw('true'), true)} limit 1 offset ${skip}::bigint)::text as at`);
  if (place === undefined || place.at === null) return [];
  const at = frag`${place.at}::timestamptz`;
  const [before] = await run<{ rows: number }>(plan.among(raw('count(*) as rows'), descending ? frag`${time} > ${at} and ${last} > ${at}` : frag`${time} < ${at} and ${first} < ${at}`, false));
  return run<PagedRow>(plan.select(descending ? frag`${time} <= ${at} and ${first} <= ${at}` : frag`${time} >= ${at} and ${last} >= ${at}`, skip - (before?.rows ?? 0)));
}

/** The rows of one page for each owner; `plan` is restricted by `owner_row.id`. */
export async function readMembers(run: Run, plan: PagePlan, ownerIds: readonly number[], nowMs: number, limit: number): Promise<(PagedRow & { owner_id: number })[]> {
  const read = (ids: readonly number[], within?: Fragment): Promise<(PagedRow & { owner_id: number })[]> =>
    run(frag`select owner_row.id as owner_id, member.* from unnest(${ids}::bigint[]) owner_row(id) cross join lateral (${plan.select(within)}) member limit ${limit}::bigint`);
  if (plan.byTime === null) return read(ownerIds);
  // whoever has enough in the newest (or oldest) days needs no other partition asked
  const found: (PagedRow & { owner_id: number })[] = [];
  const startMs = plan.byTime === 'desc' ? nowMs : await readOldestDay(run);
  if (startMs === null) return read(ownerIds);
  let missing = ownerIds;
  for (const width of MEMBER_WINDOWS_MS) {
    if (missing.length === 0) break;
    const rows = Map.groupBy(await read(missing, nearer(plan, startMs, width)), (row) => row.owner_id);
    const isComplete = (id: number): boolean => (rows.get(id)?.length ?? 0) > plan.rows;
    for (const id of missing) if (isComplete(id)) found.push(...(rows.get(id) ?? []));
    missing = missing.filter((id) => !isComplete(id));
  }
  return missing.length === 0 ? found : [...found, ...(await read(missing))];
}

/** All that is newer than `width` before the start, or older than `width` after it, by the order of the plan. */
function nearer({ alias, byTime }: PagePlan, startMs: number, width: number): Fragment {
  const edge = frag`${isoOf(byTime === 'desc' ? startMs - width : startMs + width)}::timestamptz`;
  return byTime === 'desc' ? frag`${raw(`${alias}.phenomenon_start`)} >= ${edge} and ${raw(`${alias}.span_last`)} >= ${edge}` : frag`${raw(`${alias}.phenomenon_start`)} < ${edge} and ${raw(`${alias}.span_first`)} < ${edge}`;
}

interface Edge {
  readonly id: number;
  readonly phenomenon_start: Date;
  readonly phenomenon_end: Date | null;
  readonly result_time: Date | null;
}

/** Adds to Datastreams what is known from their observations: first and last time, and the box around the features. */
export async function addExtents(run: Run, rows: readonly Row[], nowMs: number): Promise<Row[]> {
  const ids = [...new Set(rows.map(({ id }) => id))];
  const oldestMs = (await readOldestDay(run)) ?? nowMs;
  const last = await readEdges(run, ids, 'desc', frag`o.phenomenon_start >= ${isoOf(nowMs - RECENT_MS)}::timestamptz and o.span_last >= ${isoOf(nowMs - RECENT_MS)}::timestamptz`);
  const first = await readEdges(run, [...last.keys()], 'asc', frag`o.phenomenon_start < ${isoOf(oldestMs + RECENT_MS)}::timestamptz and o.span_first < ${isoOf(oldestMs + RECENT_MS)}::timestamptz`);
  const areas = await run<Row>(frag`
    select about.id, min((feature.bbox[1])[0]) as west, min((feature.bbox[1])[1]) as south, max((feature.bbox[0])[0]) as east, max((feature.bbox[0])[1]) as north
    from (select d.id, d.feature_id from datastream d where d.id = any(${ids}::bigint[])
          union all select h.datastream_id, h.feature_id from datastream_feature h where h.datastream_id = any(${ids}::bigint[])) about
    join feature_of_interest feature on feature.id = about.feature_id and feature.bbox is not null
    group by about.id`);
  const areaOf = new Map(areas.map((area) => [area.id, area]));
  const extentOf = (id: number): unknown => {
    const [start, end] = [first.get(id), last.get(id)];
    if (start === undefined || end === undefined) return null;
    return { first_start: start.phenomenon_start, first_result: start.result_time, last_end: end.phenomenon_end ?? end.phenomenon_start, last_result: end.result_time };
  };
  return rows.map((row) => ({ ...row, extent: extentOf(row.id), area: areaOf.get(row.id) ?? null }));
}

/** The first or last observation of each datastream; those within `likely` are looked for first. */
async function readEdges(run: Run, ids: readonly number[], order: 'asc' | 'desc', likely: Fragment): Promise<Map<number, Edge>> {
  const found = new Map<number, Edge>();
  for (const within of [likely, raw('true')]) {
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length === 0) break;
    const edges = await run<Edge>(frag`
      select stream.id, edge.* from unnest(${missing}::bigint[]) stream(id)
      cross join lateral (${edgeOf(raw('stream.id'), order, within)}) edge`);
    for (const edge of edges) found.set(edge.id, edge);
  }
  return found;
}
