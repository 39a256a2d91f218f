import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseDurationMs, printDuration } from './durations.ts';
import { loadRules } from './rule.ts';

const GOOD = `- rule: river-high
  title: High water
  why: At 2.50 m the river reaches the lowest quay.
  owner: Office of water
  purpose: water-safety
  watch: {observe: level, at: river_gauge}
  when: level.now() > m(2.50)
  severity: extreme
`;
const purposes = { get: (id: string) => (id === 'water-safety' ? {} : undefined), live: () => true };
const load = (yaml: string) => loadRules(yaml, purposes);
const edit = (from: string | RegExp, to: string): string => {
  const changed = GOOD.replace(from, to);
  expect(changed).not.toBe(GOOD);
  return changed;
};

test('a rule of the least size loads with its defaults', () => {
  const { rules, faults } = load(GOOD);
  expect(faults).toEqual([]);
  expect(rules[0]?.document).toMatchObject({ for: 0, clear_for: 0, quality: { valid: 0.75 }, group: { by: 'place' }, inhibited_by: [], playbook: null, message: null, tests: [] });
  expect(rules[0]?.sentence).toBe('Raise EXTREME at a river gauge when Level is above 2.5 m; clear when that no longer holds; unknown while fewer than 75% of the readings are valid or none come.');
});

test('a full rule is printed as one plain sentence', () => {
  const { rules, faults } = load(`${edit('{observe: level, at: river_gauge}', '{observe: level, at: river_gauge, with: {rain: nearest(rain)}}').replace('m(2.50)', 'm(2.50) && (rain.mean("3h") >= mm(10) || !(level.rise("1h") < m(-0.1)))')}  for: 2m\n  clear: level.max("15m") < m(2.30)\n  clear_for: 1h30m\n  quality: {valid: 90%}\n`);
  expect(faults).toEqual([]);
  expect(rules[0]?.sentence).toBe('Raise EXTREME at a river gauge when Level is above 2.5 m and (the mean of the nearest Rain over 3 h is at or above 10 mm or it is not so that the rise of Level in 1 h is below -0.1 m), for 2 min without a break; clear when the greatest Level in 15 min is below 2.3 m for 1 h 30 min; unknown while fewer than 90% of the readings are valid or none come.');
});

