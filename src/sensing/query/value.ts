import { frag, raw, type Fragment, type GeometryRows } from './fragment.ts';
import type { Geometry } from './geometry.ts';

export type ScalarType = 'number' | 'text' | 'boolean' | 'instant' | 'date' | 'time' | 'duration';

/**
 * A stored GeoJSON of the row `alias`, for exact predicates in process. `table` may be a select in parentheses that works
 * the geometry out (`GeometryRows`); then `json` and `box` are its SQL for one row, else they are columns of the row.
 */
export interface StoredGeometry extends GeometryRows {
  readonly alias: string;
  readonly json?: Fragment;
  readonly box?: Fragment;
}

export const jsonOf = ({ json, alias, column }: StoredGeometry): Fragment => json ?? raw(`${alias}.${column}`);
/** SQL of its box; null where the value is no geometry that can be read. */
export const boxSqlOf = ({ box, alias }: StoredGeometry): Fragment => box ?? raw(`${alias}.bbox`);

/** A typed piece of SQL: what a path, a literal or a function stands for. SQL null is the null of OData. */
export type Value =
  | { readonly type: ScalarType; readonly sql: Fragment; /** bigint rather than double */ readonly integer?: boolean; /** The text of a literal. */ readonly constant?: string }
  /** `end` equals `start` for an instant. */
  | { readonly type: 'interval'; readonly start: Fragment; readonly end: Fragment; /** `start` and `end` can be named (OGC 23-019 §9.2.2). */ readonly hasParts?: boolean }
  /** A value whose type only the row knows; each form is null when the value is of another type. */
  | { readonly type: 'json'; readonly sql: Fragment; readonly number: Fragment; readonly text: Fragment; readonly boolean: Fragment; readonly order?: Value }
  | { readonly type: 'geometry'; readonly literal: Geometry }
  | { readonly type: 'stored-geometry'; readonly stored: StoredGeometry }
  | { readonly type: 'null' };

export const SQL_TYPES: Readonly<Record<ScalarType, string>> = { number: 'double precision', text: 'text', boolean: 'boolean', instant: 'timestamptz', date: 'date', time: 'time', duration: 'interval' };

/** What a value is called in a message. */
export const TYPE_WORDS: Readonly<Record<Value['type'], string>> = {
  number: 'a number',
  text: 'a text',
  boolean: 'true or false',
  instant: 'a time',
  date: 'a date',
  time: 'a time of day',
  duration: 'a duration',
  interval: 'a time',
  json: 'a JSON value',
  geometry: 'a geometry',
  'stored-geometry': 'a geometry',
  null: 'null',
};

export const scalar = (type: ScalarType, sql: Fragment): Value => ({ type, sql });

/** The value of a jsonb expression. */
export function jsonValue(sql: Fragment): Value {
  return {
    type: 'json',
    sql,
    number: frag`(case when jsonb_typeof(${sql}) = 'number' then (${sql})::double precision end)`,
    text: frag`(case when jsonb_typeof(${sql}) = 'string' then ${sql} #>> '{}' end)`,
    boolean: frag`(case when jsonb_typeof(${sql}) = 'boolean' then (${sql})::boolean end)`,
  };
}

/** SQL of `value` as `type`, or null when it can never be of that type. */
export function castTo(value: Value, type: ScalarType): Fragment | null {
  switch (value.type) {
    case 'json':
      return type === 'number' ? value.number : type === 'text' ? value.text : type === 'boolean' ? value.boolean : null;
    case 'interval':
      return type === 'instant' ? value.start : null;
    case 'null':
      return frag`null::${raw(SQL_TYPES[type])}`;
    case 'geometry':
    case 'stored-geometry':
      return null;
    default:
      if (value.type !== type) return null;
      return type === 'number' ? frag`(${value.sql})::double precision` : value.sql;
  }
}
