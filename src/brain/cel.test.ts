import { celEnv, isCelError, parse as parseOther, plan } from '@bufbuild/cel';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileCondition, evaluatePlain, printCaret, type Condition } from './cel.ts';
import { NUMBER, unitOfProperty, type Unit } from './units.ts';
import { type SeriesFunction } from './windows.ts';

const unit = (property: string): Unit => unitOfProperty(property) ?? NUMBER;
const SERIES: ReadonlyMap<string, Unit> = new Map(['level', 'rain', 'pm25', 'speed', 'occupancy', 'lamp_state', 'temperature', 'noise', 'flow'].map((name) => [name, unit(name)]));
type Values = Partial<Record<string, Partial<Record<SeriesFunction, number>>>>;

function compile(text: string): Condition {
  const compiled = compileCondition(text, SERIES);
  if (!compiled.ok) throw new Error(`${compiled.problem.message}\n${printCaret(text, compiled.problem.start)}`);
  return compiled.condition;
}
const evaluate = (text: string, values: Values): boolean | null => {
  const condition = compile(text);
  return condition.evaluate(condition.bind(Object.fromEntries([...SERIES.keys()].map((name) => [name, (fn: SeriesFunction) => values[name]?.[fn] ?? NaN]))));
};

test.each<[string, Values, boolean | null]>([
  ['level.rise("1h") > m(0.30)', { level: { rise: 0.31 } }, true],
  ['level.rise("1h") > m(0.30)', { level: { rise: 0.3 } }, false],
  ['level.now() > m(1) && rain.now() >= mm(10)', { level: { now: 2 }, rain: { now: 10 } }, true],
  ['speed.mean("15m") < 0.5 * speed.max("1h")', { speed: { mean: 20, max: 50 } }, true],
  ['3 * level.now() > m(6)', { level: { now: 2.1 } }, true],
  ['level.now() * 3 > m(6)', { level: { now: 1.9 } }, false],
  ['level.now() / 2 > m(1)', { level: { now: 2.1 } }, true],
  ['speed.now() / speed.mean("1h") < 0.5', { speed: { now: 10, mean: 40 } }, true],
  ['speed.now() / speed.mean("1h") < 1', { speed: { now: 10, mean: 40 } }, true],
  ['level.now() - level.min("1h") > m(0.5)', { level: { now: 2, min: 1 } }, true],
  ['-level.now() > m(-1)', { level: { now: 0.5 } }, true],
  ['lamp_state.now() == 0', { lamp_state: { now: 0 } }, true],
  ['lamp_state.now() != 1', { lamp_state: { now: 0 } }, true],
  ['lamp_state.now() == 0.0', { lamp_state: { now: 1 } }, false],
  ['temperature.now() < celsius(-5) || temperature.now() > celsius(35)', { temperature: { now: -6 } }, true],
  ['noise.mean("15m") >= db(75)', { noise: { mean: 75 } }, true],
  ['flow.now() > per_hour(60)', { flow: { now: 61 } }, true],
  ['occupancy.now() >= percent(97)', { occupancy: { now: 96.9 } }, false],
  ['!(level.now() > m(1))', { level: { now: 0.5 } }, true],
  ['level.now() > (rain.now() > mm(5) ? m(1) : m(2))', { level: { now: 1.5 }, rain: { now: 6 } }, true],
  ['[level.now(), level.mean("5m")].exists(x, x > m(1))', { level: { now: 0, mean: 2 } }, true],
  ['[level.now(), level.mean("5m")].all(x, x > m(1))', { level: { now: 0, mean: 2 } }, false],
  ['lamp_state.now() in [0.0, 2.0]', { lamp_state: { now: 2 } }, true],
  ['level.age() > duration("5m")', { level: { age: 301 } }, true],
  ['duration("5m") <= level.age()', { level: { age: 299 } }, false],
  ['level.now() > m(1) && rain.now() > mm(1)', { level: { now: 0 } }, false],
  ['level.now() > m(1) || rain.now() > mm(1)', { level: { now: 2 } }, true],
  ['level.now() > m(1) && rain.now() > mm(1)', { level: { now: 2 } }, null],
  ['level.now() > m(1)', {}, null],
])('%s of %j is %s', (text, values, expected) => {
  expect(evaluate(text, values)).toBe(expected);
});

