import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type StreamInfo } from '../contracts/reading.ts';
import { ruleStateOf } from './machine.ts';
import { loadRules, type Rule } from './rule.ts';
import { startWatch } from './rule-cases.ts';
import { type Watch } from './watch.ts';
import { Series } from './windows.ts';

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 10, 24);
const HEAD = 'title: A test\nwhy: To see what happens\nowner: Nobody in particular\npurpose: water-safety\nseverity: minor\n';

function ruleOf(body: string): Rule {
  const loaded = loadRules(`rule: a-test\n${HEAD}${body}`, { get: () => ({}), live: () => true });
  expect(loaded.faults).toEqual([]);
  return loaded.rules[0] as Rule;
}

interface Rig {
  readonly watch: Watch;
  send(name: string, atMs: number, value: number, arrivalMs?: number): void;
  state(): string;
}

function rigOf(rule: Rule, interval_s = 60): Rig {
  const names = [rule.document.watch.observe, ...rule.companions.map((each) => each.name)];
  const streams = new Map(names.map((name, at): [string, StreamInfo] => [name, { id: at + 1, name, property: name, unit: 'm', purpose: 'water-safety', interval_s, thingId: 1, placeName: 'Mill Bridge', placeKind: 'river_gauge', point: [8, 50] }]));
  const series = new Map(names.map((name, at) => [name, new Series(at + 1, interval_s)]));
  const watch = startWatch({ rule, version: 1, stream: streams.get(names[0] ?? '') as StreamInfo, streams, series }, null, START_MS);
  return {
    watch,
    send: (name, atMs, value, arrivalMs = atMs) => {
      const arrival = series.get(name)?.insert(atMs, value, arrivalMs) ?? 'gone';
      watch.onReading(atMs, arrivalMs, arrival);
    },
    state: () => ruleStateOf(watch.moment.state),
  };
}

const HYSTERESIS = 'watch: {observe: level, at: river_gauge}\nwhen: level.mean("3m") > m(2)\nfor: 4m\nclear: level.mean("3m") < m(1)\nclear_for: 5m';

test('a warning comes after `for`, stays in the band between the limits, and goes after `clear_for`', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.now() > m(2)\nfor: 2m\nclear: level.now() < m(1)\nclear_for: 2m'));
  const states = [0.5, 2.5, 2.5, 2.5, 1.5, 0.5, 1.5, 0.5, 0.5, 0.5].map((value, minute) => {
    rig.send('level', START_MS + minute * MINUTE_MS, value);
    return rig.state();
  });
  expect(states).toEqual(['ok', 'pending', 'pending', 'warning', 'warning', 'clearing', 'warning', 'clearing', 'clearing', 'ok']);
});

test('a deadline between two readings passes by the clock', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.now() > m(2)\nfor: 90s'));
  rig.send('level', START_MS, 3);
  rig.send('level', START_MS + MINUTE_MS, 3);
  rig.watch.onClock(START_MS + 89_000);
  expect(rig.state()).toBe('pending');
  rig.watch.onClock(START_MS + 90_000);
  expect(rig.state()).toBe('warning');
  expect(rig.watch.moment.sinceMs).toBe(START_MS);
});

test('the clock runs on over places that have sent nothing yet, or only on one of two series', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge, with: {rain: rain}}\nwhen: level.now() > m(2) && rain.now() > mm(1)'));
  rig.watch.onClock(START_MS);
  expect(rig.state()).toBe('unknown');
  rig.send('rain', START_MS, 3);
  rig.watch.onClock(START_MS + 60 * MINUTE_MS);
  expect(rig.state()).toBe('unknown');
  rig.send('level', START_MS + 60 * MINUTE_MS, 3);
  rig.send('rain', START_MS + 60 * MINUTE_MS, 3);
  expect(rig.state()).toBe('warning');
});

test('a source that is always an hour late is judged by its own clock', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.now() > m(2)\nfor: 10m'));
  const hour_ms = 60 * MINUTE_MS;
  rig.send('level', START_MS, 3, START_MS + hour_ms);
  rig.watch.onClock(START_MS + hour_ms + MINUTE_MS);
  expect(rig.state()).toBe('pending');
});

test('data that stops or goes bad makes UNKNOWN, and a standing warning is still there when it comes back', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.now() > m(2)\nclear: level.now() < m(1)'));
  rig.send('level', START_MS, 3);
  expect(rig.state()).toBe('warning');
  rig.watch.onClock(START_MS + 4 * MINUTE_MS);
  expect(rig.watch.moment.state).toBe('unknown_warning');
  rig.send('level', START_MS + 10 * MINUTE_MS, NaN);
  expect(rig.watch.moment.state).toBe('unknown_warning');
  rig.send('level', START_MS + 11 * MINUTE_MS, 1.5);
  expect(rig.state()).toBe('warning');
  expect(rig.watch.takeMoves().map(({ to }) => to)).toEqual(['pending', 'warning', 'unknown_warning', 'warning']);
});

test('fewer valid readings than the quality asks for is UNKNOWN, not OK', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.mean("4m") > m(2)\nquality: {valid: 75%}'));
  [1, 1, 1, NaN, NaN].forEach((value, minute) => rig.send('level', START_MS + minute * MINUTE_MS, value));
  expect(rig.state()).toBe('unknown');
});

