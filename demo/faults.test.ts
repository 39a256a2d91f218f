import { describe, expect, it } from 'vitest';
import { modelOf, type StreamModel, valueAt } from './city-model.ts';
import { deliver, FAULT_RATES } from './faults.ts';
import { STORM_CENTRE } from './storm.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 5, 1);
const at = (atMs: number): { atMs: number; scenario: 'ordinary-day'; beganMs: number } => ({ atMs, scenario: 'ordinary-day', beganMs: START_MS });

function models(kind: string, property: string, count: number): StreamModel[] {
  return Array.from({ length: count }, (_, index) => modelOf(`${kind}-${String(index + 1).padStart(3, '0')}.${property}`, STORM_CENTRE)).filter((model) => model !== null);
}

describe('what reaches the city', () => {
  const days = 20;
  const streams = models('noise-meter', 'noise', 30);
  const minutes = days * 1_440;
  let [missing, late, twice, stuckMinutes, changed] = [0, 0, 0, 0, 0];
  for (const stream of streams) {
    let before = NaN;
    for (let minute = 0; minute < minutes; minute += 1) {
      const moment = at(START_MS + minute * 60_000);
      const delivery = deliver(stream, moment);
      if (!delivery) {
        missing += 1;
        continue;
      }
      if (delivery.late_ms > 0) late += 1;
      if (delivery.times === 2) twice += 1;
      if (delivery.value === before && delivery.value !== valueAt(stream, moment)) stuckMinutes += 1;
      if (delivery.value !== valueAt(stream, moment)) changed += 1;
      before = delivery.value;
    }
  }
  const all = streams.length * minutes;

  it('is late and doubled as often as stated', () => {
    expect(late / all).toBeGreaterThan(0.8 * FAULT_RATES.late_per_reading);
    expect(late / all).toBeLessThan(1.2 * FAULT_RATES.late_per_reading);
    expect(twice / all).toBeGreaterThan(0.8 * FAULT_RATES.twice_per_reading);
    expect(twice / all).toBeLessThan(1.2 * FAULT_RATES.twice_per_reading);
  });
  it('has gaps and stuck sensors, but seldom', () => {
    expect(missing).toBeGreaterThan(0);
    expect(missing / all).toBeLessThan(0.004);
    expect(stuckMinutes).toBeGreaterThan(0);
    expect(stuckMinutes / all).toBeLessThan(0.004);
    expect(changed / all).toBeLessThan(0.12);
  });
  it('is the same whenever it is asked for', () => {
    const stream = streams[3] as StreamModel;
    for (let hour = 0; hour < 500; hour += 1) expect(deliver(stream, at(START_MS + hour * 3_600_000))).toEqual(deliver(stream, at(START_MS + hour * 3_600_000)));
  });
  it('never distorts what counts or switches', () => {
    for (const stream of models('street-lamp', 'lamp_state', 40)) for (let hour = 0; hour < 24 * 14; hour += 1) expect([0, 1]).toContain(deliver(stream, at(START_MS + hour * 3_600_000))?.value ?? 1);
  });
  it('stays within the registered bounds, whatever the fault', () => {
    for (const stream of models('road-section', 'speed', 60)) {
      for (let step = 0; step < 500; step += 1) {
        const value = deliver(stream, at(START_MS + (step * DAY_MS) / 50))?.value;
        if (value !== undefined) expect(value >= stream.stream.min && value <= stream.stream.max).toBe(true);
      }
    }
  });
});
