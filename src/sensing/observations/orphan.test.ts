import { expect, test } from 'vitest';
import { silentLogger } from '../../platform/index.ts';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { removeOrphans, sweepAfterCrash } from './orphan-store.ts';

test('readings of a Datastream that never came to be are removed after a crash, and no others', async () => {
  const handle = await freshDatabase();
  const [stream] = await seedStreams(handle, 1);
  const store = async (id: number, streamId: number): Promise<void> => {
    await handle.pool.query('insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) values ($1, $2, now(), now(), 1, true)', [id, streamId]);
    await handle.pool.query("insert into observation_batch (writer, rows, first_id, last_id, hours, first_hour, last_hour) values ('w', 1, $1, $1, null, 0, 0)", [id]);
  };
  await store(10, stream as number);
  await store(11, 999_999);
  const counts = async (): Promise<unknown> => (await handle.pool.query('select (select count(*) from observation)::integer as counted, ((select rows from observation_tally) + (select coalesce(sum(rows), 0) from observation_batch))::integer as tally')).rows[0];
  expect(await counts()).toEqual({ counted: 2, tally: 2 });
  const sweep = await sweepAfterCrash(handle, (ids) => removeOrphans(handle, ids), silentLogger, 0);
  await expect.poll(counts).toEqual({ counted: 1, tally: 1 });
  await sweep.close();
});