/** Each with the place of the fault (what stands there) and a word of the cure. */
const BROKEN: readonly (readonly [text: string, at: string, cure: RegExp])[] = [
  // typos
  ['levle.now() > m(1)', 'levle', /Did you mean level\?/],
  ['level.nwo() > m(1)', 'nwo', /Did you mean now\(\)\?/],
  ['level.meen("15m") > m(1)', 'meen', /Did you mean mean\(\)\?/],
  ['level.now() > mn(1)', 'mn(1)', /Did you mean m/],
  ['level.now() > meters(1)', 'meters', /Units are m\(\)/],
  ['Level.now() > m(1)', 'Level', /Did you mean level\?/],
  ['level.now() > m(1) && rian.now() > mm(1)', 'rian', /Did you mean rain\?/],
  ['LEVEL > m(1)', 'LEVEL', /watches level/],
  // units
  ['level.rise("1h") > mm(300)', '> mm(300)', /m\(…\)/],
  ['pm25.mean("15m") > db(50)', '> db', /ug_m3\(…\)/],
  ['level.now() > m(1) && rain.now() > m(0.01)', '> m(0.01)', /mm\(…\)/],
  ['level.now() + rain.now() > m(1)', '+ rain', /m\(…\)/],
  ['level.now() - mm(3) > m(1)', '- mm(3)', /m\(…\)/],
  ['occupancy.now() == celsius(3)', '== celsius', /percent\(…\)/],
  ['speed.now() * speed.now() > kmh(3)', '* speed', /kmh/],
  ['level.now() > speed.now()', '> speed', /m\(…\)|kmh\(…\)/],
  ['lamp_state.now() == m(0)', '== m(0)', /unit/],
  ['level.now() in [mm(1), mm(2)]', 'in [', /./],
  // no unit
  ['level.now() > 1', '> 1', /m\(…\)/],
  ['pm25.mean("15m") > 50.0', '> 50.0', /ug_m3\(…\)/],
  ['50 < pm25.mean("15m")', '< pm25', /ug_m3\(…\)/],
  ['level.now() + 1 > m(1)', '+ 1', /m\(…\)/],
  ['level.now() == "1 m"', '== "1 m"', /m\(…\)/],
  ['level.age() > 300', '> 300', /duration/],
  // no condition
  ['level.now()', 'level', /Compare/],
  ['level.now() + m(1)', 'level', /Compare/],
  ['level.now() > m(1) ? m(1) : m(2)', 'level', /Compare/],
  ['true', 'true', /level\.now\(\)/],
  ['m(1) < m(2)', 'm(1)', /level\.now\(\)/],
  ['level > m(1)', '> m(1)', /level\.now\(\)/],
  ['level.now() && true', '&&', /Compare/],
  ['!level.now()', '!', /./],
  ['level.now() > m(1) ? true : 1', 'level', /./],
  // windows
  ['level.mean() > m(1)', 'mean', /"15m"/],
  ['level.mean(15) > m(1)', '15)', /"15m"/],
  ['level.mean("15") > m(1)', '"15"', /"15m"/],
  ['level.mean("fifteen minutes") > m(1)', '"fifteen', /"15m"/],
  ['level.mean("0m") > m(1)', '"0m"', /at least 1s/],
  ['level.mean("25h") > m(1)', '"25h"', /at most 24h/],
  ['level.mean("1h", "2h") > m(1)', 'mean', /"15m"/],
  ['level.now("5m") > m(1)', '"5m"', /level\.now\(\)/],
  ['level.mean("1" + "h") > m(1)', '+ "h"', /"15m"/],
  ['level.age() > duration("soon")', 'duration', /duration\("10m"\)/],
  // persons, and things that are not there
  ['person.name == "Smith"', 'person', /persons do not exist/],
  ['plate.now() == "B-AB 123"', 'plate', /persons do not exist/],
  ['level.owner == "x"', 'level.owner', /functions/],
  ['has(level.now)', 'has', /quality/],
  ['inside(area)', 'inside', /now\(\)/],
  // later
  ['speed.mean("15m") < 0.5 * speed.usual()', 'usual', /now\(\)/],
  ['speed.surprise() > 0.99', 'surprise', /now\(\)/],
  ['rain.forecast("3h") >= mm(10)', 'forecast', /now\(\)/],
  ['occupancy.now() > percent(97) && events_nearby("500m", "2h") > 0', 'events_nearby', /now\(\)/],
  ['near("school", "500m")', 'near', /now\(\)/],
  // syntax and what the profile leaves out
  ['level.now() >', '', /place shown/],
  ['level.now() > m(1', '', /place shown/],
  ['level.now() = m(1)', '= m(1)', /==/],
  ['level.now() > m(1) and rain.now() > mm(1)', 'and', /place shown/],
  ['level.mean(“15m”) > m(1)', '“', /quotes/],
  ['', '', /place shown/],
  ['level.now() % 2 > m(1)', '% 2', /docs\/reference/],
  ['{"a": 1}.a == 1', '{"a"', /./],
  ['[1, 2][0] == 1 && level.now() > m(1)', '', /docs\/reference/],
  ['[level.now()].map(x, x) == [m(1)]', 'map', /now\(\)/],
  ['"abc".matches("a+") && level.now() > m(1)', 'matches', /now\(\)/],
  ['level.now() > m(1/2)', '/2', /1\.0 \/ 2/],
  ['level.now() > m((1 + 1) / 2)', '/ 2', /1\.0 \/ 2/],
  ['level.now() > m("1")', 'm("1")', /m\(10\)/],
  ['size([1]) == 1 && level.now() > m(1)', 'size', /Units/],
  ['dyn(level.now()) > 1', 'dyn', /Units/],
  [`level.now() > m(1)${' || level.now() > m(1)'.repeat(60)}`, 'level', /Split/],
];

