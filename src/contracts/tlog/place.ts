/**
 * Where a leaf stands when a city has begun its log anew: one number for log and index, so that leaves of all its logs have an order and
 * no two the same number. The index itself in the log that runs; below zero in logs that were put aside, `n · 2^40 + index − 2^52` in
 * the n-th of them.
 */
const LOG_ENTRIES = 2 ** 40;
const BEFORE = 2 ** 52;

export interface Place {
  /** Number of the log that was put aside, from 1 (`/log/old/<number>/`); null for the one that runs. */
  readonly log: number | null;
  readonly index: number;
}

/** What is added to the places of a log when it is put aside as the `number`-th. */
export const shiftOf = (number: number): number => number * LOG_ENTRIES - BEFORE;

export function readPlace(place: number): Place {
  if (place >= 0) return { log: null, index: place };
  const log = Math.floor((place + BEFORE) / LOG_ENTRIES);
  return { log, index: place - shiftOf(log) };
}

/** For people: `entry 17`, or `entry 17 of log 1`. */
export function namePlace(place: number): string {
  const { log, index } = readPlace(place);
  return log === null ? String(index) : `${String(index)} of log ${String(log)}`;
}
