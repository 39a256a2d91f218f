import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columnsOf, contentOf, indentJson, lineOf, parseAnswer, propertiesOf, relatedOf, valueText, type Entity } from './answer.ts';
import { spotsOf } from './geometry.ts';
import { readLine, type RequestLine } from './request-line.ts';
import { endOf, streamOf, unitOf } from './series.ts';
import { readShapes, shapeAt } from './shapes.ts';

const THING: Entity = { '@iot.id': 7, '@iot.selfLink': 'http://c/v1.1/Things(7)', name: 'Gauge', properties: { kind: 'river_gauge' }, 'Datastreams@iot.navigationLink': 'http://c/v1.1/Things(7)/Datastreams', Locations: [{ '@iot.id': 3, '@iot.selfLink': 'http://c/v1.1/Locations(3)', name: 'Bridge', location: { type: 'LineString', coordinates: [[11, 48], [12, 49]] } }] };
const at = (text: string): RequestLine => readLine(text) as RequestLine;

describe('an answer', () => {
  it('of 1.1 and of 2.0 is read alike', () => {
    expect(contentOf({ '@iot.count': 3, '@iot.nextLink': 'http://c/v1.1/Things?$skiptoken=x', value: [{ name: 'a' }] })).toEqual({ kind: 'set', rows: [{ name: 'a' }], count: 3, next: at('/v1.1/Things?$skiptoken=x') });
    expect(contentOf({ '@count': 3, '@nextLink': 'http://c/v2.0/Things?$skiptoken=x', value: [{ name: 'a' }] })).toEqual({ kind: 'set', rows: [{ name: 'a' }], count: 3, next: at('/v2.0/Things?$skiptoken=x') });
    expect(contentOf({ name: 'a' })).toEqual({ kind: 'entity', entity: { name: 'a' } });
  });
  it('keeps the digits that a double would lose, and small and false results', () => {
    expect(parseAnswer('{"a":12345678901234567890,"b":1.50,"c":0,"d":false,"e":""}')).toEqual({ a: '12345678901234567890', b: '1.50', c: 0, d: false, e: '' });
  });
  it('shows properties apart from what is related', () => {
    expect(propertiesOf(THING)).toEqual([['name', 'Gauge'], ['properties', { kind: 'river_gauge' }]]);
    expect(columnsOf([{ name: 'a' }, { name: 'b', result: 0 }])).toEqual(['name', 'result']);
    expect(relatedOf(THING, at('/v1.1/Things(7)')).map(({ name, line, expanded }) => [name, line?.path, expanded?.length])).toEqual([
      ['Datastreams', '/v1.1/Things(7)/Datastreams', undefined],
      ['Locations', '/v1.1/Things(7)/Locations', 1],
    ]);
  });
  it('leads to its entities, also where $select left the link out', () => {
    expect(lineOf(THING, at('/v1.1/Things'))).toEqual(at('/v1.1/Things(7)'));
    expect(lineOf({ '@iot.id': 7 }, at('/v1.1/Things?$select=id'))).toEqual(at('/v1.1/Things(7)'));
    expect(lineOf({ id: 'a b' }, at('/v2.0/Things'))).toEqual({ path: "/v2.0/Things('a b')", options: [] });
    expect(lineOf({ name: 'x' }, at('/v1.1/Things'))).toBeNull();
  });
  it('has places, also in what was expanded', () => {
    expect(spotsOf([THING], at('/v1.1/Things'))).toEqual([{ point: [11.5, 48.5], name: 'Gauge', line: at('/v1.1/Things(7)') }]);
    expect(spotsOf([{ location: { type: 'Point', coordinates: ['x', null] } }, { location: 'no geometry' }], at('/v1.1/Locations'))).toEqual([]);
  });
  it.each([
    [null, '—'],
    [0, '0'],
    [false, 'false'],
    ['', ''],
    [{ kind: 'a', n: 1 }, 'kind: a, n: 1'],
    [[1, [2]], '[1,[2]]'],
    ['x'.repeat(30), 'xxxxxxxxx…'],
  ])('writes %j in a cell', (value, text) => {
    expect(valueText(value, 10 + (text.includes('kind') ? 10 : 0))).toBe(text);
  });
  it('is indented without changing what it says', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(JSON.parse(indentJson(text))).toEqual(JSON.parse(text));
      }),
    );
    expect(indentJson('{"a":1.50,"b":[],"c":{"d":"{,}"}}')).toBe('{\n  "a": 1.50,\n  "b": [],\n  "c": {\n    "d": "{,}"\n  }\n}');
  });
});

