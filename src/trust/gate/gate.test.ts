import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMetrics } from '../../platform/index.ts';
import { createGate, registrationOf } from './index.ts';

const gate = createGate(createMetrics(), 0);
const of = (name: string, properties: Record<string, unknown> = {}) => registrationOf({ observationType: `http://www.opengis.net/def/observationType/OGC-OM/2.0/${name}`, properties, purpose: 'noise' });

test('a stream of numbers takes finite numbers and refuses every other JSON value', () => {
  const registration = of('OM_Measurement');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const refusal = gate.admit(registration, value);
      expect(refusal === null).toBe(typeof value === 'number');
    }),
    { numRuns: 2_000 },
  );
  expect(gate.admit(registration, Number.NaN)?.code).toBe('gate.not-a-number');
});

test('an unknown observation type registers numbers only', () => {
  expect(gate.admit(of('OM_Surprise'), 'text')?.code).toBe('gate.not-a-number');
  expect(gate.admit(of('OM_Surprise'), 0)).toBeNull();
});

test('bounds, whole numbers, truth values and terms are held to what is registered', () => {
  expect(gate.admit(of('OM_Measurement', { min: 0, max: 100 }), 101)?.code).toBe('gate.out-of-bounds');
  expect(gate.admit(of('OM_CountObservation'), 1.5)?.code).toBe('gate.not-a-number');
  expect(gate.admit(of('OM_TruthObservation'), 0)?.code).toBe('gate.not-registered-type');
  expect(gate.admit(of('OM_TruthObservation'), false)).toBeNull();
  expect(gate.admit(of('OM_CategoryObservation'), 'open')).toBeNull();
  expect(gate.admit(of('OM_CategoryObservation'), ['open'])?.code).toBe('gate.not-registered-type');
});

test('free results keep falsy values and refuse images and template-like vectors at any depth', () => {
  const registration = of('OM_Observation');
  for (const value of [0, false, '', null, { a: [1, 2, 3] }]) expect(gate.admit(registration, value)).toBeNull();
  const image = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0x10]);
  for (const value of [`data:image/png;base64,AAAA`, image.toString('base64'), image.toString('hex'), { frame: { bytes: image.toString('base64') } }]) {
    expect(gate.admit(registration, value)?.code).toBe('gate.person-data');
  }
  expect(gate.admit(registration, { embedding: Array.from({ length: 128 }, (_, n) => n / 128) })?.code).toBe('gate.person-data');
});

test('refusals are counted by code and purpose and keep nothing of the content', () => {
  gate.count('gate.not-a-number', 'noise');
  gate.count('gate.not-a-number', 'noise');
  expect(gate.counts().refused).toContainEqual({ code: 'gate.not-a-number', purpose: 'noise', count: 2 });
  expect(gate.refusedOf('noise')).toBe(2);
});
