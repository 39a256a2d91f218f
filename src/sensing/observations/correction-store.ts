import { frag } from '../query/fragment.ts';
import { noteChange, type Run } from './batch-store.ts';
import { ROUNDS, unsealObservations } from './removal-store.ts';

/** What an observation is after a correction; the form in which the ingest path admits one. */
export interface ObservationValues {
  readonly phenomenonMs: number;
  /** NaN for an instant. */
  readonly phenomenonEndMs: number;
  /** NaN when there is none. */
  readonly resultTimeMs: number;
  readonly value: number | null;
  readonly exact: string | null;
  /** JSON text of the rare parts. */
  readonly extra: string | null;
  readonly valid: boolean;
}

/**
 * Changes a stored observation and keeps what it was, in the caller's transaction. A packed one is unpacked first.
 * False when there is none of this id.
 */
export async function correctObservation(run: Run, id: number, datastreamId: number, values: ObservationValues, by: { readonly atMs: number; readonly pseudonym: string }): Promise<boolean> {
  const date = (atMs: number): Date | null => (Number.isNaN(atMs) ? null : new Date(atMs));
  let former: { datastream_id: number; phenomenon_start: Date } | undefined;
  for (let round = 0; round < ROUNDS && former === undefined; round += 1) {
    await unsealObservations(run, [id]);
    [former] = await keepFormer(run, id, by);
  }
  if (former === undefined) return false;
  const start = new Date(values.phenomenonMs);
  // the start may move the row into another partition
  await run(frag`
    update observation_hot set datastream_id = ${datastreamId}::bigint, phenomenon_start = ${start}::timestamptz, phenomenon_end = ${date(values.phenomenonEndMs)}::timestamptz,
           result_time = ${date(values.resultTimeMs)}::timestamptz, result_number = ${values.value}::double precision, result_json = ${values.exact}::text, extra = ${values.extra}::jsonb, valid = ${values.valid}::boolean
     where id = ${id}::bigint`);
  await noteChange(run, { rows: 0, streams: [former.datastream_id], first: former.phenomenon_start, last: former.phenomenon_start });
  await noteChange(run, { rows: 0, streams: [datastreamId], first: start, last: start });
  await run(frag`update observation_sealed_day set changed = true where day in ((${former.phenomenon_start}::timestamptz at time zone 'UTC')::date, (${start}::timestamptz at time zone 'UTC')::date)`);
  return true;
}

function keepFormer(run: Run, id: number, by: { readonly atMs: number; readonly pseudonym: string }): Promise<{ datastream_id: number; phenomenon_start: Date }[]> {
  return run(frag`
    with former as (select * from observation_hot where id = ${id}::bigint for update)
    insert into observation_correction (observation_id, datastream_id, at, pseudonym, phenomenon_start, phenomenon_end, result_time, result_number, result_json, extra, valid)
    select id, datastream_id, ${new Date(by.atMs)}::timestamptz, ${by.pseudonym}::text, phenomenon_start, phenomenon_end, result_time, result_number, result_json, extra, valid from former
    returning datastream_id, phenomenon_start`);
}

export interface FormerValue {
  readonly id: number;
  readonly at: Date;
  readonly pseudonym: string;
  readonly phenomenon_start: Date;
  readonly phenomenon_end: Date | null;
  readonly result_time: Date | null;
  readonly result_number: number | null;
  readonly result_json: string | null;
  readonly extra: Readonly<Record<string, unknown>> | null;
  readonly valid: boolean;
}

/** What an observation was before each of its corrections, oldest first, at most `limit`. */
export function readCorrections(run: Run, observationId: number, limit: number): Promise<FormerValue[]> {
  return run<FormerValue>(frag`
    select id, at, pseudonym, phenomenon_start, phenomenon_end, result_time, result_number, result_json, extra, valid
      from observation_correction where observation_id = ${observationId}::bigint order by id limit ${limit}::bigint`);
}
