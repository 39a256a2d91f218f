import { zoneOf } from '../adapters/local-time.ts';
import { refuse, ok, type Result } from '../../kernel/index.ts';

const DAY_MS = 86_400_000;
const STEPS_MS = { minute: 60_000, hour: 3_600_000 } as const;

/**
 * Edges of the steps that cover [`fromMs`, `toMs`): the first and last are these times themselves, those between lie on full minutes or
 * hours in UTC, or on the midnights of the zone. Refuses a zone that is not known and more than `limit` steps.
 */
export function edgesOf(fromMs: number, toMs: number, step: 'minute' | 'hour' | 'day', timeZone: string, limit: number): Result<number[]> {
  const zone = zoneOf(timeZone);
  if (zone === null) return refuse('http.invalid', 'This is not a time zone of the IANA database, such as Europe/Berlin.', 'timeZone');
  const shortest_ms = step === 'day' ? DAY_MS - STEPS_MS.hour : STEPS_MS[step];
  if ((toMs - fromMs) / shortest_ms > limit) return refuse('http.invalid', `The span has more than ${limit} steps; take a longer step or a shorter span.`, 'step');
  const edges = [fromMs];
  if (step === 'day') {
    // a midnight that clocks repeat begins the day at its first; one that they leave out, when they go on
    const midnight = (day: number): number => zone.instantsOf(day * DAY_MS)[0] ?? zone.shiftedInstantOf(day * DAY_MS);
    let day = Math.floor((fromMs + zone.offsetMs(fromMs)) / DAY_MS) + 1;
    for (let edge = midnight(day); edge < toMs; day += 1, edge = midnight(day)) if (edge > fromMs) edges.push(edge);
  } else {
    const step_ms = STEPS_MS[step];
    for (let edge = (Math.floor(fromMs / step_ms) + 1) * step_ms; edge < toMs; edge += step_ms) edges.push(edge);
  }
  edges.push(toMs);
  return ok(edges);
}
