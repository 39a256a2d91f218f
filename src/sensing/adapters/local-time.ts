/** Wall clock times are written as the milliseconds that they would have in UTC: no zone, no clock change. */
export type WallMs = number;

export interface Zone {
  /** Milliseconds to add to UTC at an instant. */
  offsetMs(atMs: number): number;
  /** All instants of a wall time in order: two in the hour that a clock change repeats, none in the one it leaves out. */
  instantsOf(wallMs: WallMs): readonly number[];
  /** The instant of a wall time by the offset before a clock change; for a time that was left out this is as long after the change as the time is after its beginning. */
  shiftedInstantOf(wallMs: WallMs): number;
}

const DAY_MS = 86_400_000;
/** Clock changes happen on the quarter hour everywhere in the tz database since 1970 but once; offsets are remembered by it. */
const BLOCK_MS = 900_000;
const REMEMBERED_MAX = 100_000;
const zones = new Map<string, Zone>(); // one a time zone name that Intl knows

/** A time zone of the IANA database, or null when the name is not one. */
export function zoneOf(name: string): Zone | null {
  const known = zones.get(name);
  if (known !== undefined) return known;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: name, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric', era: 'short' });
  } catch {
    return null; // RangeError is how Intl says that it does not know the name (ECMA-402 §11.1.2)
  }
  const zone = zoneFrom(format);
  zones.set(name, zone);
  return zone;
}

function zoneFrom(format: Intl.DateTimeFormat): Zone {
  const offsets = new Map<number, number>();
  const offsetMs = (atMs: number): number => {
    const block = Math.floor(atMs / BLOCK_MS);
    const known = offsets.get(block);
    if (known !== undefined) return known;
    const found = measureOffset(format, block * BLOCK_MS);
    if (offsets.size >= REMEMBERED_MAX) offsets.clear();
    offsets.set(block, found);
    return found;
  };
  const candidates = (wallMs: WallMs): [number, number] => [wallMs - offsetMs(wallMs - DAY_MS), wallMs - offsetMs(wallMs + DAY_MS)];
  return {
    offsetMs,
    instantsOf: (wallMs) => {
      const [before, after] = candidates(wallMs);
      const holds = (atMs: number): boolean => atMs + offsetMs(atMs) === wallMs;
      if (before === after) return holds(before) ? [before] : [];
      return [before, after].filter(holds).sort((a, b) => a - b);
    },
    shiftedInstantOf: (wallMs) => candidates(wallMs)[0],
  };
}

function measureOffset(format: Intl.DateTimeFormat, atMs: number): number {
  const part: Record<string, string> = {};
  for (const { type, value } of format.formatToParts(atMs)) part[type] = value;
  const number = (name: string): number => Number(part[name]);
  const wall = new Date(0);
  wall.setUTCFullYear(part['era'] === 'BC' ? 1 - number('year') : number('year'), number('month') - 1, number('day'));
  wall.setUTCHours(number('hour'), number('minute'), number('second'));
  return wall.getTime() - Math.floor(atMs / 1000) * 1000;
}

/** The wall time of its parts, or null for a day or time that does not exist. 24:00:00 is midnight at the end of the day (ISO 8601). */
export function wallOf(year: number, month: number, day: number, hour = 0, minute = 0, second = 0, millis = 0): WallMs | null {
  if (month < 1 || month > 12 || day < 1 || hour < 0 || minute < 0 || minute > 59 || second < 0 || second > 59 || millis < 0 || millis > 999) return null;
  if (hour > 24 || (hour === 24 && (minute > 0 || second > 0 || millis > 0))) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
}
