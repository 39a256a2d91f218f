import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMetrics } from '../../platform/index.ts';
import { createGate, floorNotice, registrationOf, type GateRegistration } from './index.ts';
import { judge } from './verdict.ts';

const gate = createGate(createMetrics(), 0);
const of = (name: string, properties: Record<string, unknown> = {}) => registrationOf({ observationType: `http://www.opengis.net/def/observationType/OGC-OM/2.0/${name}`, properties, purpose: 'noise' });

test('a stream of numbers takes finite numbers and refuses every other JSON value', () => {
  const registration = of('OM_Measurement');
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const refusal = gate.admit(registration, value);
      // one in ten whole numbers of 15 digits is a right IMEI (3GPP TS 23.003 annex B)
      const mayBeIdentifier = Number.isInteger(value) && Math.abs(value as number) >= 1e11;
      if (mayBeIdentifier && refusal !== null) expect(refusal.code).toBe('gate.person-data');
      else expect(refusal === null).toBe(typeof value === 'number');
    }),
    { numRuns: 2_000, examples: [[530425511251546]] },
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

test('a bound that leaves room for the digits of a card or a telephone set does not let them in', () => {
  for (const result of [4_111_111_111_111_111, 352_099_001_761_481]) for (const max of [Infinity, 1e16, 9e15]) expect(gate.admit(of('OM_Measurement', { max }), result)?.code).toBe('gate.person-data');
  expect(gate.admit(of('OM_Measurement', { max: 1e16 }), 1_780_842_686_123)).toBeNull();
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

/** GATE_PAYLOADS=1000000 for the figure of docs/reference/gate.md. */
const PAYLOADS = Number(process.env['GATE_PAYLOADS'] ?? 20_000);

test('whatever is not registered is refused: other types, other terms, other lengths, other members', () => {
  const terms = ['open', 'closed'];
  const list = registrationOf({ observationType: '', properties: {}, purpose: 'noise', elementTypes: ['OM_Measurement', 'OM_TruthObservation'] });
  const registrations: readonly (readonly [GateRegistration, (value: unknown) => boolean])[] = [
    [of('OM_Measurement', { min: -50, max: 50 }), (value) => typeof value === 'number' && Number.isFinite(value) && value >= -50 && value <= 50],
    [of('OM_CountObservation', { min: 0, max: 1e6 }), (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 1e6],
    [of('OM_TruthObservation'), (value) => typeof value === 'boolean'],
    [of('OM_CategoryObservation', { terms }), (value) => typeof value === 'string' && terms.includes(value)],
    [list, (value) => Array.isArray(value) && value.length === 2 && typeof value[0] === 'number' && typeof value[1] === 'boolean'],
  ];
  const payload = fc.oneof(fc.jsonValue(), fc.double(), fc.string(), fc.tuple(fc.double(), fc.boolean()), fc.constantFrom('open', 'Open', 'open ', true, 1, '1', null), fc.record({ result: fc.double(), plate: fc.string() }));
  fc.assert(
    fc.property(payload, (value) => {
      for (const [registration, isRegistered] of registrations) {
        if (isRegistered(value)) continue;
        if (gate.admit(registration, value) === null) throw new Error(`${registration.allows} took ${JSON.stringify(value)}`);
      }
    }),
    { numRuns: PAYLOADS },
  );
}, 600_000);

test('samples of real devices and of standards pass, but for those that carry data about persons', ({ skip }) => {
  const folder = new URL('../../../../shared/data/', import.meta.url);
  if (!existsSync(folder)) skip('the samples of devices and standards are not here');
  const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
  const linesOf = <T>(name: string): T[] => text(name).trim().split('\n').map((line) => JSON.parse(line) as T);
  const uplinks = linesOf<{ kind: string; expected: { data?: unknown } }>('lorawan/uplink-vectors.ndjson').filter(({ kind }) => kind === 'decode').map(({ expected }) => expected.data ?? expected);
  const trips = (JSON.parse(text('gtfs/rt/ct-trip-updates.pb.json')) as { entity: unknown[] }).entity;
  const stations = ['station_information', 'station_status'].flatMap((name) => (JSON.parse(text(`gbfs/v2.3/${name}.json`)) as { data: { stations: unknown[] } }).data.stations);
  const refused = [...uplinks, ...trips, ...stations].filter((sample) => judge(JSON.stringify(sample), 'DE').refused);
  expect(refused).toEqual([]);
  const plates = linesOf<{ model: string; doc: unknown }>('fiware/gate-personal-or-borderline.ndjson').filter(({ model }) => model === 'AnprFlowObserved');
  expect(plates.length).toBeGreaterThan(0);
  for (const { doc } of plates) expect(judge(JSON.stringify(doc), 'DE').rules).toContain('person.key');
});

test('counts of people are floored and rounded, cover a quarter of an hour, and say so; other results stay as they are', () => {
  const people = of('OM_CountObservation', { counts: 'people' });
  expect([0, 1, 9, 10, 12, 13, 17, 18, 2_502].map((count) => gate.floor(people, count))).toEqual([0, 0, 0, 10, 10, 15, 15, 20, 2_500]);
  expect([0, 4, 5, 7, 8].map((count) => gate.floor(of('OM_CountObservation', { counts: 'vehicles' }), count))).toEqual([0, 0, 5, 5, 10]);
  expect([0, -0, 1e-9, 3, -7.25].map((value) => gate.floor(of('OM_Measurement'), value))).toEqual([0, -0, 1e-9, 3, -7.25]);
  expect(gate.admitWindow(people, 899_999)?.code).toBe('gate.window-too-short');
  expect(gate.admitWindow(people, 900_000)).toBeNull();
  expect(floorNotice({ counts: 'people' })).toEqual({ countFloor: { below: 10, storedAs: 0, roundedTo: 5, window_s: 900 } });
  expect(floorNotice({ counts: 'boats' })).toBeNull();
});

test('refusals are counted by code and purpose and keep nothing of the content', () => {
  gate.count('gate.not-a-number', 'noise');
  gate.count('gate.not-a-number', 'noise');
  expect(gate.counts().refused).toContainEqual({ code: 'gate.not-a-number', purpose: 'noise', count: 2 });
  expect(gate.refusedOf('noise')).toBe(2);
});
