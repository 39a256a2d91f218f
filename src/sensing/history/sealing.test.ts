import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { manualClock } from '../../kernel/index.ts';
import { createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { correctObservation, removeObservations, removeObservationsOfStreams } from '../observations/index.ts';
import { exportSealedDay } from './export-store.ts';
import { openHistory, type History } from './history.ts';
import { runIn } from './retention-store.ts';

const NOW = Date.parse('2026-11-24T06:00:00Z');
const DAY_MS = 86_400_000;
const INSERT = 'insert into observation_hot (id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid)';

interface Rig {
  readonly handle: DatabaseHandle;
  readonly history: History;
  readonly streams: readonly number[];
  readonly logged: { kind: string; body: unknown }[];
  readonly forgotten: number[];
  readonly clock: ReturnType<typeof manualClock>;
}

async function open(): Promise<Rig> {
  const handle = await freshDatabase();
  const streams = await seedStreams(handle, 4);
  const clock = manualClock(NOW);
  const logged: Rig['logged'] = [];
  const forgotten: number[] = [];
  const log = { append: (entry: { kind: string; body: unknown }) => Promise.resolve({ index: logged.push(entry) - 1 }) };
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions: { forget: (day) => void forgotten.push(day) }, seal_after_days: 35, log });
  return { handle, history, streams, logged, forgotten, clock };
}

/** Readings of three months with every kind of oddity, the same each time: gaps, jitter, late ones, texts, intervals, features. */
async function load({ handle, streams }: Rig): Promise<void> {
  const from = new Date(NOW - 90 * DAY_MS);
  const [regular, odd, text, sparse] = streams;
  await handle.pool.query(`${INSERT} select n, $1, $2::timestamptz + n * interval '10 minutes', null, null, $2::timestamptz + n * interval '10 minutes' + interval '321 milliseconds', round((20 + 5 * sin(n / 50.0))::numeric, 1)::float8, null, null, true from generate_series(1, 12000) n`, [regular, from]);
  await handle.pool.query(
    `${INSERT} select 20000 + n * 7 % 4000, $1, $2::timestamptz + n * interval '30 minutes' + (n * 7919 % 1000) * interval '1.037 milliseconds', case when n % 3 = 0 then $2::timestamptz + n * interval '31 minutes' end, case when n % 4 = 0 then $2::timestamptz + n * interval '30 minutes' end,
       $2::timestamptz + n * interval '30 minutes' + case when n % 50 = 0 then interval '40 days' else interval '2 seconds' end, case when n % 11 = 0 then null when n % 7 = 0 then '-0'::float8 else n / 3.0 end, case when n % 11 = 0 then '"Stau"' when n % 7 = 0 then '-0.0' end,
       case when n % 13 = 0 then '{"feature": 1, "parameters": {"a": [1, 2.50]}, "resultQuality": "good"}'::jsonb end, n % 17 <> 0 from generate_series(1, 3999) n where n % 100 > 3`,
    [odd, from],
  );
  await handle.pool.query(`${INSERT} select 30000 + n, $1, $2::timestamptz + n * interval '1 hour', null, null, now(), null, '{"state": "' || (n % 5) || '", "text": "a,b\\n\\"c\\" \\\\ {x} NULL"}', null, true from generate_series(1, 2000) n`, [text, from]);
  await handle.pool.query(`${INSERT} select 40000 + n, $1, $2::timestamptz + n * interval '9 days', null, null, now(), n, null, null, true from generate_series(0, 9) n`, [sparse, from]);
  // several at one time
  await handle.pool.query(`${INSERT} select 50000 + n, $1, $2::timestamptz + interval '5 days', null, null, now(), n, null, null, true from generate_series(1, 1500) n`, [sparse, from]);
}

