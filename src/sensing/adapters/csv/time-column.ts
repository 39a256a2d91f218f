import type { CsvMapping } from '../../../contracts/csv-import.ts';
import { isoOf, ok, refuse, type RefusalCode, type Result } from '../../../kernel/index.ts';
import { zoneOf, type Zone } from '../local-time.ts';
import { readTimeFormat, type TimeFormat } from './time-format.ts';

export interface PlacedTime {
  readonly atMs: number;
  /** phenomenonTime: an instant, or an interval where the time marks one. */
  readonly text: string;
}
export type WrongTime = { readonly code: RefusalCode; readonly detail: string };

export interface TimeColumn {
  /** Places a time of `station` on the time line. Keeps the last instant of each station for `by-order`. */
  place(text: string, station: string): PlacedTime | WrongTime;
}

/** Reads the time part of a mapping; its zone and format are checked. */
export function readTimeColumn(time: CsvMapping['time']): Result<TimeColumn> {
  const format = readTimeFormat(time.format);
  if (!format.ok) return format;
  const zone = zoneOf(time.zone);
  if (zone === null) return refuse('http.invalid', 'It is not a name of the IANA time zone database, such as Europe/Berlin.', 'time.zone');
  if (time.marks !== 'instant' && time.interval_s === undefined) return refuse('http.invalid', 'A time that marks a start or an end needs interval_s.', 'time.interval_s');
  return ok(createTimeColumn(time, format.value, zone));
}

function createTimeColumn({ ambiguous, missing, marks, interval_s = 0 }: CsvMapping['time'], format: TimeFormat, zone: Zone): TimeColumn {
  const last = new Map<string, number>(); // last instant by station; as many as the file may have stations
  const interval_ms = interval_s * 1_000;
  const mark = (atMs: number): PlacedTime => {
    if (marks === 'instant') return { atMs, text: isoOf(atMs) };
    return { atMs, text: `${isoOf(atMs)}/${isoOf(atMs + interval_ms)}` };
  };
  const choose = (instants: readonly number[], station: string): number | WrongTime => {
    const [first, second] = instants as [number, number | undefined];
    if (second === undefined || ambiguous === 'first') return first;
    if (ambiguous === 'second') return second;
    if (ambiguous === 'refuse') return { code: 'import.time-ambiguous', detail: 'It stands in the hour that the clock change repeats.' };
    const before = last.get(station) ?? -Infinity;
    return first > before ? first : second > before ? second : { code: 'import.time-ambiguous', detail: 'It stands in the hour that the clock change repeats, and no row order tells which it is: it comes a third time or out of order.' };
  };
  return {
    place: (text, station) => {
      const read = format.read(text);
      if (read === null) return { code: 'import.time-invalid', detail: 'It is not a time in the format of the mapping.' };
      // the clock change is judged at the start of an interval: what ends at 02:00 summer time begun is the hour from 01:00
      const shift_ms = marks === 'end' ? interval_ms : 0;
      if ('atMs' in read) return inRange(read.atMs - shift_ms) ? mark(read.atMs - shift_ms) : outOfRange;
      const wallMs = read.wallMs - shift_ms;
      const instants = zone.instantsOf(wallMs);
      if (instants.length === 0 && missing === 'refuse') return { code: 'import.time-missing', detail: 'The clock change left this hour out.' };
      const atMs = instants.length === 0 ? zone.shiftedInstantOf(wallMs) : choose(instants, station);
      if (typeof atMs !== 'number') return atMs;
      if (!inRange(atMs)) return outOfRange;
      last.set(station, atMs);
      return mark(atMs);
    },
  };
}

const outOfRange: WrongTime = { code: 'import.time-invalid', detail: 'It must lie between the years 1800 and 2200.' };
const inRange = (atMs: number): boolean => atMs > -5_364_662_400_000 && atMs < 7_258_118_400_000;
