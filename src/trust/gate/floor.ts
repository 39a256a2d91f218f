import type { Counted, GateRegistration } from './registration.ts';

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

/** A result with each count in it floored: a number, the elements of a list that count, or every number in a structured result. */
export function floorResult<T>({ counts, elements }: Pick<GateRegistration, 'counts' | 'elements'>, result: T): T {
  if (elements !== undefined && Array.isArray(result)) return result.map((value: unknown, at) => floorResult(elements[at] ?? {}, value)) as T;
  return counts === undefined ? result : (floorWithin(counts, result) as T);
}

function floorWithin(counted: Counted, value: unknown): unknown {
  if (typeof value === 'number') return floorCount(counted, value);
  if (Array.isArray(value)) return value.map((member) => floorWithin(counted, member));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, floorWithin(counted, member)]));
}

/** Whether a text in a result says a number, which would be a count that is not floored. */
export function saysNumber(value: unknown): boolean {
  if (typeof value === 'string') return /^\s*[+-]?(?:\d[\d\s.,_']*|0x[\da-f]+)(?:e[+-]?\d+)?\s*$/i.test(value);
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(saysNumber);
}

/** Whether a value beside a count carries a whole number other than 0, which could be the count itself. */
export function hasWholeNumber(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value !== 0;
  if (typeof value === 'object' && value !== null) return Object.values(value).some(hasWholeNumber);
  return saysNumber(value);
}

/** What counts in a stream: the strictest of the elements of a list. */
export function countedBy({ counts, elements }: Pick<GateRegistration, 'counts' | 'elements'>): Counted | undefined {
  if (elements === undefined) return counts;
  const all = elements.map((element) => countedBy(element));
  return all.includes('people') ? 'people' : all.find((one) => one !== undefined);
}

interface CountFloor {
  readonly below: number;
  readonly storedAs: 0;
  readonly roundedTo: number;
  readonly window_s: number;
}

/** What the public description of a stream says of its counts; null when it counts neither people nor vehicles. Of a list: one each element. */
export function floorNotice({ counts }: Readonly<Record<string, unknown>>): { readonly countFloor: CountFloor | (CountFloor | null)[] } | null {
  const of = (counted: unknown): CountFloor | null => {
    if (counted !== 'people' && counted !== 'vehicles') return null;
    const { k, round_to, window_s } = FLOORS[counted];
    return { below: k, storedAs: 0, roundedTo: round_to, window_s };
  };
  const countFloor = Array.isArray(counts) ? counts.slice(0, 32).map(of) : of(counts);
  return countFloor === null || (Array.isArray(countFloor) && countFloor.every((one) => one === null)) ? null : { countFloor };
}
