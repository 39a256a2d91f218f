import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packSegment, type Segment, type StoredReading } from './segment.ts';

/** What the view observation_sealed says of a segment (migrations/0062), in this language. */
function unpack(segment: Segment): StoredReading[] {
  const at = ({ two, four, eight }: Segment['starts'], place: number): number | null => (two ?? four ?? eight)?.[place] ?? null;
  return Array.from({ length: segment.rows }, (_, place): StoredReading => {
    const startUs = segment.firstStartUs + place * segment.startStepUs + (at(segment.starts, place) ?? 0) * segment.unitUs;
    const after = (list: Segment['starts']): number | null => (at(list, place) === null ? null : startUs + (at(list, place) ?? 0) * segment.unitUs);
    const quotient = at(segment.quotients, place);
    return {
      id: segment.firstId + place * segment.idStep + (at(segment.ids, place) ?? 0),
      streamId: segment.streamId,
      startUs,
      endUs: after(segment.ends),
      resultUs: after(segment.resultTimes),
      arrivedUs: after(segment.arrivals) ?? NaN,
      number: quotient === null || segment.numberDivisor === null ? (segment.floats?.[place] ?? null) : quotient / segment.numberDivisor,
      text: segment.texts?.[place] ?? null,
      extra: segment.extras?.[place] ?? null,
      valid: segment.valids?.[place] ?? true,
    };
  });
}

const us = fc.oneof(fc.integer({ min: 0, max: 604_800_000 }).map((ms) => ms * 1_000), fc.integer({ min: 0, max: 604_800_000_000 }));
const number = fc.oneof(fc.constant(null), fc.integer({ min: -5_000, max: 5_000 }).map((tenths) => tenths / 10), fc.double({ noNaN: true }), fc.constantFrom(-0, 0, 0.1 + 0.2, 1e21, 5e-324));
const reading = fc.record({ startUs: us, endUs: fc.option(us, { nil: null }), resultUs: fc.option(us, { nil: null }), arrivedUs: us, number, text: fc.option(fc.string({ maxLength: 5 }), { nil: null }), extra: fc.option(fc.constant('{"feature": 7}'), { nil: null }), valid: fc.boolean(), id: fc.integer({ min: 1, max: 2 ** 48 }) });
const likely = fc.record({ startUs: us, endUs: fc.constant(null), resultUs: fc.constant(null), arrivedUs: us, number: fc.integer({ min: 0, max: 400 }).map((tenths) => tenths / 10), text: fc.constant(null), extra: fc.constant(null), valid: fc.constant(true), id: fc.integer({ min: 1, max: 2 ** 48 }) });

test('a segment gives back every bit of what was packed', () => {
  fc.assert(
    fc.property(fc.oneof(fc.array(reading, { minLength: 1, maxLength: 40 }), fc.array(likely, { minLength: 1, maxLength: 40 })), (made) => {
      const readings = made.map((each): StoredReading => ({ ...each, streamId: 3 })).sort((a, b) => a.startUs - b.startUs || a.id - b.id);
      const back = unpack(packSegment(readings));
      expect(back).toEqual(readings);
      for (const [place, { number: found }] of back.entries()) expect(Object.is(found, readings[place]?.number)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('regular readings of one decimal need two bytes for the number and nothing for the time', () => {
  const readings = Array.from({ length: 1_024 }, (_, n): StoredReading => ({ id: 1_000 + n * 3, streamId: 1, startUs: n * 60_000_000, endUs: null, resultUs: null, arrivedUs: n * 60_000_000 + 250_000, number: (n % 300) / 10, text: null, extra: null, valid: true }));
  const segment = packSegment(readings);
  expect([segment.starts, segment.ids]).toEqual([{ two: null, four: null, eight: null }, { two: null, four: null, eight: null }]);
  expect([segment.numberDivisor, segment.quotients.two?.length, segment.floats, segment.texts, segment.valids]).toEqual([10, 1_024, null, null, null]);
});

test('numbers that have no common power of ten stay doubles', () => {
  const readings = [0.5, 1 / 3].map((value, n): StoredReading => ({ id: n + 1, streamId: 1, startUs: n, endUs: null, resultUs: null, arrivedUs: n, number: value, text: null, extra: null, valid: true }));
  expect(packSegment(readings)).toMatchObject({ numberDivisor: null, floats: [0.5, 1 / 3] });
});