const SHAPES: readonly string[] = [
  `select md5(string_agg(o::text, E'\\n' order by id)) as a, count(*) as b from (select id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid from observation) o`,
  `select id, phenomenon_start, result_number from observation where datastream_id = $1 and phenomenon_start >= $2 and phenomenon_start < $3 order by phenomenon_start, id`,
  `select id from observation where datastream_id = $1 and phenomenon_start >= $2 and phenomenon_start < $3 and span_last >= $2 and span_first < $3 order by phenomenon_start desc, id desc limit 20`,
  `select id, datastream_id from observation where arrived >= $2 and arrived < $3 and arrived_high >= $2 and arrived_low < $3 and datastream_id <= $1 + 3 order by arrived, id`,
  `select * from (select id, result_json, extra from observation where extra ? 'feature' and phenomenon_start < $3 and datastream_id >= $1 and phenomenon_start > $2 order by id) o`,
  `select datastream_id, count(*), sum(result_number order by id), min(arrived) from observation where not valid or result_number > 20 and phenomenon_start between $2 and $3 and datastream_id >= $1 group by 1 order by 1`,
  `select s.id, o.* from unnest(array[$1::bigint, $1 + 1, $1 + 2]) s (id) cross join lateral (select phenomenon_start, result_json from observation where datastream_id = s.id and phenomenon_start between $2 and $3 order by phenomenon_start desc, id desc limit 1) o order by 1`,
];

async function answersOf({ handle, streams }: Rig): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const [at, shape] of SHAPES.entries()) {
    for (const [from, to] of [[NOW - 90 * DAY_MS, NOW], [NOW - 61 * DAY_MS, NOW - 33 * DAY_MS], [NOW - 85 * DAY_MS, NOW - 85 * DAY_MS + 7_200_000]] as const) {
      for (const stream of at === 1 || at === 2 ? streams : streams.slice(0, 1)) answers.push(JSON.stringify((await handle.pool.query(shape, at === 0 ? [] : [stream, new Date(from), new Date(to)])).rows));
    }
  }
  const ids = await handle.pool.query('select id, result_number from observation where id = any($1) and id_low <= 45000 and id_high >= 1 order by id', [[1, 777, 20_700, 31_000, 45_000]]);
  return [...answers, ids.rows];
}

const count = async (handle: DatabaseHandle, table: string): Promise<number> => (await handle.pool.query<{ n: number }>(`select count(*) as n from ${table}`)).rows[0]?.n ?? -1;
const text = async (chunks: AsyncIterable<Buffer>): Promise<string> => {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
};

test('every answer is the same before and after sealing, after late readings, and after a change', { timeout: 120_000 }, async () => {
  const rig = await open();
  await load(rig);
  const { handle, history, logged } = rig;
  const before = await answersOf(rig);
  const days = await history.seal();
  expect(days.length).toBeGreaterThan(40);
  expect(await count(handle, 'observation_segment')).toBeGreaterThan(20);
  expect(await count(handle, `observation_hot where phenomenon_start < '${new Date(NOW - 43 * DAY_MS).toISOString()}'`)).toBe(0);
  expect(await answersOf(rig)).toEqual(before);
  expect(await history.seal()).toEqual([]);

  // the log says what anybody can check with sha256sum
  const [day] = days as [string];
  const csv = await text(exportSealedDay(handle, Date.parse(`${day}T00:00:00Z`), Date.parse(`${day}T00:00:00Z`) + DAY_MS));
  const found = await history.findDay(day);
  expect(found.ok && found.value.sha256).toBe(createHash('sha256').update(csv).digest('hex'));
  expect(logged.find(({ body }) => (body as { day: string }).day === day)).toEqual({ kind: 'history.sealed', body: { day, observations: csv.split('\n').length - 2, bytes: Buffer.byteLength(csv), sha256: found.ok && found.value.sha256 } });

  // a late reading stands as a row until the next sealing, which tells a new hash of its day only
  await handle.pool.query(`${INSERT} values (60001, $1, $2, null, null, now(), 4.5, null, null, true)`, [rig.streams[0], new Date(`${day}T03:03:03Z`)]);
  const late = await answersOf(rig);
  logged.length = 0;
  expect(await history.seal()).toEqual([day]);
  expect(await answersOf(rig)).toEqual(late);
  expect(logged.map(({ body }) => (body as { day: string }).day)).toEqual([day]);

  // a correction unpacks what it touches, keeps what it was, and the day is sealed again
  await handle.db.transaction().execute((trx) => correctObservation(runIn(trx), 60_001, rig.streams[0] as number, { phenomenonMs: Date.parse(`${day}T03:03:03Z`), phenomenonEndMs: NaN, resultTimeMs: NaN, value: 5.5, exact: null, extra: null, valid: true }, { atMs: NOW, pseudonym: 'p7' }));
  expect((await history.findDay(day)).ok).toBe(false);
  expect((await handle.pool.query('select result_number from observation where id = 60001')).rows).toEqual([{ result_number: 5.5 }]);
  expect((await history.readCorrections(60_001)).corrections).toMatchObject([{ pseudonym: 'p7', result: '4.5', phenomenonTime: `${day}T03:03:03.000Z` }]);
  const corrected = await answersOf(rig);
  expect(await history.seal()).toEqual([day]);
  expect(await answersOf(rig)).toEqual(corrected);
  expect((await history.findDay(day)).ok).toBe(true);

  // deletions reach packed readings
  await handle.db.transaction().execute((trx) => removeObservations(runIn(trx), [60_001, 31_000]));
  expect((await handle.pool.query('select id from observation where id in (60001, 31000)')).rows).toEqual([]);
  await handle.db.transaction().execute((trx) => removeObservationsOfStreams(runIn(trx), [rig.streams[1] as number]));
  const removed = await answersOf(rig);
  await history.seal();
  expect(await answersOf(rig)).toEqual(removed);
  expect(await count(handle, `observation where datastream_id = ${rig.streams[1]}`)).toBe(0);
  await history.close();
});