test.each(BROKEN)('%s is refused at its place with a cure', (text, at, cure) => {
  const compiled = compileCondition(text, SERIES);
  expect(compiled.ok).toBe(false);
  if (compiled.ok) return;
  const { start, message, cure: advice } = compiled.problem;
  expect(message.length).toBeGreaterThan(8);
  expect(advice).toMatch(cure);
  if (text.length <= 1_000) expect(text.slice(start).startsWith(at), `${printCaret(text, start)} points at ${at}`).toBe(true);
});

test('text of any kind is compiled or refused, and never throws', () => {
  const piece = fc.constantFrom('level', 'rain', '.now()', '.mean("15m")', '.mean(', 'm(1)', 'mm(2.5)', '>', '<', '==', '&&', '||', '!', '(', ')', '[', ']', '1', '"x"', '+', '-', '*', '/', '?', ':', 'in', ',', ' ', '.', 'exists(x, x > m(1))', '\n', 'é', '9999999999999999999');
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 60 }), fc.array(piece, { maxLength: 14 }).map((list) => list.join(''))), (text) => {
      const compiled = compileCondition(text, SERIES);
      if (!compiled.ok) expect(compiled.problem.start).toBeLessThanOrEqual(text.length);
    }),
    { numRuns: 2_000 },
  );
});

// --- the second opinion: conditions without series functions, in both libraries