test('a silent rule runs on the arrival clock and comes back when readings come back', () => {
  const rig = rigOf(ruleOf('watch: {observe: heartbeat, at: pump_station}\nsilent: 10m'));
  rig.watch.onClock(START_MS + MINUTE_MS);
  expect(rig.state()).toBe('unknown');
  rig.send('heartbeat', START_MS - 3 * 86_400_000, 1, START_MS + 2 * MINUTE_MS); // a wrong clock in the device changes nothing
  expect(rig.state()).toBe('ok');
  rig.watch.onClock(START_MS + 11 * MINUTE_MS);
  expect(rig.state()).toBe('ok');
  rig.watch.onClock(START_MS + 12 * MINUTE_MS);
  expect(rig.state()).toBe('warning');
  expect(rig.watch.explanation?.sentence).toBe('Heartbeat at Mill Bridge has not come for 10 min (limit 10 min).');
  rig.send('heartbeat', START_MS + 20 * MINUTE_MS, NaN);
  expect(rig.state()).toBe('ok');
});

test('age() is looked at between readings', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.age() > duration("90s")'), 3_600);
  rig.send('level', START_MS, 1);
  rig.watch.onClock(START_MS + 90_000);
  expect(rig.state()).toBe('ok');
  rig.watch.onClock(START_MS + 105_000);
  expect(rig.state()).toBe('warning');
});

test('a late reading changes what stands now; what was over in the meantime is not fired again', () => {
  const rig = rigOf(ruleOf('watch: {observe: level, at: river_gauge}\nwhen: level.now() > m(2)\nfor: 1m'));
  rig.send('level', START_MS, 1);
  rig.send('level', START_MS + MINUTE_MS, 1);
  rig.send('level', START_MS + 2 * MINUTE_MS, 1);
  rig.watch.takeMoves();
  rig.send('level', START_MS + 30_000, 3);
  expect(rig.state()).toBe('ok');
  expect(rig.watch.takeMoves()).toEqual([]);
  rig.send('level', START_MS + 3 * MINUTE_MS, 3);
  rig.send('level', START_MS + 4 * MINUTE_MS, 3);
  expect(rig.state()).toBe('warning');
  rig.watch.takeMoves();
  rig.send('level', START_MS + 3 * MINUTE_MS + 30_000, 1); // it had been low for a moment: the minute was not whole
  expect(rig.watch.takeMoves().map(({ from, to }) => [from, to])).toEqual([['warning', 'pending']]);
});

const sample = fc.record({ gap_s: fc.integer({ min: 1, max: 150 }), value: fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 24 }).map((eighths) => eighths / 8) }, { weight: 1, arbitrary: fc.constant(NaN) }), delay_ms: fc.integer({ min: 0, max: 119_000 }), rain: fc.boolean() });

test.each([
  ['one series', HYSTERESIS],
  ['rates', 'watch: {observe: level, at: river_gauge}\nwhen: level.rise("5m") > m(1) || level.max("2m") > m(2.5)\nfor: 1m\nclear_for: 90s'],
  ['two series', 'watch: {observe: level, at: river_gauge, with: {rain: rain}}\nwhen: level.now() > m(1.5) && rain.mean("4m") > mm(1)\nfor: 2m\nclear: level.now() < m(1)\nclear_for: 2m'],
])('the state after any readings is the same in any order of arrival within the lateness (%s)', (_name, body) => {
  const rule = ruleOf(body);
  fc.assert(
    fc.property(fc.array(sample, { minLength: 2, maxLength: 80, size: 'max' }), (list) => {
      let atMs = START_MS;
      const readings = list.map(({ gap_s, value, delay_ms, rain }) => {
        atMs += gap_s * 1_000;
        return { name: rain && rule.companions.length > 0 ? 'rain' : 'level', atMs, value, arrivalMs: atMs + delay_ms };
      });
      const inOrder = rigOf(rule);
      for (const { name, atMs: at, value } of readings) inOrder.send(name, at, value);
      const shuffled = rigOf(rule);
      for (const { name, atMs: at, value, arrivalMs } of [...readings].sort((a, b) => a.arrivalMs - b.arrivalMs)) shuffled.send(name, at, value, arrivalMs);
      const { state, ...times } = shuffled.watch.moment;
      const expected = inOrder.watch.moment;
      expect(state).toBe(expected.state);
      if (state === 'pending' || state === 'clearing') expect(times.dwellMs).toBe(expected.dwellMs);
      if (inOrder.watch.stands) expect(times.sinceMs).toBe(expected.sinceMs);
    }),
    { numRuns: 300 },
  );
});

test('a noisy curve around the limit makes few warnings a day, thanks to the two limits', () => {
  const rig = rigOf(ruleOf(HYSTERESIS));
  let seed = 7;
  const noise = (): number => ((seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648 - 0.5) * 1.2;
  let raised = 0;
  let crossings = 0;
  let before = 0;
  for (let minute = 0; minute < 1_440; minute += 1) {
    const value = 1.6 + 0.6 * Math.sin((minute / 1_440) * 2 * Math.PI) + noise();
    if (before <= 2 !== value <= 2) crossings += 1;
    before = value;
    rig.send('level', START_MS + minute * MINUTE_MS, value);
    raised += rig.watch.takeMoves().filter(({ from, to }) => from === 'pending' && to === 'warning').length;
  }
  expect(crossings).toBeGreaterThan(300);
  expect(raised).toBeGreaterThan(0);
  expect(raised).toBeLessThanOrEqual(4);
});
