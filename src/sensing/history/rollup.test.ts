import fc from 'fast-check';
import { expect, test } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { seedStreams } from '../../../test/streams.ts';
import { manualClock } from '../../kernel/index.ts';
import { createMetrics, silentLogger, type DatabaseHandle } from '../../platform/index.ts';
import { noteChange } from '../observations/batch-store.ts';
import { correctObservation, countAllObservations, removeObservations, type Run } from '../observations/index.ts';
import { toStatement, type Fragment } from '../query/fragment.ts';
import { openHistory, type History } from './history.ts';
import { runIn } from './retention-store.ts';
import { rollUp } from './rollup-store.ts';
import { readAggregates } from './series-store.ts';

const T0 = Date.parse('2026-10-24T00:00:00Z');
const HOUR_MS = 3_600_000;

interface Kept {
  readonly id: number;
  readonly stream: number;
  readonly atMs: number;
  readonly value: number | null;
  readonly valid: boolean;
}

/** Stores readings as the writer does: the batch and the rows in one transaction. */
async function store(handle: DatabaseHandle, readings: readonly Kept[]): Promise<void> {
  if (readings.length === 0) return;
  const hours = [...new Set(readings.map(({ atMs }) => Math.floor(atMs / HOUR_MS)))];
  const ids = readings.map(({ id }) => id);
  await handle.pool.query(
    `with noted as (insert into observation_batch (writer, rows, first_id, last_id, hours, first_hour, last_hour) values ('test', $1, $2, $3, $4, $5, $6))
     insert into observation_hot (id, datastream_id, phenomenon_start, arrived, result_number, result_json, valid) select id, stream, at, now(), number, case when number is null then '"x"' end, valid from unnest($7::bigint[], $8::bigint[], $9::timestamptz[], $10::float8[], $11::boolean[]) as t (id, stream, at, number, valid)`,
    [readings.length, Math.min(...ids), Math.max(...ids), hours, Math.min(...hours), Math.max(...hours), ids, readings.map(({ stream }) => stream), readings.map(({ atMs }) => new Date(atMs)), readings.map(({ value }) => value), readings.map(({ valid }) => valid)],
  );
}

/** What the API must answer, worked out from a list. */
function naive(kept: readonly Kept[], stream: number, edges: readonly number[]): unknown[] {
  const buckets: unknown[] = [];
  for (let at = 0; at + 1 < edges.length; at += 1) {
    const [from, to] = [edges[at] as number, edges[at + 1] as number];
    const inside = kept.filter((each) => each.stream === stream && each.atMs >= from && each.atMs < to && each.valid && each.value !== null).sort((a, b) => a.atMs - b.atMs || a.id - b.id);
    if (inside.length === 0) continue;
    const values = inside.map(({ value }) => value as number);
    const sum = values.reduce((total, value) => total + value, 0);
    buckets.push({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), n: values.length, sum, mean: sum / values.length, min: Math.min(...values), max: Math.max(...values), first: values[0], last: values.at(-1) });
  }
  return buckets;
}

const everyStep = (fromMs: number, toMs: number, step_ms: number): number[] => Array.from({ length: Math.ceil((toMs - fromMs) / step_ms) + 1 }, (_, at) => Math.min(toMs, fromMs + at * step_ms));
const runOf =
  (handle: DatabaseHandle): Run =>
  async <T>(fragment: Fragment) => {
    const { text, parameters } = toStatement(fragment);
    return (await handle.pool.query(text, [...parameters])).rows as T[];
  };

async function open(): Promise<{ handle: DatabaseHandle; history: History; clock: ReturnType<typeof manualClock>; streams: number[] }> {
  const handle = await freshDatabase();
  const streams = await seedStreams(handle, 2);
  const clock = manualClock(T0);
  // seal_after_days 1 packs weeks that ended yesterday: the aggregates must not care
  const log = { append: () => Promise.resolve({ index: 0 }) };
  const history = openHistory({ handle, clock, logger: silentLogger, metrics: createMetrics(), purposes: { get: () => undefined }, partitions: { forget: () => undefined }, seal_after_days: 1, log });
  await handle.pool.query('update observation_tally set rolled_until = $1', [T0 / HOUR_MS - 400]);
  return { handle, history, clock, streams };
}

