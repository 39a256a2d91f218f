import type { DeviceState } from '../../contracts/device.ts';
import { stateMachine } from '../../kernel/index.ts';

export type DeviceEvent = 'quarantine' | 'release' | 'revoke';

/** A revoked device stays revoked: who wants it back adds it again. */
export const deviceMachine = stateMachine<DeviceState, DeviceEvent>('active', {
  active: { quarantine: 'quarantined', release: null, revoke: 'revoked' },
  quarantined: { quarantine: null, release: 'active', revoke: 'revoked' },
  revoked: { quarantine: null, release: null, revoke: null },
});

/** When a device goes to quarantine by itself: so many readings refused, or sent as another, within the window. */
export const QUARANTINE_RULE = { refused: 20, foreign: 5, window_ms: 600_000 } as const;

type Suspect = 'refused' | 'foreign';

/** What a refusal says of the sender; null for what is no fault of the device, such as a full queue. */
function suspectOf(code: string): Suspect | null {
  if (code === 'device.stream-not-own' || code === 'device.name-different') return 'foreign';
  if (code.startsWith('gate.') || code.startsWith('purpose.') || code === 'sensing.no-such-entity') return 'refused';
  return null;
}

/** Counts the refusals of one device; `note` answers why it goes to quarantine, or null. */
export interface Suspicion {
  note(code: string, readings: number, nowMs: number): string | null;
  clear(): void;
}

const BUCKET_MS = 1_000;

export function createSuspicion(rule: Readonly<Record<Suspect, number>> & { readonly window_ms: number } = QUARANTINE_RULE): Suspicion {
  // at most one bucket a second, so at most window_ms / 1,000 of each
  const buckets: Record<Suspect, { atMs: number; count: number }[]> = { refused: [], foreign: [] };
  return {
    note: (code, readings, nowMs) => {
      const suspect = suspectOf(code);
      if (suspect === null) return null;
      const held = buckets[suspect];
      while (held[0] !== undefined && held[0].atMs <= nowMs - rule.window_ms) held.shift();
      // what lies ahead was noted before the clock was set back
      while ((held.at(-1)?.atMs ?? -Infinity) > nowMs) held.pop();
      const last = held.at(-1);
      if (last !== undefined && nowMs - last.atMs < BUCKET_MS) last.count += readings;
      else held.push({ atMs: nowMs, count: readings });
      if (held.reduce((sum, { count }) => sum + count, 0) < rule[suspect]) return null;
      const minutes = Math.round(rule.window_ms / 60_000);
      return suspect === 'foreign' ? `It sent as another or into datastreams of others ${String(rule.foreign)} times within ${String(minutes)} min.` : `${String(rule.refused)} of its readings were refused within ${String(minutes)} min.`;
    },
    clear: () => {
      buckets.refused = [];
      buckets.foreign = [];
    },
  };
}
