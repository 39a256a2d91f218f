import { LIMITS } from '../../kernel/index.ts';
import { notBuilt, queryFault } from './fault.ts';
import { parseFilter, parseOrderby } from './parser.ts';
import { NO_OPTIONS, RESULT_FORMATS, RESULT_METADATA, type ExpandItem, type QueryOptions, type SelectItem } from './syntax.ts';

const KNOWN_ELSEWHERE = new Set(['$apply', '$search', '$compute', '$format', '$index', '$levels', '$id']);

/**
 * Parses the query part of an address (18-088 §9.3): everything between `?` and the end, still percent-encoded.
 * Throws `Refused` for an unknown or repeated option, a wrong text, and for parts of OData that are not built.
 */
export function parseQuery(search: string): QueryOptions {
  if (search === '') return NO_OPTIONS;
  const pairs: Piece[] = [];
  for (const part of search.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = decode(equals < 0 ? part : part.slice(0, equals), 'query');
    pairs.push({ name, text: decode(equals < 0 ? '' : part.slice(equals + 1), name), at: 0 });
  }
  return readOptions(pairs, 0);
}

interface Piece {
  readonly name: string;
  readonly text: string;
  readonly at: number;
}

function decode(text: string, option: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw queryFault(option, 0, 'the percent-encoding is not valid UTF-8.');
  }
  const nul = decoded.indexOf('\u0000');
  if (nul >= 0) throw queryFault(option, nul, 'the character NUL is not allowed.');
  return decoded;
}

function readOptions(pieces: readonly Piece[], depth: number): QueryOptions {
  const options: { -readonly [K in keyof QueryOptions]: QueryOptions[K] } = { ...NO_OPTIONS };
  const seen = new Set<string>();
  for (const { name, text, at } of pieces) {
    if (seen.has(name)) throw queryFault(name, at, 'the option is given twice.');
    seen.add(name);
    switch (name) {
      case '$filter':
        options.filter = parseFilter(text, at);
        break;
      case '$orderby':
        options.orderby = parseOrderby(text, at);
        break;
      case '$top':
        options.top = readCount(name, text, at);
        break;
      case '$skip':
        options.skip = readCount(name, text, at);
        break;
      case '$count':
        if (text !== 'true' && text !== 'false') throw queryFault(name, at, 'it is true or false.');
        options.count = text === 'true';
        break;
      case '$select':
        Object.assign(options, readSelect(text, at));
        if (options.distinct && depth > 0) throw notBuilt(name, at, 'distinct: inside of $expand is not built.');
        break;
      case '$expand':
        options.expand = readExpand(text, at, depth + 1);
        break;
      case '$skiptoken':
        options.after = text;
        break;
      case '$resultFormat':
        if (depth > 0) throw queryFault(name, at, 'it stands at the top only.');
        options.resultFormat = oneOf(name, RESULT_FORMATS, text, at);
        break;
      case '$resultMetadata':
        if (depth > 0) throw queryFault(name, at, 'it stands at the top only.');
        options.metadata = oneOf(name, RESULT_METADATA, text, at);
        break;
      default:
        if (KNOWN_ELSEWHERE.has(name)) throw notBuilt(name, at, 'this option is not built.');
        throw queryFault(name, at, `there is no query option ${JSON.stringify(name.slice(0, 50))}${name.startsWith('$') ? '' : '; options begin with $'}.`);
    }
  }
  options.texts = pieces.map(({ name, text }) => [name, text] as const);
  return options;
}

function readCount(option: string, text: string, at: number): number {
  if (!/^\d{1,9}$/.test(text)) throw queryFault(option, at, 'it is a whole number from 0 to 999999999.');
  return Number(text);
}

function oneOf<T extends string>(option: string, words: readonly T[], text: string, at: number): T {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw queryFault(option, at, `it is one of ${words.join(', ')}.`);
  return word;
}

const DISTINCT = 'distinct:';
const SELECTED = 100;
const SELECTED_DEPTH = 20;

