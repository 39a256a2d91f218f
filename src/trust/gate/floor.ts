import type { Counted } from './registration.ts';

/** Counts below `k` are not told apart, higher ones rounded; no window is shorter. */
export const FLOORS: Readonly<Record<Counted, { readonly k: number; readonly round_to: number; readonly window_s: number }>> = {
  people: { k: 10, round_to: 5, window_s: 900 },
  vehicles: { k: 5, round_to: 5, window_s: 900 },
};

/** 0 stands for everything from 0 to k - 1; other counts become the nearest multiple of 5, at least k. */
export function floorCount(counted: Counted, count: number): number {
  const { k, round_to } = FLOORS[counted];
  return count < k ? 0 : Math.max(k, Math.round(count / round_to) * round_to);
}

/** What the public description of a stream says of its counts; null when it counts neither people nor vehicles. */
export function floorNotice(properties: Readonly<Record<string, unknown>>): { readonly countFloor: { readonly below: number; readonly storedAs: 0; readonly roundedTo: number; readonly window_s: number } } | null {
  const { counts } = properties;
  if (counts !== 'people' && counts !== 'vehicles') return null;
  const { k, round_to, window_s } = FLOORS[counts];
  return { countFloor: { below: k, storedAs: 0, roundedTo: round_to, window_s } };
}
