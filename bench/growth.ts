/**
 * Whether ingest slows down as the history grows: the rate at a million stored readings and again at a hundred million, in one run.
 * `node tools/run.mjs bench/growth.ts [--rows 100000000] [--seconds 10]`. Needs about 15 GB of disk for a hundred million.
 */
import { parseArgs } from 'node:util';
import { runLoad } from './rig/load.ts';
import { openDatabaseRig, openSensingRig, sendFirstReadings, type DatabaseRig } from './rig/sensing.ts';
import { seedStreams } from '../test/streams.ts';

const { values: options } = parseArgs({ options: { rows: { type: 'string', default: '100000000' }, seconds: { type: 'string', default: '10' } } });
const FLOOR = 0.8;
const STREAMS = 10_000;
const DAYS = 30;
const SMALL = 1_000_000;
const DAY_MS = 86_400_000;
const large = Number(options.rows);

const database = await openDatabaseRig();
try {
  const ids = await seedStreams(database.handle, STREAMS);
  const first = await openSensingRig(database);
  await sendFirstReadings(first.url, ids);
  await first.close();
  await fill(database, ids, SMALL);
  const small = await measure(ids);
  console.log(`CreateObservations at ${SMALL.toLocaleString('en')} stored readings: ${Math.round(small).toLocaleString('en')} obs/s`);
  await fill(database, ids, large);
  const grown = await measure(ids);
  console.log(`CreateObservations at ${large.toLocaleString('en')} stored readings: ${Math.round(grown).toLocaleString('en')} obs/s, ratio ${(grown / small).toFixed(2)} (floor ${FLOOR})`);
  if (grown / small < FLOOR) process.exitCode = 1;
} finally {
  await database.close();
}

async function measure(ids: readonly number[]): Promise<number> {
  const rig = await openSensingRig(database);
  const answer = await runLoad({ kind: 'arrays', url: rig.url, token: 'x', ids, seconds: Number(options.seconds) });
  await rig.close();
  return (answer.count / answer.ms) * 1000;
}

/** Rows straight into the day partitions of the last days, evenly over the streams, until there are `rows`. */
async function fill({ handle }: DatabaseRig, ids: readonly number[], rows: number): Promise<void> {
  const startMs = performance.now();
  const { rows: present } = await handle.pool.query<{ n: number }>('select count(*) as n from observation_hot');
  const perDay = Math.ceil((rows - (present[0]?.n ?? 0)) / DAYS);
  const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const days = Array.from({ length: DAYS }, (_, back) => today - (back + 2) * DAY_MS);
  await Promise.all(
    [0, 1].map(async (lane) => {
      for (const [at, dayMs] of days.entries()) {
        if (at % 2 !== lane) continue;
        const name = `observation_${new Date(dayMs).toISOString().slice(0, 10).replaceAll('-', '')}`;
        await handle.pool.query(`create table if not exists ${name} (like observation_hot including all)`);
        const attached = await handle.pool.query('select 1 from pg_inherits where inhrelid = $1::regclass', [name]);
        if (attached.rowCount === 0) await handle.pool.query(`alter table observation_hot attach partition ${name} for values from ('${new Date(dayMs).toISOString()}') to ('${new Date(dayMs + DAY_MS).toISOString()}')`);
        await handle.pool.query(
          `insert into ${name} (id, datastream_id, phenomenon_start, arrived, result_number, valid)
           select 1000000000000 + $1::bigint * 100000000 + n, ($2::bigint[])[1 + n % $3], $4::timestamptz + (n / $3) * interval '1 second', $4::timestamptz + (n / $3) * interval '1 second', (n % 400) / 8.0, true
             from generate_series(0, $5::bigint - 1) n`,
          [(dayMs / DAY_MS) % 100_000, ids, ids.length, new Date(dayMs), perDay],
        );
      }
    }),
  );
  await handle.pool.query('vacuum analyze observation_hot');
  console.log(`filled up to ${rows.toLocaleString('en')} readings in ${Math.round((performance.now() - startMs) / 1000)} s`);
}
