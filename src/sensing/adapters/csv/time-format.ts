import { refuse, ok, type Result } from '../../../kernel/index.ts';
import { wallOf, type WallMs } from '../local-time.ts';

/** A time as it was read: a wall time, or an instant where the text carries its offset. */
export type ReadTime = { readonly wallMs: WallMs } | { readonly atMs: number };

export interface TimeFormat {
  /** Whether the text itself says the instant, so that no zone is needed. */
  readonly isInstant: boolean;
  /** Null for a text that does not fit, or a day that does not exist. 24:00 is the end of the day. */
  read(text: string): ReadTime | null;
}

const TOKENS = ['YYYY', 'YY', 'SSS', 'MM', 'DD', 'HH', 'hh', 'mm', 'ss', 'M', 'D', 'H', 'h', 'A', 'Z', 'X'] as const;
type Token = (typeof TOKENS)[number];
const PATTERNS: Readonly<Record<Token, string>> = {
  YYYY: '(\\d{4})', YY: '(\\d{2})', MM: '(\\d{2})', DD: '(\\d{2})', HH: '(\\d{2})', hh: '(\\d{2})', mm: '(\\d{2})', ss: '(\\d{2})', SSS: '(\\d{1,9})',
  M: '(\\d{1,2})', D: '(\\d{1,2})', H: '(\\d{1,2})', h: '(\\d{1,2})', A: '([AaPp])\\.?[Mm]\\.?', Z: '(Z|z|[+-]\\d{2}:?\\d{2})', X: '(-?\\d{1,12}(?:\\.\\d{1,9})?)',
};
const TOKEN = new RegExp(TOKENS.join('|'), 'g');
const TEXT_CHARS = 100;
/** YY below this is 20YY, else 19YY (POSIX strptime %y). */
const PIVOT_YEAR = 69;

/**
 * A reader of times in `format`, such as `YYYY-MM-DD HH:mm`. Anything but a token stands for itself; letters in single quotes do, too.
 * Refuses a format without a day or that names a part twice.
 */
export function readTimeFormat(format: string): Result<TimeFormat> {
  const tokens: Token[] = [];
  const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  const pattern = format
    .split(/('[^']*')/)
    .map((part) => {
      if (part.startsWith("'") && part.endsWith("'") && part.length > 1) return literal(part.length === 2 ? "'" : part.slice(1, -1));
      let last = 0;
      let out = '';
      for (const found of part.matchAll(TOKEN)) {
        out += literal(part.slice(last, found.index)) + PATTERNS[found[0] as Token];
        tokens.push(found[0] as Token);
        last = found.index + found[0].length;
      }
      return out + literal(part.slice(last));
    })
    .join('');
  const kinds = tokens.map((token) => KIND[token]);
  const twice = kinds.find((kind, at) => kinds.indexOf(kind) !== at);
  if (twice !== undefined) return refuse('http.invalid', `The format names the ${twice} twice.`, 'time.format');
  const has = (kind: string): boolean => kinds.includes(kind);
  if (!has('instant') && !(has('year') && has('month') && has('day'))) return refuse('http.invalid', 'The format needs YYYY, MM and DD, or X.', 'time.format');
  if (tokens.includes('A') && !has('hour12')) return refuse('http.invalid', 'A needs hh or h.', 'time.format');
  const expression = new RegExp(`^${pattern}$`);
  return ok({ isInstant: has('instant') || has('offset'), read: (text) => readBy(expression, tokens, text) });
}

const KIND: Readonly<Record<Token, string>> = { YYYY: 'year', YY: 'year', MM: 'month', M: 'month', DD: 'day', D: 'day', HH: 'hour', H: 'hour', hh: 'hour12', h: 'hour12', mm: 'minute', ss: 'second', SSS: 'fraction', A: 'half', Z: 'offset', X: 'instant' };

function readBy(expression: RegExp, tokens: readonly Token[], text: string): ReadTime | null {
  if (text.length > TEXT_CHARS) return null;
  const found = expression.exec(text);
  if (found === null) return null;
  let [year, month, day, hour, minute, second, millis] = [1970, 1, 1, 0, 0, 0, 0];
  let isAfternoon: boolean | null = null;
  let offset_min: number | null = null;
  for (const [at, token] of tokens.entries()) {
    const cell = found[at + 1] ?? '';
    if (token === 'YYYY') year = Number(cell);
    else if (token === 'YY') year = Number(cell) + (Number(cell) < PIVOT_YEAR ? 2_000 : 1_900);
    else if (token === 'MM' || token === 'M') month = Number(cell);
    else if (token === 'DD' || token === 'D') day = Number(cell);
    else if (token === 'HH' || token === 'H' || token === 'hh' || token === 'h') hour = Number(cell);
    else if (token === 'mm') minute = Number(cell);
    else if (token === 'ss') second = Number(cell);
    else if (token === 'SSS') millis = Number(cell.padEnd(3, '0').slice(0, 3));
    else if (token === 'A') isAfternoon = cell.toLowerCase() === 'p';
    else if (token === 'Z') offset_min = offsetOf(cell);
    else {
      const atMs = Math.round(Number(cell) * 1_000);
      return Math.abs(atMs) <= 8.64e15 ? { atMs } : null; // the range of a Date (ECMA-262 §21.4.1.1)
    }
  }
  if (tokens.includes('hh') || tokens.includes('h')) {
    if (hour < 1 || hour > 12) return null;
    hour = (hour % 12) + (isAfternoon === true ? 12 : 0);
  }
  const wallMs = wallOf(year, month, day, hour, minute, second, millis);
  if (wallMs === null) return null;
  return offset_min === null ? (tokens.includes('Z') ? null : { wallMs }) : { atMs: wallMs - offset_min * 60_000 };
}

/** Minutes east of UTC; null beyond 18 h, which no zone has. */
function offsetOf(text: string): number | null {
  if (text === 'Z' || text === 'z') return 0;
  const minutes = Number(text.slice(1, 3)) * 60 + Number(text.slice(-2));
  return minutes > 18 * 60 || Number(text.slice(-2)) > 59 ? null : text.startsWith('-') ? -minutes : minutes;
}
