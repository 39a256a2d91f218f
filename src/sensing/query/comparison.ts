import { allOf, frag, raw, type Fragment } from './fragment.ts';
import type { Comparison } from './syntax.ts';
import { castTo, jsonOf, TYPE_WORDS, type ScalarType, type Value } from './value.ts';

const OPERATORS: Readonly<Record<Comparison, string>> = { eq: '=', ne: 'is distinct from', gt: '>', ge: '>=', lt: '<', le: '<=' };
const MIRRORED: Readonly<Record<Comparison, Comparison>> = { eq: 'eq', ne: 'ne', gt: 'lt', ge: 'le', lt: 'gt', le: 'ge' };

/**
 * SQL of a comparison, or the reason why the two cannot be compared. Null equals null only, and is neither less nor
 * greater than anything (OData 4.0 Part 2 §5.1.1.1). `bothVary` is true when neither side is a literal.
 */
export function compare(op: Comparison, left: Value, right: Value, bothVary: boolean): Fragment | string {
  if (right.type === 'null') return compareWithNull(op, left);
  if (left.type === 'null') return compareWithNull(op, right);
  if (left.type === 'interval' || right.type === 'interval') return compareTimes(op, left, right, bothVary);
  if (left.type === 'json' && right.type === 'json') return compareTwoJson(op, left, right);
  if (left.type === 'json') return compareJson(op, left, right, bothVary);
  if (right.type === 'json') return compareJson(MIRRORED[op], right, left, bothVary);
  if (left.type === 'geometry' || left.type === 'stored-geometry' || right.type === 'geometry' || right.type === 'stored-geometry') return 'geometries are compared with st_within, st_intersects or geo.distance';
  if (left.type !== right.type) return `${TYPE_WORDS[left.type]} cannot be compared with ${TYPE_WORDS[right.type]}${left.type === 'date' || right.type === 'date' ? '; write date(…) or a time with its zone' : ''}`;
  const operator = op === 'eq' && bothVary ? 'is not distinct from' : OPERATORS[op];
  return frag`${left.sql} ${raw(operator)} ${right.sql}`;
}

function compareWithNull(op: Comparison, value: Value): Fragment {
  if (op !== 'eq' && op !== 'ne') return raw('false');
  const is = raw(op === 'eq' ? 'is null' : 'is not null');
  switch (value.type) {
    case 'null':
      return raw(op === 'eq' ? 'true' : 'false');
    case 'interval':
      return frag`${value.start} ${is}`;
    case 'json':
      return op === 'eq' ? frag`coalesce(${value.sql} = 'null'::jsonb, true)` : frag`coalesce(${value.sql} <> 'null'::jsonb, false)`;
    case 'geometry':
      return raw(op === 'eq' ? 'false' : 'true');
    case 'stored-geometry':
      return frag`${jsonOf(value.stored)} ${is}`;
    default:
      return frag`${value.sql} ${is}`;
  }
}

type JsonValue = Value & { readonly type: 'json' };

function compareJson(op: Comparison, json: JsonValue, other: Value, bothVary: boolean): Fragment | string {
  const cast = castTo(json, other.type as ScalarType);
  if (cast === null || !('sql' in other)) return `a JSON property holds texts, numbers, true and false; it cannot be compared with ${TYPE_WORDS[other.type]}`;
  if (!bothVary || (op !== 'eq' && op !== 'ne')) return frag`${cast} ${raw(OPERATORS[op])} ${other.sql}`;
  // a value of another type is no null
  const equal = frag`(${cast} = ${other.sql} or (${other.sql} is null and ${compareWithNull('eq', json)}))`;
  return op === 'eq' ? equal : frag`(${equal} is not true)`;
}

/** Two JSON values are in an order when both are numbers, texts or truth values; jsonb has one for everything. */
function compareTwoJson(op: Comparison, left: JsonValue, right: JsonValue): Fragment {
  const whole = ({ sql }: JsonValue): Fragment => frag`coalesce(${sql}, 'null'::jsonb)`;
  const operator = raw(OPERATORS[op]);
  if (op === 'eq' || op === 'ne') return frag`${whole(left)} ${operator} ${whole(right)}`;
  return frag`(${left.number} ${operator} ${right.number} or ${left.text} ${operator} ${right.text} or ${left.boolean} ${operator} ${right.boolean})`;
}

/**
 * Intervals: lt and gt mean wholly before and after, le and ge that the ends do not reach beyond. An end may be the other's
 * start. The plain condition on the start comes first because it is the one that an index and the day partitions answer.
 */
function compareTimes(op: Comparison, left: Value, right: Value, bothVary: boolean): Fragment | string {
  const [a, b] = [timesOf(left), timesOf(right)];
  if (a === null || b === null) return `a time cannot be compared with ${TYPE_WORDS[a === null ? left.type : right.type]}; times are written 2026-11-24T06:00:00Z`;
  switch (op) {
    case 'eq':
      return bothVary ? frag`(${a.start} is not distinct from ${b.start} and ${a.end} is not distinct from ${b.end})` : allOf([frag`${a.start} = ${b.start}`, frag`${a.end} = ${b.end}`]);
    case 'ne':
      return frag`(${a.start} is distinct from ${b.start} or ${a.end} is distinct from ${b.end})`;
    case 'gt':
      return right.type === 'interval' ? frag`(${a.start} >= ${b.end} and ${a.start} > ${b.start})` : frag`${a.start} > ${b.start}`;
    case 'ge':
      return allOf([frag`${a.start} >= ${b.start}`, frag`${a.end} >= ${b.end}`]);
    case 'lt':
      return allOf([frag`${a.start} < ${b.start}`, frag`${a.end} <= ${b.start}`]);
    case 'le':
      return allOf([frag`${a.start} <= ${b.start}`, frag`${a.end} <= ${b.end}`]);
  }
}

function timesOf(value: Value): { start: Fragment; end: Fragment } | null {
  if (value.type === 'interval') return value;
  return value.type === 'instant' ? { start: value.sql, end: value.sql } : null;
}
