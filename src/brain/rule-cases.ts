import { parseDurationMs } from './durations.ts';
import { ruleStateOf } from './machine.ts';
import { type Rule } from './rule.ts';
import { type RuleCase, type RuleFault } from './rule-document.ts';
import { type StreamInfo } from '../contracts/reading.ts';
import { ConditionWatch, SilentWatch, type Watch } from './watch.ts';
import { Series } from './windows.ts';

const START_MS = Date.UTC(2026, 0, 1);

/** A fresh state machine for one rule at one place. */
export function startWatch(place: Watch['place'], initial: Watch['moment'] | null, startMs: number): Watch {
  return place.rule.silent_ms === null ? new ConditionWatch(place, initial) : new SilentWatch(place, initial, startMs);
}

/** Runs the cases that a rule brings along, on the code that runs live. Answers what came out otherwise than expected. */
export function runRuleCases(rule: Rule, lineOf: (path: readonly (string | number)[]) => number): RuleFault[] {
  return rule.document.tests.flatMap((each, at) => runCase(rule, each).map((detail) => ({ rule: rule.id, key: `tests.${String(at)}`, line: lineOf(['tests', at]), detail })));
}

function runCase(rule: Rule, given: RuleCase): string[] {
  const names = [rule.document.watch.observe, ...rule.companions.map((each) => each.name)];
  const unknown = Object.keys(given.given).find((name) => !names.includes(name));
  if (unknown !== undefined) return [`The case gives ${unknown}, which the rule does not look at. Give ${names.join(', ')}.`];
  const streams = new Map(names.map((name, at): [string, StreamInfo] => [name, { id: at + 1, name, property: name, unit: '', purpose: rule.document.purpose, interval_s: given.interval / 1_000, thingId: 1, placeName: 'a place', placeKind: rule.document.watch.at, point: [0, 0] }]));
  const series = new Map(names.map((name, at) => [name, new Series(at + 1, given.interval / 1_000)]));
  const watch = startWatch({ rule, version: 0, stream: streams.get(names[0] ?? '') as StreamInfo, streams, series }, null, START_MS);
  const timed = <T>(record: Readonly<Record<string, T>>): { atMs: number; at: string; value: T }[] => Object.entries(record).map(([at, value]) => ({ atMs: START_MS + (parseDurationMs(at) ?? 0), at, value }));
  const readings = Object.entries(given.given)
    .flatMap(([name, values]) => timed(values).map((each) => ({ ...each, name })))
    .sort((a, b) => a.atMs - b.atMs);
  const wrong: string[] = [];
  let next = 0;
  for (const expected of timed(given.expect).sort((a, b) => a.atMs - b.atMs)) {
    for (; next < readings.length && (readings[next]?.atMs ?? Infinity) <= expected.atMs; next += 1) {
      const reading = readings[next];
      if (reading === undefined) break;
      const arrival = series.get(reading.name)?.insert(reading.atMs, reading.value === 'bad' ? NaN : reading.value, reading.atMs) ?? 'gone';
      watch.onReading(reading.atMs, reading.atMs, arrival);
    }
    watch.onClock(expected.atMs);
    const state = ruleStateOf(watch.moment.state);
    if (state !== expected.value) wrong.push(`At ${expected.at} the rule is ${state}; the case expects ${expected.value}. Correct the rule or the case.`);
  }
  return wrong;
}
