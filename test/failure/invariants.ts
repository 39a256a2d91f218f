import { expect } from 'vitest';
import type { DatabaseHandle } from '../../src/platform/index.ts';

/** `STREAM RESULT` of every reading that was acknowledged; the results of a stream are all different. */
export type Acknowledged = ReadonlySet<string>;

/**
 * What must be true after any crash: nothing that was acknowledged is missing, nothing is there twice, the tally is the count, and the
 * roll-ups are what the readings say. `isExact`: nothing else may be there either.
 */
export async function checkHistory({ pool }: Pick<DatabaseHandle, 'pool'>, acknowledged: Acknowledged, isExact: boolean): Promise<void> {
  const waiting = async (): Promise<unknown> => (await pool.query('select count(*)::integer as n from observation_batch b, observation_tally t where not b.rolled and b.first_hour < t.rolled_until')).rows[0];
  await expect.poll(waiting, { timeout: 90_000, interval: 500, message: 'all batches are rolled up' }).toEqual({ n: 0 });

  const stored = await pool.query<{ key: string; times: number }>("select datastream_id || ' ' || result_number as key, count(*)::integer as times from observation group by 1");
  const found = new Map(stored.rows.map(({ key, times }) => [key, times]));
  expect([...acknowledged].filter((key) => !found.has(key)).slice(0, 20), 'acknowledged readings that are missing').toEqual([]);
  expect([...found].filter(([, times]) => times !== 1).slice(0, 20), 'readings that are stored twice').toEqual([]);
  if (isExact) expect(found.size).toBe(acknowledged.size);

  const tally = await pool.query<{ tally: number; counted: number }>('select ((select rows from observation_tally) + coalesce((select sum(rows) from observation_batch), 0))::bigint as tally, (select count(*) from observation) as counted');
  const [counts] = tally.rows;
  expect(Number(counts?.tally), 'the tally is the count').toBe(Number(counts?.counted));

  for (const { table, bucket, seconds } of [{ table: 'observation_hour', bucket: 'hour', seconds: 3_600 }, { table: 'observation_minute', bucket: 'minute', seconds: 60 }]) {
    const { rows } = await pool.query(
      `with told as (select datastream_id, ${bucket} as at, n, sum, min, max, first, last from ${table}),
            said as (
              select datastream_id, floor(extract(epoch from phenomenon_start) / ${seconds})::integer as at, count(*)::integer as n, sum(result_number) as sum, min(result_number) as min, max(result_number) as max,
                     (array_agg(result_number order by phenomenon_start, id))[1] as first, (array_agg(result_number order by phenomenon_start, id))[count(*)] as last
                from observation where valid and result_number is not null group by 1, 2)
       select told.*, said.n as said_n, said.sum as said_sum from told left join said using (datastream_id, at)
        where said.n is distinct from told.n or said.min is distinct from told.min or said.max is distinct from told.max or said.first is distinct from told.first or said.last is distinct from told.last
           or abs(said.sum - told.sum) > 1e-6 * greatest(1, abs(said.sum)) limit 5`,
    );
    expect(rows, `${table} says what the readings say`).toEqual([]);
  }
}
