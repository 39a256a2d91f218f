import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HARD_HIT, modelOf, type Moment, type StreamModel, valueAt } from './city-model.ts';
import { trafficShareOfDay } from './daily-shapes.ts';
import { eventsOfDay } from './everyday-events.ts';
import { PLACE_KINDS } from './kinds.ts';
import { STORM_CENTRE, STORM_CYCLE_MS, stormMinute } from './storm.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Local midnight of a Tuesday. */
const TUESDAY_MS = Date.UTC(2026, 10, 24, 3);

function model(reference: string, fromStorm_km = 0): StreamModel {
  const found = modelOf(reference, [STORM_CENTRE[0] + fromStorm_km / 91.3, STORM_CENTRE[1]]);
  if (!found) throw new Error(`no model for ${reference}`);
  return found;
}

const referencesOf = (kind: string, property: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${kind}-${String(index + 1).padStart(3, '0')}.${property}`);
const everyReference = PLACE_KINDS.flatMap(({ kind, count, streams }) => streams.flatMap(({ property }) => referencesOf(kind.replaceAll('_', '-'), property, count)));

/** Values of a stream through the first storm, a minute apart. */
function throughStorm(reference: string, beganMs: number, fromMinute = -60, toMinute = 200): { minute: number; value: number | null }[] {
  const stream = model(reference, Math.min(10, Number(/-(\d+)\./.exec(reference)?.[1]) / 20));
  return Array.from({ length: toMinute - fromMinute }, (_, index) => ({ minute: fromMinute + index, value: valueAt(stream, { atMs: beganMs + (fromMinute + index) * MINUTE_MS, scenario: 'storm-day', beganMs }) }));
}

describe('every stream', () => {
  it('is a pure function of stream and moment, within its bounds', () => {
    fc.assert(
      fc.property(fc.constantFrom(...everyReference), fc.integer({ min: TUESDAY_MS, max: TUESDAY_MS + 30 * 24 * HOUR_MS }), fc.constantFrom('storm-day' as const, 'ordinary-day' as const), (reference, atMs, scenario) => {
        const moment: Moment = { atMs, scenario, beganMs: TUESDAY_MS };
        const [first, second] = [model(reference, 3), model(reference, 3)];
        const value = valueAt(first, moment);
        expect(valueAt(second, moment)).toBe(value);
        if (value !== null) {
          expect(value).toBeGreaterThanOrEqual(first.stream.min);
          expect(value).toBeLessThanOrEqual(first.stream.max);
        }
      }),
      { numRuns: 2_000 },
    );
  });
  it('is nobody else\'s', () => {
    expect(modelOf('drain-001.speed', STORM_CENTRE)).toBeNull();
    expect(modelOf('camera-001.face', STORM_CENTRE)).toBeNull();
    expect(modelOf('', STORM_CENTRE)).toBeNull();
  });
});

describe('a day', () => {
  it('has two traffic peaks when offices are open and one when they are closed', () => {
    const saturday = TUESDAY_MS + 4 * 24 * HOUR_MS;
    expect(trafficShareOfDay(TUESDAY_MS + 8 * HOUR_MS)).toBeGreaterThan(1.4 * trafficShareOfDay(TUESDAY_MS + 10 * HOUR_MS));
    expect(trafficShareOfDay(TUESDAY_MS + 17 * HOUR_MS)).toBeGreaterThan(1.2 * trafficShareOfDay(TUESDAY_MS + 14 * HOUR_MS));
    expect(trafficShareOfDay(TUESDAY_MS + 3 * HOUR_MS)).toBeLessThan(0.1);
    expect(trafficShareOfDay(saturday + 8 * HOUR_MS)).toBeLessThan(0.5 * trafficShareOfDay(saturday + 12 * HOUR_MS));
  });
  it('brings a few events of its own', () => {
    const counts = Array.from({ length: 200 }, (_, day) => eventsOfDay(20_000 + day).length);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    expect(mean).toBeGreaterThan(2);
    expect(mean).toBeLessThan(6);
  });
});

describe('the storm', () => {
  it('begins half a minute after the start, comes again every four hours, and never on an ordinary day', () => {
    expect(stormMinute('storm-day', 0, 30_000)).toBe(0);
    expect(stormMinute('storm-day', 0, 30_000 + STORM_CYCLE_MS)).toBe(0);
    expect(stormMinute('storm-day', 1_000, 0)).toBeNull();
    expect(stormMinute('ordinary-day', 0, 30_000)).toBeNull();
  });

  // The limits are those of demo/city/rules.yaml.
  it.each([0, 3, 8, 13, 18, 22])('takes exactly the places that it hits hard over the limits of the rules, when it begins at %i o\'clock', (hour) => {
    const beganMs = TUESDAY_MS + hour * HOUR_MS;
    const over = (kind: string, property: string, count: number, holds: (values: { minute: number; value: number | null }[]) => boolean): string[] =>
      referencesOf(kind, property, count).filter((reference) => !isBusy(reference, beganMs) && holds(throughStorm(reference, beganMs)));
    const longerThan = (values: { value: number | null }[], minutes: number, test: (value: number) => boolean): boolean => {
      let run = 0;
      for (const { value } of values) if ((run = value !== null && test(value) ? run + 1 : 0) > minutes) return true;
      return false;
    };
    expect(over('drain', 'level', 120, (values) => longerThan(values, 4, (value) => value > 0.8))).toEqual(referencesOf('drain', 'level', HARD_HIT['drain'] ?? 0));
    expect(over('river-gauge', 'level', 14, (values) => values.some(({ value }, at) => at >= 60 && (value ?? 0) - Math.min(...values.slice(at - 60, at).map((each) => each.value ?? Infinity)) > 0.3))).toEqual(referencesOf('river-gauge', 'level', 2));
    expect(over('river-gauge', 'level', 14, (values) => longerThan(values, 3, (value) => value > 2.5))).toEqual(referencesOf('river-gauge', 'level', 1));
    expect(over('pump-station', 'heartbeat', 16, (values) => values.filter(({ value }) => value === null).length > 12)).toEqual(referencesOf('pump-station', 'heartbeat', 2));
    expect(over('road-section', 'speed', 120, (values) => longerThan(values, 16, (value) => value < 15))).toEqual(referencesOf('road-section', 'speed', 1));
    expect(over('street-lamp', 'lamp_state', 280, (values) => longerThan(values, 6, (value) => value === 0))).toEqual([...referencesOf('street-lamp', 'lamp_state', 2), 'street-lamp-077.lamp_state']);
    expect(over('car-park', 'occupancy', 26, (values) => longerThan(values, 6, (value) => value >= 97))).toEqual(referencesOf('car-park', 'occupancy', 1));
    expect(over('air-station', 'pm25', 12, (values) => longerThan(values, 25, (value) => value > 50))).toEqual(referencesOf('air-station', 'pm25', 1));
  });

  it('passes: two hours after its first drops all that it hit is as before', () => {
    for (const [reference, calm] of [['drain-001.level', 0.6], ['river-gauge-001.level', 1.2]] as const) for (const { minute, value } of throughStorm(reference, TUESDAY_MS)) if (minute > 120) expect(value).toBeLessThan(calm);
    expect(throughStorm('pump-station-001.heartbeat', TUESDAY_MS, 30, 60).every(({ value }) => value !== null)).toBe(true);
    expect(throughStorm('street-lamp-001.lamp_state', TUESDAY_MS, 36, 60).every(({ value }) => value === 1)).toBe(true);
  });

  it('shows itself within two minutes: a stream rises by more than 30 cm', () => {
    const first = model('river-gauge-001.level', 0.5);
    const before = valueAt(first, { atMs: TUESDAY_MS, scenario: 'storm-day', beganMs: TUESDAY_MS }) ?? NaN;
    const after = valueAt(first, { atMs: TUESDAY_MS + 2 * MINUTE_MS, scenario: 'storm-day', beganMs: TUESDAY_MS }) ?? NaN;
    expect(after - before).toBeGreaterThan(0.3);
  });

  it('drowns one level sensor in the middle of its warning', () => {
    const silent = throughStorm('drain-003.level', TUESDAY_MS, 0, 60).filter(({ value }) => value === null);
    expect(silent.length).toBeGreaterThan(4);
    expect(silent.length).toBeLessThan(12);
  });
});

/** Whether one of the everyday's own events falls into the storm at this place. */
function isBusy(reference: string, beganMs: number): boolean {
  const [, kind, number] = /^([a-z-]+)-(\d+)\./.exec(reference) ?? [];
  const day = Math.floor((beganMs - 3 * HOUR_MS) / (24 * HOUR_MS));
  return [...eventsOfDay(day), ...eventsOfDay(day + 1)].some((event) => event.kind === kind?.replaceAll('-', '_') && event.index === Number(number));
}