test('a partition is dropped an hour after its day was sealed, and late readings still find a place', async () => {
  const rig = await open();
  const { handle, history, clock, streams, forgotten } = rig;
  await handle.pool.query(`create table observation_20260901 partition of observation_hot for values from ('2026-09-01T00:00:00Z') to ('2026-09-02T00:00:00Z')`);
  await handle.pool.query(`${INSERT} values (1, $1, '2026-09-01T10:00:00Z', null, null, now(), 1, null, null, true)`, [streams[0]]);
  expect(await history.seal()).toEqual(['2026-09-01']);
  expect(forgotten).toEqual([]);
  clock.set(NOW + 3_700_000);
  await history.seal();
  expect(forgotten).toEqual([Date.parse('2026-09-01') / DAY_MS]);
  await handle.pool.query(`${INSERT} values (2, $1, '2026-09-01T11:00:00Z', null, null, now(), 2, null, null, true)`, [streams[0]]);
  expect(await history.seal()).toEqual(['2026-09-01']);
  expect((await handle.pool.query('select id from observation order by 1')).rows).toEqual([{ id: 1 }, { id: 2 }]);
  await history.close();
});

test('whoever deletes a reading while it is packed wins, and nothing is lost', async () => {
  const rig = await open();
  await load(rig);
  const { handle, history, streams } = rig;
  const total = await count(handle, 'observation');
  const gone = handle.db.transaction().execute((trx) => removeObservations(runIn(trx), [500]));
  await Promise.all([gone, history.seal()]);
  await history.seal();
  expect(await count(handle, 'observation')).toBe(total - 1);
  expect((await handle.pool.query('select id from observation where id = 500')).rows).toEqual([]);
  expect(await count(handle, `observation where datastream_id = ${streams[0]}`)).toBe(11_999);
  await history.close();
});

test('a sealing that is killed at any step loses nothing, and the next one does it', { timeout: 120_000 }, async () => {
  const rig = await open();
  await load(rig);
  const { handle, history } = rig;
  const before = await answersOf(rig);
  const total = await count(handle, 'observation');
  let killed = 0;
  for (let step = 0; step < 8; step += 1) {
    let ended = false;
    const sealing = history
      .seal()
      .then(
        () => false,
        () => true,
      )
      .finally(() => (ended = true));
    // killed when the sealing was seen at work for the n-th time, however fast the machine is
    for (let seen = 0; seen <= step && !ended; ) {
      const { rows } = await handle.pool.query<{ working: boolean }>(`select exists (select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state in ('active', 'idle in transaction')) as working`);
      if (rows[0]?.working === true) seen += 1;
    }
    await handle.pool.query(`select pg_terminate_backend(pid, 1000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state in ('active', 'idle in transaction')`);
    if (await sealing) killed += 1;
    expect(await count(handle, 'observation')).toBe(total);
  }
  expect(killed).toBeGreaterThan(0);
  await history.seal();
  expect(await answersOf(rig)).toEqual(before);
  expect(await count(handle, `observation_hot where phenomenon_start < '${new Date(NOW - 43 * DAY_MS).toISOString()}'`)).toBe(0);
  await history.close();
});
