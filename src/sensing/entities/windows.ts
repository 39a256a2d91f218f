import { isoOf, LIMITS } from '../../kernel/index.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';
import { rowColumns, type PagePlan } from '../query/page.ts';

// Observations stand in partitions by day. An order by time over all of them asks every partition for every datastream, and an
// order by id has no index at all (a unique one costs a fifth of the ingest). So the likely part is read first, by a window of
// time or ids that leaves most partitions out, and the rest only when rows are missing.

export type Row = Readonly<Record<string, unknown>> & { readonly id: number };
export type PagedRow = Row & { readonly keys: readonly (string | null)[] };
type Run = <T>(fragment: Fragment) => Promise<T[]>;

const HOUR_MS = 3_600_000;
const RECENT_MS = 48 * HOUR_MS;
const GROWTH = 16;
const WINDOWS = 3;
const FIRST_WINDOW_IDS = 20_000;

/** The rows of a page and one more, when there is one. */
export async function readRows(run: Run, plan: PagePlan, nowMs: number): Promise<PagedRow[]> {
  if (plan.everythingById && plan.model.set === 'Observations') return readById(run, plan);
  const startMs = plan.byTime === null ? null : plan.after !== null ? instantOf(plan.after[0]) : plan.byTime === 'desc' ? nowMs : null;
  if (startMs === null) return run<PagedRow>(plan.select());
  const rows: PagedRow[] = [];
  const descending = plan.byTime === 'desc';
  let edge: Fragment | null = null;
  let width = plan.restricted ? RECENT_MS : HOUR_MS;
  for (let window = 0; window <= WINDOWS && rows.length <= plan.rows; window += 1) {
    const endMs = descending ? startMs - width : startMs + width;
    const end: Fragment | null = window === WINDOWS || !isStorable(endMs) ? null : frag`${isoOf(endMs)}::timestamptz`;
    const time = raw(`${plan.alias}.phenomenon_start`);
    const parts: Fragment[] = [];
    if (edge !== null) parts.push(descending ? frag`${time} < ${edge}` : frag`${time} >= ${edge}`);
    if (end !== null) parts.push(descending ? frag`${time} >= ${end}` : frag`${time} < ${end}`);
    const [one = raw('true'), other = raw('true')] = parts;
    rows.push(...(await run<PagedRow>(plan.select(frag`${one} and ${other}`))));
    if (end === null) break;
    edge = end;
    width *= GROWTH;
  }
  return rows.slice(0, plan.rows + 1);
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
  for (let width = FIRST_WINDOW_IDS; rows.length <= plan.rows && (descending ? edge > 0 : edge < lastId); width *= 2) {
    const [low, high] = descending ? [Math.max(0, edge - width), edge - 1] : [edge + 1, edge + width];
    const columns = rowColumns(plan.model, plan.options, plan.alias);
    const found = await run<PagedRow>(frag`select ${columns}, array[t0.id::text] as keys from observation t0 where t0.id between ${low}::bigint and ${high}::bigint order by t0.id${raw(descending ? ' desc' : '')} limit ${plan.rows + 1 - rows.length}::bigint`);
    rows.push(...found);
    edge = descending ? low : high;
  }
  return rows;
}

/** The rows of one page for each owner; `plan` is restricted by `owner_row.id`. */
export async function readMembers(run: Run, plan: PagePlan, ownerIds: readonly number[], nowMs: number, limit: number): Promise<(PagedRow & { owner_id: number })[]> {
  const read = (ids: readonly number[], within?: Fragment): Promise<(PagedRow & { owner_id: number })[]> =>
    run(frag`select owner_row.id as owner_id, member.* from unnest(${ids}::bigint[]) owner_row(id) cross join lateral (${plan.select(within)}) member limit ${limit}::bigint`);
  if (plan.byTime !== 'desc') return read(ownerIds);
  const recent = await read(ownerIds, frag`${raw(`${plan.alias}.phenomenon_start`)} >= ${isoOf(nowMs - RECENT_MS)}::timestamptz`);
  const found = Map.groupBy(recent, (row) => row.owner_id);
  const missing = ownerIds.filter((id) => (found.get(id)?.length ?? 0) <= plan.rows);
  if (missing.length === 0) return recent;
  const short = new Set(missing);
  return [...recent.filter((row) => !short.has(row.owner_id)), ...(await read(missing))];
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
  const [oldest] = await run<{ day: string | null }>(frag`select min(substring(c.relname from '^observation_([0-9]{8})$')) as day from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'observation'::regclass`);
  const day = oldest?.day ?? null;
  const oldestMs = day === null ? nowMs : Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}T00:00:00Z`);
  const last = await readEdges(run, ids, 'desc', frag`o.phenomenon_start >= ${isoOf(nowMs - RECENT_MS)}::timestamptz`);
  const first = await readEdges(run, [...last.keys()], 'asc', frag`o.phenomenon_start < ${isoOf(oldestMs + RECENT_MS)}::timestamptz`);
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
      cross join lateral (select o.phenomenon_start, o.phenomenon_end, o.result_time from observation o where o.datastream_id = stream.id and ${within} order by o.phenomenon_start ${raw(order)} limit 1) edge`);
    for (const edge of edges) found.set(edge.id, edge);
  }
  return found;
}
