import { isUtf8 } from 'node:buffer';
import { refuse, ok, type Result } from '../../kernel/index.ts';

/**
 * A number that was written in a form that a double does not print back: 1.0, 1e3, -0, 12345678901234567890.
 * It is what ECMAScript's JSON.rawJSON makes (a frozen object with the text), so JSON.stringify writes it exactly as it came.
 */
export interface RawNumber {
  readonly rawJSON: string;
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
// ECMA-262 2026 (JSON.parse source text access); the type library does not know these yet
const json = JSON as unknown as { rawJSON(text: string): RawNumber; isRawJSON(value: unknown): value is RawNumber; parse(text: string, reviver?: Reviver): unknown; stringify(value: unknown): string };

export const isRawNumber = (value: unknown): value is RawNumber => typeof value === 'object' && value !== null && json.isRawJSON(value);

/** JSON text of a value that `parseExactJson` returned, numbers written as they came. */
export const writeExactJson = (value: unknown): string => json.stringify(value);

/**
 * Parses a body of UTF-8 JSON. Numbers come as `number` where the text is what the double prints, else as `RawNumber`.
 * Refuses with `http.malformed`.
 */
export function parseExactJson(body: Buffer): Result<unknown> {
  if (!isUtf8(body)) return refuse('http.malformed', 'The body is not UTF-8.', 'body');
  const text = body.toString('utf8');
  try {
    // the reviver is eight times slower than plain parsing, so only a body that needs it pays for it
    return ok(hasOddNumber(body) ? json.parse(text, keepSource) : json.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return refuse('http.malformed', 'The body is not well-formed JSON.', 'body');
    if (error instanceof RangeError) return refuse('http.too-deep', 'The body is nested too deeply.', 'body'); // the parser's stack
    throw error;
  }
}

const keepSource: Reviver = (_key, value, { source }) => (typeof value === 'number' && source !== undefined && source !== String(value) ? json.rawJSON(source) : value);

const QUOTE = 34;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const NINE = 57;
const BACKSLASH = 92;
const SURE_CHARS = 15;

/** Whether some number outside strings may be written otherwise than `String(number)` would write it. Never misses one. */
export function hasOddNumber(body: Buffer): boolean {
  const end = body.length;
  let at = 0;
  while (at < end) {
    const byte = body[at] as number;
    if (byte === QUOTE) {
      for (at += 1; at < end && body[at] !== QUOTE; at += 1) if (body[at] === BACKSLASH) at += 1;
      at += 1;
    } else if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
      const start = at;
      let hasDot = false;
      for (at += 1; at < end; at += 1) {
        const next = body[at] as number;
        if (next >= ZERO && next <= NINE) continue;
        if (next !== DOT) break;
        hasDot = true;
      }
      if (isOdd(body, start, at, hasDot)) return true;
    } else at += 1;
  }
  return false;
}

function isOdd(body: Buffer, start: number, end: number, hasDot: boolean): boolean {
  const next = body[end];
  if (next === 0x65 || next === 0x45) return true; // exponent
  if (hasDot && body[end - 1] === ZERO) return true; // 1.0
  const digits = body[start] === MINUS ? start + 1 : start;
  if (!hasDot && digits > start && body[digits] === ZERO) return true; // -0
  const length = end - start;
  // up to 15 characters are at most 15 significant digits, which a double keeps (IEEE 754 binary64: 15.95 digits)
  const mayBeTiny = hasDot && body[digits] === ZERO && length > 8; // 0.0000001 prints as 1e-7
  if (length <= SURE_CHARS && !mayBeTiny) return false;
  const text = body.toString('latin1', start, end);
  return String(Number(text)) !== text;
}
