import type { DatabaseRig } from './sensing.ts';

const DAY_MS = 86_400_000;

/**
 * Puts `rows` readings straight into the day partitions of the `days` days before the last `sparedDays`, evenly over streams and days; ids grow
 * with time, as they do when readings arrive in time, and the tally knows of them. No sensing may run on the database meanwhile.
 */
export async function fillDays({ handle }: DatabaseRig, ids: readonly number[], rows: number, days: number, sparedDays = 1): Promise<void> {
  const startMs = performance.now();
  const perDay = Math.ceil(rows / days);
  const rounds = Math.ceil(perDay / ids.length);
  const firstDayMs = Math.floor(Date.now() / DAY_MS) * DAY_MS - (days + sparedDays) * DAY_MS;
  const sequence = await handle.pool.query<{ first: number }>("select nextval('observation_id') as first");
  const first = sequence.rows[0]?.first ?? 0;
  await handle.pool.query("select setval('observation_id', $1)", [first + perDay * days]);
  await Promise.all(
    [0, 1].map(async (lane) => {
      for (let day = lane; day < days; day += 2) {
        const dayMs = firstDayMs + day * DAY_MS;
        const name = `observation_${new Date(dayMs).toISOString().slice(0, 10).replaceAll('-', '')}`;
        // attaching builds the indexes at once, which takes a third of the time of keeping them row by row
        await handle.pool.query(`create table if not exists ${name} (like observation_hot including defaults)`);
        await handle.pool.query(
          `insert into ${name} (id, datastream_id, phenomenon_start, arrived, result_number, valid)
           select $1::bigint + n, ($2::bigint[])[1 + n % $3], $4::timestamptz + (n / $3) * $6::float8 * interval '1 second' + (n % $3) * interval '1 microsecond' * 1000, $4::timestamptz + (n / $3) * $6::float8 * interval '1 second' + (n % $3) * interval '1 microsecond' * 1000, (n % 400) / 8.0, true
             from generate_series(0, $5::bigint - 1) n`,
          [first + day * perDay, ids, ids.length, new Date(dayMs), perDay, (86_400 - ids.length / 1_000) / rounds],
        );
        const attached = await handle.pool.query('select 1 from pg_inherits where inhrelid = $1::regclass', [name]);
        if (attached.rowCount === 0) await handle.pool.query(`alter table observation_hot attach partition ${name} for values from ('${new Date(dayMs).toISOString()}') to ('${new Date(dayMs + DAY_MS).toISOString()}')`);
      }
    }),
  );
  await handle.pool.query('update observation_tally set rows = rows + $1, rolled_until = least(rolled_until, $2)', [perDay * days, firstDayMs / 3_600_000]);
  await handle.pool.query('vacuum analyze observation_hot');
  console.log(`${(perDay * days).toLocaleString('en')} readings put in, in ${Math.round((performance.now() - startMs) / 1000)} s`);
}
