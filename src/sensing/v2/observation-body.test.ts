import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refused } from '../../kernel/index.ts';
import { readObservation } from './observation-body.ts';
import { readEntityId, readReference } from './reference.ts';
import { timeObjectOf, timeTextOf } from './time.ts';

const instant = fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true }).map((date) => date.toISOString());
const fieldOf = (body: unknown): string | undefined => {
  try {
    readObservation(body);
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.refusals[0].field;
    throw error;
  }
};

test('times are the same in both forms, there and back', () => {
  fc.assert(
    fc.property(instant, fc.option(instant, { nil: undefined }), (start, end) => {
      const object = end === undefined ? { start } : { start, end };
      expect(timeObjectOf(String(timeTextOf(object, 'phenomenonTime')))).toEqual(object);
    }),
  );
});

describe('a reference', () => {
  test.each([
    ['Things(1)', 'Things', 1],
    ["Things('1')", 'Things', 1],
    ['http://city.test/v2.0/Datastreams(12)', 'Datastreams', 12],
    ['../../FeatureTypes(2)', 'FeatureTypes', 2],
  ])('%s names %s %i', (text, set, id) => {
    expect(readEntityId(text)).toEqual({ set, id });
  });
  test.each(['Things', 'Things(0)', 'Things(-1)', 'Things(1)/name', 'Things(1)?x', "Things('1)", 'Things(1234567890123456)', ''])('%s names nothing', (text) => {
    expect(readEntityId(text)).toBeNull();
  });
  test.each([
    [{ '@id': 'Things(1)' }, 1],
    [{ id: 1 }, 1],
    [{ id: '1', '@id': 'Things(2)' }, 2],
    [{ '@id': 'Sensors(1)' }, null],
    [{ '@id': 5 }, null],
    [{ id: 'x' }, null],
    [{ id: 1, name: 'New' }, undefined],
    [{}, undefined],
  ])('%j to a Thing is %s', (body, id) => {
    expect(readReference(body, 'Things')).toBe(id);
  });
});

describe('an observation', () => {
  test('becomes what 1.1 takes', () => {
    const result = { any: 'JSON' };
    expect(readObservation({ id: 5, '@id': 'Observations(5)', '@context': 'x', 'Datastream@navigationLink': 'y', result, phenomenonTime: { start: 'a', end: 'b' }, validTime: { start: 'c', end: 'd' }, resultTime: 'e', properties: { depth: 1 }, Datastream: { id: 1 }, ProximateFeatureOfInterest: { '@id': 'Features(2)' } })).toEqual({ result, phenomenonTime: 'a/b', validTime: 'c/d', resultTime: 'e', parameters: { depth: 1 }, Datastream: { '@iot.id': 1 }, FeatureOfInterest: { '@iot.id': 2 } });
  });
  test.each([
    [{ phenomenonTime: {} }, 'phenomenonTime.start'],
    [{ phenomenonTime: { start: 'a', end: 5 } }, 'phenomenonTime.end'],
    [{ phenomenonTime: { start: 'a', stop: 'b' } }, 'phenomenonTime.stop'],
    [{ Datastream: 5 }, 'Datastream'],
    [{ Datastream: { '@iot.id': 5 } }, 'Datastream'],
    [{ parameters: {} }, 'parameters'],
    [{ MultiDatastream: { id: 1 } }, 'MultiDatastream'],
  ])('%j is refused at %s', (body, field) => {
    expect(fieldOf(body)).toBe(field);
  });
  test('of any JSON is refused or passed on', () => {
    fc.assert(fc.property(fc.jsonValue(), (body) => void fieldOf(body)));
  });
});
