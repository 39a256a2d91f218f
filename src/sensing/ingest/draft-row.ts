import type { Draft } from '../observations/draft.ts';
import type { ObservationRow } from '../observations/observation-row.ts';

/** A stored observation as a query would return its row. */
export function rowOf(draft: Draft): ObservationRow {
  const instant = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
  return {
    id: draft.id,
    datastream_id: draft.stream.id,
    phenomenon_start: new Date(draft.phenomenonMs),
    phenomenon_end: instant(draft.phenomenonEndMs),
    result_time: instant(draft.resultTimeMs),
    arrived: new Date(draft.arrivalMs),
    result_number: draft.value,
    result_json: draft.exact,
    extra: draft.extra === null ? null : (JSON.parse(draft.extra) as ObservationRow['extra']),
    valid: draft.valid,
  };
}
