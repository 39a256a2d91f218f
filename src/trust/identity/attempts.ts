import type { Clock } from '../../kernel/index.ts';

const WINDOW_MS = 15 * 60_000;
const KEYS_LIMIT = 10_000;

/** Counts failures a key in a window, in memory; the least recently failed key is forgotten when there are too many. */
export interface Attempts {
  /** Seconds to wait before the next try; 0 when one may try now. */
  waitS(key: string): number;
  failed(key: string): void;
  succeeded(key: string): void;
}

export function createAttempts(clock: Clock, limit: number): Attempts {
  const failures = new Map<string, { count: number; sinceMs: number }>();
  const current = (key: string): { count: number; sinceMs: number } | undefined => {
    const entry = failures.get(key);
    if (entry && clock.nowMs() - entry.sinceMs >= WINDOW_MS) {
      failures.delete(key);
      return undefined;
    }
    return entry;
  };
  return {
    waitS: (key) => {
      const entry = current(key);
      return entry && entry.count >= limit ? Math.ceil((entry.sinceMs + WINDOW_MS - clock.nowMs()) / 1_000) : 0;
    },
    failed: (key) => {
      const entry = current(key) ?? { count: 0, sinceMs: clock.nowMs() };
      failures.delete(key);
      failures.set(key, { count: entry.count + 1, sinceMs: entry.sinceMs });
      if (failures.size > KEYS_LIMIT) failures.delete(failures.keys().next().value as string);
    },
    succeeded: (key) => void failures.delete(key),
  };
}
