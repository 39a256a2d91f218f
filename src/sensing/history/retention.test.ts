import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { Purpose } from '../../contracts/trust.ts';
import { manualClock } from '../../kernel/index.ts';
import { createMetrics, silentLogger } from '../../platform/index.ts';
import { openHistory } from './history.ts';
import { alone } from './sealing-store.ts';

const NOW = Date.parse('2026-11-24T06:00:00Z');
const purpose = (id: string, retention_days: number): Purpose => Purpose.parse({ id, title: id, description: 'For the tests of this server.', legal_basis: 'None needed', owner: 'Tests', retention_days });

test('readings go when their purpose allows them no longer, packed ones too, and the log tells how many', async () => {
  const handle = await freshDatabase();
  const [short] = (await seedStreams(handle, 1, { purpose: 'short' })) as [number];
  const [long] = (await seedStreams(handle, 1, { purpose: 'long' })) as [number];
  const clock = manualClock(NOW);
  const purposes = [purpose('short', 60), purpose('long', 365)];
  const metrics = createMetrics();
  const logged: { kind: string; body: unknown }[] = [];
  const log = { append: (entry: { kind: string; body: unknown }) => Promise.resolve({ index: logged.push(entry) - 1 }) };
  const history = openHistory({ handle, clock, logger: silentLogger, metrics, purposes: { all: () => purposes, get: (id) => purposes.find((each) => each.id === id) }, partitions: { forget: () => undefined }, seal_after_days: 35, log });
  // every six hours for 100 days
  for (const [stream, at] of [[short, 0], [long, 1]] as const) {
    await handle.pool.query(`insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, valid) select $3 + n, $1, $2::timestamptz - n * interval '6 hours', now(), n, true from generate_series(1, 400) n`, [stream, new Date(NOW), at * 1_000]);
  }
  await handle.pool.query(`insert into observation_correction (observation_id, datastream_id, at, pseudonym, phenomenon_start, result_number, valid) values (399, $1, now(), 'p', $2, 3, true)`, [short, new Date(NOW - 99 * 86_400_000)]);
  await handle.pool.query('update observation_tally set rows = 800');
  await history.seal();
  logged.length = 0;

  const cutMs = Date.parse('2026-11-24T00:00:00Z') - 60 * 86_400_000;
  const removed = await history.retain();
  const left = await handle.pool.query<{ stream: number; n: number; oldest: Date }>('select datastream_id as stream, count(*) as n, min(phenomenon_start) as oldest from observation group by 1 order by 1');
  expect(left.rows.map(({ stream, n }) => [stream, n])).toEqual([[short, 241], [long, 400]]);
  expect(left.rows[0]?.oldest.getTime()).toBe(cutMs);
  expect(removed).toEqual(new Map([['short', 159]]));
  expect(logged).toEqual([{ kind: 'history.deleted', body: { purpose: 'short', before: new Date(cutMs).toISOString(), observations: 159 } }]);
  expect(await metrics.getSingleMetricAsString('clerestory_history_deleted_total')).toContain('{purpose="short"} 159');
  expect((await handle.pool.query('select 1 from observation_correction')).rows).toEqual([]);

  const overview = await history.readOverview();
  expect(overview.observations).toBe(641);
  expect(overview.purposes.map((each) => [each.purpose, each.observations, each.retentionDays, each.oldest, each.nextDeletion])).toEqual([
    ['long', 400, 365, new Date(NOW - 100 * 86_400_000).toISOString(), '2027-08-17T00:00:00.000Z'],
    ['short', 241, 60, new Date(cutMs).toISOString(), '2026-11-25T00:00:00.000Z'],
  ]);
  // days that lost readings are sealed again; the others keep their hash
  await history.seal();
  expect(logged.filter(({ kind }) => kind === 'history.sealed').length).toBeGreaterThan(30);
  expect(await history.retain()).toEqual(new Map());
  clock.advance(86_400_000);
  expect(await history.retain()).toEqual(new Map([['short', 4]]));
  await history.close();
});

test('the upkeep runs in one process at a time', async () => {
  const handle = await freshDatabase();
  const ran: string[] = [];
  await alone(handle, async () => {
    ran.push('first');
    await alone(handle, async () => void ran.push('second'));
  });
  await alone(handle, async () => void ran.push('third'));
  await expect(alone(handle, () => Promise.reject(new Error('broke')))).rejects.toThrow('broke');
  await alone(handle, async () => void ran.push('fourth'));
  expect(ran).toEqual(['first', 'third', 'fourth']);
});
