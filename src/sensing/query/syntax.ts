import type { Geometry } from './geometry.ts';

export const COMPARISONS = ['eq', 'ne', 'gt', 'ge', 'lt', 'le'] as const;
export type Comparison = (typeof COMPARISONS)[number];
export const ARITHMETIC = ['add', 'sub', 'mul', 'div', 'mod'] as const;
export type Arithmetic = (typeof ARITHMETIC)[number];

export type Literal =
  | { readonly type: 'number'; readonly value: number }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'null' }
  /** ISO 8601 with its zone. */
  | { readonly type: 'instant'; readonly value: string }
  | { readonly type: 'interval'; readonly start: string; readonly end: string }
  | { readonly type: 'date'; readonly value: string }
  | { readonly type: 'time'; readonly value: string }
  | { readonly type: 'duration'; readonly value: string }
  | { readonly type: 'geometry'; readonly value: Geometry };

/** `at` is the place in the option's text, counted from 0. */
export type Expression =
  | { readonly kind: 'literal'; readonly literal: Literal; readonly at: number }
  | { readonly kind: 'path'; readonly steps: readonly string[]; readonly at: number }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[]; readonly at: number }
  | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'arithmetic'; readonly op: Arithmetic; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'logic'; readonly op: 'and' | 'or'; readonly left: Expression; readonly right: Expression; readonly at: number }
  | { readonly kind: 'not'; readonly operand: Expression; readonly at: number }
  | { readonly kind: 'negate'; readonly operand: Expression; readonly at: number }
  | { readonly kind: 'in'; readonly left: Expression; readonly items: readonly Expression[]; readonly at: number }
  /** `Datastreams/any(d:d/name eq 'x')`; without a variable, whether there is any member at all. */
  | { readonly kind: 'lambda'; readonly quantifier: 'any' | 'all'; readonly steps: readonly string[]; readonly variable: string | null; readonly condition: Expression | null; readonly at: number };

export interface OrderKey {
  readonly expression: Expression;
  readonly descending: boolean;
}

export const RESULT_FORMATS = ['dataArray', 'CSV', 'GeoJSON'] as const;
export type ResultFormat = (typeof RESULT_FORMATS)[number];
/** Control information of an answer: all of it, only what paging and linking need, or only counts and next links. */
export const RESULT_METADATA = ['full', 'minimal', 'none'] as const;
export type ResultMetadata = (typeof RESULT_METADATA)[number];

/** `properties/a/b` has the name `properties` and the rest `a`, `b`. */
export interface SelectItem {
  readonly name: string;
  readonly rest: readonly string[];
  readonly at: number;
}

export interface ExpandItem {
  /** Name of the navigation, such as Datastreams. */
  readonly name: string;
  readonly at: number;
  readonly options: QueryOptions;
}

/** What one collection or entity is asked for; the same shape at the top and inside $expand. */
export interface QueryOptions {
  readonly filter: Expression | null;
  readonly orderby: readonly OrderKey[];
  readonly top: number | null;
  readonly skip: number;
  readonly count: boolean;
  /** Null selects everything. */
  readonly select: readonly SelectItem[] | null;
  /** `$select=distinct:`, which answers the different combinations of the selected values instead of entities. */
  readonly distinct: boolean;
  readonly expand: readonly ExpandItem[];
  /** Where the page before this one ended. */
  readonly after: string | null;
  readonly resultFormat: ResultFormat | null;
  readonly metadata: ResultMetadata;
  /** Names and decoded texts as they were sent, for the next link. */
  readonly texts: readonly (readonly [name: string, text: string])[];
}

export const NO_OPTIONS: QueryOptions = { filter: null, orderby: [], top: null, skip: 0, count: false, select: null, distinct: false, expand: [], after: null, resultFormat: null, metadata: 'full', texts: [] };
