import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { both, compare, compareTimes, derived, distanceOf, either, isAmong, isNull, jsonPath, lambda, leaf, literal, negated, path, readWorld, relatesTo, rowsThatHold, SHAPE_NAMES, shapeAt, shapeLiteral, type Condition, type Entity, type Op, type Span, type Term } from '../../../test/filter-oracle.ts';
import { datastream, LEVEL, openSensorThings, SENSOR, type SensorThingsRig } from '../../../test/sensorthings-rig.ts';

/** Questions, and how many are asked at once. */
const TOGETHER = 9;
const RUNS = Number(process.env['ORACLE_RUNS'] ?? 10_000);

let rig: SensorThingsRig;
let world: Map<string, Entity[]>;

const NOW_MS = Date.parse('2026-11-24T06:00:00Z');
const RELATIONS: Readonly<Record<string, readonly string[]>> = {
  Things: ['Datastreams', 'Locations', 'HistoricalLocations'],
  Locations: ['Things', 'HistoricalLocations'],
  HistoricalLocations: ['Thing', 'Locations'],
  Datastreams: ['Thing', 'Sensor', 'ObservedProperty', 'Observations'],
  Sensors: ['Datastreams'],
  ObservedProperties: ['Datastreams'],
  Observations: ['Datastream', 'FeatureOfInterest'],
  FeaturesOfInterest: ['Observations'],
};

