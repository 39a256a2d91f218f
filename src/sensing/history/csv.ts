/** Columns of every CSV of observations (docs/reference/history.md). */
export const CSV_HEADER = 'id,datastream,phenomenonTime,phenomenonEnd,resultTime,arrived,result,extra,valid\n';

export type CsvSource = 'observation' | 'observation_sealed';

export interface CsvScope {
  readonly source: CsvSource;
  /** Null for all. */
  readonly streamIds: readonly number[] | null;
  readonly fromMs: number;
  readonly toMs: number;
}

const instant = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const bound = (atMs: number): string => `'${new Date(atMs).toISOString()}'::timestamptz`;

/**
 * The statement whose output is the lines below the header, by datastream, time and id. COPY takes no parameters: what stands in it is
 * numbers and instants. Results are as they were sent: the kept text, or the shortest decimal that gives the double back.
 */
export function csvStatement({ source, streamIds, fromMs, toMs }: CsvScope): string {
  const [from, to] = [bound(fromMs), bound(toMs)];
  const streams = streamIds === null ? '' : `datastream_id = any('{${streamIds.map((id) => Math.trunc(id)).join(',')}}'::bigint[]) and `;
  return `copy (
    select id, datastream_id, ${instant('phenomenon_start')}, ${instant('phenomenon_end')}, ${instant('result_time')}, ${instant('arrived')}, coalesce(result_json, result_number::text), extra, valid
      from ${source} where ${streams}phenomenon_start >= ${from} and phenomenon_start < ${to} and span_last >= ${from} and span_first < ${to}
     order by datastream_id, phenomenon_start, id) to stdout (format csv)`;
}
