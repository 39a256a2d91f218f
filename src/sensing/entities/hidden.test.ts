import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { manualClock } from '../../kernel/index.ts';
import { createHidden } from './hidden-store.ts';

test('what has ended is left out as long as it may have readings, and from its deletion on no more, until it has ended anew', async () => {
  const handle = await freshDatabase();
  const clock = manualClock(Date.parse('2026-12-01T00:00:00Z'));
  const alive = new Set(['lives']);
  const read = createHidden(handle, clock, { live: (id) => alive.has(id), all: () => ['lives', 'full', 'empty'].map((id) => ({ id })) as never });
  const [full] = await seedStreams(handle, 1, { purpose: 'full' });
  await seedStreams(handle, 1, { purpose: 'empty' });
  await handle.pool.query('insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) values (1, $1, now(), now(), 1, true)', [full]);

  // what was under way when it ended may still be stored
  const both = { notLive: ['full', 'empty'], withReadings: ['full', 'empty'] };
  expect(await read()).toEqual(both);
  clock.advance(59_999);
  expect(await read()).toEqual(both);
  clock.advance(1);
  expect(await read()).toEqual({ notLive: ['full', 'empty'], withReadings: ['full'] });
  await handle.pool.query('delete from observation_hot');
  clock.advance(60_000);
  expect(await read()).toEqual({ notLive: ['full', 'empty'], withReadings: [] });

  alive.add('full');
  expect(await read()).toEqual({ notLive: ['empty'], withReadings: [] });
  alive.delete('full');
  expect(await read()).toEqual({ notLive: ['full', 'empty'], withReadings: ['full'] });
});
