const WINDOW_S = 60;

/** Counts of the last minute by key, in buckets of a second. Keys are few: the kinds of places. */
export interface Rates {
  count(key: string, nowMs: number, amount?: number): void;
  perMinute(nowMs: number): ReadonlyMap<string, { perMinute: number }>;
}

export function createRates(): Rates {
  const byKey = new Map<string, { readonly counts: Float64Array; lastS: number }>();
  const advance = (entry: { readonly counts: Float64Array; lastS: number }, nowS: number): void => {
    if (nowS <= entry.lastS && entry.lastS - nowS < WINDOW_S) return;
    // also when the clock was set back
    if (Math.abs(nowS - entry.lastS) >= WINDOW_S) entry.counts.fill(0);
    else for (let second = entry.lastS + 1; second <= nowS; second += 1) entry.counts[second % WINDOW_S] = 0;
    entry.lastS = nowS;
  };
  return {
    count: (key, nowMs, amount = 1) => {
      const nowS = Math.floor(nowMs / 1000);
      let entry = byKey.get(key);
      if (entry === undefined) byKey.set(key, (entry = { counts: new Float64Array(WINDOW_S), lastS: nowS }));
      advance(entry, nowS);
      entry.counts[entry.lastS % WINDOW_S] = (entry.counts[entry.lastS % WINDOW_S] ?? 0) + amount;
    },
    perMinute: (nowMs) => {
      const nowS = Math.floor(nowMs / 1000);
      const rates = new Map<string, { perMinute: number }>();
      for (const [key, entry] of byKey) {
        advance(entry, nowS);
        rates.set(key, { perMinute: entry.counts.reduce((sum, count) => sum + count, 0) });
      }
      return rates;
    },
  };
}
