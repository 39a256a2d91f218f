import type { PropertyShape } from './shapes.ts';

export const OPERATORS = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'contains', 'startswith', 'endswith'] as const;
export type Operator = (typeof OPERATORS)[number];

/** Parts of a $filter that all must hold; `property` is empty for a part that is more than property, operator, value. */
export interface Condition {
  readonly property: string;
  readonly operator: Operator | '';
  /** The part as it stands in the filter. */
  readonly text: string;
}

/** Splits a filter at the `and` outside of quotes and parentheses; a filter with an `or` outside is one part. */
export function readConditions(filter: string): Condition[] {
  const text = filter.trim();
  if (text === '') return [];
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === "'") quoted = !quoted;
    if (quoted) continue;
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth > 0) continue;
    if (/^ or /.test(text.slice(at, at + 4))) return [{ property: '', operator: '', text }];
    if (/^ and /.test(text.slice(at, at + 5))) {
      parts.push(text.slice(start, at));
      start = at + 5;
      at += 4;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => readCondition(part.trim()));
}

function readCondition(text: string): Condition {
  const compared = /^([\p{L}\d_@./]+) (eq|ne|gt|ge|lt|le) ('(?:[^']|'')*'|[^\s'()]+)$/u.exec(text);
  if (compared) return { property: compared[1] ?? '', operator: compared[2] as Operator, text };
  const called = /^(contains|startswith|endswith)\(([\p{L}\d_@./]+),\s*'(?:[^']|'')*'\)$/u.exec(text);
  if (called) return { property: called[2] ?? '', operator: called[1] as Operator, text };
  return { property: '', operator: '', text };
}

export const filterOf = (conditions: readonly Condition[]): string =>
  conditions.length > 1 ? conditions.map(({ text }) => (/ or /.test(text) && !text.startsWith('(') ? `(${text})` : text)).join(' and ') : (conditions[0]?.text ?? '');

/** Writes a condition from what a person typed: a text gets its quotes, a number, a time or null stays bare. */
export function writeCondition(property: string, operator: Operator, typed: string, shape: PropertyShape | undefined): Condition {
  const literal = literalOf(typed.trim(), operator, shape);
  const text = operator === 'contains' || operator === 'startswith' || operator === 'endswith' ? `${operator}(${property},${literal})` : `${property} ${operator} ${literal}`;
  return { property, operator, text };
}

const QUOTED = /^'(?:[^']|'')*'$/;
const BARE = /^(?:-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|\d{4}-\d{2}-\d{2}(?:T[\d:.]+(?:Z|[+-]\d{2}:\d{2}))?)$/;

function literalOf(typed: string, operator: Operator, shape: PropertyShape | undefined): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  if (QUOTED.test(typed)) return typed;
  if (operator === 'contains' || operator === 'startswith' || operator === 'endswith') return quote(typed);
  if (typed === 'null') return typed;
  if (shape?.type === 'text') return quote(typed);
  return BARE.test(typed) ? typed : quote(typed);
}
