/**
 * A piece of SQL with its parameters apart: text from this source only, values only as parameters. Stores turn it
 * into a statement. It lives outside the stores so that a filter function is one small file without a database.
 */
export interface Fragment {
  readonly texts: readonly string[];
  readonly values: readonly FragmentValue[];
}

/** A parameter that must be worked out in process before the statement runs: a part of an answer. */
export interface Pending {
  readonly pending: GeometryQuestion;
  readonly part: keyof GeometryAnswer;
}

/** In forms that the database looks up at once, however many there are: lists are hashed, JSON objects are sorted. */
export interface GeometryAnswer {
  /** The rows found; for a question about pairs, empty. */
  readonly ids: readonly number[];
  /** The pairs found, each as `id other`. */
  readonly pairs: readonly string[];
  /** JSON of the measures by id, or by `id other`. */
  readonly measures: string;
}

/** Rows with `id`, the GeoJSON in `column` and its box in `bbox`: a table, or a select in parentheses. */
export interface GeometryRows {
  readonly table: string;
  readonly column: string;
}

/** A question to stored geometries, answered by code because core PostgreSQL has no exact predicates. */
export interface GeometryQuestion {
  readonly rows: GeometryRows;
  /** Asks about pairs of rows: those whose boxes meet, those of one and the same row, or all. */
  readonly other: { readonly rows: GeometryRows; readonly pairs: 'meeting' | 'same row' | 'all' } | null;
  /** west, south, east, north: only geometries whose box meets it are read; null reads all. */
  readonly box: readonly [number, number, number, number] | null;
  /** Leaves plain points (of a pair, two points) out: the database measures those. */
  readonly withoutPoints: boolean;
  /** True keeps the row, a number keeps it with its measure. */
  readonly test: (geometry: unknown, other: unknown) => boolean | number;
}

type FragmentValue = Fragment | Pending | Scalar;
type Scalar = string | number | boolean | null | Date | readonly number[] | readonly string[];

const isFragment = (value: FragmentValue): value is Fragment => typeof value === 'object' && value !== null && 'texts' in value;
const isPending = (value: FragmentValue): value is Pending => typeof value === 'object' && value !== null && 'pending' in value;

/** Tagged template: `frag\`a = ${1}\``; fragments nest, everything else becomes a parameter. */
export function frag(texts: TemplateStringsArray, ...values: FragmentValue[]): Fragment {
  return { texts: [...texts], values };
}

/** A name or keyword that stands in this source, never one from a request. */
export function raw(text: string): Fragment {
  return { texts: [text], values: [] };
}

export function join(parts: readonly Fragment[], separator: string): Fragment {
  if (parts.length === 0) return raw('');
  return { texts: ['', ...parts.slice(1).map(() => separator), ''], values: parts };
}

/** All must hold; an empty list holds. */
export function allOf(parts: readonly Fragment[]): Fragment {
  return parts.length === 0 ? raw('true') : join(parts.map((part) => frag`(${part})`), ' and ');
}

interface Statement {
  readonly text: string;
  readonly parameters: unknown[];
}

/** Numbers the parameters. `answers` holds the answer of every pending question. */
export function toStatement(fragment: Fragment, answers: ReadonlyMap<GeometryQuestion, GeometryAnswer> = new Map()): Statement {
  const parameters: unknown[] = [];
  const write = (part: Fragment): string => {
    let text = part.texts[0] ?? '';
    part.values.forEach((value, at) => {
      if (isFragment(value)) text += write(value);
      else {
        parameters.push(isPending(value) ? (answers.get(value.pending)?.[value.part] ?? null) : value);
        text += `$${String(parameters.length)}`;
      }
      text += part.texts[at + 1] ?? '';
    });
    return text;
  };
  const text = write(fragment);
  return { text, parameters };
}

/** The questions of a fragment, in order. */
export function questionsOf(fragment: Fragment): GeometryQuestion[] {
  return fragment.values.flatMap((value) => (isFragment(value) ? questionsOf(value) : isPending(value) ? [value.pending] : []));
}
