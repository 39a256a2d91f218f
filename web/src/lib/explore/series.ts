import type { HistorySeries } from '#contracts/history.ts';
import { parseAnswer, contentOf, type Entity } from './answer.ts';
import { requestPath, type RequestLine } from './request-line.ts';

export const RANGES = ['day', 'week', 'month', 'year'] as const;
export type Range = (typeof RANGES)[number];
const DAY_MS = 86_400_000;
export const RANGE_MS: Readonly<Record<Range, number>> = { day: DAY_MS, week: 7 * DAY_MS, month: 31 * DAY_MS, year: 366 * DAY_MS };
/** Spans that are read as means, and of what. */
const STEP: Readonly<Partial<Record<Range, 'hour' | 'day'>>> = { month: 'hour', year: 'day' };
const PAGE_ROWS = 1_000;
const PAGES = 10;

export interface Series {
  /** Milliseconds since 1970 and value; null where a reading was no number. In order. */
  readonly points: readonly (readonly [at_ms: number, value: number | null])[];
  /** What a point stands for. */
  readonly step: 'raw' | 'hour' | 'day';
  /** There are older readings in the span that were not read. */
  readonly cut: boolean;
}

export interface SeriesFault {
  readonly status: number;
  readonly detail: string;
}

/** The Datastream that a path is about: the entity itself, or its Observations. */
export function streamOf({ path }: RequestLine): { id: string; line: RequestLine } | null {
  const found = /^(?:.*\/)?Datastreams\((\d+)\)/.exec(/\/Datastreams\(\d+\)(?:\/Observations)?$/.test(path) ? path.replace(/\/Observations$/, '') : '');
  return found?.[1] === undefined ? null : { id: found[1], line: { path: found[0], options: [] } };
}

/** Where a chart ends when nothing else is asked for: at the newest observation, as the Datastream says. */
export function endOf(stream: Entity, nowMs: number): number {
  const end = Date.parse(partOf(stream['phenomenonTime'], 'end'));
  return Number.isNaN(end) ? nowMs : end + 1;
}

/** Symbol of the unit: of `unitOfMeasurement` (18-088 Table 8), or of the `resultType` of 23-019; empty when there is none. */
export function unitOf(stream: Entity): string {
  const { unitOfMeasurement: unit, resultType } = stream as { unitOfMeasurement?: { symbol?: unknown; name?: unknown } | null; resultType?: { uom?: { symbol?: unknown; code?: unknown } } | null };
  return String(unit?.symbol ?? unit?.name ?? resultType?.uom?.symbol ?? resultType?.uom?.code ?? '');
}

/** Means in order; a step without a number leaves a gap. */
function pointsOf({ buckets }: HistorySeries): Series['points'] {
  const points: [number, number | null][] = [];
  let end_ms: number | null = null;
  for (const { from, to, mean } of buckets) {
    const from_ms = Date.parse(from);
    if (end_ms !== null && from_ms > end_ms) points.push([end_ms, null]);
    points.push([from_ms, mean]);
    end_ms = Date.parse(to);
  }
  return points;
}

/** Reads the values of a span: means for months and years where the server has them, else the newest 10,000 observations. */
export async function readSeries(fetch: typeof globalThis.fetch, stream: { readonly id: string; readonly line: RequestLine }, range: Range, toMs: number, zone: string, signal: AbortSignal): Promise<Series | SeriesFault> {
  const [from, to] = [new Date(toMs - RANGE_MS[range]).toISOString(), new Date(toMs).toISOString()];
  const step = STEP[range];
  if (step !== undefined) {
    const response = await fetch(`/api/history/datastreams/${stream.id}?from=${from}&to=${to}&step=${step}&timeZone=${encodeURIComponent(zone)}`, { signal, headers: { accept: 'application/json' } });
    if (response.ok) {
      return { points: pointsOf((await response.json()) as HistorySeries), step, cut: false };
    }
    if (response.status !== 404) return faultOf(response);
  }
  return readObservations(fetch, stream.line, from, to, signal);
}

async function readObservations(fetch: typeof globalThis.fetch, stream: RequestLine, from: string, to: string, signal: AbortSignal): Promise<Series | SeriesFault> {
  const points: [number, number | null][] = [];
  let line: RequestLine | null = {
    path: `${stream.path}/Observations`,
    options: [['$select', 'phenomenonTime,result'], ['$filter', `phenomenonTime ge ${from} and phenomenonTime lt ${to}`], ['$orderby', 'phenomenonTime desc'], ['$top', String(PAGE_ROWS)]],
  };
  for (let page = 0; page < PAGES && line !== null; page += 1) {
    const response: Response = await fetch(requestPath(line), { signal, headers: { accept: 'application/json' } });
    if (!response.ok) return faultOf(response);
    const content = contentOf(parseAnswer(await response.text()));
    if (content.kind !== 'set') return { status: response.status, detail: '' };
    for (const row of content.rows) points.push([startOf(row['phenomenonTime']), numberOf(row['result'])]);
    line = content.next;
  }
  return { points: points.toReversed(), step: 'raw', cut: line !== null };
}

const startOf = (time: unknown): number => Date.parse(partOf(time, 'start'));

/** Start or end of a time as 1.1 writes it (a text, perhaps with a slash) or as 2.0 does (an object). */
function partOf(time: unknown, part: 'start' | 'end'): string {
  if (typeof time === 'string') return time.split('/').at(part === 'start' ? 0 : -1) ?? '';
  const { start, end } = (time ?? {}) as { start?: unknown; end?: unknown };
  return String(part === 'start' ? start : (end ?? start));
}

/** A result as a number; exact digits that came as a text count too. */
function numberOf(result: unknown): number | null {
  const number = typeof result === 'number' ? result : typeof result === 'string' && result.trim() !== '' ? Number(result) : NaN;
  return Number.isFinite(number) ? number : null;
}

async function faultOf(response: Response): Promise<SeriesFault> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as { message?: string; detail?: string };
    return { status: response.status, detail: body.message ?? body.detail ?? '' };
  } catch {
    return { status: response.status, detail: '' }; // not an answer of this server; the status tells
  }
}
