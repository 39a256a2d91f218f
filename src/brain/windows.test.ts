import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Series, type SeriesFunction } from './windows.ts';

interface Sample {
  atMs: number;
  /** NaN when not valid. */
  value: number;
}

/** The definition in its plainest form: look at every reading each time. */
function askOracle(samples: readonly Sample[], fn: SeriesFunction, window_ms: number, atMs: number): { value: number; readings: number; valid: number } {
  const known = samples.filter((sample) => sample.atMs <= atMs).sort((a, b) => a.atMs - b.atMs || (Number.isNaN(a.value) ? -1 : Number.isNaN(b.value) ? 1 : a.value - b.value));
  const inside = fn === 'now' || fn === 'age' ? known.slice(-1) : known.filter((sample) => (fn === 'rise' ? sample.atMs >= atMs - window_ms : sample.atMs > atMs - window_ms));
  const values = inside.map((sample) => sample.value).filter((value) => !Number.isNaN(value));
  const counts = { readings: inside.length, valid: values.length };
  if (fn === 'age') return { value: inside[0] === undefined ? NaN : (atMs - inside[0].atMs) / 1_000, ...counts };
  if (values.length === 0) return { value: NaN, ...counts };
  const value =
    fn === 'mean' ? values.reduce((sum, each) => sum + each, 0) / values.length : fn === 'min' ? Math.min(...values) : fn === 'max' ? Math.max(...values) : fn === 'rise' ? (values.at(-1) ?? 0) - (values[0] ?? 0) : (values.at(-1) ?? 0);
  return { value, ...counts };
}

const FUNCTIONS: readonly SeriesFunction[] = ['now', 'mean', 'min', 'max', 'rise', 'age'];
const MINUTE_MS = 60_000;
// eighths: sums of them are exact, so that equality can be asked for to the last bit
const value = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: -800, max: 800 }).map((eighths) => eighths / 8) }, { weight: 1, arbitrary: fc.constant(NaN) });
const samples = fc.array(fc.record({ gap_s: fc.integer({ min: 0, max: 200 }), value }), { minLength: 1, maxLength: 120, size: 'max' }).map((list) => {
  let atMs = 1_000_000_000;
  return list.map(({ gap_s, value: each }): Sample => ({ atMs: (atMs += gap_s * 1_000), value: each }));
});

function expectAllEqual(series: Series, sofar: readonly Sample[], atMs: number, window_ms: number): void {
  for (const fn of FUNCTIONS) {
    const operator = series.operator(fn, fn === 'now' || fn === 'age' ? 0 : window_ms);
    const got = operator.read(atMs);
    expect({ fn, value: got, readings: operator.readings, valid: operator.valid }).toEqual({ fn, ...askOracle(sofar, fn, window_ms, atMs) });
  }
}

test('every operator equals the definition after every reading, and between readings', () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 90_000 }), (list, minutes, later_ms) => {
      const series = new Series(1, 60);
      const window_ms = minutes * MINUTE_MS;
      for (const fn of FUNCTIONS) series.operator(fn, window_ms);
      list.forEach(({ atMs, value: each }, at) => {
        series.insert(atMs, each, atMs);
        expectAllEqual(series, list.slice(0, at + 1), atMs, window_ms);
        if ((list[at + 1]?.atMs ?? Infinity) > atMs + later_ms) expectAllEqual(series, list.slice(0, at + 1), atMs + later_ms, window_ms);
      });
    }),
  );
});

test('readings that come within the allowed lateness give the same values in any order of arrival', () => {
  fc.assert(
    fc.property(samples, fc.array(fc.integer({ min: 0, max: 119_000 }), { minLength: 120, maxLength: 120 }), fc.integer({ min: 1, max: 30 }), (list, delays_ms, minutes) => {
      const window_ms = minutes * MINUTE_MS;
      const series = new Series(1, 60);
      for (const fn of FUNCTIONS) series.operator(fn, window_ms);
      const arriving = list.map((sample, at) => ({ ...sample, arrivalMs: sample.atMs + (delays_ms[at] ?? 0) })).sort((a, b) => a.arrivalMs - b.arrivalMs);
      const seen: Sample[] = [];
      for (const { atMs, value: each, arrivalMs } of arriving) {
        const newestMs = Math.max(-Infinity, ...seen.map((sample) => sample.atMs));
        const arrival = series.insert(atMs, each, arrivalMs);
        seen.push({ atMs, value: each });
        expect(arrival).toBe(atMs > newestMs ? 'newest' : 'late');
        expectAllEqual(series, seen, Math.max(newestMs, atMs), window_ms);
        expectAllEqual(series, seen, Math.max(newestMs, atMs) - 60_000, window_ms); // going back, as a repair does
      }
    }),
    { numRuns: 60 },
  );
});

test('a reading later than allowed is marked as past, and one that no window reaches is let go', () => {
  const series = new Series(1, 60);
  series.operator('mean', 10 * MINUTE_MS);
  series.insert(100 * MINUTE_MS, 1, 0);
  expect(series.insert(98 * MINUTE_MS, 1, 0)).toBe('late');
  expect(series.insert(97 * MINUTE_MS, 1, 0)).toBe('past');
  expect(series.insert(80 * MINUTE_MS, 1, 0)).toBe('gone');
  expect(series.operator('mean', 10 * MINUTE_MS).read(100 * MINUTE_MS)).toBe(1);
});

test('memory is bounded by the longest window, and a mean over a million readings does not drift', () => {
  const series = new Series(1, 1);
  const mean = series.operator('mean', 60_000);
  let seed = 42;
  const draw = (): number => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 1_000 + 1e9;
  const last: number[] = [];
  let value_ = NaN;
  for (let at = 1; at <= 300_000; at += 1) {
    const each = draw();
    last.push(each);
    if (last.length > 60) last.shift();
    series.insert(at * 1_000, each, at * 1_000);
    value_ = mean.read(at * 1_000);
  }
  expect(series.end - series.first).toBeLessThanOrEqual(60 + 240 + 2);
  expect(value_).toBeCloseTo(last.reduce((sum, each) => sum + each, 0) / 60, 5);
});