test.each<[string, string, string, number, RegExp]>([
  ['an unknown key', edit('severity:', 'serverity:'), 'serverity', 8, /Did you mean severity\?/],
  ['an unknown key of watch', edit('at:', 'att: x, at:'), 'watch.att', 6, /Did you mean at\?/],
  ['a missing owner', edit(/ {2}owner.*\n/, ''), 'owner', 1, /missing.*office/],
  ['a missing reason', edit(/ {2}why.*\n/, ''), 'why', 1, /missing/],
  ['a purpose that is not in the register', edit('water-safety', 'crowd-control'), 'purpose', 5, /not in the register/],
  ['an unknown severity', edit('extreme', 'major'), 'severity', 8, /minor, moderate, severe, extreme/],
  ['no trigger', edit(/ {2}when.*\n/, ''), '', 1, /no trigger/],
  ['two triggers', `${GOOD}  silent: 10m\n`, 'silent', 9, /two triggers/],
  ['a trigger that is not built', edit(/when:.*/, 'cluster: {of: lamp_outage, count: 5, radius: 300 m, within: 24h}'), 'cluster', 7, /cluster is not built yet/],
  ['the other trigger that is not built', edit(/when:.*/, 'missing: {after: a, expect: b, within: 1h}'), 'missing', 7, /missing is not built yet/],
  ['a duration without unit', `${GOOD}  for: 10\n`, 'for', 9, /10m/],
  ['a duration in words', `${GOOD}  for: ten minutes\n`, 'for', 9, /"ten minutes" is not a duration/],
  ['a share that is no percentage', `${GOOD}  quality: {valid: 0.75}\n`, 'quality.valid', 9, /75%/],
  ['a share above the whole', `${GOOD}  quality: {valid: 175%}\n`, 'quality.valid', 9, /75%/],
  ['an id with capitals', edit('river-high', 'RiverHigh'), 'rule', 1, /small letters/],
  ['an unknown unit', edit('observe: level', 'observe: turbidity'), 'watch.observe', 6, /watch\.unit/],
  ['a unit that contradicts the property', edit('observe: level', 'observe: level, unit: mm'), 'watch.unit', 6, /Leave watch\.unit out/],
  ['a unit that nobody knows', edit('observe: level', 'observe: turbidity, unit: NTU'), 'watch.unit', 6, /Use one of/],
  ['a companion of unknown unit', edit('river_gauge}', 'river_gauge, with: {x: turbidity}}'), 'watch.with.x', 6, /not known/],
  ['a companion with the name of the watched', edit('river_gauge}', 'river_gauge, with: {level: rain}}'), 'watch.with.level', 6, /another name/],
  ['a companion that is no property', edit('river_gauge}', 'river_gauge, with: {rain: "near(rain)"}}'), 'watch.with.rain', 6, /nearest\(rain\)/],
  ['inhibition by a rule that is not there', `${GOOD}  inhibited_by: [planned-work]\n`, 'inhibited_by', 9, /no other rule planned-work/],
  ['a group that is not built', `${GOOD}  group: {by: feeder_cabinet}\n`, 'group.by', 9, /Only `place`/],
  ['a wrong condition', edit('m(2.50)', '2.50'), 'when', 7, /Column 13 of when: a number without a unit.*\n.*\n {12}\^/],
  ['a wrong clearing condition', `${GOOD}  clear: level.now() < mm(2)\n`, 'clear', 9, /Column 13 of clear: m cannot be compared with mm/],
  ['clear beside silent', `${edit(/when:.*/, 'silent: 10m')}  clear: level.now() < m(2)\n`, 'clear', 9, /Leave clear out/],
  ['for beside silent', `${edit(/when:.*/, 'silent: 10m')}  for: 5m\n`, 'for', 9, /lengthen silent/],
  ['a silence that is too short', edit(/when:.*/, 'silent: 1s'), 'silent', 7, /At least 10s/],
  ['a case that fails', `${GOOD}  tests:\n    - given: {level: {0m: 3}}\n      expect: {0m: ok}\n`, 'tests.0', 10, /is warning; the case expects ok/],
  ['a case about another series', `${GOOD}  tests:\n    - given: {rain: {0m: 3}}\n      expect: {0m: ok}\n`, 'tests.0', 10, /does not look at/],
  ['a case with a wrong time', `${GOOD}  tests:\n    - given: {level: {noon: 3}}\n      expect: {0m: ok}\n`, 'tests.0.given.level.noon', 10, /./],
  ['the same id twice', GOOD + GOOD, 'rule', 9, /called river-high already/],
  ['a key twice', `${GOOD}  severity: minor\n`, '', 9, /YAML/],
  ['text that is no YAML', `${GOOD}  for: [1, 2\n`, '', 9, /YAML/],
  ['a document that is no list', 'hello', '', 1, /no list of rules/],
  ['a rule that is no map', '- hello', '', 1, /not valid/],
])('%s is refused with its line and a cure', (_what, yaml, key, line, cure) => {
  const { faults } = load(yaml);
  const fault = faults.find((each) => each.key === key);
  expect(fault, JSON.stringify(faults)).toBeDefined();
  expect(fault?.detail).toMatch(cure);
  expect(Math.abs((fault?.line ?? 0) - line), `line ${String(fault?.line)} for ${String(line)}`).toBeLessThanOrEqual(key === '' ? 1 : 0);
});

test('one wrong rule does not hide the faults of another', () => {
  const { rules, faults } = load(`${edit('extreme', 'major')}${GOOD.replace('river-high', 'river-low').replace('water-safety', 'nothing')}${GOOD.replace('river-high', 'river-fine')}`);
  expect(faults.map((fault) => [fault.rule, fault.key, fault.line])).toEqual([['river-high', 'severity', 8], ['river-low', 'purpose', 13]]);
  expect(rules.map((rule) => rule.id)).toEqual(['river-fine']);
});

test('the eight rules of the demo city load, and their own cases pass', () => {
  const { rules, faults } = loadRules(readFileSync(new URL('../../demo/city/rules.yaml', import.meta.url), 'utf8'), { get: () => ({}), live: () => true });
  expect(faults).toEqual([]);
  expect(rules.length).toBe(8);
  for (const rule of rules) expect(rule.document.tests.length, rule.id).toBeGreaterThan(0);
});

test('durations read what people write and print what people read', () => {
  expect(['30s', '10m', '1h', '2d', '1h30m'].map(parseDurationMs)).toEqual([30_000, 600_000, 3_600_000, 172_800_000, 5_400_000]);
  for (const wrong of ['', '10', '10 m', 'm', '-5m', '1.5h', '30m1h', '1w']) expect(parseDurationMs(wrong), wrong).toBeNull();
  expect([0, 45_000, 612_000, 5_400_000, 90_061_000].map(printDuration)).toEqual(['0 s', '45 s', '10 min 12 s', '1 h 30 min', '1 d 1 h']);
});