/** `name,properties/a/b` and `distinct:unitOfMeasurement/name`. */
function readSelect(text: string, at: number): { select: SelectItem[]; distinct: boolean } {
  const distinct = text.trimStart().startsWith(DISTINCT);
  const from = distinct ? text.indexOf(DISTINCT) + DISTINCT.length : 0;
  const select = splitTop('$select', text.slice(from), ',', at + from).map((part): SelectItem => {
    const [name = '', ...rest] = part.text.trim().split('/');
    const place = part.at + part.text.length - part.text.trimStart().length;
    if (name === '' || rest.includes('')) throw queryFault('$select', place, 'a name is missing.');
    if (rest.length > SELECTED_DEPTH) throw queryFault('$select', place, `a path has at most ${String(SELECTED_DEPTH)} steps.`);
    return { name, rest, at: place };
  });
  if (select.length > SELECTED) throw queryFault('$select', at, `at most ${String(SELECTED)} names are taken.`);
  return { select, distinct };
}

/** `A,B/C($top=1;$expand=D)`; A/B is A with B expanded in it, and two paths with the same head are one. */
function readExpand(text: string, at: number, depth: number): ExpandItem[] {
  const items = new Map<string, ExpandItem>();
  for (const part of splitTop('$expand', text, ',', at)) {
    const shape = /^(\s*)([\p{L}\d_@./-]+)\s*(?:\((.*)\))?\s*$/su.exec(part.text);
    if (!shape?.[2]) throw queryFault('$expand', part.at, 'a name of a related set is expected, with its options in parentheses.');
    const steps = shape[2].split('/');
    const nameAt = part.at + (shape[1]?.length ?? 0);
    const inner = shape[3];
    const options = inner === undefined ? NO_OPTIONS : readOptions(readNested(inner, part.at + part.text.indexOf('(') + 1), depth + steps.length - 1);
    if (depth + steps.length - 1 > LIMITS.expand_depth) throw queryFault('$expand', nameAt, `related sets are expanded at most ${String(LIMITS.expand_depth)} deep.`);
    const item = steps.reduceRight<ExpandItem | null>((within, name) => (within === null ? { name, at: nameAt, options } : { name, at: nameAt, options: { ...NO_OPTIONS, expand: [within] } }), null);
    if (item === null) continue;
    const earlier = items.get(item.name);
    items.set(item.name, earlier ? merge(earlier, item) : item);
  }
  return [...items.values()];
}

function merge(one: ExpandItem, other: ExpandItem): ExpandItem {
  if (one.options.texts.length > 0 && other.options.texts.length > 0) throw queryFault('$expand', other.at, `${other.name} is expanded twice with options.`);
  const base = one.options.texts.length > 0 ? one.options : other.options;
  const expand = new Map(one.options.expand.map((item) => [item.name, item]));
  for (const item of other.options.expand) {
    const earlier = expand.get(item.name);
    expand.set(item.name, earlier ? merge(earlier, item) : item);
  }
  return { ...one, options: { ...base, expand: [...expand.values()] } };
}

function readNested(text: string, at: number): Piece[] {
  return splitTop('$expand', text, ';', at).map((part) => {
    const equals = part.text.indexOf('=');
    if (equals < 0) throw queryFault('$expand', part.at, 'an option such as $top=5 is expected.');
    return { name: part.text.slice(0, equals).trim(), text: part.text.slice(equals + 1), at: part.at + equals + 1 };
  });
}

/** Splits at a separator outside of quotes and parentheses. */
function splitTop(option: string, text: string, separator: string, offset: number): { text: string; at: number }[] {
  const parts: { text: string; at: number }[] = [];
  let start = 0;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === "'") quoted = !quoted;
    else if (quoted) continue;
    else if (character === '(') depth += 1;
    else if (character === ')') {
      depth -= 1;
      if (depth < 0) throw queryFault(option, at + offset, 'this parenthesis was not opened.');
    } else if (character === separator && depth === 0) {
      parts.push({ text: text.slice(start, at), at: start + offset });
      start = at + 1;
    }
  }
  if (quoted || depth > 0) throw queryFault(option, text.length + offset, quoted ? 'a quote is not closed.' : 'a parenthesis is not closed.');
  parts.push({ text: text.slice(start), at: start + offset });
  return parts;
}
