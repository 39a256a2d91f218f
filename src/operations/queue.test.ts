import { expect, test } from 'vitest';
import type { Incident } from '../contracts/incident.ts';
import { byUrgency, startOfDayMs } from './queue.ts';

const incident = (number: number, state: Incident['state'], severity: Incident['severity'], openedAt: string): Incident => ({ number, state, severity, openedAt }) as Incident;

test('the queue puts the unacknowledged first, then the more severe, then what has waited longest', () => {
  const rows = [
    incident(1, 'in_progress', 'extreme', '2026-11-24T01:00:00.000Z'),
    incident(2, 'new', 'minor', '2026-11-24T02:00:00.000Z'),
    incident(3, 'acknowledged', 'extreme', '2026-11-24T00:30:00.000Z'),
    incident(4, 'new', 'severe', '2026-11-24T03:00:00.000Z'),
    incident(5, 'new', 'severe', '2026-11-24T02:30:00.000Z'),
    incident(6, 'new', 'severe', '2026-11-24T02:30:00.000Z'),
  ];
  expect(rows.sort(byUrgency).map(({ number }) => number)).toEqual([5, 6, 4, 2, 3, 1]);
});

test('the day begins at midnight of the city, also on the days when the clocks change', () => {
  const day = (at: string, zone: string) => new Date(startOfDayMs(Date.parse(at), zone)).toISOString();
  expect(day('2026-11-24T05:38:00.250Z', 'UTC')).toBe('2026-11-24T00:00:00.000Z');
  expect(day('2026-11-24T05:38:00.250Z', 'Europe/Berlin')).toBe('2026-11-23T23:00:00.000Z');
  expect(day('2026-11-24T05:38:00Z', 'America/New_York')).toBe('2026-11-24T05:00:00.000Z');
  expect(day('2026-03-29T20:00:00Z', 'Europe/Berlin')).toBe('2026-03-28T23:00:00.000Z');
  expect(day('2026-10-25T20:00:00Z', 'Europe/Berlin')).toBe('2026-10-24T22:00:00.000Z');
});
