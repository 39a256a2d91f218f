const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-GB', { timeZone: zone, ...options });
  formats.set(key, made);
  return made;
}

/** ISO 8601 instant in UTC. */
export const isoOf = (ms: number): string => new Date(ms).toISOString();

type When = number | string;
const date = (when: When): Date => new Date(when);

/** 14:03, in the city's zone. */
export const clockWords = (when: When, zone: string): string => format(zone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(date(when));
/** 14:03:27 */
export const clockSeconds = (when: When, zone: string): string => format(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }).format(date(when));
/** Tue 24 Nov */
export const dayWords = (when: When, zone: string): string => format(zone, { weekday: 'short', day: 'numeric', month: 'short' }).format(date(when));
/** Tue 24 Nov, 14:03 */
export const momentWords = (when: When, zone: string): string => `${dayWords(when, zone)}, ${clockWords(when, zone)}`;
