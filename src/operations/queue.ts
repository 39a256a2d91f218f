import { SEVERITIES } from '../contracts/common.ts';
import type { Incident } from '../contracts/incident.ts';

/**
 * Order of the queue: what nobody has acknowledged stands first; within that the more severe; within that what has
 * waited longest; the number settles ties, so that rows never swap places by chance.
 */
export function byUrgency(a: Incident, b: Incident): number {
  return (
    Number(b.state === 'new') - Number(a.state === 'new') ||
    SEVERITIES.indexOf(b.severity) - SEVERITIES.indexOf(a.severity) ||
    Date.parse(a.openedAt) - Date.parse(b.openedAt) ||
    a.number - b.number
  );
}

/** Milliseconds since 1970 of the midnight in `timeZone` (IANA name) that began the day of `atMs`. */
export function startOfDayMs(atMs: number, timeZone: string): number {
  const first = atMs - msOfDay(atMs, timeZone);
  // a change of summer time since midnight moves the wall clock by up to an hour
  const off = msOfDay(first, timeZone);
  if (off === 0) return first;
  return off > DAY_MS / 2 ? first + (DAY_MS - off) : first - off;
}

const DAY_MS = 86_400_000;

function msOfDay(atMs: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).formatToParts(atMs);
  const number = (type: string): number => Number(parts.find((part) => part.type === type)?.value ?? 0);
  return ((number('hour') * 60 + number('minute')) * 60 + number('second')) * 1_000 + (((atMs % 1_000) + 1_000) % 1_000);
}
