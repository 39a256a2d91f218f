import { type Moment, type StreamModel, valueAt } from './city-model.ts';
import { uniform } from './random.ts';

/** One reading as it reaches the city: late, twice, wrong, or never, as sensors do. */
interface Delivery {
  readonly value: number;
  readonly late_ms: number;
  readonly times: 1 | 2;
}

const HOUR_MS = 3_600_000;
const WINDOW_MS = 6 * HOUR_MS;

/** Chances a stream: of an episode in six hours, or of a single reading. */
export const FAULT_RATES = {
  stuck_per_window: 0.006,
  gap_per_window: 0.015,
  drifting_streams: 0.03,
  spike_per_reading: 1 / 20_000,
  late_per_reading: 1 / 400,
  twice_per_reading: 1 / 500,
} as const;
const STUCK_MS = [20 * 60_000, 90 * 60_000] as const;
const GAP_MS = [3 * 60_000, 40 * 60_000] as const;
const DRIFT_PERIOD_MS = 10 * 24 * HOUR_MS;
const LATE_MAX_MS = 8 * 60_000;

/** Streams that count or switch do not stick, drift or spike. */
const PLAIN: ReadonlySet<string> = new Set(['heartbeat', 'lamp_state', 'rain']);

interface Episode {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The episode of a fault that covers an instant, if any: at most one in six hours. */
function episodeAt(seed: number, chance: number, [least_ms, most_ms]: readonly [number, number], atMs: number): Episode | null {
  const window = Math.floor(atMs / WINDOW_MS);
  if (uniform(seed, window) >= chance) return null;
  const length_ms = least_ms + uniform(seed + 1, window) * (most_ms - least_ms);
  const fromMs = window * WINDOW_MS + uniform(seed + 2, window) * (WINDOW_MS - length_ms);
  return atMs >= fromMs && atMs < fromMs + length_ms ? { fromMs, toMs: fromMs + length_ms } : null;
}

/** What of a stream's reading at a moment reaches the city; null when it never does. A pure function. */
export function deliver(model: StreamModel, moment: Moment): Delivery | null {
  const { atMs } = moment;
  const seed = model.seed ^ 0x5f3759df;
  if (episodeAt(seed + 10, FAULT_RATES.gap_per_window, GAP_MS, atMs)) return null;
  const plain = PLAIN.has(model.stream.property);
  const stuck = plain ? null : episodeAt(seed + 20, FAULT_RATES.stuck_per_window, STUCK_MS, atMs);
  const value = valueAt(model, stuck ? { ...moment, atMs: stuck.fromMs } : moment);
  if (value === null) return null;
  const reading = Math.floor(atMs / 1_000);
  const late = uniform(seed + 30, reading) < FAULT_RATES.late_per_reading;
  return {
    value: plain ? value : distort(model, seed, reading, atMs, value),
    late_ms: late ? 15_000 + uniform(seed + 31, reading) ** 2 * LATE_MAX_MS : 0,
    times: uniform(seed + 40, reading) < FAULT_RATES.twice_per_reading ? 2 : 1,
  };
}

function distort(model: StreamModel, seed: number, reading: number, atMs: number, value: number): number {
  const { min, max } = model.stream;
  const drifting = uniform(seed, 50) < FAULT_RATES.drifting_streams;
  const drift = drifting ? 0.12 * ((atMs / DRIFT_PERIOD_MS + uniform(seed, 51)) % 1) : 0;
  const spike = uniform(seed + 60, reading) < FAULT_RATES.spike_per_reading ? 3 + 5 * uniform(seed + 61, reading) : 1;
  if (drift === 0 && spike === 1) return value;
  return Math.round(Math.min(max, Math.max(min, value * (1 + drift) * spike)) * 1_000) / 1_000;
}