const number = fc.oneof(fc.integer({ min: -20, max: 20 }).map(String), fc.integer({ min: -160, max: 160 }).map((eighths) => (eighths / 8).toFixed(3)), fc.constantFrom('x', 'y'));
const arithmetic = fc.letrec<{ term: string; bool: string }>((tie) => ({
  term: fc.oneof({ maxDepth: 3, depthIdentifier: 'term' }, number.filter((text) => text.includes('.') || text === 'x' || text === 'y'), fc.tuple(tie('term'), fc.constantFrom('+', '-', '*'), tie('term')).map(([a, op, b]) => `(${a} ${op} ${b})`), fc.tuple(tie('bool'), tie('term'), tie('term')).map(([c, a, b]) => `(${c} ? ${a} : ${b})`)),
  bool: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'bool' },
    fc.tuple(tie('term'), fc.constantFrom('<', '<=', '>', '>=', '==', '!='), tie('term')).map(([a, op, b]) => `${a} ${op} ${b}`),
    fc.constantFrom('flag', 'true', 'false'),
    fc.tuple(tie('bool'), fc.constantFrom('&&', '||'), tie('bool')).map(([a, op, b]) => `(${a} ${op} ${b})`),
    tie('bool').map((of) => `!(${of})`),
    fc.tuple(fc.array(tie('term'), { minLength: 1, maxLength: 3 }), fc.constantFrom('exists', 'all'), fc.constantFrom('<', '>')).map(([list, macro, op]) => `[${list.join(', ')}].${macro}(e, e ${op} x)`),
    fc.tuple(fc.constantFrom('x', 'y'), fc.array(fc.constantFrom('1.0', '2.5', 'y'), { minLength: 1, maxLength: 3 })).map(([a, list]) => `${a} in [${list.join(', ')}]`),
  ),
})).bool.filter((text) => text.length <= 300); // well inside the limit on nodes

test('conditions of the city profile give the same in both CEL libraries', () => {
  const other = celEnv();
  fc.assert(
    fc.property(arithmetic, fc.integer({ min: -80, max: 80 }), fc.integer({ min: -80, max: 80 }), fc.boolean(), (text, x, y, flag) => {
      const values = { x: x / 8, y: y / 8, flag };
      const theirs: unknown = plan(other, parseOther(text))(values);
      expect(isCelError(theirs)).toBe(false);
      expect(evaluatePlain(text, values)).toBe(theirs);
    }),
    { numRuns: 1_000 },
  );
});

test('limits of rules, with their units taken off, give the same in both CEL libraries', () => {
  const strip = (text: string): string => text.replace(/\b(?:m|mm|ug_m3|kmh|percent|per_hour)\(([\d.]+)\)/g, (_all, of: string) => (of.includes('.') ? of : `${of}.0`)).replace(/(\w+)\.(now|mean|min|max|rise)\((?:"\w+")?\)/g, '$1_$2');
  fc.assert(
    fc.property(fc.constantFrom('level.now() > m(2.50)', 'level.rise("1h") > m(0.30) && rain.now() >= mm(10)', 'speed.mean("10m") < kmh(15) && flow.mean("10m") > per_hour(60)', 'pm25.mean("15m") > ug_m3(50) || level.max("1h") < m(0.5)', '!(occupancy.now() >= percent(97))', 'speed.now() < 0.5 * speed.max("1h")'), fc.array(fc.integer({ min: 0, max: 800 }), { minLength: 9, maxLength: 9 }), (text, eighths) => {
      const names = [...SERIES.keys()];
      const values: Values = Object.fromEntries(names.map((name, at) => [name, Object.fromEntries((['now', 'mean', 'min', 'max', 'rise'] as const).map((fn, shift) => [fn, (eighths[(at + shift) % 9] ?? 0) / 8]))]));
      const flat = Object.fromEntries(names.flatMap((name) => Object.entries(values[name] ?? {}).map(([fn, value]) => [`${name}_${fn}`, value])));
      expect(evaluate(text, values)).toBe(plan(celEnv(), parseOther(strip(text)))(flat));
    }),
  );
});
