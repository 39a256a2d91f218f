import { expect, test } from 'vitest';
import { manualClock } from '../../kernel/index.ts';
import { silentLogger } from '../../platform/index.ts';
import { freshDatabase } from '../../../test/database.ts';
import { openPartitions } from './partition-store.ts';

const HOUR_MS = 3_600_000;
const NOON_MS = Date.parse('2026-11-24T12:00:00Z');
const DAY = Math.floor(NOON_MS / 86_400_000);

async function openRig() {
  const handle = await freshDatabase();
  const clock = manualClock(NOON_MS);
  let id = 0;
  return {
    handle,
    clock,
    store: async (atMs: number, rows = 3) => {
      for (let n = 0; n < rows; n += 1) await handle.pool.query('insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) values ($1::bigint, 1, $2::timestamptz, $2::timestamptz, 1, true)', [(id += 1), new Date(atMs + n * 1_000)]);
    },
    /** Ids in order of time and the tables in which they stand. */
    read: async () => {
      const { rows } = await handle.pool.query<{ id: number; stands: string }>('select id, tableoid::regclass::text as stands from observation_hot order by phenomenon_start, id');
      return { ids: rows.map((row) => row.id), tables: [...new Set(rows.map((row) => row.stands))] };
    },
  };
}

test('a day whose partition could not be made behind a long reader gets it later, with its rows', async () => {
  const { handle, clock, store, read } = await openRig();
  const partitions = await openPartitions(handle, clock, silentLogger);
  const day = DAY - 5;
  const atMs = NOON_MS - 5 * 24 * HOUR_MS;
  const reader = await handle.pool.connect();
  await reader.query('begin');
  await reader.query('select count(*) from observation_hot');
  await partitions.ensure(day); // gives up after 3 s
  expect([partitions.isKnown(day), partitions.names().includes('observation_20261119')]).toEqual([true, false]);
  await store(atMs);
  expect(await read()).toEqual({ ids: [1, 2, 3], tables: ['observation_other'] });
  await partitions.makeAhead(); // the reader is still there
  expect((await read()).tables).toEqual(['observation_other']);
  await reader.query('commit');
  reader.release();

  await partitions.makeAhead();
  expect(await read()).toEqual({ ids: [1, 2, 3], tables: ['observation_20261119'] });
  expect(partitions.names()).toContain('observation_20261119');
  await store(atMs + HOUR_MS);
  expect(await read()).toEqual({ ids: [1, 2, 3, 4, 5, 6], tables: ['observation_20261119'] });
  const { rows } = await handle.pool.query("select writer, rows, streams from observation_batch where writer = 'change'");
  expect(rows).toEqual([{ writer: 'change', rows: 0, streams: [] }]); // peers read again
  await partitions.close();
});

test('a clock that was set back by days and comes right again costs no day its partition', async () => {
  const { handle, clock, store, read } = await openRig();
  clock.set(NOON_MS - 10 * 24 * HOUR_MS);
  const partitions = await openPartitions(handle, clock, silentLogger);
  await partitions.ensure(DAY); // in the future of that clock
  await store(NOON_MS);
  expect((await read()).tables).toEqual(['observation_other']);
  clock.set(NOON_MS);
  await partitions.ensure(DAY);
  await store(NOON_MS + 60_000);
  await partitions.makeAhead();
  expect(await read()).toEqual({ ids: [1, 2, 3, 4, 5, 6], tables: ['observation_20261124'] });
  // a second server opens what stands
  const again = await openPartitions(handle, clock, silentLogger);
  expect(again.names().slice(0, 4)).toEqual(['observation_other', 'observation_20261126', 'observation_20261125', 'observation_20261124']);
  await partitions.close();
  await again.close();
});
