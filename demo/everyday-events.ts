import { localDay } from './daily-shapes.ts';
import { hashOf, uniform } from './random.ts';

/** What goes wrong on any day: a blocked drain, a full car park, a slow street. A few a day in the whole city. */
interface EverydayEvent {
  readonly kind: string;
  /** Number of the place among its kind, from 1. */
  readonly index: number;
  /** Hours of the local day. */
  readonly from: number;
  readonly to: number;
}

interface Pattern {
  readonly kind: string;
  readonly places: number;
  /** Share of days on which it happens. */
  readonly chance: number;
  readonly earliest: number;
  readonly latest: number;
  readonly hours: number;
}

const PATTERNS: readonly Pattern[] = [
  { kind: 'drain', places: 120, chance: 0.5, earliest: 6, latest: 20, hours: 1.5 },
  { kind: 'pump_station', places: 16, chance: 0.35, earliest: 1, latest: 22, hours: 0.5 },
  { kind: 'road_section', places: 120, chance: 0.8, earliest: 7, latest: 18, hours: 0.7 },
  { kind: 'car_park', places: 26, chance: 0.6, earliest: 10, latest: 17, hours: 2 },
  { kind: 'air_station', places: 12, chance: 0.3, earliest: 17, latest: 21, hours: 2 },
  { kind: 'noise_meter', places: 30, chance: 0.5, earliest: 20, latest: 22, hours: 2 },
  { kind: 'street_lamp', places: 280, chance: 0.9, earliest: 0, latest: 12, hours: 10 },
];

/** The events of a local day (days since 1970), the same for everybody who asks. */
export function eventsOfDay(day: number): EverydayEvent[] {
  return PATTERNS.flatMap((pattern) => {
    const seed = hashOf(`everyday/${pattern.kind}`);
    if (uniform(seed, day) >= pattern.chance) return [];
    const from = pattern.earliest + uniform(seed + 1, day) * (pattern.latest - pattern.earliest);
    return [{ kind: pattern.kind, index: 1 + Math.floor(uniform(seed + 2, day) * pattern.places), from, to: from + pattern.hours }];
  });
}

let known: { day: number; events: readonly EverydayEvent[] } = { day: NaN, events: [] };

/** Whether an everyday event is on at a place. */
export function isEventOn(kind: string, index: number, atMs: number): boolean {
  const { day, hour } = localDay(atMs);
  if (known.day !== day) known = { day, events: eventsOfDay(day) };
  return known.events.some((event) => event.kind === kind && event.index === index && hour >= event.from && hour < event.to);
}
