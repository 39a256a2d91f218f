import { parseInstantMs } from '../../kernel/index.ts';
import { queryFault } from './fault.ts';
import { parseWkt } from './geometry.ts';
import type { Literal } from './syntax.ts';

export type Token =
  | { readonly kind: 'literal'; readonly literal: Literal; readonly at: number }
  /** A name or a path; `call` when an opening parenthesis follows at once. */
  | { readonly kind: 'name'; readonly text: string; readonly call: boolean; readonly at: number }
  | { readonly kind: 'punctuation'; readonly text: '(' | ')' | ',' | '-'; readonly at: number }
  /** `d:` after the parenthesis of any( or all(. */
  | { readonly kind: 'variable'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly at: number };

// Some clients send a blank as '+'; outside of a literal it can mean nothing else here.
const BLANK = /[\s+]+/y;
const INSTANT = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,12})?)?(?:Z|[+-]\d{2}:?\d{2})/iy;
const DATE = /\d{4}-\d{2}-\d{2}(?![\w:])/y;
const TIME = /\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(?![\w:])/y;
const NUMBER = /-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])/iy;
// Keys of JSON properties may hold digits, hyphens and dots; OData has no minus operator, so a hyphen inside a name is part of it.
const NAME = /[\p{L}_@$][\p{L}\p{N}_.\-@:]*(?:\/[\p{L}\p{N}_.\-@:]+)*/uy;
const LAMBDA = /\/(?:any|all)$/;
const VARIABLE = /\s*([\p{L}_][\p{L}\p{N}_]*)\s*:/uy;
const DURATION = /^-?P(?=\d|T\d)(?:\d{1,6}Y)?(?:\d{1,6}M)?(?:\d{1,6}W)?(?:\d{1,6}D)?(?:T(?:\d{1,8}H)?(?:\d{1,8}M)?(?:\d{1,8}(?:\.\d{1,6})?S)?)?$/;

/** Splits the text of one option. Throws `Refused` naming the place. */
export function tokenize(option: string, text: string, offset = 0): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? null;
    if (found !== null) at += found.length;
    return found;
  };
  const takeQuoted = (): string => {
    const start = at;
    let value = '';
    at += 1;
    for (;;) {
      const end = text.indexOf("'", at);
      if (end < 0) throw queryFault(option, start + offset, 'the quote is not closed.');
      value += text.slice(at, end);
      at = end + 1;
      if (text[at] !== "'") return value;
      value += "'";
      at += 1;
    }
  };
  const literal = (value: Literal, start: number): void => void tokens.push({ kind: 'literal', literal: value, at: start + offset });
  const instant = (value: string, start: number): string => {
    if (value.startsWith('0000') || parseInstantMs(shortenFraction(value)) === null) throw queryFault(option, start + offset, `${value} is not a time.`);
    return value;
  };
  const takeVariable = (): void => {
    const start = at;
    const found = take(VARIABLE);
    if (found !== null) tokens.push({ kind: 'variable', text: found.trim().slice(0, -1).trim(), at: start + offset });
  };
  for (;;) {
    take(BLANK);
    const start = at;
    if (at >= text.length) break;
    const character = text.charAt(at);
    if (character === "'") {
      literal({ type: 'text', value: takeQuoted() }, start);
      continue;
    }
    if (character === '(' || character === ')' || character === ',') {
      at += 1;
      const before = tokens.at(-1);
      tokens.push({ kind: 'punctuation', text: character, at: start + offset });
      if (character === '(' && before?.kind === 'name' && before.call && LAMBDA.test(before.text)) takeVariable();
      continue;
    }
    let found = take(INSTANT);
    if (found !== null) {
      instant(found, start);
      if (text[at] !== '/') {
        literal({ type: 'instant', value: found }, start);
        continue;
      }
      at += 1;
      const end = take(INSTANT);
      if (end === null) throw queryFault(option, at + offset, 'an interval needs a second time after the slash.');
      literal({ type: 'interval', start: found, end: instant(end, at - end.length) }, start);
      continue;
    }
    if ((found = take(DATE)) !== null) {
      if (found.startsWith('0000') || parseInstantMs(`${found}T00:00:00Z`) === null) throw queryFault(option, start + offset, `${found} is not a date.`);
      literal({ type: 'date', value: found }, start);
      continue;
    }
    if ((found = take(TIME)) !== null) {
      if (parseInstantMs(`2000-01-01T${found}Z`) === null) throw queryFault(option, start + offset, `${found} is not a time of day.`);
      literal({ type: 'time', value: found }, start);
      continue;
    }
    if ((found = take(NUMBER)) !== null) {
      const value = Number(found);
      if (!Number.isFinite(value)) throw queryFault(option, start + offset, `${found} is larger than a double holds.`);
      literal({ type: 'number', value }, start);
      continue;
    }
    if (character === '-') {
      at += 1;
      tokens.push({ kind: 'punctuation', text: '-', at: start + offset });
      continue;
    }
    if ((found = take(NAME)) !== null) {
      if (text[at] === "'") literal(readPrefixed(option, found, takeQuoted(), start + offset), start);
      else if (found === 'null') literal({ type: 'null' }, start);
      else if (found === 'true' || found === 'false') literal({ type: 'boolean', value: found === 'true' }, start);
      else tokens.push({ kind: 'name', text: found, call: text[at] === '(', at: start + offset });
      continue;
    }
    throw queryFault(option, start + offset, `${JSON.stringify(character)} is not expected here.`);
  }
  tokens.push({ kind: 'end', at: text.length + offset });
  return tokens;
}

const shortenFraction = (text: string): string => text.replace(/(\.\d{9})\d+/, '$1');

/** geography'…', duration'…' (OData 4.0 ABNF primitiveLiteral). */
function readPrefixed(option: string, prefix: string, value: string, at: number): Literal {
  if (prefix === 'geography' || prefix === 'geometry') {
    const geometry = parseWkt(value);
    if (typeof geometry === 'string') throw queryFault(option, at, `${geometry}.`);
    return { type: 'geometry', value: geometry };
  }
  if (prefix === 'duration') {
    if (!DURATION.test(value) || value.endsWith('T')) throw queryFault(option, at, 'a duration is written as duration\'P1DT2H\'.');
    return { type: 'duration', value };
  }
  throw queryFault(option, at, `${prefix}'…' is not a literal that is known here; known are geography'…' and duration'…'.`);
}
