import { parseInstantMs } from '../../kernel/index.ts';

let knownDay = -1;
let knownDayMs = 0;

const digits2 = (text: string, at: number): number => {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
};

/**
 * `parseInstantMs` with a short way for `YYYY-MM-DDTHH:MM:SSZ` and `YYYY-MM-DDTHH:MM:SS.mmmZ`, the forms that sensors send by
 * the million; the day that was read last is remembered. Null for anything that is not an instant with a zone.
 */
export function readInstantMs(text: string): number | null {
  const length = text.length;
  const hasMillis = length === 24;
  if ((!hasMillis && length !== 20) || text.charCodeAt(length - 1) !== 90 || text.charCodeAt(10) !== 84 || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return parseInstantMs(text);
  const hour = digits2(text, 11);
  const minute = digits2(text, 14);
  const second = digits2(text, 17);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return parseInstantMs(text);
  let millis = 0;
  if (hasMillis) {
    const last = text.charCodeAt(22) - 48;
    const first = digits2(text, 20);
    if (text.charCodeAt(19) !== 46 || first < 0 || last < 0 || last > 9) return parseInstantMs(text);
    millis = first * 10 + last;
  }
  const century = digits2(text, 0);
  const year = digits2(text, 2);
  const month = digits2(text, 5);
  const date = digits2(text, 8);
  if (century < 0 || year < 0 || month < 0 || date < 0 || text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return null;
  const day = ((century * 100 + year) * 100 + month) * 100 + date;
  if (day !== knownDay) {
    const dayMs = parseInstantMs(`${text.slice(0, 10)}T00:00:00Z`);
    if (dayMs === null) return null;
    knownDay = day;
    knownDayMs = dayMs;
  }
  return knownDayMs + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
}

export interface Span {
  readonly startMs: number;
  /** NaN for an instant. */
  readonly endMs: number;
}

/** An ISO 8601 instant or interval `start/end` (18-088 §8.1, TM_Object). Null when it is neither or ends before it starts. */
export function readSpan(text: string): Span | null {
  const slash = text.indexOf('/');
  if (slash < 0) {
    const startMs = readInstantMs(text);
    return startMs === null ? null : { startMs, endMs: NaN };
  }
  const startMs = readInstantMs(text.slice(0, slash));
  const endMs = readInstantMs(text.slice(slash + 1));
  return startMs === null || endMs === null || endMs < startMs ? null : { startMs, endMs };
}
