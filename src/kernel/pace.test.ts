import { expect, test } from 'vitest';
import { manualClock } from './clock.ts';
import { watchPace } from './pace.ts';

const HOUR_MS = 3_600_000;

test('after a jump of the clock nothing is deleted for a day, whichever way it went', () => {
  for (const jump_ms of [365 * 24 * HOUR_MS, -6 * HOUR_MS]) {
    const clock = manualClock(Date.parse('2026-11-24T06:00:00Z'));
    let tickMs = 0;
    const isSteady = watchPace(clock, () => tickMs);
    const go = (hours: number): boolean => {
      tickMs += hours * HOUR_MS;
      clock.advance(hours * HOUR_MS + 100);
      return isSteady();
    };
    expect([go(1), go(1)]).toEqual([true, true]);
    clock.advance(jump_ms);
    expect(go(1)).toBe(false);
    expect(Array.from({ length: 23 }, () => go(1))).not.toContain(true);
    expect(go(1)).toBe(true);
  }
});