const RESULTS = ['0', '1.5', '-3', '2', 'true', 'false', '"text"', '""', 'null', '{"a":{"b":2}}', '[1,2]', '7.5', '1.0', '"7.5"', '-0', '250'];
const NAMES = ['Alpha', ' beta ', "O'Hara", 'alpha', '', 'Straße 7', 'a😀b', 'zeta'];
const PROPERTIES = [{ rank: 0, flag: true, tag: 'x' }, { rank: 1.5, flag: false, tag: '' }, { rank: '1.5', tag: null }, {}, { rank: -3, flag: 'true', tag: 'Alpha' }, { rank: null, deep: { key: 2 } }, { rank: 2, deep: { key: 'k' } }, { rank: [2], flag: null }];
const PLACES = [
  { type: 'Point', coordinates: [1, 1] },
  { type: 'Point', coordinates: [4, 4] },
  { type: 'LineString', coordinates: [[0, 0], [4, 4]] },
  { type: 'Polygon', coordinates: [[[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]] },
  { type: 'MultiPoint', coordinates: [[1, 1], [5, 5]] },
];

beforeAll(async () => {
  rig = await openSensorThings(NOW_MS);
  const sensors: number[] = [];
  for (const name of ['Radar', 'alpha']) sensors.push(await rig.create('/Sensors', { ...SENSOR, name }));
  const observed: number[] = [];
  for (const name of ['Level', 'Straße 7', '']) observed.push(await rig.create('/ObservedProperties', { ...LEVEL, name: name === '' ? 'none' : name }));
  for (const [at, properties] of PROPERTIES.entries()) {
    const place = PLACES[at];
    await rig.create('/Things', {
      name: NAMES[at] === '' ? 'x' : NAMES[at],
      description: NAMES[(at + 3) % NAMES.length],
      properties,
      ...(place === undefined ? {} : { Locations: [{ name: `Place ${String(at)}`, description: '', encodingType: 'application/geo+json', location: place, properties }] }),
      // the last two Things have no Datastream, the others one or two
      Datastreams: at > 5 ? [] : Array.from({ length: 1 + (at % 2) }, (_unused, number) => datastream({ name: NAMES[(at + number) % NAMES.length] === '' ? 'y' : NAMES[(at + number) % NAMES.length], properties: { purpose: 'city-operations', parameters: ['rank', 'flag', 'tag', 'deep'], ...(at === 1 ? { rank: 2 } : {}) }, Sensor: { '@iot.id': sensors[at % 2] }, ObservedProperty: { '@iot.id': observed[at % 3] } })),
    });
  }
  await rig.create('/Locations', { name: 'Somewhere', description: 'text', encodingType: 'text/plain', location: 'behind the station' });
  const streams = await rig.list('/Datastreams?$orderby=id', '@iot.id');
  for (let at = 0; at < 48; at += 1) {
    const startMs = NOW_MS - (at % 12) * 3_600_000 - (at % 5) * 250;
    // the last stream has none
    await rig.create(`/Datastreams(${String(streams[at % (streams.length - 1)])})/Observations`, {
      phenomenonTime: at % 3 === 0 ? `${new Date(startMs - 3_600_000).toISOString()}/${new Date(startMs).toISOString()}` : new Date(startMs).toISOString(),
      ...(at % 4 === 0 ? {} : { resultTime: new Date(startMs + (at % 2) * 60_000).toISOString() }),
      result: JSON.parse(RESULTS[at % RESULTS.length] ?? '0') as unknown,
      ...(at % 6 === 1 ? { parameters: PROPERTIES[at % PROPERTIES.length] } : {}),
      ...(at % 7 === 2 ? { validTime: `${new Date(startMs).toISOString()}/${new Date(startMs + 7_200_000).toISOString()}` } : {}),
    });
  }
  world = await readWorld(rig, RELATIONS);
});

const number = (json: unknown): number | null => (typeof json === 'number' ? json : null);
const text = (json: unknown): string | null => (typeof json === 'string' ? json : null);
const anything = (json: unknown): unknown => json;
function span(json: unknown): Span | null {
  const [start, end] = String(json).split('/').map((part) => Date.parse(part));
  return start === undefined || Number.isNaN(start) ? null : { start, end: end ?? start };
}

interface Paths {
  readonly number: readonly string[];
  readonly text: readonly string[];
  readonly time: readonly string[];
  readonly json: readonly string[];
  readonly shape: readonly string[];
  readonly sets: readonly string[];
}
const PATHS: Readonly<Record<string, Paths>> = {
  Things: { number: ['id', 'Datastreams/id', 'Datastreams/Sensor/id', 'Locations/id'], text: ['name', 'description', 'Datastreams/name', 'Datastreams/ObservedProperty/name'], time: ['HistoricalLocations/time', 'Datastreams/phenomenonTime', 'Datastreams/resultTime', 'Datastreams/Observations/phenomenonTime'], json: ['properties/rank', 'properties/tag', 'properties/deep/key', 'properties/flag', 'Datastreams/Observations/result', 'Datastreams/properties/rank'], shape: ['Locations/location', 'Datastreams/observedArea'], sets: ['Datastreams', 'Locations'] },
  Datastreams: { number: ['id', 'Thing/id', 'Observations/id'], text: ['name', 'Thing/name', 'Thing/description', 'Sensor/name'], time: ['phenomenonTime', 'resultTime', 'Observations/resultTime', 'Observations/validTime'], json: ['properties/rank', 'Observations/result', 'Thing/properties/rank', 'Thing/properties/tag', 'unitOfMeasurement/symbol'], shape: ['Thing/Locations/location', 'observedArea'], sets: ['Observations', 'Thing/Locations'] },
  Observations: { number: ['id', 'Datastream/id', 'FeatureOfInterest/id'], text: ['Datastream/name', 'Datastream/Thing/name', 'FeatureOfInterest/name', 'Datastream/Thing/Locations/name'], time: ['phenomenonTime', 'resultTime', 'validTime', 'Datastream/phenomenonTime'], json: ['result', 'result/a/b', 'parameters/rank', 'parameters/tag', 'Datastream/Thing/properties/rank'], shape: ['FeatureOfInterest/feature', 'Datastream/Thing/Locations/location'], sets: ['Datastream/Thing/Locations', 'Datastream/Observations'] },
  Locations: { number: ['id', 'Things/id'], text: ['name', 'description', 'encodingType', 'Things/name'], time: ['HistoricalLocations/time', 'Things/Datastreams/phenomenonTime'], json: ['properties/rank', 'properties/tag', 'Things/properties/rank', 'location/type'], shape: ['location', 'Things/Datastreams/observedArea'], sets: ['Things', 'HistoricalLocations'] },
  Sensors: { number: ['id', 'Datastreams/id'], text: ['name', 'Datastreams/Thing/name'], time: ['Datastreams/phenomenonTime'], json: ['Datastreams/Thing/properties/rank', 'metadata'], shape: ['Datastreams/Thing/Locations/location'], sets: ['Datastreams'] },
};
const MEMBERS: Readonly<Record<string, string>> = { Datastreams: 'Datastreams', Locations: 'Locations', 'Thing/Locations': 'Locations', 'Datastream/Thing/Locations': 'Locations', Observations: 'Observations', 'Datastream/Observations': 'Observations', Things: 'Things' };

const OPS = fc.constantFrom<Op>('eq', 'ne', 'gt', 'ge', 'lt', 'le');
// halves in a small range: sums, products and remainders of them are the same in every arithmetic
const numbers = fc.integer({ min: -10, max: 20 }).map((half) => literal(String(half / 2), half / 2));
const texts = fc.constantFrom(...NAMES, 'x', 'ha', '%', '_', 'k', 'text', 'ALPHA').map((value) => literal(`'${value.replaceAll("'", "''")}'`, value));
const instants = fc.integer({ min: -13, max: 2 }).map((hours) => {
  const at = NOW_MS + hours * 3_600_000;
  return literal<Span>(new Date(at).toISOString(), { start: at, end: at });
});
const intervals = fc.tuple(fc.integer({ min: -13, max: 2 }), fc.integer({ min: 0, max: 4 })).map(([hours, length]) => {
  const value = { start: NOW_MS + hours * 3_600_000, end: NOW_MS + (hours + length) * 3_600_000 };
  return literal<Span>(`${new Date(value.start).toISOString()}/${new Date(value.end).toISOString()}`, value);
});
const shapes = fc.constantFrom('POINT(1 1)', 'POINT(9 9)', 'LINESTRING(0 4,6 4)', 'POLYGON((0 0,4 0,4 4,0 4,0 0))', 'POLYGON((2 2,6 2,6 6,2 6,2 2))', 'MULTIPOINT(4 4,5 5)').map(shapeLiteral);

const points = (value: string): string[] => [...value];
const call = <T>(name: string, terms: readonly Term<unknown>[], work: (...values: never[]) => T | null): Term<T> => derived(`${name}(${terms.map((term) => term.text).join(',')})`, terms, work);

/** Conditions over one set; inside of a lambda, over its variable. */
function conditionsOf(set: string, variable = '', depth = 0): fc.Arbitrary<Condition> {
  const own = PATHS[set] as Paths;
  const at = <T>(names: readonly string[], read: (json: unknown) => T | null): fc.Arbitrary<Term<T>> => fc.constantFrom(...names).map((name) => path(name, read, variable));
  const jsonAt = <T>(read: (json: unknown) => T | null): fc.Arbitrary<Term<T>> => fc.constantFrom(...own.json).map((name) => jsonPath(name, read, variable));
  const [jsons, times] = [jsonAt(anything), at(own.time, span)];
  const stored = fc.constantFrom(...own.shape).map((name) => shapeAt(name, variable));
  const { condition } = fc.letrec<{ number: Term<number>; text: Term<string>; instant: Term<Span>; condition: Condition }>((tie) => ({
    number: fc.oneof(
      { maxDepth: 2 },
      at(own.number, number),
      jsonAt(number),
      numbers,
      fc.tuple(tie('number'), fc.constantFrom('add', 'sub', 'mul'), tie('number')).map(([a, sign, b]) => derived(`(${a.text} ${sign} ${b.text})`, [a, b], (x: number, y: number) => (sign === 'add' ? x + y : sign === 'sub' ? x - y : x * y))),
      fc.tuple(at([...own.number, ...own.json], number), fc.constantFrom('div', 'mod'), fc.oneof(at([...own.number, ...own.json], number), numbers.filter((term) => term.text !== '0'))).map(([a, sign, b]) => derived(`(${a.text} ${sign} ${b.text})`, [a, b], (x: number, y: number) => (y === 0 ? null : sign === 'div' ? x / y : x % y))),
      tie('number').map((a) => call('round', [a], (x: number) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5))),
      tie('number').map((a) => call('floor', [a], Math.floor)),
      tie('number').map((a) => call('ceiling', [a], Math.ceil)),
      tie('number').map((a) => derived(`(- ${a.text})`, [a], (x: number) => -x)),
      tie('text').map((a) => call('length', [a], (x: string) => points(x).length)),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => call('indexof', [a, b], (x: string, y: string) => (x.includes(y) ? points(x.slice(0, x.indexOf(y))).length : -1))),
      tie('instant').map((a) => call('hour', [a], ({ start }: Span) => new Date(start).getUTCHours())),
      tie('instant').map((a) => call('minute', [a], ({ start }: Span) => new Date(start).getUTCMinutes())),
      tie('instant').map((a) => call('day', [a], ({ start }: Span) => new Date(start).getUTCDate())),
      tie('instant').map((a) => call('fractionalseconds', [a], ({ start }: Span) => (start % 1_000) / 1_000)),
      fc.tuple(stored, shapes).map(([a, b]) => distanceOf(a, b)),
    ),
    text: fc.oneof(
      { maxDepth: 2 },
      at(own.text, text),
      jsonAt(text),
      texts,
      tie('text').map((a) => call('tolower', [a], (x: string) => x.toLowerCase())),
      tie('text').map((a) => call('trim', [a], (x: string) => x.trim())),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => call('concat', [a, b], (x: string, y: string) => x + y)),
      fc.tuple(tie('text'), fc.integer({ min: 0, max: 4 })).map(([a, start]) => call('substring', [a, literal(String(start), start)], (x: string, from: number) => points(x).slice(from).join(''))),
      fc.tuple(tie('text'), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 3 })).map(([a, start, length]) => call('substring', [a, literal(String(start), start), literal(String(length), length)], (x: string, from: number, size: number) => points(x).slice(from, from + size).join(''))),
    ),
    instant: fc.oneof(
      { maxDepth: 1 },
      times,
      instants,
      fc.constant(derived<Span>('now()', [], () => ({ start: NOW_MS, end: NOW_MS }))),
      fc.tuple(times, fc.constantFrom('add', 'sub'), fc.constantFrom<[string, number]>(["duration'PT90M'", 5_400_000], ["duration'P1D'", 86_400_000])).map(([a, sign, [duration, ms]]) => derived(`(${a.text} ${sign} ${duration})`, [a], ({ start }: Span) => ({ start: start + (sign === 'add' ? ms : -ms), end: start + (sign === 'add' ? ms : -ms) }))),
    ),
    condition: fc.oneof(
      { maxDepth: 3 },
      fc.tuple(tie('number'), OPS, tie('number')).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(tie('text'), OPS, tie('text')).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(tie('instant'), OPS, fc.oneof(tie('instant'), intervals)).map(([a, op, b]) => compareTimes(a, op, b)),
      fc.tuple(jsons, OPS, jsons).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(jsons, OPS, fc.oneof(numbers, at(own.number, number))).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(jsons, OPS, fc.oneof(texts, at(own.text, text))).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(jsons, OPS, fc.constantFrom(literal('true', true), literal('false', false))).map(([a, op, b]) => compare(a, op, b)),
      fc.tuple(fc.oneof<fc.Arbitrary<Term<unknown>>[]>(jsons, times, at(own.text, text), at(own.shape, anything)), fc.boolean()).map(([a, wanted]) => isNull(a, wanted)),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => leaf(`substringof(${a.text},${b.text})`, [a, b], (env) => (a.value(env) === null ? null : (b.value(env)?.includes(a.value(env) ?? '') ?? null)))),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => leaf(`startswith(${a.text},${b.text})`, [a, b], (env) => (b.value(env) === null ? null : (a.value(env)?.startsWith(b.value(env) ?? '') ?? null)))),
      fc.tuple(tie('text'), tie('text')).map(([a, b]) => leaf(`endswith(${a.text},${b.text})`, [a, b], (env) => (b.value(env) === null ? null : (a.value(env)?.endsWith(b.value(env) ?? '') ?? null)))),
      fc.tuple(at(own.number, number), fc.array(numbers, { minLength: 1, maxLength: 5 })).map(([a, items]) => isAmong(a, items)),
      fc.tuple(at([...own.text, ...own.json], text), fc.array(texts, { minLength: 1, maxLength: 5 })).map(([a, items]) => isAmong(a, items)),
      fc.tuple(fc.constantFrom(...SHAPE_NAMES), stored, fc.oneof(shapes, stored)).map(([name, a, b]) => relatesTo(name, a, b)),
      fc.tuple(fc.constantFrom(...SHAPE_NAMES), shapes, stored).map(([name, a, b]) => relatesTo(name, a, b)),
      fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => both(a, b)),
      fc.tuple(tie('condition'), tie('condition')).map(([a, b]) => either(a, b)),
      tie('condition').map(negated),
      ...(depth > 1 ? [] : [fc.tuple(fc.constantFrom<'any' | 'all'>('any', 'all'), fc.constantFrom(...own.sets.filter((name) => MEMBERS[name] !== undefined))).chain(([quantifier, name]) => conditionsOf(MEMBERS[name] ?? '', `v${String(depth)}`, depth + 1).map((inner) => lambda(quantifier, name, `v${String(depth)}`, inner, variable)))]),
    ),
  }));
  return condition;
}

