/**
 * The past of the readings at ten million rows: count, aggregates, packing, export; each with its bound.
 * `node tools/run.mjs bench/history.ts [--days 55]`: 100 datastreams send every minute and 1,900 every hour, results have one decimal, arrivals differ by up to two seconds, ids grow with the arrival.
 */
import { parseArgs } from 'node:util';
import { systemClock } from '../src/kernel/index.ts';
import { createMetrics, silentLogger } from '../src/platform/index.ts';
import { countAllObservations } from '../src/sensing/observations/index.ts';
import { openPartitions } from '../src/sensing/observations/partition-store.ts';
import { readSeries } from '../src/sensing/observations/observation-store.ts';
import { exportCsv, exportParquet } from '../src/sensing/history/export-store.ts';
import { openHistory } from '../src/sensing/history/index.ts';
import { runIn } from '../src/sensing/history/retention-store.ts';
import { seedStreams } from '../test/streams.ts';
import { median } from './rig/median.ts';
import { openDatabaseRig } from './rig/sensing.ts';

const { values: options } = parseArgs({ options: { days: { type: 'string', default: '55' } } });
const DAYS = Number(options.days);
const FAST = 100;
const SLOW = 1_900;
const DAY_MS = 86_400_000;
const say = (line: string): void => {
  console.log(line);
};
const whole = (value: number): string => Math.round(value).toLocaleString('en');

const database = await openDatabaseRig();
const { handle } = database;
try {
  const streams = await seedStreams(handle, FAST + SLOW);
  const today = Math.floor(Date.now() / DAY_MS);
  const partitions = await openPartitions(handle, systemClock, silentLogger);
  let rows = 0;
  let startMs = performance.now();
  for (let day = today - DAYS; day < today; day += 1) {
    await partitions.ensure(day);
    const added = await handle.pool.query(
      `with made as (
         select s.id as stream, $1::timestamptz + g.place * case when s.n <= ${FAST} then interval '1 minute' else interval '1 hour' end as start, g.place
           from unnest($2::bigint[]) with ordinality s (id, n) cross join lateral generate_series(0, case when s.n <= ${FAST} then 1439 else 23 end) g (place))
       insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid)
       select $3 + row_number() over (order by start, stream), stream, start, start + floor(random() * 2000) * interval '1 millisecond', round((20 + 5 * sin(place / 200.0) + random())::numeric, 1)::float8, true from made order by start, stream`,
      [new Date(day * DAY_MS), streams, rows],
    );
    rows += added.rowCount ?? 0;
  }
  await handle.pool.query('update observation_tally set rows = $1, rolled_until = $2', [rows, (today - DAYS) * 24]);
  await handle.pool.query('vacuum analyze observation_hot');
  say(`${whole(rows)} readings loaded in ${whole((performance.now() - startMs) / 1_000)} s`);

  const log = { append: () => Promise.resolve({ index: 0 }) };
  const history = openHistory({ handle, clock: systemClock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions, seal_after_days: 35, log });
  const count_ms = await median(() => handle.db.transaction().execute((trx) => countAllObservations(runIn(trx))));
  const scan_ms = await median(() => handle.pool.query('select count(*) from observation'), 1);
  say(`count of all readings: ${count_ms.toFixed(1)} ms (bound 30 ms; count(*) takes ${whole(scan_ms)} ms)`);

  const month = (): Promise<unknown> => history.readSeries({ id: streams[0] as number, unit: '' }, (today - 30) * DAY_MS, today * DAY_MS, 'hour', 'Europe/Berlin');
  say(`month of hourly means from ${whole(30 * 1_440)} readings, no roll-ups yet: ${(await median(month, 5)).toFixed(1)} ms`);
  startMs = performance.now();
  await history.rollUp();
  const rolled = await handle.pool.query<{ n: number; bytes: number }>(`select count(*) as n, pg_total_relation_size('observation_hour') + pg_total_relation_size('observation_minute') as bytes from observation_hour`);
  say(`roll-ups of all hours: ${whole(rows / ((performance.now() - startMs) / 1_000))} readings/s, ${whole(rolled.rows[0]?.n ?? 0)} rows, ${((rolled.rows[0]?.bytes ?? 0) / rows).toFixed(2)} bytes a reading`);
  say(`month of hourly means: ${(await median(month)).toFixed(1)} ms (bound 10 ms)`);
  say(`month of hourly means, hourly datastream: ${(await median(() => history.readSeries({ id: streams.at(-1) as number, unit: '' }, (today - 30) * DAY_MS, today * DAY_MS, 'hour', 'UTC'))).toFixed(1)} ms`);
  say(`24 h of a reading a minute, as they are: ${(await median(() => readSeries(handle.db, streams[0] as number, (today - 2) * DAY_MS, (today - 1) * DAY_MS, 10_000))).toFixed(1)} ms`);

  const size = async (): Promise<{ hot: number; packed: number }> => {
    const found = await handle.pool.query<{ hot: number; packed: number }>(`select (select sum(pg_total_relation_size(inhrelid)) from pg_inherits where inhparent = 'observation_hot'::regclass)::bigint as hot, pg_total_relation_size('observation_segment')::bigint as packed`);
    return found.rows[0] ?? { hot: 0, packed: 0 };
  };
  const before = await size();
  startMs = performance.now();
  const days = await history.seal();
  const seal_s = (performance.now() - startMs) / 1_000;
  const packed = await handle.pool.query<{ rows: number; segments: number }>('select sum(rows) as rows, count(*) as segments from observation_segment');
  const packedRows = packed.rows[0]?.rows ?? 0;
  say(`packing ${days.length} days: ${whole(packedRows / seal_s)} readings/s, ${whole(packed.rows[0]?.segments ?? 0)} segments`);
  say(`bytes a reading, indexes included: ${(before.hot / rows).toFixed(1)} as rows, ${((await size()).packed / packedRows).toFixed(1)} packed (bound 12)`);
  await handle.pool.query('vacuum analyze observation_segment');
  say(`24 h of a reading a minute, packed: ${(await median(() => readSeries(handle.db, streams[0] as number, (today - 50) * DAY_MS, (today - 49) * DAY_MS, 10_000))).toFixed(1)} ms`);
  say(`six days of minutes, from packed readings: ${(await median(() => history.readSeries({ id: streams[0] as number, unit: '' }, (today - 57) * DAY_MS, (today - 51) * DAY_MS, 'minute', 'UTC'))).toFixed(1)} ms`);

  for (const [name, start] of [['CSV', exportCsv], ['Parquet', exportParquet]] as const) {
    globalThis.gc?.();
    const idle = process.memoryUsage().rss;
    let peak = idle;
    let bytes = 0;
    startMs = performance.now();
    for await (const chunk of start(handle, { streamIds: null, fromMs: 0, toMs: Date.now() })) {
      bytes += chunk.length;
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    say(`export of all as ${name}: ${whole(rows / ((performance.now() - startMs) / 1_000))} readings/s, ${(bytes / rows).toFixed(1)} bytes each, ${whole((peak - idle) / 1_048_576)} MB above idle (bound 200 MB)`);
  }
  await history.close();
  await partitions.close();
} finally {
  await database.close();
}