describe('a chart', () => {
  it('is about a Datastream or its Observations, wherever the path came from', () => {
    expect(streamOf(at('/v1.1/Things(1)/Datastreams(5)'))).toEqual({ id: '5', line: at('/v1.1/Things(1)/Datastreams(5)') });
    expect(streamOf(at('/v1.1/Datastreams(5)/Observations?$top=3'))).toEqual({ id: '5', line: at('/v1.1/Datastreams(5)') });
    for (const other of ['/v1.1/Datastreams', '/v1.1/Datastreams(5)/Thing', '/v1.1/MultiDatastreams(5)', '/v1.1/Things(5)']) expect(streamOf(at(other)), other).toBeNull();
  });
  it('ends with the newest observation, and now when there is none', () => {
    expect(endOf({ phenomenonTime: '2026-11-01T00:00:00Z/2026-11-02T00:00:00Z' }, 5)).toBe(Date.parse('2026-11-02T00:00:00Z') + 1);
    expect(endOf({ phenomenonTime: { start: '2026-11-01T00:00:00Z', end: '2026-11-02T00:00:00Z' } }, 5)).toBe(Date.parse('2026-11-02T00:00:00Z') + 1);
    expect(endOf({ phenomenonTime: { start: '2026-11-01T00:00:00Z' } }, 5)).toBe(Date.parse('2026-11-01T00:00:00Z') + 1);
    expect(endOf({ phenomenonTime: null }, 5)).toBe(5);
  });
  it('has the unit of either version', () => {
    expect([unitOf({ unitOfMeasurement: { name: 'metre', symbol: 'm' } }), unitOf({ unitOfMeasurement: { name: 'metre', symbol: null } }), unitOf({ resultType: { uom: { symbol: 'ug/m3' } } }), unitOf({})]).toEqual(['m', 'metre', 'ug/m3', '']);
  });
});

describe('the shapes of an OpenAPI document', () => {
  const one = { $ref: '#/components/schemas/Thing' };
  const shapes = readShapes({
    components: {
      schemas: {
        Thing: { 'x-entity-set': 'Things', properties: { '@iot.id': { type: 'integer' }, name: { type: 'string' }, Datastreams: { items: { $ref: '#/components/schemas/Datastream' } } } },
        Datastream: { 'x-entity-set': 'Datastreams', properties: { time: { type: ['string', 'null'], format: 'date-time' }, Thing: { anyOf: [one, { type: 'null' }] } } },
        Error: { properties: { code: { type: 'integer' } } },
      },
    },
  });
  it('are entities with properties and relations', () => {
    expect(shapes).toEqual([
      { name: 'Thing', set: 'Things', properties: [{ name: 'name', type: 'text' }], relations: [{ name: 'Datastreams', target: 'Datastream', many: true }] },
      { name: 'Datastream', set: 'Datastreams', properties: [{ name: 'time', type: 'time' }], relations: [{ name: 'Thing', target: 'Thing', many: false }] },
    ]);
  });
  it.each([
    ['/v1.1/Things', 'Thing', true],
    ['/v1.1/Things(1)', 'Thing', false],
    ['/v1.1/Things(1)/Datastreams', 'Datastream', true],
    ['/v1.1/Things(1)/Datastreams(2)/Thing', 'Thing', false],
    ['/v1.1/Things(1)/name', undefined, undefined],
    ['/v1.1/Nothings', undefined, undefined],
  ])('say what stands at %s', (path, name, many) => {
    const found = shapeAt(at(path), shapes);
    expect([found?.shape.name, found?.many]).toEqual([name, many]);
  });
});