describe('a filter by the server and by plain reading in memory', () => {
  const asked = fc.constantFrom(...Object.keys(PATHS)).chain((set) => conditionsOf(set).map((condition) => ({ set, condition })));

  test('finds the same entities, for whatever is asked', async () => {
    const seen = { some: 0, none: 0, all: 0, refused: 0 };
    const check = async ({ set, condition }: { readonly set: string; readonly condition: Condition }): Promise<void> => {
      const answer = await rig.send('GET', `/${set}?$filter=${encodeURIComponent(condition.text)}&$orderby=id&$top=1000&$select=id`);
      // the grammar keeps to what can be answered, but a long expression may pass the limits
      if (answer.status === 400 && /more than 200 parts|nested deeper|longer than/.test(answer.text)) {
        seen.refused += 1;
        return;
      }
      expect(answer.status, `${set}: ${condition.text}: ${answer.text}`).toBe(200);
      const found = (answer.body['value'] as { '@iot.id': number }[]).map((entity) => entity['@iot.id']);
      const wanted = rowsThatHold(world.get(set) ?? [], condition);
      expect(found, `${set}: ${condition.text}`).toEqual(wanted);
      seen[wanted.length === 0 ? 'none' : wanted.length === world.get(set)?.length ? 'all' : 'some'] += 1;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 1, maxLength: TOGETHER, size: 'max' }), async (questions) => {
        await Promise.all(questions.map(check));
      }),
      { numRuns: (RUNS * 2) / (1 + TOGETHER) },
    );
    // questions that everything or nothing meets tell little
    expect(seen.some).toBeGreaterThan(RUNS / 5);
    expect(seen.refused).toBeLessThan(RUNS / 20);
  }, 600_000);
});
