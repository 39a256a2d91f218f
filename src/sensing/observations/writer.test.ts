import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { silentLogger } from '../../platform/index.ts';
import { toStatement, type Fragment } from '../query/fragment.ts';
import { countAllObservations, tailBatches } from './batch-store.ts';
import type { Draft } from './draft.ts';
import type { Stream } from './stream.ts';
import { systemClock } from '../../kernel/index.ts';
import { sealWeek } from '../history/sealing-store.ts';
import { DAY_MS, openPartitions } from './partition-store.ts';
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

const weekOf = (atMs: number): number => Math.floor(atMs / DAY_MS) - ((Math.floor(atMs / DAY_MS) + 3) % 7);

test.for([{ isShared: false }, { isShared: true }])('what is sent again is found as rows and packed, on days near and far; what differs is stored (shared: $isShared)', async ({ isShared }) => {
  const handle = await freshDatabase();
  const streams = await seedStreams(handle, 3);
  const partitions = await openPartitions(handle, systemClock, silentLogger);
  const writer = openWriter({ handle, ids: createIdBlocks(), logger: silentLogger, name: 'test', isShared: () => isShared });
  const todayMs = Math.floor(systemClock.nowMs() / DAY_MS) * DAY_MS;
  const draft = (n: number, change: Partial<Draft> = {}): Draft => ({
    stream: { id: streams[n % 3] } as Stream,
    phenomenonMs: todayMs - Math.floor(n / 3) * 7_200_000, // 40 days in all
    phenomenonEndMs: n % 7 === 0 ? todayMs + 1 : NaN,
    resultTimeMs: n % 5 === 0 ? todayMs : NaN,
    arrivalMs: todayMs,
    value: n % 4 === 0 ? null : n / 8,
    exact: n % 4 === 0 ? `"text ${n}"` : n % 9 === 0 ? `${n / 8}e0` : null,
    extra: n % 6 === 0 ? '{"parameters": {"b": 1, "a": 2}}' : null,
    valid: true,
    hasOwnTime: true,
    id: 0,
    mayBeStored: true,
    waiter: null,
    followers: null,
    ...change,
  });
  const count = 3 * 12 * 40;
  for (let day = todayMs / DAY_MS - 40; day <= todayMs / DAY_MS; day += 1) await partitions.ensure(day);
  // before the first partition, before 1900, and so far apart that they are looked for in one go
  const far = Array.from({ length: 40 }, (_, n) => draft(n, { phenomenonMs: Date.UTC(1850 + n * 4, 5, 1, n) }));
  const first = [...Array.from({ length: count }, (_, n) => draft(n)), ...far.map((one) => ({ ...one }))];
  expect(await writer.store(first)).toEqual(new Set());

  const again = async (): Promise<void> => {
    const drafts = [...Array.from({ length: count }, (_, n) => draft(n)), ...far.map((one) => ({ ...one }))];
    const other = [draft(1, { value: -1 }), draft(2, { phenomenonEndMs: todayMs + 2 }), draft(count - 2, { extra: '{"parameters": {"a": 3}}' }), draft(count - 1, { exact: '"other"' }), draft(4, { stream: { id: (streams[2] as number) + 1 } as Stream })];
    const stored = await writer.store([...other, ...drafts]);
    expect(stored.size).toBe(drafts.length);
    expect(drafts.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
    expect(other.every((one) => one.id > 0 && !stored.has(one))).toBe(true);
    await handle.pool.query('delete from observation_hot where id = any($1::bigint[])', [other.map(({ id }) => id)]);
  };
  await again();
  for (const week of [weekOf(todayMs - 40 * DAY_MS), weekOf(todayMs - 20 * DAY_MS), weekOf(Date.UTC(1950, 5, 1))]) await sealWeek(handle, week, new Date(todayMs));
  expect((await handle.pool.query('select count(*) > 3 as packed from observation_segment')).rows).toEqual([{ packed: true }]);
  await again();
  await writer.close();
  await partitions.close();
});