type Act = { readonly kind: 'store'; readonly offsets: readonly (readonly [number, number, number | null, boolean])[] } | { readonly kind: 'change'; readonly isRemoval: boolean; readonly pick: number; readonly toMinute: number } | { readonly kind: 'roll' } | { readonly kind: 'seal' } | { readonly kind: 'wait'; readonly hours: number };
// halves and quarters add up exactly in any order
const value = fc.option(fc.integer({ min: -400, max: 400 }).map((quarters) => quarters / 4), { nil: null, freq: 10 });
const offset = fc.tuple(fc.integer({ min: 0, max: 1 }), fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -120, max: 0 }) }, { weight: 1, arbitrary: fc.integer({ min: -20_000, max: 0 }) }), value, fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }));
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('store' as const), offsets: fc.array(offset, { minLength: 20, maxLength: 60, size: 'max' }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('change' as const), isRemoval: fc.boolean(), pick: fc.nat(), toMinute: fc.integer({ min: -5_000, max: 0 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('roll' as const, 'roll' as const, 'seal' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), hours: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 30 })) }) },
) as fc.Arbitrary<Act>;

test('aggregates and the count are those of the readings, whatever came late, was corrected, deleted, rolled up or packed', { timeout: 120_000 }, async () => {
  const { handle, history, clock, streams } = await open();
  let nextId = 1;
  let rolled = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 6, maxLength: 16, size: 'max' }), fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: 59 }), async (acts, at, cut) => {
      await handle.pool.query('truncate observation_hot, observation_segment, observation_batch, observation_hour, observation_minute, observation_sealed_day, observation_correction');
      await handle.pool.query('update observation_tally set rows = 0');
      let kept: Kept[] = [];
      for (const step of acts) {
        const nowMs = clock.nowMs();
        if (step.kind === 'wait') clock.advance(step.hours * HOUR_MS);
        else if (step.kind === 'roll') await history.rollUp();
        else if (step.kind === 'seal') await history.seal();
        else if (step.kind === 'store') {
          const made = step.offsets.map(([stream, minutes, number, valid]): Kept => ({ id: (nextId += 1), stream: streams[stream] as number, atMs: nowMs + minutes * 60_000 + (nextId % 7) * 1_000, value: number, valid }));
          await store(handle, made);
          kept.push(...made);
        } else if (kept.length > 0) {
          const target = kept[step.pick % kept.length] as Kept;
          kept = kept.filter((each) => each !== target);
          if (step.isRemoval) await handle.db.transaction().execute((trx) => removeObservations(runIn(trx), [target.id]));
          else {
            const changed = { ...target, atMs: nowMs + step.toMinute * 60_000, value: 7.25, valid: true };
            await handle.db.transaction().execute((trx) => correctObservation(runIn(trx), target.id, target.stream, { phenomenonMs: changed.atMs, phenomenonEndMs: NaN, resultTimeMs: NaN, value: 7.25, exact: null, extra: null, valid: true }, { atMs: nowMs, pseudonym: 'p' }));
            kept.push(changed);
          }
        }
      }
      const stream = { id: streams[at] as number, unit: 'm' };
      const toMs = clock.nowMs();
      const fromMs = toMs - 15 * 24 * HOUR_MS - cut * 60_000;
      const firstHour = (Math.floor(fromMs / HOUR_MS) + 1) * HOUR_MS;
      for (const [step, edges] of [['hour', [fromMs, ...everyStep(firstHour, toMs, HOUR_MS)]], ['day', daysUtc(fromMs, toMs)], ['minute', everyStep(toMs - 3 * HOUR_MS, toMs, 60_000)]] as const) {
        const answer = await history.readSeries(stream, edges[0] ?? 0, toMs, step, 'UTC');
        expect(answer.ok && answer.value.buckets).toEqual(naive(kept, stream.id, edges));
      }
      expect(await countAllObservations(runOf(handle))).toBe(kept.length);
      rolled += (await handle.pool.query<{ n: number }>('select count(*) as n from observation_hour')).rows[0]?.n ?? 0;
    }),
    { numRuns: 30 },
  );
  expect(rolled).toBeGreaterThan(40); // the roll-ups took part
  await history.close();
});

function daysUtc(fromMs: number, toMs: number): number[] {
  const edges = [fromMs];
  for (let day = (Math.floor(fromMs / 86_400_000) + 1) * 86_400_000; day < toMs; day += 86_400_000) edges.push(day);
  return [...edges, toMs];
}

