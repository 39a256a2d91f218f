import type { ObservationCorrections, SealedDays } from '../../contracts/history.ts';
import type { DatabaseHandle } from '../../platform/index.ts';
import { countAllObservations, type Run } from '../observations/batch-store.ts';
import { readCorrections } from '../observations/correction-store.ts';
import { toStatement, type Fragment } from '../query/fragment.ts';

const LISTED_DAYS = 4_000;

const runOn =
  (handle: DatabaseHandle): Run =>
  async <T>(fragment: Fragment) => {
    const { text, parameters } = toStatement(fragment);
    return (await handle.pool.query(text, [...parameters])).rows as T[];
  };

export const readCount = (handle: DatabaseHandle): Promise<number> => countAllObservations(runOn(handle));

export async function readFormerValues(handle: DatabaseHandle, observationId: number, limit: number): Promise<ObservationCorrections['corrections']> {
  const found = await readCorrections(runOn(handle), observationId, limit);
  return found.map((row) => ({
    at: row.at.toISOString(),
    pseudonym: row.pseudonym,
    phenomenonTime: row.phenomenon_start.toISOString(),
    phenomenonEnd: row.phenomenon_end?.toISOString() ?? null,
    resultTime: row.result_time?.toISOString() ?? null,
    result: row.result_json ?? JSON.stringify(row.result_number),
    valid: row.valid,
  }));
}

/** The sealed days, newest first, at most 4,000. */
export async function readRecentDays(handle: DatabaseHandle): Promise<SealedDays['days']> {
  const { rows } = await handle.pool.query<{ day: string; observations: number; bytes: number; sha256: string; sealed_at: Date; logIndex: number | null; changed: boolean }>(
    'select day::text, rows as observations, bytes, sha256, sealed_at, log_index as "logIndex", changed from observation_sealed_day order by day desc limit $1',
    [LISTED_DAYS],
  );
  return rows.map(({ sealed_at, ...row }) => ({ ...row, sealedAt: sealed_at.toISOString() }));
}
