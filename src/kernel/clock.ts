/** The only source of time for the domain; live, replay and tests hand in different ones. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => Date.now() };

export interface ManualClock extends Clock {
  set(atMs: number): void;
  advance(byMs: number): void;
}

/** A clock that moves only when told to. */
export function manualClock(startMs: number): ManualClock {
  let nowMs = startMs;
  return {
    nowMs: () => nowMs,
    set: (atMs) => {
      nowMs = atMs;
    },
    advance: (byMs) => {
      nowMs += byMs;
    },
  };
}

/** ISO 8601 with milliseconds and Z, the form of every instant that leaves the server. */
export function isoOf(atMs: number): string {
  return new Date(atMs).toISOString();
}

const ISO_INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}(?::?\d{2})?)$/i;

/**
 * Reads an ISO 8601 instant that carries its zone. Returns null for anything else, also for a date without zone
 * and for impossible dates such as 31 February.
 */
export function parseInstantMs(text: string): number | null {
  if (!ISO_INSTANT.test(text)) return null;
  const normal = text.replace(',', '.').replace(/([+-]\d{2})(\d{2})$/, '$1:$2').replace(/([+-]\d{2})$/, (zone) => (text.length > 16 ? `${zone}:00` : zone));
  const atMs = Date.parse(normal);
  if (Number.isNaN(atMs)) return null;
  const day = Number(text.slice(8, 10));
  const lastDay = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate();
  return day <= lastDay ? atMs : null;
}