test('a day of the zone has 25 hours in autumn and 23 in spring, and its edges need not lie on full hours', async () => {
  const { handle, history, streams } = await open();
  const [stream] = streams as [number];
  const spans = [['Europe/Berlin', '2026-10-24T22:00:00Z', 25], ['Europe/Berlin', '2026-03-28T23:00:00Z', 23], ['Asia/Kolkata', '2026-05-01T18:30:00Z', 24]] as const;
  let id = 0;
  for (const [, from] of spans) {
    const fromMs = Date.parse(from);
    await store(handle, Array.from({ length: 48 * 6 }, (_, n): Kept => ({ id: (id += 1), stream, atMs: fromMs - 11 * HOUR_MS + n * 600_000, value: 1, valid: true })));
  }
  for (const isRolled of [false, true]) {
    if (isRolled) {
      await handle.pool.query('update observation_tally set rolled_until = $1', [T0 / HOUR_MS + 100]);
      await history.rollUp();
    }
    for (const [zone, from, hours] of spans) {
      const answer = await history.readSeries({ id: stream, unit: 'm' }, Date.parse(from) - HOUR_MS, Date.parse(from) + 30 * HOUR_MS, 'day', zone);
      expect(answer.ok && answer.value.buckets.map(({ from: start, n }) => [start, n]).slice(0, 2)).toEqual([[new Date(Date.parse(from) - HOUR_MS).toISOString(), 6], [from.replace('Z', '.000Z'), hours * 6]]);
    }
  }
  expect((await handle.pool.query<{ n: number }>('select count(*) as n from observation_hour')).rows[0]?.n).toBeGreaterThan(100);
  await history.close();
});

test('a zone that does not exist and a span of too many steps are refused with the place', async () => {
  const { history, streams } = await open();
  const stream = { id: streams[0] as number, unit: 'm' };
  expect(await history.readSeries(stream, T0, T0 + HOUR_MS, 'day', 'Europe/Atlantis')).toMatchObject({ ok: false, refusal: { code: 'http.invalid', field: 'timeZone' } });
  expect(await history.readSeries(stream, 0, T0, 'minute', 'UTC')).toMatchObject({ ok: false, refusal: { code: 'http.invalid', field: 'step' } });
  expect(await history.readSeries(stream, T0, T0, 'raw', 'UTC')).toMatchObject({ ok: false, refusal: { code: 'http.invalid', field: 'from' } });
  await history.close();
});

test('a change over a long time is worked off in bounded steps, and a stop leaves the rest for later', async () => {
  const { handle, history, streams } = await open();
  const [first, second] = streams as [number, number];
  const hours = 6_000; // of two datastreams: more than one transaction takes
  const readings = Array.from({ length: 12 }, (_, n): Kept => ({ id: n + 1, stream: first, atMs: T0 - 1 - (n < 6 ? 0 : (hours - 1) * HOUR_MS) - n * 60_000, value: n, valid: true }));
  await store(handle, readings);
  const from = Math.floor(T0 / HOUR_MS) - hours;
  await handle.pool.query('update observation_tally set rolled_until = $1', [Math.floor(T0 / HOUR_MS)]);
  await rollUp(handle, T0);
  await noteChange(runOf(handle), { rows: 0, streams: [first, second], first: new Date(from * HOUR_MS), last: new Date(T0 - 1) });
  const waiting = async (): Promise<unknown[]> => (await handle.pool.query<{ first_hour: number }>('select first_hour from observation_batch where not rolled')).rows;
  const rolled = async (): Promise<number> => (await handle.pool.query<{ n: number }>('select count(*) as n from observation_hour')).rows[0]?.n ?? 0;

  expect(await rollUp(handle, T0, () => true)).toBe(false);
  expect(await waiting()).toEqual([{ first_hour: from }]);
  expect(await rollUp(handle, T0)).toBe(true);
  expect(await waiting()).toEqual([{ first_hour: from + 5_000 }]);
  expect(await rolled()).toBe(1);
  const edges = [from * HOUR_MS, T0];
  expect(await readAggregates(handle, first, edges, 'hour')).toMatchObject(new Map([[0, { n: 12, min: 0, max: 11, first: 11, last: 0 }]]));
  expect(await rollUp(handle, T0)).toBe(false);
  expect(await waiting()).toEqual([]);
  expect(await rolled()).toBe(2);
  expect(await readAggregates(handle, first, edges, 'hour')).toMatchObject(new Map([[0, { n: 12, min: 0, max: 11, first: 11, last: 0 }]]));
  await history.close();
});
