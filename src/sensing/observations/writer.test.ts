import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { silentLogger } from '../../platform/index.ts';
import { toStatement, type Fragment } from '../query/fragment.ts';
import { countAllObservations, tailBatches } from './batch-store.ts';
import type { Draft } from './draft.ts';
import type { Stream } from './stream.ts';
import { createIdBlocks, openWriter } from './writer-store.ts';

const T0 = Date.parse('2026-11-24T06:00:00Z');

test('a batch is stored with its rows in one transaction, or neither is', async () => {
  const handle = await freshDatabase();
  const [id] = (await seedStreams(handle, 1)) as [number];
  const draft = (at: number, extra: string | null = null): Draft => ({ stream: { id } as Stream, phenomenonMs: T0 + at * 3_600_000, phenomenonEndMs: NaN, resultTimeMs: NaN, arrivalMs: T0, value: at, exact: null, extra, valid: true, hasOwnTime: true, id: 0, mayBeStored: false, waiter: null, followers: null });
  const run = async <T>(fragment: Fragment): Promise<T[]> => {
    const { text, parameters } = toStatement(fragment);
    return (await handle.pool.query(text, [...parameters])).rows as T[];
  };
  const tail = tailBatches(handle, 0);
  const writer = openWriter({ handle, ids: createIdBlocks(), logger: silentLogger, name: 'test', isShared: () => false });
  // the server's JSON type does not take NUL: the COPY fails in its second row
  await expect(writer.store([draft(0), draft(1, '{"a": "\\u0000"}'), draft(2)])).rejects.toThrow();
  expect((await handle.pool.query('select (select count(*) from observation) as rows, (select count(*) from observation_batch) as batches')).rows).toEqual([{ rows: 0, batches: 0 }]);
  expect(await tail.read(10)).toEqual([]);

  const stored = [draft(0), draft(1), draft(-70)];
  await writer.store(stored);
  await writer.store([draft(3)]);
  expect((await handle.pool.query('select rows, first_id, last_id, hours, first_hour, last_hour, rolled from observation_batch order by seq')).rows).toEqual([
    { rows: 3, first_id: stored[0]?.id, last_id: stored[2]?.id, hours: [0, 1, -70].map((hour) => T0 / 3_600_000 + hour), first_hour: T0 / 3_600_000 - 70, last_hour: T0 / 3_600_000 + 1, rolled: false },
    expect.objectContaining({ rows: 1 }),
  ]);
  expect((await tail.read(10)).map(({ rows }) => rows)).toEqual([3, 1]);
  expect(await tail.read(10)).toEqual([]);
  expect(await countAllObservations(run)).toBe(4);
  await writer.close();
});

test('a batch that becomes visible after one with a higher number is not missed', async () => {
  const handle = await freshDatabase();
  const insert = `insert into observation_batch (writer, rows, first_hour, last_hour) values ('w', $1, 0, 0)`;
  const slow = await handle.pool.connect();
  await slow.query('begin');
  await slow.query(insert, [1]);
  await handle.pool.query(insert, [2]);
  const tail = tailBatches(handle, 0);
  expect((await tail.read(10)).map(({ rows }) => rows)).toEqual([2]);
  await slow.query('commit');
  slow.release();
  await handle.pool.query(insert, [3]);
  expect((await tail.read(10)).map(({ rows }) => rows)).toEqual([1, 3]);
  expect(await tail.read(10)).toEqual([]);
});
